"""The virtual joint, the mean over all others: appended behind a sum and its ReLU, and added back to the others.

A compiler is given plain operations: it joins their passes itself, and takes no views as ``out``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ['add_virtual', 'append_virtual', 'relu_append_virtual']


def append_virtual(x: Tensor) -> Tensor:
    """Rows (N, C, T, V) → rows (N, C, T, V+1)."""
    x = x.permute(0, 2, 3, 1)
    return torch.cat([x, x.mean(2, keepdim=True)], 2).permute(0, 3, 1, 2)


def relu_append_virtual(y: Tensor, res: Tensor) -> Tensor:
    """Rows y, res (N, C, T, V) → ReLU(y + res) with the virtual joint, rows (N, C, T, V+1), written once."""
    res = res.to(y.dtype)
    if torch.compiler.is_compiling():
        return append_virtual(torch.relu(y + res))
    return _ReLUAppend.apply(y.permute(0, 2, 3, 1), res.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def add_virtual(pieces: list[Tensor], coeff: Tensor) -> Tensor:
    """Pieces of rows (N, c, T, V+1), coeff (V,) → all channels of local + coeff · virtual, rows (N, C, T, V)."""
    pieces = [piece.permute(0, 2, 3, 1) for piece in pieces]
    coeff, V = coeff.to(pieces[0].dtype), len(coeff)
    if torch.compiler.is_compiling():
        y = torch.cat([piece[:, :, :V] + piece[:, :, V:] * coeff[:, None] for piece in pieces], -1)
    else:
        y = _AddVirtual.apply(coeff, *pieces)
    return y.permute(0, 3, 1, 2)


class _ReLUAppend(torch.autograd.Function):
    """(N, T, V, C) twice → (N, T, V+1, C)."""

    @staticmethod
    def forward(y: Tensor, res: Tensor) -> Tensor:
        N, T, V, C = y.shape
        out = y.new_empty(N, T, V + 1, C)
        local = out[:, :, :V]
        torch.add(y, res, out=local)
        local.relu_()
        torch.mean(local, 2, out=out[:, :, V])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (out,) = ctx.saved_tensors
        V = out.shape[2] - 1
        grad = torch.add(grad[:, :, :V], grad[:, :, V:], alpha=1 / V)
        grad = torch.ops.aten.threshold_backward(grad, out[:, :, :V], 0)
        return grad, grad


class _AddVirtual(torch.autograd.Function):
    """(V,), (N, T, V+1, c), ... → (N, T, V, C): the pieces are written to their place in the sum, not joined before."""

    @staticmethod
    def forward(coeff: Tensor, *pieces: Tensor) -> Tensor:
        N, T, joints, _ = pieces[0].shape
        V = joints - 1
        widths = [piece.shape[-1] for piece in pieces]
        out = pieces[0].new_empty(N, T, V, sum(widths))
        for piece, part in zip(pieces, out.split(widths, -1)):
            torch.addcmul(piece[:, :, :V], piece[:, :, V:], coeff[:, None], out=part)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        coeff, *pieces = inputs
        ctx.widths = [piece.shape[-1] for piece in pieces]
        ctx.save_for_backward(coeff, torch.cat([piece[:, :, -1:] for piece in pieces], -1))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        coeff, virtual = ctx.saved_tensors  # V, N T 1 C
        N, T, V, C = grad.shape
        flat = grad.reshape(N * T, V, C)
        of_virtual = torch.matmul(coeff, flat).view(N, T, 1, C)
        of_coeff = torch.bmm(flat, virtual.view(N * T, C, 1)).sum((0, 2))
        parts = zip(grad.split(ctx.widths, -1), of_virtual.split(ctx.widths, -1))
        return of_coeff, *(torch.cat(part, 2) for part in parts)
