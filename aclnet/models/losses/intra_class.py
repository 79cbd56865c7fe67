"""L_intra: a margin against a memory tightens each class."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from aclnet.errors import ACLNetError
from aclnet.models.losses.state import ContrastiveTerm, full_precision
from aclnet.registry import LOSSES

__all__ = ['IntraClassMarginLoss']

_EPS = 1e-6  # added inside the logarithm


@LOSSES.register_module()
class IntraClassMarginLoss(ContrastiveTerm):
    """Supervised contrast, with a margin for positives, against a first-in-first-out memory of embeddings.

    The batch enters the memory first; its own entries carry gradient, older ones don't. Until the memory is full the
    term is 0. In eval mode the same value is computed and nothing is kept.

    Args:
        in_channels: size of the graph embedding, V·V.
        memory_size: number of entries S; any batch size will do, a larger batch fills it with its last S samples.
        embed_channels: size of the projection ``cl_fc``.
        temperature: divisor of the cosine similarities.
        margin: subtracted from the positive's own similarity in the denominator.
        sync_memory: whether ranks share one memory, as one rank with all their samples would have it.

    Shapes: memory (S, embed) float, memory_label (S,) int64, memory_count () int64 (samples ever pushed).
    Raises ``ACLNetError`` where a number is out of range. Source: arXiv 2601.16694.

    Example:
        >>> loss = IntraClassMarginLoss(in_channels=625, memory_size=512)
        >>> loss(torch.randn(16, 625), torch.randint(60, (16,)))
        tensor(0.)
    """

    memory: Tensor
    memory_label: Tensor
    memory_count: Tensor

    counters = ('memory_count',)

    def __init__(
        self,
        in_channels: int,
        memory_size: int,
        embed_channels: int = 256,
        temperature: float = 0.1,
        margin: float = 0.1,
        sync_memory: bool = True,
    ) -> None:
        super().__init__(in_channels, embed_channels, sync_memory)
        if isinstance(margin, bool) or not isinstance(margin, (int, float)):
            raise ACLNetError(f'margin of IntraClassMarginLoss must be a number, got {margin!r}')
        if memory_size < 1 or temperature <= 0:
            raise ACLNetError(
                f'IntraClassMarginLoss needs memory_size ≥ 1 and temperature > 0, got {memory_size} and {temperature}'
            )
        self.memory_size = memory_size
        self.temperature = temperature
        self.margin = margin
        self.register_buffer('memory', torch.zeros(memory_size, embed_channels))
        self.register_buffer('memory_label', torch.full((memory_size,), -1, dtype=torch.int64))
        self.register_buffer('memory_count', torch.zeros((), dtype=torch.int64))
        self._count = 0  # memory_count, where reading it needs no synchronisation with a GPU

    def read_buffers(self) -> None:
        self._count = int(self.memory_count)

    @full_precision
    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        """Mean of the term over this rank's samples.

        Args:
            features: (n, in_channels) graph embeddings.
            label: (n,) or (n, 1) class indices.

        Returns:
            A scalar; a constant 0, without a gradient, while the memory isn't full.
        """
        label = label.reshape(-1)
        embedding = F.normalize(self.cl_fc(features), dim=1)
        first, (every, labels) = self.gather(embedding, label)
        count = self._count + len(every)
        slot = torch.arange(self._count, count, device=label.device) % self.memory_size
        kept = slice(max(0, len(every) - self.memory_size), None)
        entries = self.memory.index_copy(0, slot[kept], every[kept])
        entry_labels = self.memory_label.index_copy(0, slot[kept], labels[kept])
        if self.training:
            self.memory.copy_(entries.detach())
            self.memory_label.copy_(entry_labels)
            self.memory_count.fill_(count)
            self._count = count
        if count < self.memory_size or not len(label):
            return embedding.new_zeros(())
        mine = slice(first, first + len(label))
        index = torch.arange(len(every), device=label.device)[mine]
        own = torch.arange(self.memory_size, device=label.device) == slot[mine, None]
        own &= (index >= len(every) - self.memory_size)[:, None]  # an early sample of a huge batch has no entry
        return self._contrast(embedding, label, entries, entry_labels, own)

    def _contrast(self, embedding: Tensor, label: Tensor, entries: Tensor, entry_labels: Tensor, own: Tensor) -> Tensor:
        similarity = embedding @ entries.T / self.temperature  # (n, S)
        similarity = similarity - similarity.detach().amax(1, keepdim=True)
        same = label[:, None] == entry_labels
        positive = same & ~own
        exp = similarity.exp()
        negatives = exp.masked_fill(same, 0).sum(1, keepdim=True)
        log_prob = similarity - (math.exp(-self.margin) * exp + negatives + _EPS).log()
        per_sample = log_prob.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp(min=1)
        return -per_sample.mean()
