"""The units and their block in their fast forms: the same parameters, the same values up to rounding.

Sums are taken in an order that costs less: means over time before the convolutions that they follow, all terms of a
graph before one product with it, parallel convolutions as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aclnet.models.backbones.dynamic_gcn import Block
from aclnet.models.backbones.spatial import SpatialUnit
from aclnet.models.backbones.temporal import TemporalUnit
from aclnet.models.fast.joints import add_virtual, append_virtual, relu_append_virtual
from aclnet.models.fast.norms import conv_norm, have_fast_forms, norm_in_place
from aclnet.models.fast.products import planes_to_rows, rows, rows_to_planes

__all__ = ['FastBlock', 'FastSpatialUnit', 'FastTemporalUnit']


class FastSpatialUnit(SpatialUnit):
    """A ``SpatialUnit`` whose graphs are means over time, with ReLU and batch norms.

    ``returns_graph`` says whether D is wanted; otherwise None stands in its place.
    """

    returns_graph = True

    pre: Any
    post: nn.Conv2d
    down: Any

    @staticmethod
    def fits(unit: Any) -> bool:
        """Whether this form does what the unit does."""
        norms = [unit.pre[1], unit.bn, *([unit.down[1]] if isinstance(unit.down, nn.Sequential) else [])]
        averaged = 'NA' not in (unit.ctr, unit.ada)
        return averaged and have_fast_forms(norms, [unit.pre[2], unit.act])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        y, res, D = self.parts(rows(x))
        return y.add_(res).relu_(), D

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Rows (N, C, T, V) → the two terms under the last ReLU, rows (N, C', T, V), and D."""
        N, _, T, V = x.shape
        p = conv_norm(x, (self.pre[0], self.pre[1]), product=rows_to_planes).relu_()
        graph, D = self.graphs(x)
        if graph.shape[2] > 1:
            z = torch.bmm(p.reshape(-1, T, V), graph.flatten(0, 2))
        else:
            z = p.reshape(N, self.num_subsets, -1, V) @ graph.squeeze(2)
        y = conv_norm(z.reshape(N, -1, T, V), (self.post, self.bn), product=planes_to_rows)
        res = x if isinstance(self.down, nn.Identity) else conv_norm(x, (self.down[0], self.down[1]))
        return y, res, D

    def graphs(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The graph A + D of every sample, (N or 1, K, m or 1, V, V), and D if asked for, from rows (N, C, T, V)."""
        graph = self.A[None, :, None]  # the terms that all m channels share come first: they are small
        if self.ctr is None and self.ada is None:
            return graph, None
        weight, bias = (
            torch.cat([getattr(conv, name) for conv in (self.conv1, self.conv2)]) for name in ('weight', 'bias')
        )
        mean = (x.sum(2) / x.shape[2]).transpose(1, 2)  # N V C; mean would make a copy of bfloat16 in float32
        both = F.linear(mean, weight.flatten(1), bias).transpose(1, 2).contiguous()  # N 2·K·m V
        q, r = both.reshape(len(x), 2, self.num_subsets, self.mid_channels, -1).unbind(1)  # N K m V
        parts = []
        if self.ada is not None:
            parts.append(self._weigh(self.ada_function(q.transpose(2, 3) @ r), self.beta)[:, :, None])
            graph = graph + parts[0]
        if self.ctr is not None:
            # in float32: a difference of broadcast operands in bfloat16 takes five times as long
            wide = torch.promote_types(q.dtype, torch.float32)
            apart = (q.to(wide)[..., None] - r.to(wide)[..., None, :]).to(q.dtype)
            parts.append(self._weigh(self.ctr_function(apart), self.alpha))
            graph = parts[-1] + graph.to(parts[-1].dtype)
        if not self.returns_graph:
            return graph, None
        D = parts[0] if len(parts) == 1 else parts[1] + parts[0].to(parts[1].dtype)
        return graph, D.unsqueeze(3)


class FastTemporalUnit(TemporalUnit):
    """A ``TemporalUnit`` with ReLU and batch norms."""

    branches: Any
    transform: Any

    @staticmethod
    def fits(unit: Any) -> bool:
        """Whether this form does what the unit does."""
        reduced = _reduced(unit)
        norms = [unit.transform[0], unit.bn, *(branch[1] for branch in reduced)]
        acts = [unit.transform[1], *(branch[2] for branch in reduced)]
        return have_fast_forms(norms, acts)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(append_virtual(rows(x)))

    def mix(self, x: Tensor) -> Tensor:
        """Rows with the virtual joint, (N, C, T, V+1) → rows (N, C', T', V)."""
        reduced = _reduced(self)
        pieces: Iterator[Tensor] = iter(())
        if reduced:
            y = conv_norm(x, *((branch[0], branch[1]) for branch in reduced)).relu_()
            pieces = iter(y.split([branch[0].out_channels for branch in reduced], 1))
        outs = [branch[3](next(pieces)) if branch in reduced else branch(x) for branch in self.branches]
        y = add_virtual(outs, self.add_coeff[: x.shape[3] - 1])
        y = norm_in_place(y, self.transform[0]).relu_()
        return self.drop(conv_norm(y, (self.transform[2], self.bn)))


def _reduced(unit: TemporalUnit) -> list[Any]:
    """The branches that begin with a convolution, a norm and a ReLU."""
    return [branch for branch in unit.branches if isinstance(branch, nn.Sequential)]


class FastBlock(Block):
    """A ``Block`` both of whose units are fast: its activations stay in rows."""

    @staticmethod
    def fits(block: Any) -> bool:
        """Whether this form does what the block does."""
        units = isinstance(block.gcn, FastSpatialUnit) and isinstance(block.tcn, FastTemporalUnit)
        return units and have_fast_forms([getattr(block.residual, 'bn', nn.Identity())])

    gcn: FastSpatialUnit
    tcn: FastTemporalUnit
    residual: Any

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        x = rows(x)
        y, res, graph = self.gcn.parts(x)
        y = self.tcn.mix(relu_append_virtual(y, res))
        if self.residual is None:
            return y.relu_(), graph
        if not isinstance(self.residual, nn.Identity):
            conv = self.residual.conv
            x = conv_norm(x, (conv, self.residual.bn), stride=conv.stride[0])
        return y.add_(x).relu_(), graph
