"""A projection with state in buffers: what the two contrastive terms have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from aclnet import distributed

__all__ = ['ContrastiveTerm', 'full_precision', 'with_gradient']


def full_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Run a term's ``forward`` in the precision of its weights, whatever autocast says."""

    def precise(self: ContrastiveTerm, features: Tensor, *args: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return forward(self, features.to(self.cl_fc.weight.dtype), *args)

    apart = torch._disable_dynamo(precise)  # as torch.compiler.disable, which takes a second to import

    @functools.wraps(forward)
    def wrapped(self: ContrastiveTerm, features: Tensor, *args: Tensor) -> Tensor:
        return (apart if self.exchanges else precise)(self, features, *args)

    return wrapped


class ContrastiveTerm(nn.Module):
    """Base of the contrastive terms: the projection ``cl_fc`` and gathering over ranks.

    A step never waits for the device: what decides in Python is kept in Python, what it counts on the device. Both may
    change in compiled code without compiling it anew, so that a term's numbers are no constants of the graph.

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

    @property
    def exchanges(self) -> bool:
        """Whether a step talks to other ranks, which compiled code leaves out."""
        return self.sync_memory and distributed.get_dist_info()[1] > 1

    def gather(self, embedding: Tensor, *columns: Tensor) -> tuple[int, list[Tensor]]:
        """Rows of all ranks in the order of ranks, and the place of this rank's first row among them.

        Args:
            embedding: (n, ...) float; gradient flows through it.
            columns: (n,) int64 each.
        """
        if not self.exchanges:
            return 0, [embedding, *columns]
        counts = distributed.batch_rows(len(embedding))
        first = sum(counts[: distributed.get_dist_info()[0]])
        numbers = distributed.gather_rows(torch.stack(columns, 1), counts)
        return first, [distributed.gather_rows(embedding, counts), *numbers.unbind(1)]

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


def with_gradient(value: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
    """The scalar ``value``, whose ``gradient`` by ``x`` was computed with it."""
    return _WithGradient.apply(value, x, gradient)


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:  # type: ignore[override]  # of one output
        return None, grad * ctx.saved_tensors[0], None
