"""Rows and planes: the two layouts of the fast forms, and 1×1 convolutions within and between them.

Rows are (N, T, V, C), contiguous: a 1×1 convolution is one matrix product there, and (N, C, T, V) seen through
``planes`` is what torch calls channels_last. Planes are (N, C, T, V), contiguous, which the aggregation over joints
needs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ['from_planes', 'linear', 'planes', 'rows', 'to_planes']


def rows(x: Tensor) -> Tensor:
    """(N, C, T, V) of any layout → rows (N, T, V, C); free where x is in channels_last already."""
    return x.permute(0, 2, 3, 1).contiguous()


def planes(x: Tensor) -> Tensor:
    """Rows (N, T, V, C) → a view (N, C, T, V)."""
    return x.permute(0, 3, 1, 2)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(..., C), weight (C', C, 1, 1) → (..., C')."""
    return F.linear(x, weight.flatten(1), bias)


def to_planes(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Rows (N, T, V, C), weight (C', C, 1, 1) → planes (N, C', T, V): the product transposes on its way."""
    x, weight = _cast(x, weight)
    N, T, V, C = x.shape
    y = _ToPlanes.apply(x.reshape(N, T * V, C), weight.flatten(1)).view(N, -1, T, V)
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


def from_planes(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Planes (N, C, T, V), weight (C', C, 1, 1) → rows (N, T, V, C')."""
    x, weight = _cast(x, weight)
    N, C, T, V = x.shape
    y = _FromPlanes.apply(x.reshape(N, C, T * V), weight.flatten(1)).view(N, T, V, -1)
    return y if bias is None else y + bias.to(y.dtype)


def _cast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """What autocast would do to the operands of a product; it does not see into the functions below."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    return tuple(x if x.dtype == torch.float64 else x.to(torch.get_autocast_dtype(kind)) for x in tensors)


class _ToPlanes(torch.autograd.Function):
    """(N, P, C), (C', C) → (N, C', P); autograd's own gradient of x would lie in planes."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return torch.bmm(weight.expand(len(x), -1, -1), x.transpose(1, 2))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return _FromPlanes.apply(grad, weight.t()), torch.bmm(grad, x).sum(0)


class _FromPlanes(torch.autograd.Function):
    """(N, C, P), (C', C) → (N, P, C'); autograd's own gradient of x would lie in rows."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return torch.bmm(x.transpose(1, 2), weight.t().expand(len(x), -1, -1))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return _ToPlanes.apply(grad, weight.t()), torch.bmm(x, grad).sum(0).t()
