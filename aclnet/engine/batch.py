"""One batch through the model: device, autocast, and the sum of the losses."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from aclnet import distributed
from aclnet.errors import ACLNetError

__all__ = ['AMP_DTYPES', 'BatchProcessor', 'to_device']

AMP_DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16}


def to_device(batch: dict, device: torch.device) -> dict:
    """Move the tensors of a batch; pinned memory moves in the background."""
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value for key, value in batch.items()
    }


class BatchProcessor:
    """What the runner calls for each batch.

    Args:
        device: where the model is.
        amp: None, 'bf16' or 'fp16': precision of the forward pass under autocast.

    A call takes the model (its forward is ``model(**batch, return_loss=True)`` → dict of scalars) and returns mmcv's
    dict(loss, log_vars, num_samples). The loss is the sum of the scalars with ``loss`` in their name; over several
    ranks it is scaled so that averaged gradients are those of the mean over all samples.
    """

    def __init__(self, device: torch.device, amp: str | None = None) -> None:
        if amp is not None and amp not in AMP_DTYPES:
            raise ACLNetError(f'amp must be one of {", ".join(AMP_DTYPES)}, got {amp!r}')
        self.device = device
        self.amp = amp

    def autocast(self) -> torch.autocast:
        dtype = None if self.amp is None else AMP_DTYPES[self.amp]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def __call__(self, model: nn.Module, batch: dict, train_mode: bool, **kwargs: Any) -> dict:
        batch = to_device(batch, self.device)
        with self.autocast():
            losses = model(**batch, return_loss=True)
        loss = sum(value for name, value in losses.items() if 'loss' in name)
        samples = len(batch['label'])
        scale = distributed.loss_scale(samples, self.device)
        log_vars = self._log_vars({**losses, 'loss': loss}, scale)
        return dict(loss=loss if scale == 1 else loss * scale, log_vars=log_vars, num_samples=samples)

    @staticmethod
    def _log_vars(values: dict[str, Tensor], scale: float) -> dict[str, float]:
        """Means over all ranks, fetched from the device in one go."""
        stacked = torch.stack([value.detach().float() for value in values.values()])
        world = distributed.get_dist_info()[1]
        if world > 1:
            stacked = stacked * (scale / world)
            dist.all_reduce(stacked)
        return dict(zip(values, stacked.tolist()))
