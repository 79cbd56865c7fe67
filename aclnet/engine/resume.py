"""Going on with a training from a checkpoint: exactly, or with a word on what differs, or not at all."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from aclnet import distributed
from aclnet.engine.checkpoint import load_weights, unwrapped
from aclnet.engine.state import changes, restore, set_options
from aclnet.errors import ACLNetError

if TYPE_CHECKING:
    from aclnet.engine.runner import EpochRunner

__all__ = ['resume']


def resume(runner: EpochRunner, where: str, content: dict[str, Any], data_loader: DataLoader | None) -> None:
    """Take over a checkpoint's weights, buffers, optimizer, place, random states, hooks' states and best score.

    What the config says otherwise than the checkpoint is used as the config says it, and logged.

    Args:
        runner: takes everything over.
        where: the checkpoint's path, for messages.
        content: what it holds.
        data_loader: of the training set; without it the training goes on at the beginning of an epoch.

    Raises:
        ACLNetError: the checkpoint isn't one of a training, or its training cannot be gone on with here.
    """
    meta, training = content['meta'], content.get('training') or {}
    if not isinstance(content.get('optimizer'), dict) or not isinstance(meta.get('epoch'), Integral):
        raise ACLNetError(
            f'{where} holds no optimizer and epoch to resume from; to start a new training from its weights, '
            'use load_from'
        )
    _check_seed(where, meta.get('seed'), (runner.meta or {}).get('seed'))
    differing = changes(training.get('settings'), runner.settings)
    kinds = [line for line in differing if line.startswith('optimizer.type:')]
    if kinds:
        raise ACLNetError(
            f'{where} cannot be resumed with another optimizer ({kinds[0]}); to start a new training from its '
            'weights, use load_from'
        )
    _check_ranks(runner, where, training)
    runner.start_step = _start_step(runner, where, meta, training, data_loader)
    load_weights(unwrapped(runner.model), content, where, runner.logger, purpose='resume')
    _part_from_average(runner, training)
    differing += set_options(runner.optimizer, content['optimizer'], where)
    runner._epoch, runner._iter = int(meta['epoch']), int(meta.get('iter', 0))
    if data_loader is not None:
        runner._iter = runner._epoch * len(data_loader) + runner.start_step
    runner.nonfinite = int(training.get('nonfinite', 0))
    runner.meta = {**(runner.meta or {}), 'hook_msgs': dict(meta.get('hook_msgs', {}))}
    states = training.get('hooks', {})
    for name, hook in runner.stateful_hooks():
        if name in states:
            hook.load_state_dict(states[name])
    ranks = training.get('ranks')
    if ranks:
        restore(unwrapped(runner.model), ranks[min(distributed.get_dist_info()[0], len(ranks) - 1)])
    _warn(runner, where, differing)
    runner.logger.info(
        'resumed from %s: epoch %d, iteration %d%s',
        where,
        runner.epoch,
        runner.iter,
        f' ({runner.start_step} in this epoch)' if runner.start_step else '',
    )


def _warn(runner: EpochRunner, where: str, differing: list[str]) -> None:
    if runner.rank == 0:
        for line in dict.fromkeys(differing):
            runner.logger.warning('not as in %s: %s', where, line)


def _check_seed(where: str, before: Any, now: Any) -> None:
    if before is not None and now is not None and before != now:
        raise ACLNetError(
            f'{where} was trained with seed {before}, and seed {now} is asked for; leave it out to go on, or start '
            'anew with --no-auto-resume'
        )


def _check_ranks(runner: EpochRunner, where: str, training: dict) -> None:
    before, now = len(training.get('ranks', ())) or runner.world_size, runner.world_size
    if before == now:
        return
    if any(getattr(part, 'per_rank', False) for part in unwrapped(runner.model).modules()):
        raise ACLNetError(
            f'{where} was trained by {before} processes and there are {now}: with sync_memory=False each has a memory '
            f'of its own; start {before} processes'
        )
    _warn(runner, where, [f'number of processes: {before} → {now}'])


def _start_step(runner: EpochRunner, where: str, meta: dict, training: dict, data_loader: DataLoader | None) -> int:
    """Iterations of the epoch that are done, in iterations of this training."""
    step = training.get('step', 0)
    if data_loader is None or 'steps' not in training:
        return 0
    sampler: Any = data_loader.batch_sampler
    before = training['samples'], training['total_batch'], training['steps']
    now = len(data_loader.dataset), sampler.total_batch, len(data_loader)  # type: ignore[arg-type]  # it has a length
    names = 'samples of the training set', 'samples per iteration', 'iterations per epoch'
    differing = [f'{name}: {old} → {new}' for name, old, new in zip(names, before, now) if old != new]
    _warn(runner, where, differing)
    if not step or not differing:
        return step
    if step == before[2]:  # only its validation is left
        return now[2]
    if before[0] != now[0] or before[1] == now[1]:
        raise ACLNetError(
            f'{where} was written within epoch {meta["epoch"] + 1}, and that epoch is another one now '
            f'({"; ".join(differing)}); go on with the data as it was, or from a checkpoint of the end of an epoch '
            'by --resume-from'
        )
    shown = step * before[1]
    start = min(shown // now[1], now[2])
    if shown != start * now[1] and runner.rank == 0:
        runner.logger.warning('%d samples of epoch %d are shown again', shown - start * now[1], meta['epoch'] + 1)
    return start


def _part_from_average(runner: EpochRunner, training: dict) -> None:
    """A checkpoint's weights are the averaged ones, where an average is kept: put back those that are trained."""
    trained = training.get('parameters')
    if not trained:
        return
    parameters = dict(unwrapped(runner.model).named_parameters())
    if any(getattr(hook, 'keeps_average', False) for hook in runner.hooks):
        runner.average = {name: parameters[name].detach().clone() for name in trained}
    with torch.no_grad():
        for name, value in trained.items():
            parameters[name].copy_(value)
