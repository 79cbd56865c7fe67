"""Products of a weight with rows and planes, the two layouts of the fast forms.

Both are (N, C, T, V) to the reader. Rows are what torch calls channels_last: all channels of a joint lie together, and
a 1×1 convolution is one product of matrices. Planes are what torch calls contiguous: all joints of a channel lie
together, which the aggregation over joints needs. The products here go from one to the other on their way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ['planes_to_rows', 'rows', 'rows_to_planes']


def rows(x: Tensor) -> Tensor:
    """(N, C, T, V) of any layout → rows; free where x is rows already."""
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def rows_to_planes(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1×1 convolution: rows (N, C, T, V), weight (C', C, 1, 1), bias (C',) → planes (N, C', T, V)."""
    x, weight = _cast(x, weight)
    N, C, T, V = x.shape
    x, weight = x.permute(0, 2, 3, 1).reshape(N, T * V, C), weight.flatten(1)
    if torch.is_grad_enabled() or bias is None:
        y = _RowsToPlanes.apply(x, weight)
        y = y if bias is None else y.add_(bias.to(y.dtype)[:, None])
    else:
        y = torch.baddbmm(bias.to(x.dtype)[:, None], weight.expand(N, -1, -1), x.transpose(1, 2))
    return y.view(N, -1, T, V)


def planes_to_rows(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1×1 convolution: planes (N, C, T, V), weight (C', C, 1, 1), bias (C',) → rows (N, C', T, V)."""
    x, weight = _cast(x, weight)
    N, C, T, V = x.shape
    x, weight = x.reshape(N, C, T * V), weight.flatten(1)
    if torch.is_grad_enabled() or bias is None:
        y = _PlanesToRows.apply(x, weight)
        y = y if bias is None else y.add_(bias.to(y.dtype))
    else:
        y = torch.baddbmm(bias.to(x.dtype), x.transpose(1, 2), weight.t().expand(N, -1, -1))
    return y.view(N, T, V, -1).permute(0, 3, 1, 2)


def _cast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What autocast would do to the operands of a product; it does not see into the functions below."""
    kind = x.device.type
    if x.dtype != torch.float64 and torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        return x.to(dtype), weight.to(dtype)
    return x, weight


class _RowsToPlanes(torch.autograd.Function):
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
        return _PlanesToRows.apply(grad, weight.t()), torch.bmm(grad, x).sum(0)


class _PlanesToRows(torch.autograd.Function):
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
        return _RowsToPlanes.apply(grad, weight.t()), torch.bmm(x, grad).sum(0).t()
