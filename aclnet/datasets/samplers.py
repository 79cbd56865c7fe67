"""Which samples an epoch shows, in which order, and on which rank: independent of the number of ranks and workers."""

from __future__ import annotations

import abc
from collections.abc import Iterator

import numpy as np

from aclnet.datasets.base import Dataset, SampleKey, check_seed
from aclnet.errors import ACLNetError

__all__ = ['EpochBatchSampler', 'OnceBatchSampler']

_ORDER, _EXTRA = 1, 2  # spawn keys that keep these draws apart from those of samples


class _BatchSampler(abc.ABC):
    """What both samplers share: sizes, rank and epoch."""

    def __init__(self, dataset: Dataset, batch_size: int, num_replicas: int, rank: int) -> None:
        for name, value in (('batch_size', batch_size), ('num_replicas', num_replicas)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ACLNetError(f'{name} must be a whole number from 1 up, got {value!r}')
        if not 0 <= rank < num_replicas:
            raise ACLNetError(f'rank must be from 0 to {num_replicas - 1}, got {rank!r}')
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.num_replicas = int(num_replicas)
        self.rank = int(rank)
        self.epoch = 1
        self.start = 0  # the batch, from 0, that the next iteration begins with

    @property
    def total_batch(self) -> int:
        """Samples that all ranks take in a step, the last one apart."""
        return self.batch_size * self.num_replicas

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, counted from 1, that the next iteration goes through, and the batch it begins with."""
        self.epoch, self.start = int(epoch), int(start)

    @abc.abstractmethod
    def __len__(self) -> int:
        """Number of this rank's batches."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[list[SampleKey]]:
        """This rank's batches."""


class EpochBatchSampler(_BatchSampler):
    """Batches for training: n ranks of batch b together go through the batches of one rank of batch n·b.

    Step t takes the positions [t·n·b, (t+1)·n·b) of the epoch's order, rank r the r-th block of b of them. The samples
    of a short last step are dealt out in blocks as even as possible; were they fewer than ranks, they are topped up
    from the epoch's beginning, so that every rank takes every step.

    A sample of weight w (``dataset.weights``) occurs ⌊w⌋ times in an epoch, and ⌊frac(w) · n⌋ of the n samples of its
    class, chosen anew each epoch, once more.

    Args:
        dataset: what is sampled.
        batch_size: samples per rank and step, b.
        shuffle: whether each epoch has an order of its own; else the order is the dataset's, repeats at the end.
        seed: with the epoch, it alone decides order and repeats; None takes the dataset's.
        drop_last: whether to leave out a short last step.
        num_replicas: number of ranks n.
        rank: this one, from 0.
        shards_at_once: for data larger than memory, how many shards of a packed store the samples of a stretch of the
            epoch come from: shards are drawn in random order, and the samples of so many of them mixed. None mixes all;
            where the data are no store, so does any number.

    Raises ``ACLNetError`` where an argument is wrong, or an epoch would have no sample.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        shuffle: bool = True,
        seed: int | None = None,
        drop_last: bool = False,
        num_replicas: int = 1,
        rank: int = 0,
        shards_at_once: int | None = None,
    ) -> None:
        super().__init__(dataset, batch_size, num_replicas, rank)
        whole = isinstance(shards_at_once, (int, np.integer)) and not isinstance(shards_at_once, bool)
        if shards_at_once is not None and not (whole and shards_at_once > 0):
            raise ACLNetError(f'shards_at_once must be a whole number from 1 up, or None, got {shards_at_once!r}')
        self.shards_at_once = shards_at_once
        self.shuffle = shuffle
        self.seed = check_seed(getattr(dataset, 'seed', 0) if seed is None else seed)
        self.drop_last = drop_last
        self._certain, self._groups = _repeats(dataset)
        self._total = int(self._certain.sum()) + sum(count for _, count in self._groups)
        if len(self) == 0:
            step = self.total_batch
            raise ACLNetError(
                f'an epoch has {self._total} samples, which is not one step of {step}; '
                'lower the batch size or leave out drop_last'
                if self._total
                else 'class_prob leaves an epoch without samples; raise it'
            )

    def __len__(self) -> int:
        step = self.total_batch
        return self._total // step if self.drop_last else -(-self._total // step)

    def order(self) -> np.ndarray:
        """(total, 2) int64: index and draw of everything that the epoch shows, in order, the same on all ranks."""
        repeats = self._certain.copy()
        extra = _rng(self.seed, self.epoch, _EXTRA)
        for members, count in self._groups:
            repeats[extra.permutation(members)[:count]] += 1
        index = np.repeat(np.arange(len(repeats)), repeats)
        occurrence = np.arange(len(index)) - np.repeat(repeats.cumsum() - repeats, repeats)
        draw = np.sort(occurrence * len(repeats) + index)  # one pass through the dataset after the other
        if self.shuffle:
            rng = _rng(self.seed, self.epoch, _ORDER)
            draw = rng.permutation(draw)
            shards = None if self.shards_at_once is None else self.dataset.shards
            if shards is not None:
                _, shard = np.unique(shards, return_inverse=True)  # from 0 on, without gaps
                window = rng.permutation(shard.max() + 1) // self.shards_at_once
                draw = draw[np.argsort(window[shard[draw % len(repeats)]], kind='stable')]
        return np.stack([draw % len(repeats), draw], axis=1)

    def step(self, position: int) -> list[list[SampleKey]]:
        """What each rank takes in the epoch's step ``position``, counted from 0."""
        return self._step(self.order(), position)

    def _step(self, order: np.ndarray, position: int) -> list[list[SampleKey]]:
        block = order[position * self.total_batch : (position + 1) * self.total_batch]
        if len(block) < self.num_replicas:
            block = np.concatenate([block, np.resize(order, (self.num_replicas - len(block), 2))])
        return [
            [SampleKey(self.epoch, index, draw) for index, draw in part.tolist()]
            for part in np.array_split(block, self.num_replicas)
        ]

    def sizes(self, position: int) -> list[int]:
        """How many samples each rank takes in the epoch's step ``position``, counted from 0."""
        left = min(self.total_batch, max(self._total - position * self.total_batch, self.num_replicas))
        whole, more = divmod(left, self.num_replicas)
        return [whole + (rank < more) for rank in range(self.num_replicas)]

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order = self.order()
        for position in range(self.start, len(self)):
            yield self._step(order, position)[self.rank]


class OnceBatchSampler(_BatchSampler):
    """Batches for validation and test: every sample exactly once, in order, each rank a block of the dataset.

    Ranks may differ by one sample, and have none where there are fewer samples than ranks.

    Args:
        dataset: what is sampled.
        batch_size: samples per batch.
        num_replicas: number of ranks.
        rank: this one, from 0.
    """

    def __init__(self, dataset: Dataset, batch_size: int, num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, batch_size, num_replicas, rank)
        self.epoch = 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Validation and test are the same in every epoch."""

    def indices(self, rank: int | None = None) -> list[int]:
        """Positions in the dataset that a rank (None: this one) goes through, in order."""
        blocks = np.array_split(np.arange(len(self.dataset)), self.num_replicas)
        return blocks[self.rank if rank is None else rank].tolist()

    def __len__(self) -> int:
        return -(-len(self.indices()) // self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        mine = self.indices()
        for start in range(0, len(mine), self.batch_size):
            yield [SampleKey(0, index, index) for index in mine[start : start + self.batch_size]]


def _rng(seed: int, epoch: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((seed, epoch), spawn_key=(purpose,)))


def _repeats(dataset: Dataset) -> tuple[np.ndarray, list[tuple[np.ndarray, int]]]:
    """Certain repeats (N,) of every sample, and (samples of a class, how many of them occur once more)."""
    weights = getattr(dataset, 'weights', None)
    if weights is None:
        return np.ones(len(dataset), np.int64), []
    certain = np.floor(weights + 1e-9).astype(np.int64)
    chance = np.maximum(weights - certain, 0)
    groups = []
    for label, share in sorted(set(zip(dataset.labels.tolist(), chance.tolist()))):
        members = np.flatnonzero((dataset.labels == label) & (chance == share))
        count = int(share * len(members) + 1e-9)
        if count:
            groups.append((members, count))
    return certain, groups
