"""L_intra: a margin against a memory tightens each class."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from aclnet.errors import ACLNetError
from aclnet.models.losses.state import ContrastiveTerm, full_precision, with_gradient
from aclnet.registry import LOSSES

__all__ = ['IntraClassMarginLoss']

_EPS = 1e-6  # added inside the logarithm
_BLOCK = 2**22  # products of samples and entries that are worked on at a time


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
        self._lacking = _length(memory_size)

    def read_buffers(self) -> None:
        self._lacking = _length(max(0, self.memory_size - int(self.memory_count)))

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
        pushed, size = len(every), self.memory_size
        early = max(0, pushed - size)  # samples of a huge batch that later ones push out at once
        slot = (self.memory_count + torch.arange(pushed, device=label.device)) % size
        lacking = len(self._lacking) - 2
        entries, entry_labels = self.memory, self.memory_label
        if self.training:
            self.memory_count.add_(pushed)
            self._lacking = _length(max(0, lacking - pushed))
        else:
            entries, entry_labels = entries.clone(), entry_labels.clone()
        entries.index_copy_(0, slot[early:], every.detach()[early:])
        entry_labels.index_copy_(0, slot[early:], labels[early:])
        if lacking > pushed or not len(label):
            return embedding.new_zeros(())
        present = torch.arange(pushed, device=label.device) >= early
        # a sample is an anchor, and the entry in its slot of the memory: gradients of both
        x = every.detach()
        value, as_entry, as_anchor = torch.zeros_like(x[0, 0]), torch.zeros_like(x), torch.zeros_like(x)
        for block in self._blocks(first, first + len(label)):
            term, slope = self._contrast(x[block], labels[block], entries, entry_labels, slot[block], present[block])
            value += term / len(label)
            as_entry += slope.index_select(1, slot).T @ x[block]
            as_anchor[block] = slope @ entries
        return with_gradient(value, every, (as_entry * present[:, None] + as_anchor) / len(label))

    def _blocks(self, first: int, end: int) -> list[slice]:
        """The samples that are contrasted at a time: mostly all, but no more than fit into a processor's cache."""
        rows = max(1, _BLOCK // self.memory_size)
        if end - first <= rows:
            return [slice(first, end)]
        return [slice(start, min(start + rows, end)) for start in range(first, end, rows)]

    @torch.no_grad()
    def _contrast(
        self, embedding: Tensor, label: Tensor, entries: Tensor, entry_labels: Tensor, slot: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The term's sum, and its gradient (n, S) by the products of (n, E) embeddings and (S, E) entries.

        They are computed together, in place, since all that costs are passes over (n, S) numbers; ``slot`` (n,) is each
        sample's own entry, where it is ``present``.
        """
        s = embedding / self.temperature @ entries.T  # n S
        s -= s.amax(1, keepdim=True)
        same = label[:, None] == entry_labels
        own = slot[:, None]
        positive = same.scatter(1, own, same.gather(1, own) & ~present[:, None]).to(s.dtype)
        count = positive.sum(1, keepdim=True).clamp(min=1)
        exp = s.exp()
        negative = torch.where(same, 0, exp)
        exp *= math.exp(-self.margin)
        total = exp + (negative.sum(1, keepdim=True) + _EPS)
        value = (s.neg_().add_(total.log()).mul_(positive).sum(1, keepdim=True) / count).sum()
        weight = positive / total
        # ∂term/∂s: of a positive exp/total − 1, exp with the margin, of a negative exp · Σ 1/total over the positives
        slope = negative.mul_(weight.sum(1, keepdim=True)).addcmul_(exp, weight).sub_(positive)
        return value, slope.div_(count * self.temperature)


def _length(number: int) -> Tensor:
    """A tensor without elements whose length is a number: compiled code takes a module's int for a constant and would
    be compiled anew when it changes, which a tensor's length (but 0 and 1, hence 2 more) may do."""
    return torch.empty(number + 2, 0)
