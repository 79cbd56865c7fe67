"""The units and their block in their fast forms: the same parameters, the same values up to rounding.

Sums are taken in an order that costs less: means over time before the convolutions that they follow, all terms of a
graph before one product with it, parallel convolutions as one.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aclnet.models.backbones.dynamic_gcn import Block
from aclnet.models.backbones.spatial import SpatialUnit
from aclnet.models.backbones.temporal import TemporalUnit
from aclnet.models.fast.joints import add_virtual, append_virtual, relu_append_virtual
from aclnet.models.fast.norms import conv_norm, have_fast_forms, joined, norm_rows, side_by_side
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
        one = getattr(self, 'joined', None)
        weight, bias = side_by_side(self.conv1, self.conv2) if one is None else (one.weight, one.bias)
        mean = x.permute(0, 2, 3, 1).sum(1) / x.shape[2]  # N V C; mean would make a copy of bfloat16 in float32
        both = F.linear(mean, weight.flatten(1), bias).transpose(1, 2).contiguous()  # N 2·K·m V
        both = both.view(len(x), 2, self.num_subsets, self.mid_channels, -1)
        D: Tensor | float = 0.0
        if self.ada is not None:
            q, r = both.unbind(1)  # N K m V
            D = self._weigh(self.ada_function(q.transpose(2, 3) @ r), self.beta)[:, :, None]
        if self.ctr is not None:
            # in float32: a difference of broadcast operands in bfloat16 takes five times as long
            both = both.to(torch.promote_types(both.dtype, torch.float32))
            alpha = self.alpha.view(-1, 1, 1, 1) if self.subset_wise else self.alpha[0]
            function = self.ctr_function
            if function is torch.tanh:  # tanh x = 2 sigmoid 2x - 1, in a sixth of the time
                function, both, D, alpha = torch.sigmoid, 2 * both, D - alpha, 2 * alpha
            q, r = both.unbind(1)
            close = function(q[..., None] - r[..., None, :])
            if not self.returns_graph:
                return torch.addcmul(graph + D, close, alpha), None
            D = D + close * alpha
        return graph + D, D.unsqueeze(3) if isinstance(D, Tensor) and self.returns_graph else None

    def fold(self) -> None:
        """Fold batch norms into convolutions, and keep those of the same input as one; eval mode only."""
        super().fold()
        if self.ctr is not None or self.ada is not None:
            self.joined = joined(self.conv1, self.conv2)


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
        outs = [
            branch(x) if y is None else branch[3](y) if isinstance(branch, nn.Sequential) else y
            for branch, y in zip(self.branches, self._begin(x))
        ]
        y = add_virtual(outs, self.add_coeff[: x.shape[3] - 1])
        y = norm_rows(y, self.transform[0]).relu_()
        return self.drop(conv_norm(y, (self.transform[2], self.bn)))

    def _begin(self, x: Tensor) -> list[Tensor | None]:
        """For each branch: x behind that part which is computed for several as one; None where it has none."""
        one, reduced = getattr(self, 'joined', None), _reduced(self)
        begun = reduced if one is None else [*reduced, *_plain(self)]
        widths = [(branch[0] if branch in reduced else branch).out_channels for branch in begun]
        if one is not None:
            y = F.conv2d(x, one.weight, one.bias)
            y[:, : sum(widths[: len(reduced)])].relu_()
        elif reduced:
            y = conv_norm(x, *((branch[0], branch[1]) for branch in reduced)).relu_()
        pieces = iter(y.split(widths, 1) if begun else ())
        return [next(pieces) if branch in begun else None for branch in self.branches]

    def fold(self) -> None:
        """Fold batch norms into convolutions, and keep those of the same input as one; eval mode only."""
        super().fold()
        begun = [*(branch[0] for branch in _reduced(self)), *_plain(self)]
        if begun:
            self.joined = joined(*begun)


def _reduced(unit: TemporalUnit) -> list[Any]:
    """The branches that begin with a convolution, a norm and a ReLU."""
    return [branch for branch in unit.branches if isinstance(branch, nn.Sequential)]


def _plain(unit: TemporalUnit) -> list[Any]:
    """The last branches, as far as they are a convolution of every frame."""
    last = takewhile(lambda branch: isinstance(branch, nn.Conv2d) and branch.stride == (1, 1), reversed(unit.branches))
    return list(last)[::-1]


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
