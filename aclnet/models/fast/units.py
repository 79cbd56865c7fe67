"""Fast forms of the two units and of their block."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aclnet.models.backbones.dynamic_gcn import Block
from aclnet.models.backbones.layers import ConvBN
from aclnet.models.backbones.spatial import SpatialUnit
from aclnet.models.backbones.temporal import TemporalUnit
from aclnet.models.fast.joints import add_virtual, append_mean
from aclnet.models.fast.layout import from_planes, linear, planes, rows, to_planes
from aclnet.models.fast.norms import conv_norm, has_fast_norm, norm

__all__ = ['FastBlock', 'FastSpatialUnit', 'FastTemporalUnit']


class FastSpatialUnit(SpatialUnit):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        y, D = self.run(rows(x))
        return planes(y), D

    @staticmethod
    def fits(unit):
        norms = [unit.pre[1], unit.bn] + ([unit.down[1]] if isinstance(unit.down, nn.Sequential) else [])
        return (
            {unit.ctr, unit.ada} <= {'T', None}
            and isinstance(unit.act, nn.ReLU)
            and isinstance(unit.pre[2], nn.ReLU)
            and all(has_fast_norm(n) for n in norms)
        )

    def run(self, x, append=False):
        """Rows (N, T, V, C) → rows."""
        N, T, V, _ = x.shape
        res = x if isinstance(self.down, nn.Identity) else conv_norm(x, [self.down[0]], [self.down[1]])
        p = conv_norm(x, [self.pre[0]], [self.pre[1]], to_planes).relu_()
        D = self.graphs(x)
        if D is None:
            graph = self.A[None, :, None, None]
        else:
            graph = D + self.A[None, :, None, None]
        graph = graph.squeeze(3)  # 1|N K m|1 V V
        if graph.shape[2] == 1:
            z = p.reshape(N, self.num_subsets, -1, V) @ graph.squeeze(2)
        else:
            z = torch.bmm(p.view(-1, T, V), graph.flatten(0, 2))
        y = conv_norm(z.view(N, -1, T, V), [self.post], [self.bn], from_planes)
        return (append_mean(y, res) if append else y.add_(res).relu_()), D

    def graphs(self, x):
        if self.ctr is None and self.ada is None:
            return None
        N, T, V, C = x.shape
        weight = torch.cat([self.conv1.weight, self.conv2.weight])
        bias = torch.cat([self.conv1.bias, self.conv2.bias])
        qr = linear(x.mean(1), weight, bias)  # N V 2Km
        q, r = qr.transpose(1, 2).reshape(N, 2, self.num_subsets, self.mid_channels, V).unbind(1)  # N K m V
        D = None
        if self.ada is not None:
            ada = self.ada_function(q.transpose(2, 3) @ r)
            D = self._weigh(ada, self.beta)[:, :, None, None]
        if self.ctr is not None:
            ctr = self._weigh(self.ctr_function(q.unsqueeze(-1) - r.unsqueeze(-2)), self.alpha).unsqueeze(3)
            D = ctr if D is None else ctr + D
        return D


class FastTemporalUnit(TemporalUnit):
    def forward(self, x: Tensor) -> Tensor:
        return planes(self.run(append_mean(rows(x))))

    @staticmethod
    def fits(unit):
        norms = [unit.transform[0], unit.bn] + [b[1] for b in unit.branches if isinstance(b, nn.Sequential)]
        acts = [unit.transform[1]] + [b[2] for b in unit.branches if isinstance(b, nn.Sequential)]
        return all(has_fast_norm(n) for n in norms) and all(isinstance(a, nn.ReLU) for a in acts)

    def run(self, x):
        """Rows with the virtual joint (N, T, V+1, C) → rows (N, T', V, C')."""
        reduced = [b for b in self.branches if isinstance(b, nn.Sequential)]
        pieces = iter(())
        if reduced:
            y = conv_norm(x, [b[0] for b in reduced], [b[1] for b in reduced]).relu_()
            pieces = iter(y.split([b[0].out_channels for b in reduced], -1))
        outs = []
        for b in self.branches:
            if isinstance(b, nn.Sequential):
                y = planes(next(pieces))
                y = F.conv2d(y, b[3].conv.weight, b[3].conv.bias, b[3].conv.stride, b[3].conv.padding, b[3].conv.dilation) if isinstance(b[3], ConvBN) else b[3](y)
                outs.append(y.permute(0, 2, 3, 1))
            else:
                outs.append(linear(x[:, :: b.stride[0]], b.weight, b.bias))
        y = add_virtual(outs, self.add_coeff[:x.shape[2] - 1])
        y = norm(y, self.transform[0]).relu_()
        return self.drop(conv_norm(y, [self.transform[2]], [self.bn]))


class FastBlock(Block):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        y, graph = self.gcn.run(rows(x), append=True)
        y = self.tcn.run(y)
        if self.residual is None:
            return planes(y.relu_()), graph
        if isinstance(self.residual, nn.Identity):
            res = rows(x)
        else:
            conv = self.residual.conv
            res = conv_norm(rows(x)[:, :: conv.stride[0]], [conv], [self.residual.bn])
        return planes(y.add_(res).relu_()), graph
