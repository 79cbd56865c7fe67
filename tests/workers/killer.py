"""A hook that kills its process with SIGKILL at a place that KILL_AT names; registered by the configs of tests.

KILL_AT is 'epoch:iteration:stage[:rank]', counted from 1; stage is a method of hooks, or 'late_' and such a method for
a place after checkpoints are written, or 'saving' for the middle of writing the next checkpoint.
"""

from __future__ import annotations

import os
import signal

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
            os.fsync = _no_end  # of the checkpoint's temporary file


for stage in STAGES:
    setattr(KillHook, stage, lambda self, runner, stage=stage: self._visit(runner, stage))


def _no_end(handle) -> None:
    os.ftruncate(handle, 10000)
    os.kill(os.getpid(), signal.SIGKILL)
