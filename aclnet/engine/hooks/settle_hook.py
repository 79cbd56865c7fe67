"""Read an iteration's measurements from the device when they are due."""

from __future__ import annotations

from typing import Any

from mmcv.runner import HOOKS, Hook, LoggerHook

__all__ = ['SettleHook']


@HOOKS.register_module()
class SettleHook(Hook):
    """On the CPU after each iteration; on a GPU, where that would wait for it, before each line of the log and at the
    end of an epoch."""

    def before_run(self, runner: Any) -> None:
        self.always = next(runner.model.parameters()).device.type == 'cpu'
        self.intervals = {hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)}

    def after_train_iter(self, runner: Any) -> None:
        due = any(self.every_n_inner_iters(runner, n) or self.every_n_iters(runner, n) for n in self.intervals)
        if self.always or due or self.end_of_epoch(runner):
            runner.settle()
