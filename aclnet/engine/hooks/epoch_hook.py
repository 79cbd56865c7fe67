"""Tell whoever needs it which epoch it is."""

from __future__ import annotations

from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import nn

from aclnet import distributed
from aclnet.engine.checkpoint import unwrapped

__all__ = ['EpochHook']


@HOOKS.register_module()
class EpochHook(Hook):
    """Before each epoch, and so after a resume too, passes the epoch (from 1) to the sampler and to every part of the
    model that has a ``set_epoch``. After each epoch all ranks take rank 0's batch-norm statistics, so that they
    validate and resume from one model."""

    def before_train_epoch(self, runner: BaseRunner) -> None:
        epoch = runner.epoch + 1
        for part in (runner.data_loader.batch_sampler, runner.data_loader.sampler, *unwrapped(runner.model).modules()):
            if hasattr(part, 'set_epoch'):
                part.set_epoch(epoch)

    def after_train_epoch(self, runner: BaseRunner) -> None:
        distributed.broadcast_buffers(runner.model, only=nn.modules.batchnorm._BatchNorm)
