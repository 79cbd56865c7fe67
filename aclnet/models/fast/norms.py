"""1×1 convolutions with a batch norm behind them, several on the same input as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aclnet.models.sync_batch_norm import SyncBatchNorm

__all__ = ['conv_norm', 'have_fast_forms', 'joined', 'norm_rows', 'side_by_side']

_SYNCHRONIZED = (nn.SyncBatchNorm, SyncBatchNorm)


def have_fast_forms(norms: Sequence[Any], acts: Sequence[nn.Module] = ()) -> bool:
    """Whether the fast forms do what these do: batch norms as published, synchronized or folded, and ReLU."""
    return all(map(_is_known, norms)) and all(type(act) is nn.ReLU for act in acts)


def _is_known(norm: Any) -> bool:
    batch_norm = type(norm) is nn.BatchNorm2d or isinstance(norm, _SYNCHRONIZED)
    return isinstance(norm, nn.Identity) or (batch_norm and norm.affine and norm.track_running_stats)


def conv_norm(
    x: Tensor, *pairs: tuple[nn.Conv2d, Any], product: Callable[..., Tensor] = F.conv2d, stride: int = 1
) -> Tensor:
    """1×1 convolutions of the same input, each with its norm, as one: their results side by side on the channels.

    In training, the bias of a convolution is left out: the mean that the norm takes away has it too. So its gradient
    is exactly zero, and only the running mean knows of it. In eval mode, the norm is part of weight and bias.

    Args:
        x: rows (N, C, T, V).
        pairs: convolution and norm.
        product: what multiplies, see ``products``.
        stride: of time.

    Returns:
        (N, C', T', V), which may be changed in place.
    """
    convs, norms = zip(*pairs)
    x = x[:, :, ::stride]
    if not any(norm.training and not isinstance(norm, nn.Identity) for norm in norms):
        folded = [_folded(*pair) for pair in pairs]
        return product(x, _join([weight for weight, _ in folded]), _join([bias for _, bias in folded]))
    if len({_options(norm) for norm in norms}) > 1 or isinstance(norms[0], _SYNCHRONIZED):
        return _join([norm(product(x, conv.weight, conv.bias)) for conv, norm in pairs], 1)
    return _train(product(x, _join([_without_bias(conv) for conv in convs])), convs, norms)


def side_by_side(*convs: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of 1×1 convolutions of the same input as one."""
    return _join([conv.weight for conv in convs]), _join([conv.bias for conv in convs])


@torch.no_grad()
def joined(*convs: nn.Conv2d) -> nn.Conv2d:
    """A convolution that does what these do side by side, for inference."""
    weight, bias = side_by_side(*convs)
    one = nn.Conv2d(weight.shape[1], len(weight), 1, device='meta')
    one.weight, one.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
    return one


def norm_rows(x: Tensor, norm: Any) -> Tensor:
    """``norm(x)`` of rows (N, C, T, V), in one pass where no gradient asks for more."""
    known = type(norm) is nn.BatchNorm2d and not norm.training and norm.weight.dtype == x.dtype
    if not known or torch.is_grad_enabled():
        return norm(x)
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    return torch.addcmul(shift[:, None, None], x, scale[:, None, None])


def _options(norm: Any) -> tuple:
    """What norms must have in common to be computed as one."""
    return type(norm), norm.training, getattr(norm, 'momentum', None), getattr(norm, 'eps', None)


def _train(x: Tensor, convs: Sequence[nn.Conv2d], norms: Sequence[Any]) -> Tensor:
    """Batch norms of neighbouring channels by the statistics of the batch, as one."""
    mean, var, weight, bias = (
        torch.cat([getattr(norm, name) for norm in norms]) for name in ('running_mean', 'running_var', 'weight', 'bias')
    )
    for norm in norms:
        norm.num_batches_tracked.add_(1)
    momentum = norms[0].momentum
    share = 1 / float(norms[0].num_batches_tracked) if momentum is None else momentum
    y = F.batch_norm(x, mean, var, weight, bias, True, share, norms[0].eps)
    widths = [norm.num_features for norm in norms]
    with torch.no_grad():
        for conv, norm, own_mean, own_var in zip(convs, norms, mean.split(widths), var.split(widths)):
            norm.running_mean.copy_(own_mean if conv.bias is None else own_mean + share * conv.bias)
            norm.running_var.copy_(own_var)
    return y


def _without_bias(conv: nn.Conv2d) -> Tensor:
    """The weight, which has the bias's gradient of zero along: with none, weight decay would pass it over."""
    return conv.weight if conv.bias is None else conv.weight + 0 * conv.bias[:, None, None, None]


def _folded(conv: nn.Conv2d, norm: Any) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution and the norm in eval mode behind it."""
    if isinstance(norm, nn.Identity):
        return conv.weight, conv.bias
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    return conv.weight * scale[:, None, None, None], bias * scale + norm.bias


def _join(parts: list, dim: int = 0) -> Tensor:
    return torch.cat(parts, dim) if len(parts) > 1 else parts[0]
