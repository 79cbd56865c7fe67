"""The spatial unit: aggregation over a graph that is partly learned and partly drawn from the sample."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aclnet.errors import ACLNetError
from aclnet.models.backbones.layers import activation, fold_pair, graph_function, norm_layer

__all__ = ['SpatialUnit']


class SpatialUnit(nn.Module):
    """Dynamic graph convolution with K subsets.

    Args:
        in_channels: C.
        out_channels: C'.
        A: (K, V, V) initial adjacency, learned from there.
        ratio: channels of one subset relative to C'; 1/K if None.
        ctr: channel-wise graph tanh(q − r): 'T' averages q and r over time, 'NA' does not, None is off.
        ada: attention graph softmax(q·r), likewise.
        subset_wise: whether ``alpha`` and ``beta`` weigh every subset by its own element or all by the first.
        ada_act, ctr_act: what bounds the two graphs.
        norm, act: names of mmcv's layers.

    ``forward(x)``: (N, C, T, V) → (N, C', T, V) and the sample's own graph D, (N, K, m or 1, T or 1, V, V), or None
    where both graphs are off. Raises ``ACLNetError`` where an argument has no such value. Source: arXiv 2601.16694,
    after PYSKL's DG-GCN.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        A: Tensor,
        ratio: float | None = None,
        ctr: str | None = 'T',
        ada: str | None = 'T',
        subset_wise: bool = False,
        ada_act: str = 'softmax',
        ctr_act: str = 'tanh',
        norm: str | dict = 'BN',
        act: str | dict = 'ReLU',
    ) -> None:
        super().__init__()
        for name, value in (('ctr', ctr), ('ada', ada)):
            if value not in ('T', 'NA', None):
                raise ACLNetError(f"gcn_{name} must be 'T', 'NA' or None, got {value!r}")
        self.num_subsets = A.size(0)
        self.mid_channels = int((1 / self.num_subsets if ratio is None else ratio) * out_channels)
        if self.mid_channels < 1:
            raise ACLNetError(f'gcn_ratio={ratio} leaves no channel of {out_channels} for a subset; raise it')
        self.ctr, self.ada, self.subset_wise = ctr, ada, subset_wise
        self.ctr_function, self.ada_function = graph_function(ctr_act), graph_function(ada_act)
        width = self.num_subsets * self.mid_channels
        self.A = nn.Parameter(A.clone())
        self.alpha = nn.Parameter(torch.zeros(self.num_subsets))
        self.beta = nn.Parameter(torch.zeros(self.num_subsets))
        self.pre = nn.Sequential(nn.Conv2d(in_channels, width, 1), norm_layer(norm, width), activation(act))
        self.post = nn.Conv2d(width, out_channels, 1)
        if ctr is not None or ada is not None:
            self.conv1 = nn.Conv2d(in_channels, width, 1)
            self.conv2 = nn.Conv2d(in_channels, width, 1)
        if in_channels == out_channels:
            self.down: nn.Module = nn.Identity()
        else:
            self.down = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), norm_layer(norm, out_channels))
        self.bn = norm_layer(norm, out_channels)
        self.act = activation(act)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        N, _, T, V = x.shape
        res = self.down(x)
        p = self._split(self.pre(x))
        graph, D = self.A[None, :, None, None], None  # 1 K 1 1 V V
        for part in self.sample_graphs(x):
            graph = part + graph  # N K m|1 T|1 V V; in the published order, since float32 rounds each sum
            D = part if D is None else D + part
        if graph.shape[3] == 1:
            z = p @ graph.squeeze(3)  # N K m T V
        else:
            z = torch.einsum('nkctv,nkctvu->nkctu', p, graph.expand(N, -1, self.mid_channels, -1, -1, -1))
        y = self.bn(self.post(z.reshape(N, -1, T, V)))
        return self.act(y + res), D

    def sample_graphs(self, x: Tensor) -> list[Tensor]:
        """The parts of D that are on, alpha·f(q − r) and beta·g(q·r), from (N, C, T, V)."""
        parts: list[Tensor] = []
        if self.ctr is None and self.ada is None:
            return parts
        # a mean over time before the 1×1 convolutions is the same but for rounding; training keeps the published order
        early = not self.training and 'NA' not in (self.ctr, self.ada)
        q, r = (self._split(conv(x.mean(2, keepdim=True) if early else x)) for conv in (self.conv1, self.conv2))
        averaged = [y.mean(3, keepdim=True) for y in (q, r)] if 'T' in (self.ctr, self.ada) else []
        if self.ctr is not None:
            a, b = averaged if self.ctr == 'T' else (q, r)
            parts.append(self._weigh(self.ctr_function(a.unsqueeze(-1) - b.unsqueeze(-2)), self.alpha))
        if self.ada is not None:
            a, b = averaged if self.ada == 'T' else (q, r)
            ada = self.ada_function(torch.einsum('nkctv,nkctu->nktvu', a, b))
            parts.append(self._weigh(ada, self.beta).unsqueeze(2))
        return parts

    def _split(self, x: Tensor) -> Tensor:
        """(N, K·m, T, V) → (N, K, m, T, V)."""
        return x.view(len(x), self.num_subsets, self.mid_channels, *x.shape[2:])

    def _weigh(self, graph: Tensor, weight: Tensor) -> Tensor:
        if self.subset_wise:
            return graph * weight.view(1, -1, *[1] * (graph.dim() - 2))
        return graph * weight[0]

    def fold(self) -> None:
        """Fold batch norms into convolutions; eval mode only."""
        fold_pair(self.pre, '0', self.pre, '1')
        fold_pair(self, 'post', self, 'bn')
        if isinstance(self.down, nn.Sequential):
            fold_pair(self.down, '0', self.down, '1')
