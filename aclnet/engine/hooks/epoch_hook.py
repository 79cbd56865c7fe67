"""Tell whoever needs it which epoch it is, and keep the ranks' buffers the same."""

from __future__ import annotations

from typing import Any

from mmcv.runner import HOOKS, Hook
from torch import nn

from aclnet import distributed
from aclnet.engine.checkpoint import unwrapped

__all__ = ['EpochHook']


@HOOKS.register_module()
class EpochHook(Hook):
    """Before each epoch, and so after a resume too, passes the epoch (from 1) to the loader and to every part of the
    model that has a ``set_epoch``, and to the loader how many iterations of it are done. After each iteration all
    ranks take rank 0's batch-norm statistics."""

    def before_train_epoch(self, runner: Any) -> None:
        runner.data_loader.set_epoch(runner.epoch + 1, runner.start_step)
        for part in unwrapped(runner.model).modules():
            set_epoch: Any = getattr(part, 'set_epoch', None)
            if set_epoch is not None:
                set_epoch(runner.epoch + 1)

    def after_train_iter(self, runner: Any) -> None:
        distributed.broadcast_buffers(runner.model, only=nn.modules.batchnorm._BatchNorm)
