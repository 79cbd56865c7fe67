"""The optimizer's step under automatic mixed precision."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.runner import HOOKS, BaseRunner, OptimizerHook

__all__ = ['AmpOptimizerHook']


@HOOKS.register_module()
class AmpOptimizerHook(OptimizerHook):
    """``OptimizerHook`` with a gradient scaler, which float16 needs; bfloat16 does without.

    Args:
        grad_clip: arguments of ``clip_grad_norm_``, or None.
        init_scale: the scaler's first factor.
    """

    def __init__(self, grad_clip: dict | None = None, init_scale: float = 2.0**16, **kwargs: Any) -> None:
        super().__init__(grad_clip, **kwargs)
        self.init_scale = init_scale

    def before_run(self, runner: BaseRunner) -> None:
        device = next(runner.model.parameters()).device.type
        self.scaler = torch.amp.GradScaler(device, init_scale=self.init_scale)
        kept = (runner.meta or {}).get('hook_msgs', {}).get('grad_scaler')
        if kept:
            self.scaler.load_state_dict(kept)

    def after_train_epoch(self, runner: BaseRunner) -> None:
        runner.meta.setdefault('hook_msgs', {})['grad_scaler'] = self.scaler.state_dict()  # goes into checkpoints

    def after_train_iter(self, runner: BaseRunner) -> None:
        runner.optimizer.zero_grad()
        self.scaler.scale(runner.outputs['loss']).backward()
        if self.grad_clip is not None:
            self.scaler.unscale_(runner.optimizer)
            norm = self.clip_grads(runner.model.parameters())
            if norm is not None:
                runner.log_buffer.update({'grad_norm': float(norm)}, runner.outputs['num_samples'])
        self.scaler.step(runner.optimizer)
        self.scaler.update()
