"""Hooks that make iterations or validation last, so that tests can signal in the middle."""

from __future__ import annotations

import os
import time

from mmcv.runner import HOOKS, Hook


@HOOKS.register_module()
class SlowHook(Hook):
    """SLOW_SECONDS of each iteration."""

    def before_train_iter(self, runner) -> None:
        time.sleep(float(os.environ.get('SLOW_SECONDS', '0.15')))


@HOOKS.register_module()
class SlowValidation(Hook):
    """A second per batch of validation, where SLOW_VALIDATION is set."""

    def before_run(self, runner) -> None:
        if 'SLOW_VALIDATION' not in os.environ:
            return
        for hook in runner.hooks:
            loader = getattr(hook, 'dataloader', None)
            if loader is not None:
                get = loader.dataset.get
                loader.dataset.get = lambda *args, get=get: time.sleep(0.25) or get(*args)
