"""L_inter: classes that the network confuses form superclasses, and the contrast inside them is sharpened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from aclnet.errors import ACLNetError
from aclnet.models.losses.state import ContrastiveTerm, full_precision
from aclnet.registry import LOSSES

__all__ = ['InterClassAffinityLoss']

_EPS = 1e-12  # added to norms


@LOSSES.register_module()
class InterClassAffinityLoss(ContrastiveTerm):
    """Contrast a sample with the prototypes of its class's superclass, at a temperature by the superclass's size.

    In training mode every batch moves the prototypes of the classes that it classifies correctly; from ``start_epoch``
    on it counts confusions. After ``start_epoch`` superclasses are rebuilt from the counts at each epoch's first batch,
    and the term is active. In eval mode the same value is computed and nothing is kept.

    Args:
        num_classes: number of classes.
        in_channels: size of the graph embedding, V·V.
        embed_channels: size of the projection ``cl_fc``.
        momentum: share of the old prototype that is kept.
        start_epoch: last epoch (from 1) without the term, and the first that counts confusions.
        num_neighbors: classes that a class is most confused with.
        min_overlap: two classes with more common neighbours than this share a superclass.
        temperatures: (largest size, temperature) in rising order of size; a size of None has no limit.
        sync_memory: whether ranks share prototypes and counts, as one rank with all their samples would have them.

    Shapes: prototypes (classes, embed) float, confusion (classes, classes) int64, superclasses (classes, classes) bool.
    Raises ``ACLNetError`` where ``temperatures`` is not such a table or a number is out of range.
    Source: arXiv 2601.16694.

    Example:
        >>> loss = InterClassAffinityLoss(num_classes=60, in_channels=625)
        >>> loss.set_epoch(1)
        >>> loss(torch.randn(16, 625), torch.randn(16, 60), torch.randint(60, (16,)))
        tensor(0.)
    """

    prototypes: Tensor
    confusion: Tensor
    superclass_mask: Tensor
    superclass_epoch: Tensor
    current_epoch: Tensor  # the epoch on the device; not in checkpoints

    counters = ('superclass_epoch', 'superclass_mask')

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        embed_channels: int = 256,
        momentum: float = 0.9,
        start_epoch: int = 30,
        num_neighbors: int = 10,
        min_overlap: int = 4,
        temperatures: Sequence[tuple[int | None, float]] = ((10, 0.1), (20, 0.5), (None, 1.0)),
        sync_memory: bool = True,
    ) -> None:
        super().__init__(in_channels, embed_channels, sync_memory)
        whole = dict(start_epoch=start_epoch, num_neighbors=num_neighbors, min_overlap=min_overlap)
        for name, value in whole.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise ACLNetError(f'{name} of InterClassAffinityLoss must be a whole number, got {value!r}')
        if num_classes < 1 or num_neighbors < 1 or not 0 <= momentum <= 1:
            raise ACLNetError(
                'InterClassAffinityLoss needs num_classes ≥ 1, num_neighbors ≥ 1 and momentum in [0, 1], '
                f'got {num_classes}, {num_neighbors} and {momentum}'
            )
        self.num_classes = num_classes
        self.momentum = momentum
        self.start_epoch = start_epoch
        self.num_neighbors = min(num_neighbors, num_classes)
        self.min_overlap = min_overlap
        self.temperatures = _checked(temperatures)
        self.register_buffer('prototypes', torch.randn(num_classes, embed_channels))
        self.register_buffer('confusion', torch.zeros(num_classes, num_classes, dtype=torch.int64))
        self.register_buffer('superclass_mask', torch.zeros(num_classes, num_classes, dtype=torch.bool))
        self.register_buffer('superclass_epoch', torch.zeros((), dtype=torch.int64))
        self.register_buffer('current_epoch', torch.ones((), dtype=torch.int64), persistent=False)
        self.epoch = 1
        self._built_before = 0  # the epoch that superclasses were built in, if they are not this one's
        self._fresh = False  # whether they were built in this epoch
        self.set_epoch(1)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch (from 1) the next batches belong to; saying it again changes nothing."""
        self._note(int(epoch), self.epoch if self._fresh else self._built_before)

    def read_buffers(self) -> None:
        self._note(self.epoch, int(self.superclass_epoch))

    def _note(self, epoch: int, built_in: int) -> None:
        """Keep the epoch and what follows from it; compiled code reads that, as it takes numbers for constants."""
        self.epoch, self._built_before = epoch, built_in
        self.current_epoch.fill_(epoch)
        self._active = epoch > self.start_epoch
        self._fresh = built_in == epoch
        self._built = built_in > 0

    @property
    def superclasses(self) -> Tensor | None:
        """(classes, classes) bool, row i the members of class i's superclass; None before they were first built."""
        return self.superclass_mask if self._built else None

    @full_precision
    def forward(self, features: Tensor, cls_score: Tensor, label: Tensor) -> Tensor:
        """Mean of the term over this rank's samples.

        Args:
            features: (n, in_channels) graph embeddings.
            cls_score: (n, classes) logits; no gradient flows into them.
            label: (n,) or (n, 1) class indices.

        Returns:
            A scalar; a constant 0, without a gradient, up to and including ``start_epoch``.
        """
        label = label.reshape(-1)
        embedding = self.cl_fc(features)
        predicted = cls_score.detach().argmax(1)
        first, (every, labels, guesses) = self.gather(embedding, label, predicted)
        if self.training:
            self._count_confusions(labels, guesses)
        prototypes = self._moved_prototypes(every, labels, guesses)
        if self.training:
            self.prototypes.copy_(prototypes.detach())
        if not self._active:
            return embedding.new_zeros(())
        if self.training and not self._fresh:
            self._rebuild_superclasses()
        if not self._built or not len(label):
            return embedding.new_zeros(())
        return self._contrast(embedding, label, prototypes)

    def _count_confusions(self, label: Tensor, predicted: Tensor) -> None:
        wrong = ((predicted != label) & (self.current_epoch >= self.start_epoch)).to(torch.int64)
        met = torch.zeros(self.num_classes, dtype=torch.int64, device=label.device).index_add_(
            0, label, torch.ones_like(label)
        )
        flat = self.confusion.view(-1)
        flat.index_add_(0, label * self.num_classes + predicted, wrong)
        # a class counts its intruders once for every sample of its own in the batch
        flat.index_add_(0, predicted * self.num_classes + label, wrong * met[predicted])

    def _moved_prototypes(self, embedding: Tensor, label: Tensor, predicted: Tensor) -> Tensor:
        classes = torch.arange(self.num_classes, device=label.device)
        members = ((classes[:, None] == label) & (predicted == label)).to(embedding.dtype)  # (classes, n)
        count = members.sum(1, keepdim=True)
        mean = members @ embedding / count.clamp(min=1)
        old = self.prototypes
        return torch.where(count > 0, self.momentum * old + (1 - self.momentum) * mean, old)

    def _rebuild_superclasses(self) -> None:
        # one whole number ranks a class: its count, and where counts are equal its index
        index = torch.arange(self.num_classes, device=self.confusion.device)
        step = 1 << (self.num_classes - 1).bit_length()
        width = max(self.num_classes, 64 * self.num_neighbors)  # from there on topk takes a heap, twice as fast
        rank = torch.add(-index, self.confusion, alpha=step)
        rank = F.pad(rank, (0, width - self.num_classes), value=-self.num_classes)
        nearest = rank.topk(self.num_neighbors, dim=1).indices
        # row j of having: the classes that have j for a neighbour; sums of such rows count what two classes share
        having = torch.zeros_like(self.superclass_mask, dtype=torch.float32).scatter_(0, nearest.T, 1)
        shared = F.embedding_bag(nearest, having, mode='sum')
        torch.gt(shared, self.min_overlap, out=self.superclass_mask)
        self.superclass_mask.fill_diagonal_(False).scatter_(1, nearest, True)
        self.superclass_epoch.copy_(self.current_epoch)
        self._fresh = self._built = True

    def _contrast(self, embedding: Tensor, label: Tensor, prototypes: Tensor) -> Tensor:
        members = self.superclass_mask[label]  # (n, classes)
        size = members.sum(1)
        *limited, (_, last) = self.temperatures
        temperature = embedding.new_full(size.shape, last)
        for limit, value in reversed(limited):
            temperature = temperature.masked_fill(size <= limit, value)
        cosine = _unit(embedding) @ _unit(prototypes).T
        logits = cosine / temperature[:, None]
        own = logits.gather(1, label[:, None])
        # the class itself heads the list, and stands in it again where its superclass holds it
        listed = torch.cat([own, logits.masked_fill(~members, float('-inf'))], 1)
        return (listed.logsumexp(1) - own[:, 0]).mean()


def _unit(x: Tensor) -> Tensor:
    return x / (x.norm(dim=1, keepdim=True) + _EPS)


def _checked(rows: Sequence[tuple[int | None, float]]) -> tuple[tuple[Any, float], ...]:
    """The table of temperatures, or an error that shows what one looks like."""
    try:
        limits: list[Any] = [row[0] for row in rows]
        values = [float(row[1]) for row in rows]
        good = limits[-1] is None and all(value > 0 for value in values) and sorted(limits[:-1]) == limits[:-1]
    except (TypeError, ValueError, IndexError):
        good = False
    if not good:
        raise ACLNetError(
            'temperatures must be rows (largest size, temperature > 0) of rising size, the last with size '
            f'None, such as ((10, 0.1), (20, 0.5), (None, 1.0)); got {rows!r}'
        )
    return tuple(zip(limits, values))
