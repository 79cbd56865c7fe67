"""A hook that kills its process with SIGKILL at a place that KILL_AT names; registered by the configs of tests.

KILL_AT is 'epoch:iteration:stage[:rank]', counted from 1; stage is a method of hooks, or 'late_' and such a method for
a place after checkpoints are written, or 'saving' for the middle of writing the next checkpoint.
"""

from __future__ import annotations

import os
import signal

import torch
from mmcv.runner import HOOKS, Hook

STAGES = ('before_train_iter', 'after_train_iter', 'before_train_epoch', 'after_train_epoch')


@HOOKS.register_module()
class KillHook(Hook):
    def __init__(self, late: bool = False) -> None:
        self.late = late

    def _visit(self, runner, stage: str) -> None:
        epoch, iteration, wanted, *rank = os.environ.get('KILL_AT', '0:0:never').split(':')
        here = (runner.epoch + 1, runner.inner_iter + 1)
        if here != (int(epoch), int(iteration)) or (rank and int(rank[0]) != runner.rank):
            return
        if wanted == ('late_' if self.late else '') + stage:
            os.kill(os.getpid(), signal.SIGKILL)
        if wanted == 'saving' and stage == 'before_train_iter':
            torch.save = _half_a_save


for stage in STAGES:
    setattr(KillHook, stage, lambda self, runner, stage=stage: self._visit(runner, stage))


def _half_a_save(content, stream) -> None:
    stream.write(b'PK\x03\x04' + bytes(10000))
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
