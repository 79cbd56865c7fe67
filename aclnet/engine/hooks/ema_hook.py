"""A moving average of the weights, which is what is validated, tested and kept."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.runner import HOOKS, Hook

from aclnet.engine.checkpoint import unwrapped
from aclnet.errors import ACLNetError

__all__ = ['EMAHook']


@HOOKS.register_module(force=True)  # in the place of mmcv's, with its arguments
class EMAHook(Hook):
    """Exponential moving average of all parameters: average ← (1 - m) · average + m · parameter.

    At iteration t m is the larger of ``momentum`` and 1 - (1 + t) / (warm_up + t), so that the random start is soon
    forgotten. Validation and a checkpoint's ``state_dict`` use the average; a checkpoint holds the trained parameters
    beside it.

    Args:
        momentum: m after the warm-up, between 0 and 1.
        interval: iterations between two updates.
        warm_up: the larger, the faster the average follows at first; 0 or 1 is no warm-up.
    """

    keeps_average = True

    def __init__(self, momentum: float = 0.0002, interval: int = 1, warm_up: int = 100) -> None:
        if not 0 < momentum < 1 or interval < 1 or warm_up < 0:
            raise ACLNetError(
                'EMAHook needs 0 < momentum < 1, interval ≥ 1 and warm_up ≥ 0, '
                f'got {momentum}, {interval} and {warm_up}'
            )
        self.momentum = momentum
        self.interval = interval
        self.warm_up = warm_up

    def before_run(self, runner: Any) -> None:
        if not runner.average:
            parameters = unwrapped(runner.model).named_parameters()
            runner.average = {name: value.detach().clone() for name, value in parameters}

    def after_train_iter(self, runner: Any) -> None:
        if (runner.iter + 1) % self.interval:
            return
        t = runner.iter + 1
        momentum = max(self.momentum, 1 - (1 + t) / (max(1, self.warm_up) + t))
        now = dict(unwrapped(runner.model).named_parameters())
        with torch.no_grad():
            torch._foreach_lerp_(list(runner.average.values()), [now[name] for name in runner.average], momentum)
