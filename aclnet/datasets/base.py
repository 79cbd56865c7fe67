"""What all datasets share: keys that say which draw of which sample in which epoch, and the randomness they imply."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from aclnet.datasets.broken import NOTES, Broken
from aclnet.errors import ACLNetError

__all__ = ['Dataset', 'SampleKey', 'check_seed']

_SUBSTITUTE = 3  # spawn key that keeps the choice of substitutes apart from other draws, see samplers.py too
_TRIES = 8  # substitutes for one sample; where they all fail, the fault is hardly the samples'


class SampleKey(NamedTuple):
    """What a sampler asks a dataset for.

    Attributes:
        epoch: training epoch, counted from 1.
        index: position in the dataset.
        draw: what makes repeats of one index differ: ``index`` plus the dataset's length for each earlier repeat.
    """

    epoch: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which has no use here
    draw: int


class Dataset(abc.ABC):
    """Base of the datasets. Works as a torch map-style dataset; ``dataset[key]`` takes a ``SampleKey``,
    (epoch, index), or a plain index, which is taken in ``self.epoch``.

    A sample's randomness is ``numpy.random.default_rng((seed, epoch, draw))``, made by the outermost dataset, whatever
    the number of workers or ranks; in test mode the epoch is 0.

    A sample whose ``get`` raises ``ACLNetError`` is broken. In training another sample, chosen and drawn by the
    randomness of the broken one, stands in for it and carries notes of it under the key ``broken``, which loaders take
    out and log. In test mode, where ``strict``, and where 8 substitutes are broken as well, the error is raised.

    Attributes:
        seed: first part of every sample's seed.
        epoch: epoch of plain indices.
        test_mode: whether samples are drawn as in validation and test.
        strict: whether a broken sample is an error in training too.
        labels: (N,) int64 classes, or (N, classes) float32 where samples may have several.
        identifiers: N names.
        num_classes: number of classes.
        weights: (N,) how often a training epoch shows each sample on average; None is once each.
        shards: (N,) number of the file that each sample lies in; None where all are in memory.
    """

    seed: int = 0
    epoch: int = 0
    test_mode: bool = False
    strict: bool = False
    labels: np.ndarray
    identifiers: Sequence[str]
    num_classes: int
    weights: np.ndarray | None = None

    @property
    def shards(self) -> np.ndarray | None:
        return None

    @abc.abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abc.abstractmethod
    def get(self, index: int, rng: np.random.Generator) -> dict:
        """The sample at ``index`` (0 ≤ index < len), all its randomness drawn from ``rng``."""

    def __getitem__(self, key: SampleKey | Sequence[int] | int) -> dict:
        epoch, index, draw = self._resolve(key)
        seed = (check_seed(self.seed), 0 if self.test_mode else epoch, draw)
        try:
            return self.get(index, _generator(seed))
        except ACLNetError as error:
            if self.test_mode or self.strict:
                raise
            return self._substitute(index, seed, error)

    def _substitute(self, index: int, seed: tuple[int, ...], error: ACLNetError) -> dict:
        """A sample in place of the one at ``index``, which gave ``error``, with notes of all that were broken."""
        broken = [(self.identifiers[index], str(error))]
        for other in self.substitutes(index, seed):
            try:
                sample = self.get(other, _generator(seed))
            except ACLNetError as again:
                broken.append((self.identifiers[other], str(again)))
                continue
            sample[NOTES] = [Broken(name, reason, self.identifiers[other]) for name, reason in broken]
            return sample
        raise error

    def substitutes(self, index: int, seed: tuple[int, ...]) -> list[int]:
        """Other samples in random order, by the weights that an epoch gives them."""
        weights = np.ones(len(self)) if self.weights is None else np.array(self.weights, np.float64)
        weights[index] = 0
        others = np.flatnonzero(weights)
        if not len(others):
            return []
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SUBSTITUTE,)))
        chance = weights[others] / weights.sum()
        return rng.choice(others, min(_TRIES, len(others)), replace=False, p=chance).tolist()

    def __iter__(self) -> Iterator[dict]:
        return (self[index] for index in range(len(self)))

    def _resolve(self, key: Any) -> tuple[int, int, int]:
        draw = None
        if isinstance(key, (int, np.integer)):
            epoch, index = self.epoch, int(key)
        elif isinstance(key, tuple) and len(key) in (2, 3) and all(isinstance(part, (int, Integral)) for part in key):
            epoch, index, *rest = map(int, key)
            draw = rest[0] if rest else None
        else:
            raise TypeError(f'a sample is asked for by SampleKey, (epoch, index) or index, got {key!r}')
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is beyond the {len(self)} samples of the dataset')
        index %= len(self)
        return epoch, index, index if draw is None else draw


def _generator(seed: tuple[int, ...]) -> np.random.Generator:
    """``numpy.random.default_rng(seed)``, made a little faster where its parts fit into words."""
    return np.random.default_rng(np.array(seed, np.uint32) if max(seed) < 2**32 else seed)


def check_seed(seed: Any) -> int:
    """``seed`` if it is a whole number from 0 up; raises ``ACLNetError`` otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, (int, Integral)) or seed < 0:
        raise ACLNetError(f'seed must be a whole number from 0 up, got {seed!r}')
    return int(seed)
