"""Checkpoints: reading them without trusting them, and writing them whole."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import time
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import aclnet
from aclnet import distributed
from aclnet.errors import ACLNetError
from aclnet.files import atomic_write
from aclnet.unpickling import PickledDtype, numpy_scalar

__all__ = ['fetch', 'load_checkpoint', 'load_weights', 'read_checkpoint', 'save_checkpoint', 'unwrapped']


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside DistributedDataParallel, or the model itself."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


def _forged(module: str) -> Callable:
    """The stand-in for numpy's scalar constructor under the module name that a pickle of numpy 1 or 2 gives it."""

    def scalar(*args: Any) -> Any:
        return numpy_scalar(*args)

    scalar.__module__, scalar.__qualname__ = module, 'scalar'
    return scalar


def _allow_numpy_scalars() -> None:
    """mmcv writes numpy scalars into a checkpoint's meta; the stand-ins admit numbers and strings only."""
    import _codecs

    class dtype(PickledDtype):
        """Passes for ``numpy.dtype``, whose own ``__setstate__`` trusts a file too much."""

    dtype.__module__, dtype.__qualname__ = 'numpy', 'dtype'
    torch.serialization.add_safe_globals(
        [_forged('numpy.core.multiarray'), _forged('numpy._core.multiarray'), dtype, _codecs.encode]
    )


_allow_numpy_scalars()


def fetch(path: str) -> str:
    """A local path for ``path``; an http(s) address is downloaded once into torch's hub cache.

    Raises:
        ACLNetError: the download failed.
    """
    if not path.startswith(('http://', 'https://')):
        return path
    name = f'{hashlib.sha256(path.encode()).hexdigest()[:8]}_{os.path.basename(path.split("?")[0]) or "checkpoint.pth"}'
    target = os.path.join(torch.hub.get_dir(), 'checkpoints', name)
    if not os.path.exists(target):
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            torch.hub.download_url_to_file(path, target)  # writes to a temporary name first
        except Exception as error:  # urllib, socket and OS errors alike
            raise ACLNetError(f'{path} could not be downloaded: {error}') from None
    return target


