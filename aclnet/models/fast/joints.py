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
    run = _ReLUAppend.apply if torch.is_grad_enabled() else _ReLUAppend.forward
    return run(y.permute(0, 2, 3, 1), res.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def add_virtual(pieces: list[Tensor], coeff: Tensor) -> Tensor:
    """Pieces of rows (N, c, T, V+1), coeff (V,) → all channels of local + coeff · virtual, rows (N, C, T, V)."""
    pieces = [piece.permute(0, 2, 3, 1) for piece in pieces]
    coeff = coeff.to(pieces[0].dtype)
    plainly = torch.compiler.is_compiling() or not torch.is_grad_enabled()
    return (_added if plainly else _AddVirtual.apply)(coeff, *pieces).permute(0, 3, 1, 2)


def _added(coeff: Tensor, *pieces: Tensor) -> Tensor:
    joined, V = torch.cat(pieces, -1), len(coeff)  # whole rows: in pieces, short ones take several times as long
    return torch.addcmul(joined[:, :, :V], joined[:, :, V:], coeff[:, None])


class _ReLUAppend(torch.autograd.Function):
    """(N, T, V, C) twice → (N, T, V+1, C)."""

    @staticmethod
    def forward(y: Tensor, res: Tensor) -> Tensor:
        N, T, V, C = y.shape
        out = y.new_empty(N, T, V + 1, C)
        local = out[:, :, :V]
        torch.add(y, res, out=local)
        local.relu_()
        torch.sum(local, 2, out=out[:, :, V]).div_(V)  # mean would make a copy of bfloat16 in float32
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
    """(V,), (N, T, V+1, c), ... → (N, T, V, C); only the virtual joint is kept for the backward pass."""

    forward = staticmethod(_added)

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
