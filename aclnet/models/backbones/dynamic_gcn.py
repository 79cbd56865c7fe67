"""The backbone: a stack of blocks of a spatial and a temporal unit."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aclnet import skeletons
from aclnet.errors import ACLNetError, nearest
from aclnet.models.backbones.layers import ConvBN
from aclnet.models.backbones.spatial import SpatialUnit
from aclnet.models.backbones.temporal import TemporalUnit
from aclnet.registry import BACKBONES

__all__ = ['Block', 'DynamicGCN']

_UNIT_ARGS = {
    'gcn_': ('ratio', 'ctr', 'ada', 'subset_wise', 'ada_act', 'ctr_act', 'norm', 'act'),
    'tcn_': ('ms_cfg', 'dropout', 'num_joints', 'norm', 'act'),
}
_GRAPH_ARGS = ('layout', 'mode', 'max_hop', 'nx_node', 'num_filter', 'init_std', 'init_off')


class Block(nn.Module):
    """y = ReLU(tcn(gcn(x)) + res(x)).

    Args:
        in_channels, out_channels: C, C'.
        A: (K, V, V) initial adjacency.
        stride: temporal stride.
        residual: whether there is a res(x); the identity where the shape allows it.
        gcn, tcn: arguments of the two units.

    ``forward(x)``: (N, C, T, V) → (N, C', ⌈T/stride⌉, V) and the spatial unit's graph.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        A: Tensor,
        stride: int = 1,
        residual: bool = True,
        gcn: dict | None = None,
        tcn: dict | None = None,
    ) -> None:
        super().__init__()
        self.gcn = SpatialUnit(in_channels, out_channels, A, **(gcn or {}))
        self.tcn = TemporalUnit(out_channels, out_channels, stride=stride, **(tcn or {}))
        if not residual:
            self.residual: nn.Module | None = None
        elif in_channels == out_channels and stride == 1:
            self.residual = nn.Identity()
        else:
            self.residual = ConvBN(in_channels, out_channels, stride=stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        res = 0 if self.residual is None else self.residual(x)
        y, graph = self.gcn(x)
        return self.relu(self.tcn(y) + res), graph


@BACKBONES.register_module(name=['DynamicGCN', 'GCN_Module'])
class DynamicGCN(nn.Module):
    """Graph network whose last block's sample graph is the embedding that the contrastive terms see.

    Args:
        graph_cfg: dict(layout, mode, max_hop, nx_node, num_filter, init_std, init_off), see ``skeletons.Layout.graph``.
        in_channels: channels of a joint, C.
        base_channels: width w of the first blocks.
        ch_ratio: factor of the width at each stage of ``inflate_stages``.
        num_stages: number of blocks.
        inflate_stages, down_stages: blocks (from 1) that widen, and that halve the frames.
        data_bn_type: batch norm of the input over 'VC' features with persons folded into the batch, over 'MVC'
            features, or None.
        num_person: persons M of a clip (used by 'MVC').
        pretrained: checkpoint whose backbone weights to start from.
        **kwargs: arguments of the units, prefixed ``gcn_`` or ``tcn_``; one value, or a tuple of one per stage.

    ``forward(x)``: (N, M, T, V, C) → feature (N, M, 4w, ⌈T/4⌉, V) and graph embedding (N, V·V).
    Raises ``ACLNetError`` for unknown arguments or layouts, and for input of other joints, channels or persons.
    Source: arXiv 2601.16694.

    Example:
        >>> net = DynamicGCN(dict(layout='nturgb+d', mode='random', num_filter=8), gcn_ratio=0.125)
        >>> feature, graph = net(torch.randn(2, 2, 100, 25, 3))
        >>> feature.shape, graph.shape
        (torch.Size([2, 2, 384, 25, 25]), torch.Size([2, 625]))
    """

    def __init__(
        self,
        graph_cfg: dict,
        in_channels: int = 3,
        base_channels: int = 96,
        ch_ratio: float = 2,
        num_stages: int = 10,
        inflate_stages: Sequence[int] = (5, 8),
        down_stages: Sequence[int] = (5, 8),
        data_bn_type: str | None = 'VC',
        num_person: int = 2,
        pretrained: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.layout, A = _draw_graph(graph_cfg)
        self.num_joints = A.shape[-1]
        self.in_channels, self.num_person = in_channels, num_person
        self.data_bn_type = data_bn_type if data_bn_type != 'none' else None
        features = self.num_joints * in_channels
        if self.data_bn_type == 'VC':
            self.data_bn: nn.Module = nn.BatchNorm1d(features)
        elif self.data_bn_type == 'MVC':
            self.data_bn = nn.BatchNorm1d(num_person * features)
        elif self.data_bn_type is None:
            self.data_bn = nn.Identity()
        else:
            raise ACLNetError(f"data_bn_type must be 'VC', 'MVC' or None, got {data_bn_type!r}")
        units = _unit_arguments(kwargs, num_stages, self.num_joints)
        self.gcn = nn.ModuleList()
        width, inflated = base_channels, 0
        for stage in range(1, num_stages + 1):
            before = in_channels if stage == 1 else width
            if stage > 1:
                inflated += stage in inflate_stages
                width = int(base_channels * ch_ratio**inflated + 1e-4)
            stride = 2 if stage > 1 and stage in down_stages else 1
            self.gcn.append(Block(before, width, A, stride, residual=stage > 1, **units[stage - 1]))
        self.out_channels = width
        self.pretrained = pretrained

    @property
    def graph_channels(self) -> int:
        """Size V·V of the graph embedding."""
        return self.num_joints**2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self._check(x)
        N, M, T, V, C = x.shape
        x = self._normalise(x)  # N·M C T V
        graph = None
        for block in self.gcn:
            x, graph = block(x)
        return x.reshape(N, M, *x.shape[1:]), self._embed(graph, N, M, x)

    def _check(self, x: Tensor) -> Tensor:
        if x.dim() != 5 or x.shape[3:] != (self.num_joints, self.in_channels):
            raise ACLNetError(
                f"layout '{self.layout}' takes clips (N, M, T, {self.num_joints}, {self.in_channels}) of "
                f'persons, frames, joints and channels; got {tuple(x.shape)}'
            )
        if self.data_bn_type == 'MVC' and x.shape[1] != self.num_person:
            raise ACLNetError(
                f"data_bn_type 'MVC' was built for {self.num_person} persons, got {x.shape[1]}; "
                'set num_person of the backbone and of FormatGCNInput alike'
            )
        return x

    def _normalise(self, x: Tensor) -> Tensor:
        N, M, T, V, C = x.shape
        x = x.permute(0, 1, 3, 4, 2)  # N M V C T
        batch = (N, M * V * C, T) if self.data_bn_type == 'MVC' else (N * M, V * C, T)
        x = self.data_bn(x.reshape(batch)).view(N * M, V, C, T)
        return x.permute(0, 2, 3, 1).contiguous()

    def _embed(self, graph: Tensor | None, N: int, M: int, x: Tensor) -> Tensor:
        if graph is None:  # neither ctr nor ada
            return x.new_zeros(N, self.graph_channels)
        # N·M K m T V V, m and T possibly 1
        return graph.mean((1, 2, 3)).view(N, M, -1).mean(1)


def _draw_graph(graph_cfg: dict) -> tuple[str, Tensor]:
    if not isinstance(graph_cfg, dict) or 'layout' not in graph_cfg:
        raise ACLNetError(f"graph_cfg must be a dict with a layout, such as dict(layout='nturgb+d'); got {graph_cfg!r}")
    unknown = [name for name in graph_cfg if name not in _GRAPH_ARGS]
    if unknown:
        raise ACLNetError(
            f"graph_cfg has no '{unknown[0]}'{nearest(unknown[0], _GRAPH_ARGS)} (known: {', '.join(_GRAPH_ARGS)})"
        )
    cfg = dict(graph_cfg)
    layout = skeletons.get(cfg.pop('layout'))
    seed = int(torch.randint(2**31, ()))  # so that torch's seed fixes the graph too
    return layout.name, torch.from_numpy(layout.graph(**cfg, rng=np.random.default_rng(seed)))


def _unit_arguments(kwargs: dict, num_stages: int, num_joints: int) -> list[dict[str, dict]]:
    """Sort ``gcn_`` and ``tcn_`` arguments out, per stage."""
    kwargs.setdefault('tcn_num_joints', max(25, num_joints))
    known = [prefix + name for prefix, names in _UNIT_ARGS.items() for name in names]
    stages: list[dict[str, dict]] = [dict(gcn={}, tcn={}) for _ in range(num_stages)]
    for name, value in kwargs.items():
        if name not in known:
            own = [*inspect.signature(DynamicGCN).parameters][:-1]
            raise ACLNetError(
                f"the backbone has no argument '{name}'{nearest(name, [*own, *known])} "
                f'(known: {", ".join([*own, *known])})'
            )
        per_stage = isinstance(value, tuple) and len(value) == num_stages
        for i, stage in enumerate(stages):
            stage[name[:3]][name[4:]] = value[i] if per_stage else value
    return stages
