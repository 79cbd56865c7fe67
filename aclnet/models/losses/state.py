"""A projection with state in buffers: what the two contrastive terms have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from aclnet import distributed

__all__ = ['ContrastiveTerm', 'full_precision']


def full_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Run a term's ``forward`` in the precision of its weights, whatever autocast says."""

    @torch.compiler.disable  # its counters in Python would have the whole model compiled anew at each step
    @functools.wraps(forward)
    def wrapped(self: ContrastiveTerm, features: Tensor, *args: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return forward(self, features.to(self.cl_fc.weight.dtype), *args)

    return wrapped


class ContrastiveTerm(nn.Module):
    """Base of the contrastive terms: the projection ``cl_fc`` and gathering over ranks.

    ``counters`` names the buffers whose values Python keeps too. A checkpoint without a term's buffers loads and leaves
    them as they are, since published checkpoints have none.

    Args:
        in_channels: size of the graph embedding, V·V.
        embed_channels: size of the projection.
        sync_memory: whether all ranks share one state or keep their own.
    """

    counters: tuple[str, ...] = ()

    def __init__(self, in_channels: int, embed_channels: int, sync_memory: bool) -> None:
        super().__init__()
        self.cl_fc = nn.Linear(in_channels, embed_channels)
        self.sync_memory = sync_memory

    def gather(self, *rows: Tensor) -> tuple[int, list[Tensor]]:
        """Rows of all ranks, each in the order of ranks, and the place of this rank's first row among them."""
        if not self.sync_memory or distributed.get_dist_info()[1] == 1:
            return 0, list(rows)
        counts = distributed.row_counts(len(rows[0]), rows[0].device)
        first = sum(counts[: distributed.get_dist_info()[0]])
        return first, [distributed.gather_rows(x, counts) for x in rows]

    @property
    def per_rank(self) -> bool:
        """Whether each rank keeps a state of its own, which checkpoints then hold for each."""
        return not self.sync_memory

    def read_buffers(self) -> None:
        """Take over what Python keeps of the buffers; called after they were loaded."""

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            if name not in self._non_persistent_buffers_set:
                state_dict.setdefault(prefix + name, buffer)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self.read_buffers()
