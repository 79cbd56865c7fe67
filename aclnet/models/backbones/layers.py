"""Small layers that both units use, and folding of batch norms into convolutions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from aclnet.errors import ACLNetError

__all__ = ['ConvBN', 'activation', 'fold_pair', 'norm_layer']

_FUNCTIONS = {'tanh': torch.tanh, 'relu': torch.relu, 'sigmoid': torch.sigmoid}


def norm_layer(norm: str | dict, channels: int) -> nn.Module:
    """A normalisation of mmcv's registry, e.g. 'BN' or 'SyncBN'."""
    cfg = dict(type=norm) if isinstance(norm, str) else dict(norm)
    try:
        return build_norm_layer(cfg, channels)[1]
    except KeyError as error:
        raise ACLNetError(f'norm {norm!r} is not known to mmcv: {error.args[0]}') from None


def activation(act: str | dict) -> nn.Module:
    """An activation of mmcv's registry, e.g. 'ReLU'; in place where it can be."""
    cfg = dict(type=act) if isinstance(act, str) else dict(act)
    if cfg['type'] in ('ReLU', 'LeakyReLU', 'ELU', 'ReLU6'):
        cfg.setdefault('inplace', True)
    try:
        return build_activation_layer(cfg)
    except KeyError as error:
        raise ACLNetError(f'act {act!r} is not known to mmcv: {error.args[0]}') from None


def graph_function(name: str, softmax_dim: int = -2) -> Callable[[Tensor], Tensor]:
    """What bounds the entries of a learned graph: 'tanh', 'relu', 'sigmoid', or 'softmax' over its source joints."""
    if name == 'softmax':
        return lambda x: x.softmax(softmax_dim, dtype=torch.promote_types(x.dtype, torch.float32))  # as CUDA's autocast
    if name not in _FUNCTIONS:
        raise ACLNetError(f"graph activation '{name}' is not one of softmax, {', '.join(_FUNCTIONS)}")
    return _FUNCTIONS[name]


class ConvBN(nn.Module):
    """A temporal convolution ``conv``, kernel (k, 1), same padding, and a batch norm ``bn`` unless ``norm`` is None."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        dilation: int = 1,
        norm: str | dict | None = 'BN',
    ) -> None:
        super().__init__()
        padding = (kernel_size + (kernel_size - 1) * (dilation - 1) - 1) // 2
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            (kernel_size, 1),
            stride=(stride, 1),
            padding=(padding, 0),
            dilation=(dilation, 1),
        )
        self.bn = nn.Identity() if norm is None else norm_layer(norm, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, V) → (N, C', ⌈T/stride⌉, V)."""
        return self.bn(self.conv(x))

    def fold(self) -> None:
        fold_pair(self, 'conv', self, 'bn')


def fold_pair(conv_home: nn.Module, conv: str, norm_home: nn.Module, norm: str) -> None:
    """Fold a batch norm in eval mode into the convolution before it, and leave an identity in its place."""
    bn = getattr(norm_home, norm)
    if isinstance(bn, nn.modules.batchnorm._BatchNorm) and bn.track_running_stats:
        setattr(conv_home, conv, fuse_conv_bn_eval(getattr(conv_home, conv), bn))
        setattr(norm_home, norm, nn.Identity())
