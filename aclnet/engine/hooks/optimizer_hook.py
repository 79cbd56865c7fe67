"""The optimizer's step: clipping, accumulation over iterations, mixed precision, and nothing that is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mmcv.runner
import torch
from mmcv.runner import HOOKS
from torch import Tensor, nn

from aclnet.engine.checkpoint import unwrapped
from aclnet.errors import ACLNetError

__all__ = ['OptimizerHook']

_SMALLEST_SCALE = 2.0**-10  # a gradient scaler that is below it has met nothing but overflows for long


@HOOKS.register_module(name=['OptimizerHook', 'GradientCumulativeOptimizerHook'], force=True)  # in the place of mmcv's
class OptimizerHook(mmcv.runner.OptimizerHook):
    """Backward pass and update.

    An update whose loss or gradient is not finite is not made, and the runner told. On a GPU nothing waits for that:
    the update is taken back on the device, and the runner learns of it when it reads the measurements.

    Args:
        grad_clip: arguments of ``clip_grad_norm_``, or None.
        cumulative_iters: iterations whose gradients make one update, the mean over all their samples. The end of an
            epoch ends such a group early, as it ends a batch.
        max_nonfinite: how many updates that are not finite may be left out; one more ends the training.
        detect_anomalous_params: log parameters that the loss doesn't depend on.
        scaler_scale: first factor of the gradient scaler that float16 needs; None goes without.
        wait: whether to look at each step's norm; None does so on the CPU only.
    """

    def __init__(
        self,
        grad_clip: dict | None = None,
        cumulative_iters: int = 1,
        max_nonfinite: int = 0,
        detect_anomalous_params: bool = False,
        scaler_scale: float | None = None,
        wait: bool | None = None,
    ) -> None:
        super().__init__(grad_clip, detect_anomalous_params)
        for name, value, least in (('cumulative_iters', cumulative_iters, 1), ('max_nonfinite', max_nonfinite, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ACLNetError(f'optimizer_config.{name} must be a whole number from {least} up, got {value!r}')
        self.cumulative_iters = cumulative_iters
        self.max_nonfinite = max_nonfinite
        self.scaler_scale = scaler_scale
        self.wait = wait
        self.samples = 0  # whose gradients are waiting for an update
        self._resumed: dict[str, Any] = {}
        self._before: dict[str, Tensor] = {}

    def before_run(self, runner: Any) -> None:
        device = next(runner.model.parameters()).device
        if self.wait is None:
            self.wait = device.type == 'cpu'
        runner.max_nonfinite = self.max_nonfinite
        self.scaler = torch.amp.GradScaler(
            device.type, init_scale=self.scaler_scale or 1.0, enabled=self.scaler_scale is not None
        )
        self._parameters = dict(unwrapped(runner.model).named_parameters())
        if self._resumed.get('scaler') and self.scaler.is_enabled():
            self.scaler.load_state_dict(self._resumed['scaler'])
        self.samples = self._resumed.get('samples', 0)
        for name, gradient in self._resumed.get('gradients', {}).items():
            self._parameters[name].grad = gradient.to(device)
        _begin_momentum(runner.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """The scaler's state, and the gradients that are waiting for an update."""
        waiting = {n: p.grad.detach().cpu() for n, p in self._parameters.items() if self.samples and p.grad is not None}
        return dict(scaler=self.scaler.state_dict(), samples=self.samples, gradients=waiting)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; used when the run begins."""
        self._resumed = state

    def before_train_iter(self, runner: Any) -> None:
        if self.max_nonfinite:  # else a batch that isn't finite ends the training, whatever it left behind
            self._before = {name: value.clone() for name, value in self._restorable(runner)}

    @staticmethod
    def _restorable(runner: Any) -> Iterator[tuple[str, Tensor]]:
        for prefix, part in unwrapped(runner.model).named_modules():
            counted = getattr(part, 'counters', ())  # what Python knows too goes on counting
            for name, value in part.named_buffers(recurse=False):
                if name not in counted:
                    yield f'{prefix}.{name}', value

    def after_train_iter(self, runner: Any) -> None:
        loss, samples = runner.outputs['loss'], runner.outputs['num_samples']
        if not self.samples:
            runner.optimizer.zero_grad()
        if self.detect_anomalous_params:
            self.detect_anomalous_parameters(loss, runner)
        if self.cumulative_iters > 1:
            loss = loss * samples
        self.scaler.scale(loss).backward()
        finite = torch.isfinite(runner.outputs['values']['loss'])
        self.samples += samples
        done = runner.inner_iter + 1
        if self.cumulative_iters == 1 or done % self.cumulative_iters == 0 or done == len(runner.data_loader):
            finite = self._update(runner, finite)
        else:
            if self.wait and not finite:
                self.samples = 0  # with what had gathered so far
            for parameter in self._having():  # the next iteration writes over those of a CUDA graph
                parameter.grad = parameter.grad.clone()
        self._take_back(runner, finite)

    def _update(self, runner: Any, finite: Tensor) -> Tensor:
        """Step unless loss or gradient is not finite; returns whether they are, on the device."""
        having = self._having()
        self.scaler.unscale_(runner.optimizer)
        if self.cumulative_iters > 1 and having:
            torch._foreach_div_([parameter.grad for parameter in having], self.samples)
        self.samples = 0
        clip = self.grad_clip or dict(max_norm=float('inf'))  # which measures only
        norm = nn.utils.clip_grad_norm_(having, **clip) if having else None
        if norm is not None and not self.scaler.is_enabled():  # a scaler expects overflows, and passes them over itself
            finite = finite & torch.isfinite(norm)
            runner.journal.amend(**{'grad_norm' if self.grad_clip else '_gradient norm': norm})
        if self.scaler.is_enabled():
            self._scaled_step(runner, norm if self.grad_clip else None)
        elif not self.wait:
            self._step_on_device(runner.optimizer, finite)
        elif finite:
            runner.optimizer.step()
        return finite

    def _having(self) -> list[Any]:
        """The parameters that have a gradient."""
        return [parameter for parameter in self._parameters.values() if parameter.grad is not None]

    def _scaled_step(self, runner: Any, norm: Tensor | None) -> None:
        self.scaler.step(runner.optimizer)
        self.scaler.update()
        if norm is not None and torch.isfinite(norm):
            runner.journal.amend(grad_norm=norm)
        if self.scaler.get_scale() < _SMALLEST_SCALE:
            raise ACLNetError(
                f'epoch {runner.epoch + 1}, iteration {runner.inner_iter + 1}: the gradients overflow float16 at any '
                'scale; train with --amp bf16, or without'
            )

    def _step_on_device(self, optimizer: torch.optim.Optimizer, finite: Tensor) -> None:
        """Step, but not where it would not be finite, which only the device knows."""
        if getattr(optimizer, '_step_supports_amp_scaling', False):  # a fused one passes it over, as for a scaler
            fused: Any = optimizer
            fused.grad_scale, fused.found_inf = None, (~finite).float()
            try:
                optimizer.step()
            finally:
                del fused.grad_scale, fused.found_inf
            return
        parameters = [p for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        old = [p.detach().clone() for p in parameters]
        old_state = {
            p: {key: value.clone() for key, value in optimizer.state[p].items() if isinstance(value, Tensor)}
            for p in parameters
            if p in optimizer.state
        }
        optimizer.step()
        with torch.no_grad():
            for p, value in zip(parameters, old):
                p.copy_(torch.where(finite, p, value))
                for key, new in optimizer.state[p].items():
                    if isinstance(new, Tensor):
                        before = old_state.get(p, {}).get(key)
                        kept = torch.zeros_like(new) if before is None else before
                        new.copy_(torch.where(finite.to(new.device), new, kept))

    def _take_back(self, runner: Any, finite: Tensor) -> None:
        """Buffers as they were before an iteration that was not finite."""
        if self._before:
            with torch.no_grad():
                for name, value in self._restorable(runner):
                    value.copy_(torch.where(finite, value, self._before[name]))
        self._before = {}


def _begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Zeros for momentum that has not begun: the same steps, and a fused SGD takes no parameters that have none yet
    beside others that do, such as those of a term that starts late."""
    for group in optimizer.param_groups:
        if isinstance(optimizer, torch.optim.SGD) and group.get('fused') and group['momentum']:
            for parameter in group['params']:
                if optimizer.state[parameter].get('momentum_buffer') is None:
                    optimizer.state[parameter]['momentum_buffer'] = torch.zeros_like(parameter)
