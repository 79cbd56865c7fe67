"""Trainings that are ended at some moment, begun again by the same command, and compared with one that was not."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tests.made import write_config
from tests.run import checkpoint, shell

KILLER = """
custom_imports = dict(imports=['tests.workers.killer'])
custom_hooks = [dict(type='KillHook'), dict(type='KillHook', late=True, priority='LOWEST')]
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
"""


def config_of(folder: Path, by_epoch: bool = True, workers: int = 0, extra: str = '', **kwargs) -> str:
    """21 samples, 4 in an iteration, 6 iterations in an epoch; a checkpoint every epoch or every 4 iterations."""
    saving = '' if by_epoch else 'checkpoint_config = dict(interval=4, by_epoch=False)\n'
    kwargs = {'epochs': 4, 'batch': 4, **kwargs}
    return write_config(folder, workers=workers, extra=KILLER + saving + extra, **kwargs)


def train(config: str, work: Path, ranks: int = 1, options: tuple = (), kill_at: str | None = None):
    """The command of a user; returns the ended process."""
    env = {} if kill_at is None else {'KILL_AT': kill_at}
    return shell('bash', 'tools/dist_train.sh', config, ranks, '--work-dir', work, *options, **env)


def logged(work: Path) -> dict[tuple, dict]:
    """(mode, epoch, iter) → what was logged there, by the last start that came there."""
    found = {}
    for path in sorted(work.glob('*.log.json')):
        for line in map(json.loads, path.read_text().splitlines()):
            if 'mode' in line:
                place = line['mode'], line['epoch'], line['iter']
                found[place] = {k: v for k, v in line.items() if k not in ('time', 'data_time', 'memory')}
    return found


def difference(one, two, where: str = '') -> str:
    """The first place where two checkpoints' contents differ, or an empty string."""
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        return next((found for key in one if (found := difference(one[key], two[key], f'{where}.{key}'))), '')
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)) and len(one) == len(two):
        return next((f for i, (a, b) in enumerate(zip(one, two)) if (f := difference(a, b, f'{where}[{i}]'))), '')
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return '' if torch.equal(one, two) else where
    return '' if type(one) is type(two) and one == two else f'{where}: {one!r:.80} / {two!r:.80}'


def assert_same_training(whole: Path, cut: Path) -> None:
    """Weights, buffers, optimizer, random states, learning rates, losses, validation scores and the best checkpoint."""
    one, two = (checkpoint(folder / 'latest.pth') for folder in (whole, cut))
    for key in ('state_dict', 'optimizer', 'training'):
        assert not difference(one[key], two[key]), difference(one[key], two[key])
    for key in ('epoch', 'iter', 'seed'):
        assert one['meta'][key] == two['meta'][key], key
    best = [content['meta'].get('hook_msgs', {}).get('best_score') for content in (one, two)]
    assert best[0] == best[1]
    names = [sorted(path.name for path in folder.glob('best_*.pth')) for folder in (whole, cut)]
    assert names[0] == names[1]
    for name in names[0]:
        assert not difference(checkpoint(whole / name)['state_dict'], checkpoint(cut / name)['state_dict'])
    assert logged(whole) == logged(cut)
    assert not list(cut.glob('.*.pth.*')) + list(cut.glob('.run.json.*')), 'half-written files stay'
