"""Batch norms behind 1×1 convolutions, in rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aclnet.models.fast.layout import linear, planes

__all__ = ['conv_norm', 'has_fast_norm', 'norm']


def has_fast_norm(module: nn.Module) -> bool:
    """Whether the functions here do what the module does: a batch norm as published, or one that has been folded."""
    if isinstance(module, nn.Identity):
        return True
    plain = type(module) is nn.BatchNorm2d or isinstance(module, nn.SyncBatchNorm)
    return plain and module.affine and module.track_running_stats


def norm(x: Tensor, module: nn.Module) -> Tensor:
    """Normalise rows (N, T, V, C); the result may be changed in place."""
    return module(planes(x)).permute(0, 2, 3, 1) if not isinstance(module, nn.Identity) else x


def conv_norm(x: Tensor, convs: Sequence[nn.Conv2d], modules: Sequence[nn.Module], product=linear) -> Tensor:
    """1×1 convolutions of the same rows, each with its batch norm, as one; their results side by side.

    product: linear, to_planes or from_planes.  The result may be changed in place.
    """
    first = modules[0]
    if not first.training or isinstance(first, nn.Identity):
        pairs = [folded(conv, module) for conv, module in zip(convs, modules)]
        return product(x, _join([weight for weight, _ in pairs]), _join([bias for _, bias in pairs]))
    if any(isinstance(module, nn.SyncBatchNorm) for module in modules):
        pieces = [product(x, conv.weight, conv.bias) for conv in convs]
        if product.__name__ == 'to_planes':
            return modules[0](pieces[0])
        return _join([norm(piece, module) for piece, module in zip(pieces, modules)], -1)
    y = product(x, _join([unbiased(conv) for conv in convs]))
    mean, var, weight, bias = (
        torch.cat([getattr(module, name) for module in modules])
        for name in ('running_mean', 'running_var', 'weight', 'bias')
    )
    for module in modules:
        module.num_batches_tracked.add_(1)
    new = 1 / float(first.num_batches_tracked) if first.momentum is None else first.momentum
    if product.__name__ != 'to_planes':
        y = planes(y)
    y = F.batch_norm(y, mean, var, weight, bias, True, new, first.eps)
    if product.__name__ != 'to_planes':
        y = y.permute(0, 2, 3, 1)
    with torch.no_grad():
        widths = [module.num_features for module in modules]
        for conv, module, one_mean, one_var in zip(convs, modules, mean.split(widths), var.split(widths)):
            if conv.bias is not None:
                one_mean = one_mean + new * conv.bias
            module.running_mean.copy_(one_mean)
            module.running_var.copy_(one_var)
    return y


def _join(parts: list[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(parts, dim) if len(parts) > 1 else parts[0]


def unbiased(conv: nn.Conv2d) -> Tensor:
    """The weight, for use without the bias, which a batch norm's mean takes away: its gradient is zero, not none."""
    return conv.weight if conv.bias is None else conv.weight + 0 * conv.bias[:, None, None, None]


def folded(conv: nn.Conv2d, module: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution and the batch norm in eval mode behind it."""
    if isinstance(module, nn.Identity):
        return conv.weight, conv.bias
    scale = module.weight * torch.rsqrt(module.running_var + module.eps)
    bias = -module.running_mean if conv.bias is None else conv.bias - module.running_mean
    return conv.weight * scale[:, None, None, None], bias * scale + module.bias
