"""A hook that watches a training's iterations for operations that wait for the device."""

from __future__ import annotations

from mmcv.runner import HOOKS, Hook

from aclnet.engine import SettleHook
from tests.waiting import NoWaiting

SEEN: list[int] = []  # operations of each iteration that was watched


@HOOKS.register_module()
class WatchHook(Hook):
    """From the batch on the device to the end of the update, with measurements read as they are on a GPU."""

    def before_train_epoch(self, runner) -> None:
        for hook in runner.hooks:
            if isinstance(hook, SettleHook):
                hook.always = False

    def before_train_iter(self, runner) -> None:
        self.watch = NoWaiting()
        self.watch.__enter__()

    def after_train_iter(self, runner) -> None:  # by its priority before the measurements are read
        self.watch.__exit__(None, None, None)
        SEEN.append(self.watch.seen)
