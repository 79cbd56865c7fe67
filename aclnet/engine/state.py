"""What a training needs to go on as if it had never ended, beside weights and optimizer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aclnet import distributed
from aclnet.errors import ACLNetError

__all__ = ['capture', 'changes', 'restore', 'set_options', 'settings_of']

# the parts of a config that decide what is trained
_DECISIVE = ('model', 'optimizer', 'optimizer_config', 'lr_config', 'momentum_config', 'total_epochs', 'workflow',
             'evaluation', 'custom_hooks', 'sync_bn', 'fast', 'amp', 'compile', 'tf32', 'deterministic')  # fmt: skip
_DECISIVE_DATA = ('train', 'val', 'videos_per_gpu', 'train_dataloader')


def capture(model: nn.Module) -> dict[str, Any]:
    """What differs between ranks: random states of Python, numpy, torch and the GPU, and buffers of this rank alone."""
    _, keys, *rest = np.random.get_state()
    version, words, gauss = random.getstate()
    state: dict[str, Any] = dict(
        python=[version, list(words), gauss],
        numpy=[torch.from_numpy(np.asarray(keys, np.int64)), *rest],
        torch=torch.get_rng_state(),
        buffers={name: buffer.detach().cpu() for name, buffer in _own_buffers(model)},
    )
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def restore(model: nn.Module, state: dict[str, Any]) -> None:
    """Put back what :func:`capture` took."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    keys, *rest = state['numpy']
    np.random.set_state(('MT19937', keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'])
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])
    for name, buffer in _own_buffers(model):
        if name in state['buffers']:
            buffer.copy_(state['buffers'][name])
    for part in model.modules():
        read: Any = getattr(part, 'read_buffers', None)
        if read is not None:
            read()


def _own_buffers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Buffers that each rank keeps for itself; a module says so by ``per_rank``."""
    if distributed.get_dist_info()[1] > 1:
        for prefix, part in model.named_modules():
            if getattr(part, 'per_rank', False):
                for name, buffer in part.named_buffers(recurse=False):
                    yield f'{prefix}.{name}', buffer


def settings_of(cfg: dict) -> str:
    """The part of a config that decides what is trained, as JSON; a checkpoint's is compared and never run."""
    kept = {key: cfg[key] for key in _DECISIVE if cfg.get(key) is not None}
    kept['data'] = {key: cfg['data'][key] for key in _DECISIVE_DATA if cfg['data'].get(key) is not None}
    return json.dumps(kept, default=str, sort_keys=True)


def changes(before: str | None, now: str | None) -> list[str]:
    """One 'key: before → now' for all that differs between two settings; nothing where one is not known."""
    try:
        old, new = (_flat(json.loads(text)) for text in (before, now))  # type: ignore[arg-type]  # see TypeError
    except (ValueError, TypeError):
        return []
    return [f'{key}: {old.get(key)} → {new.get(key)}' for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _flat(value: Any, prefix: str = '') -> dict[str, Any]:
    items: Any = None
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value):
        items = enumerate(value)
    if items is None:
        return {prefix: value}
    flat = {}
    for key, part in items:
        flat.update(_flat(part, f'{prefix}.{key}' if prefix else str(key)))
    return flat


def set_options(optimizer: torch.optim.Optimizer, state: dict, where: str) -> list[str]:
    """Load an optimizer's state, and keep the options that it was built with where they are others.

    Returns:
        one 'name: before → now' for each option that differs.

    Raises:
        ACLNetError: the state is that of other parameters.
    """
    wanted = [{key: value for key, value in group.items() if key != 'params'} for group in optimizer.param_groups]
    try:
        kept = [{key: options[key] for key in ('fused',) if key in options} for options in wanted]
        if len(state['param_groups']) == len(kept):  # where counts of steps are kept follows from it while loading
            state = {**state, 'param_groups': [{**group, **own} for group, own in zip(state['param_groups'], kept)]}
        optimizer.load_state_dict(state)
    except (ValueError, KeyError, TypeError) as error:
        raise ACLNetError(f'the optimizer state in {where} does not fit this config: {error}') from None
    differing: dict[str, None] = {}  # a set in order
    for group, options in zip(optimizer.param_groups, wanted):
        for key, value in options.items():
            initial = f'initial_{key}'
            before = group.get(initial, group.get(key, value))
            if before != value and list(np.atleast_1d(before)) != list(np.atleast_1d(value)):
                differing[f'optimizer.{key}: {before} → {value}'] = None
                group[key] = value
                if initial in group:
                    group[initial] = value
    return list(differing)