def load_checkpoint(path: str, map_location: str | torch.device = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file or address on rank 0, for all ranks; tensors, plain containers and numpy scalars only.

    Returns:
        mmcv's dict(meta, state_dict, optimizer); a file that is a bare state dict becomes dict(meta={}, state_dict).

    Raises:
        ACLNetError: it is missing, damaged, a folder, no checkpoint, or holds objects that would run code.
    """
    return distributed.on_rank_0(lambda: read_checkpoint(path, map_location))


def read_checkpoint(path: str, map_location: str | torch.device = 'cpu') -> dict[str, Any]:
    """Like :func:`load_checkpoint`, on this rank alone."""
    local = fetch(str(path))
    if os.path.isdir(local):
        raise ACLNetError(
            f'checkpoint {path} is a folder; name a file in it, such as {os.path.join(path, "latest.pth")}'
        )
    if not os.path.exists(local):
        raise ACLNetError(f'checkpoint {path} does not exist')
    try:
        if zipfile.is_zipfile(local):
            with zipfile.ZipFile(local) as archive:
                damaged = archive.testzip()  # torch itself reads past the checksums
            if damaged is not None:
                raise zipfile.BadZipFile(damaged)
        content = torch.load(local, map_location=map_location, weights_only=True)
    except OSError as error:
        raise ACLNetError(f'checkpoint {path} cannot be read: {error}') from None
    except Exception as error:  # damaged zip archives and pickles raise many kinds
        named = re.search(r'GLOBAL (\S+)', str(error))
        raise ACLNetError(
            f'checkpoint {path} was not loaded: '
            + (
                f"it refers to '{named[1]}', which is neither a tensor nor plain data"
                if named
                else 'it is damaged, or no checkpoint; copy or download it again'
            )
        ) from None
    if isinstance(content, dict) and content and all(isinstance(value, Tensor) for value in content.values()):
        content = dict(state_dict=content)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), dict):
        raise ACLNetError(f"checkpoint {path} has no 'state_dict'")
    for key, value in content['state_dict'].items():
        if not isinstance(value, Tensor):
            raise ACLNetError(f"checkpoint {path}: '{key}' of its 'state_dict' must be a tensor, got {value!r}")
    if not isinstance(content.setdefault('meta', {}), dict):
        raise ACLNetError(f"checkpoint {path}: its 'meta' must be a dict, got {content['meta']!r}")
    content['state_dict'] = {
        key.removeprefix('module.').replace('_orig_mod.', ''): value for key, value in content['state_dict'].items()
    }
    return content


def save_checkpoint(
    model: nn.Module,
    path: str,
    optimizer: torch.optim.Optimizer | None = None,
    meta: dict | None = None,
    weights: dict[str, Tensor] | None = None,
    training: dict | None = None,
) -> None:
    """Write mmcv's dict(meta, state_dict, optimizer) to ``path``, whole or not at all.

    Args:
        model: whose weights and buffers are saved.
        path: the file.
        optimizer: its state is needed to resume.
        meta: goes under 'meta', with version and time.
        weights: saved instead of the model's own where the names agree, such as averaged ones.
        training: what else a training needs to go on, under the key 'training'; see ``engine/state.py``.
    """
    content: dict[str, Any] = dict(
        meta=dict(meta or {}, aclnet_version=aclnet.__version__, time=time.asctime()),
        state_dict={
            key: value.detach().cpu() for key, value in {**unwrapped(model).state_dict(), **(weights or {})}.items()
        },
    )
    if optimizer is not None:
        content['optimizer'] = optimizer.state_dict()
    if training is not None:
        content['training'] = training
    packed = io.BytesIO()  # torch turns a full disk into an error of its own
    torch.save(content, packed)
    with atomic_write(path) as stream:
        stream.write(packed.getbuffer())


def load_weights(
    model: nn.Module, checkpoint: dict, where: str, logger: logging.Logger | None = None, purpose: str = 'test'
) -> None:
    """Load a checkpoint's weights into ``model``.

    What the model declares as ``training_state`` (prefixes of keys) is left out for testing; for fine-tuning its
    parameters are taken over where they fit, and its buffers start anew; a training that resumes takes all of it. What
    the model declares as ``class_specific`` starts anew in fine-tuning where its size differs.

    Args:
        model: the bare model.
        checkpoint: as :func:`load_checkpoint` gives it.
        where: its path, for messages.
        logger: says what was left out.
        purpose: 'test', 'finetune' (``load_from``) or 'resume'.

    Raises:
        ACLNetError: the weights don't fit; says which, and what the model expects. The model stays as it was.
    """
    own, given = model.state_dict(), dict(checkpoint['state_dict'])
    parameters = {name for name, _ in model.named_parameters()}
    state, renewable = (tuple(getattr(model, name, ())) for name in ('training_state', 'class_specific'))

    def differs(key: str) -> bool:
        return key in own and own[key].shape != given[key].shape

    def starts_anew(key: str) -> bool:
        if key.startswith(state) and purpose != 'resume':
            return purpose == 'test' or key not in parameters or differs(key)
        return purpose == 'finetune' and key.startswith(renewable) and differs(key)

    def may_be_absent(key: str) -> bool:
        published = key.startswith(state) and (purpose != 'resume' or key not in parameters)
        return published or key.endswith('num_batches_tracked')

    notes = [
        f'{key} starts anew' + (f': {_sizes(key, given, own)}' if differs(key) else '')
        for key in given
        if starts_anew(key) and purpose == 'finetune'
    ]
    given = {key: value for key, value in given.items() if not starts_anew(key)}
    unknown = [key for key in given if key not in own]
    other_size = sorted(key for key in given if differs(key))
    lacking = [
        key for key in own if key not in given and key not in checkpoint['state_dict'] and not may_be_absent(key)
    ]
    problems = []
    if other_size:
        problems.append(f'{_list(other_size)} of another size ({other_size[0]} is {_sizes(other_size[0], given, own)})')
    if lacking:
        problems.append(f'it lacks {_list(lacking)}')
    if problems and unknown:
        problems.append(f'it has {_list(unknown)}, which the model has not')
    if problems:
        raise ACLNetError(f'checkpoint {where} does not fit the model of this config: {"; ".join(problems)}')
    model.load_state_dict(given, strict=False)
    unused = [key for key in unknown if not key.startswith(state)]
    if unused:
        notes.append(f'not used: {_list(unused)}')
    if logger is not None:
        for note in notes:
            logger.info('%s: %s', where, note)


def _list(keys: list[str]) -> str:
    return ', '.join(keys[:3]) + (f' and {len(keys) - 3} more' if len(keys) > 3 else '')


def _sizes(key: str, given: dict, own: dict) -> str:
    return f'{tuple(given[key].shape)} in the checkpoint, {tuple(own[key].shape)} here'
