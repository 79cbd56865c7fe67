"""The virtual joint, in rows: appended behind a sum and its ReLU, and added to the others behind the branches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ['add_virtual', 'append_mean']


def append_mean(y: Tensor, res: Tensor | None = None) -> Tensor:
    """(N, T, V, C) → (N, T, V+1, C)."""
    return _AppendMean.apply(y, res)


class _AppendMean(torch.autograd.Function):
    @staticmethod
    def forward(y: Tensor, res: Tensor | None) -> Tensor:
        N, T, V, C = y.shape
        out = y.new_empty(N, T, V + 1, C)
        body = out[:, :, :V]
        if res is None:
            body.copy_(y)
        else:
            torch.add(y, res, out=body).relu_()
        torch.mean(body, 2, out=out[:, :, V])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs, output: Tensor) -> None:
        ctx.acts = inputs[1] is not None
        ctx.V = inputs[0].shape[2]
        if ctx.acts:
            ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor):
        V = ctx.V
        g = torch.add(grad[:, :, :V], grad[:, :, V:], alpha=1 / V)
        if not ctx.acts:
            return g, None
        (out,) = ctx.saved_tensors
        g = torch.ops.aten.threshold_backward(g, out[:, :, :V], 0)
        return g, g


def add_virtual(pieces: list[Tensor], coeff: Tensor) -> Tensor:
    """Pieces (N, T, V+1, c), coeff (V,) → (N, T, V, C)."""
    return _AddVirtual.apply(coeff.to(pieces[0].dtype), *pieces)


class _AddVirtual(torch.autograd.Function):
    @staticmethod
    def forward(coeff: Tensor, *pieces: Tensor) -> Tensor:
        N, T, V, _ = pieces[0].shape
        V -= 1
        widths = [p.shape[-1] for p in pieces]
        out = pieces[0].new_empty(N, T, V, sum(widths))
        for piece, part in zip(pieces, out.split(widths, -1)):
            torch.addcmul(piece[:, :, :V], piece[:, :, V:], coeff[:, None], out=part)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs, output: Tensor) -> None:
        coeff, *pieces = inputs
        virtual = torch.cat([p[:, :, -1:] for p in pieces], -1)  # N T 1 C
        ctx.widths = [p.shape[-1] for p in pieces]
        ctx.save_for_backward(coeff, virtual)

    @staticmethod
    def backward(ctx: Any, grad: Tensor):
        coeff, virtual = ctx.saved_tensors
        N, T, V, C = grad.shape
        flat = grad.reshape(N * T, V, C)
        g_virtual = torch.matmul(coeff, flat).view(N, T, 1, C)
        g_coeff = torch.bmm(flat, virtual.view(N * T, C, 1)).sum((0, 2))
        pieces = []
        for part, one in zip(grad.split(ctx.widths, -1), g_virtual.split(ctx.widths, -1)):
            pieces.append(torch.cat([part, one], 2))
        return (g_coeff, *pieces)
