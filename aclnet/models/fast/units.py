"""The units and their block in their fast forms: the same parameters, the same values up to rounding.

Sums are taken in an order that costs less: means over time before the convolutions that they follow, all terms of a
graph before one product with it, parallel convolutions as one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aclnet.models.backbones.dynamic_gcn import Block
from aclnet.models.backbones.spatial import SpatialUnit
from aclnet.models.backbones.temporal import TemporalUnit
from aclnet.models.fast.joints import add_virtual, append_virtual, relu_append_virtual
from aclnet.models.fast.norms import conv_norm, has_fast_form
from aclnet.models.fast.products import planes_to_rows, rows, rows_to_planes

__all__ = ['FastBlock', 'FastSpatialUnit', 'FastTemporalUnit']


class FastSpatialUnit(SpatialUnit):
    """A ``SpatialUnit`` whose graphs are means over time, with ReLU and batch norms."""

    @staticmethod
    def fits(unit: SpatialUnit) -> bool:
        """Whether this form does what the unit does."""
        norms = [unit.pre[1], unit.bn, *(unit.down[1:] if isinstance(unit.down, nn.Sequential) else ())]
        acts = (unit.pre[2], unit.act)
        return (
            'NA' not in (unit.ctr, unit.ada)
            and all(type(act) is nn.ReLU for act in acts)
            and all(map(has_fast_form, norms))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        y, res, D = self.parts(rows(x))
        return y.add_(res).relu_(), D

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Rows (N, C, T, V) → the two terms under the last ReLU, rows (N, C', T, V), and D."""
        N, _, T, V = x.shape
        p = conv_norm(x, (self.pre[0], self.pre[1]), product=rows_to_planes).relu_()
        graph, D = self.A[None], None  # 1 K V V
        for part in self.sample_graphs(x):
            D = part if D is None else D + part
        if D is not None:
            graph = D.squeeze(3) + self.A[None, :, None]  # N K m|1 V V
        if D is not None and D.shape[2] > 1:
            z = torch.bmm(p.reshape(-1, T, V), graph.flatten(0, 2))
        else:
            z = p.reshape(N, self.num_subsets, -1, V) @ graph.view(-1, self.num_subsets, V, V)
        y = conv_norm(z.reshape(N, -1, T, V), (self.post, self.bn), product=planes_to_rows)
        res = conv_norm(x, (self.down[0], self.down[1])) if isinstance(self.down, nn.Sequential) else x
        return y, res, D

    def sample_graphs(self, x: Tensor) -> list[Tensor]:
        """The parts of D that are on, the smaller one first, from rows (N, C, T, V)."""
        parts: list[Tensor] = []
        if self.ctr is None and self.ada is None:
            return parts
        weight, bias = (
            torch.cat([getattr(conv, name) for conv in (self.conv1, self.conv2)]) for name in ('weight', 'bias')
        )
        mean = x.mean(2).transpose(1, 2)  # N V C
        both = nn.functional.linear(mean, weight.flatten(1), bias).transpose(1, 2)  # N 2·K·m V
        q, r = both.reshape(len(x), 2, self.num_subsets, self.mid_channels, -1).unbind(1)  # N K m V
        if self.ada is not None:
            parts.append(self._weigh(self.ada_function(q.transpose(2, 3) @ r), self.beta)[:, :, None, None])
        if self.ctr is not None:
            parts.append(self._weigh(self.ctr_function(q[..., None] - r[..., None, :]), self.alpha)[:, :, :, None])
        return parts


class FastTemporalUnit(TemporalUnit):
    """A ``TemporalUnit`` with ReLU and batch norms."""

    @staticmethod
    def fits(unit: TemporalUnit) -> bool:
        """Whether this form does what the unit does."""
        reduced = [branch for branch in unit.branches if isinstance(branch, nn.Sequential)]
        norms = [unit.transform[0], unit.bn, *(branch[1] for branch in reduced)]
        acts = [unit.transform[1], *(branch[2] for branch in reduced)]
        return all(type(act) is nn.ReLU for act in acts) and all(map(has_fast_form, norms))

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(append_virtual(rows(x)))

    def mix(self, x: Tensor) -> Tensor:
        """Rows with the virtual joint, (N, C, T, V+1) → rows (N, C', T', V)."""
        reduced = [branch for branch in self.branches if isinstance(branch, nn.Sequential)]
        pieces = iter(())
        if reduced:
            y = conv_norm(x, *((branch[0], branch[1]) for branch in reduced)).relu_()
            pieces = iter(y.split([branch[0].out_channels for branch in reduced], 1))
        outs = [branch[3](next(pieces)) if branch in reduced else branch(x) for branch in self.branches]
        y = add_virtual(outs, self.add_coeff[: x.shape[3] - 1])
        y = self.transform[0](y).relu_()
        return self.drop(conv_norm(y, (self.transform[2], self.bn)))


class FastBlock(Block):
    """A ``Block`` both of whose units are fast: its activations stay in rows."""

    @staticmethod
    def fits(block: Block) -> bool:
        """Whether this form does what the block does."""
        units = isinstance(block.gcn, FastSpatialUnit) and isinstance(block.tcn, FastTemporalUnit)
        return units and has_fast_form(getattr(block.residual, 'bn', nn.Identity()))

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
