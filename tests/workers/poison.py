"""Hooks that make batches not finite, or that still batch norms."""

from __future__ import annotations

from mmcv.runner import HOOKS, Hook
from torch import nn


@HOOKS.register_module()
class PoisonHook(Hook):
    """NaN in the batches of the named iterations (from 1) of an epoch, on the last rank."""

    def __init__(self, epoch: int, iterations: list[int]) -> None:
        self.epoch, self.iterations = epoch, iterations

    def before_train_iter(self, runner) -> None:
        here = runner.epoch + 1 == self.epoch and runner.inner_iter + 1 in self.iterations
        if here and runner.rank == runner.world_size - 1:
            runner.data_batch['keypoint'][-1] = float('nan')


@HOOKS.register_module()
class PoisonGradient(PoisonHook):
    """A loss that is finite, and a gradient that is not."""

    def before_train_iter(self, runner) -> None:
        if runner.epoch + 1 == self.epoch and runner.inner_iter + 1 in self.iterations:
            weight = runner.model.cls_head.fc_cls.weight
            handle = weight.register_hook(lambda gradient: handle.remove() or gradient * float('inf'))


@HOOKS.register_module()
class StillNorms(Hook):
    """Batch norms in eval mode: what they would learn depends on how samples fall into batches."""

    def before_train_iter(self, runner) -> None:
        for part in runner.model.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
