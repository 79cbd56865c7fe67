"""The temporal unit: parallel branches over time, with a virtual joint that sees the whole body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aclnet.errors import ACLNetError
from aclnet.models.backbones.layers import ConvBN, activation, fold_pair, norm_layer

__all__ = ['TemporalUnit']

MS_CFG = ((3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1')


class TemporalUnit(nn.Module):
    """Multi-scale temporal convolution.

    The mean over joints runs along as one more, virtual joint; its output is added to each joint, weighted by
    ``add_coeff``. Output channels are shared out evenly; the first branch gets the remainder.

    Args:
        in_channels: C.
        out_channels: C'.
        stride: temporal stride.
        ms_cfg: one entry per branch: (kernel, dilation), ('max', kernel) or '1x1'.
        dropout: after the last batch norm.
        num_joints: length of ``add_coeff``, at least V.
        norm, act: names of mmcv's layers.

    ``forward(x)``: (N, C, T, V) → (N, C', ⌈T/stride⌉, V). Raises ``ACLNetError`` for an unknown branch.
    Source: arXiv 2601.16694, after PYSKL's DG-MSTCN.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        ms_cfg: Sequence = MS_CFG,
        dropout: float = 0.0,
        num_joints: int = 25,
        norm: str | dict = 'BN',
        act: str | dict = 'ReLU',
    ) -> None:
        super().__init__()
        if not ms_cfg or isinstance(ms_cfg, str):
            raise ACLNetError(f'tcn_ms_cfg must list at least one temporal branch, got {ms_cfg!r}')
        share = out_channels // len(ms_cfg)
        if share < 1:
            raise ACLNetError(
                f'{out_channels} channels cannot be shared by {len(ms_cfg)} temporal branches; '
                'raise base_channels or shorten tcn_ms_cfg'
            )
        widths = [out_channels - share * (len(ms_cfg) - 1)] + [share] * (len(ms_cfg) - 1)
        self.branches = nn.ModuleList(
            _branch(cfg, in_channels, width, stride, norm, act) for cfg, width in zip(ms_cfg, widths)
        )
        self.add_coeff = nn.Parameter(torch.zeros(num_joints))
        self.transform = nn.Sequential(
            norm_layer(norm, out_channels), activation(act), nn.Conv2d(out_channels, out_channels, 1)
        )
        self.bn = norm_layer(norm, out_channels)
        self.drop = nn.Dropout(dropout, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        V = x.shape[-1]
        x = torch.cat([x, x.mean(-1, keepdim=True)], -1)  # N C T V+1
        x = torch.cat([branch(x) for branch in self.branches], 1)
        x = x[..., :V] + x[..., V:] * self.add_coeff[:V]
        return self.drop(self.bn(self.transform(x)))

    def fold(self) -> None:
        """Fold batch norms into convolutions; eval mode only."""
        for branch in self.branches:
            if isinstance(branch, nn.Sequential):
                fold_pair(branch, '0', branch, '1')
        fold_pair(self.transform, '2', self, 'bn')


def _branch(cfg: Any, in_channels: int, width: int, stride: int, norm: str | dict, act: str | dict) -> nn.Module:
    if cfg == '1x1':
        return nn.Conv2d(in_channels, width, 1, stride=(stride, 1))
    if not isinstance(cfg, (tuple, list)) or len(cfg) != 2:
        raise ACLNetError(f"a temporal branch is (kernel, dilation), ('max', kernel) or '1x1', got {cfg!r}")
    reduce = [nn.Conv2d(in_channels, width, 1), norm_layer(norm, width), activation(act)]
    if cfg[0] == 'max':
        last = nn.MaxPool2d((cfg[1], 1), stride=(stride, 1), padding=(cfg[1] // 2, 0))
    else:
        last = ConvBN(width, width, cfg[0], stride, cfg[1], norm=None)
    return nn.Sequential(*reduce, last)
