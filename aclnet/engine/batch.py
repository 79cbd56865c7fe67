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

    A call takes the model (its forward is ``model(**batch, return_loss=True)`` → dict of scalars) and returns
    dict(loss, values, num_samples): the loss is the sum of the scalars with ``loss`` in their name, over several ranks
    scaled so that averaged gradients are those of the mean over all samples; ``values`` are the scalars and the loss as
    means over all ranks, on the device; num_samples counts those of all ranks.
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
        if 'label' not in batch:
            raise ACLNetError("losses need labels: add 'label' to the keys of Collect")
        counts = distributed.batch_rows(len(batch['label']))
        share = len(counts) * len(batch['label']) / max(1, sum(counts))
        batch = to_device(batch, self.device)
        with distributed.known_rows(counts), self.autocast():
            losses = model(**batch, return_loss=True)
        loss = sum(value for name, value in losses.items() if 'loss' in name)
        values = self._means({**losses, 'loss': loss}, share)
        return dict(loss=loss if share == 1 else loss * share, values=values, num_samples=sum(counts))

    @staticmethod
    def _means(values: dict[str, Tensor], share: float) -> dict[str, Tensor]:
        """Means over the samples of all ranks, in memory of their own: the next step writes over a CUDA graph's."""
        world = distributed.get_dist_info()[1]
        stacked = torch.stack([value.detach().float() for value in values.values()])
        if world > 1:
            stacked *= share / world
            dist.all_reduce(stacked)
        return dict(zip(values, stacked.unbind()))
