"""Samples as a pipeline's leading fixed transforms left them, kept from epoch to epoch within a limit of memory."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from aclnet.errors import ACLNetError, shown

__all__ = ['KEEP_BYTES', 'KeptSamples', 'check_keep_bytes']

KEEP_BYTES = 256 * 2**20  # in each process that loads samples; NTU RGB+D 60 whole would take 2 GiB
_OVERHEAD = 1024  # bytes of a sample's dict and array headers, about


class KeptSamples:
    """Keeps the samples that come first, and no more once ``limit`` is reached: an epoch's order is random, so that
    none is worth more than another. It fills in the process that loads, in each worker on its own.

    Args:
        limit: bytes that all of them may take; 0 keeps nothing.

    Attributes:
        used: bytes that they take.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._full = not limit
        self._samples: dict[int, tuple[dict, tuple[str, ...]]] = {}

    def __getstate__(self) -> dict:
        return KeptSamples(self.limit).__dict__  # what is kept is a matter of each process

    def __len__(self) -> int:
        return len(self._samples)

    def get(self, index: int) -> dict | None:
        """The sample at ``index``, with arrays of its own where they are not the dataset's; None if it isn't kept."""
        kept = self._samples.get(index)
        if kept is None:
            return None
        sample, made = kept
        sample = dict(sample)
        for key in made:
            sample[key] = sample[key].copy()  # for transforms that write into arrays in spite of the rule
        return sample

    def put(self, index: int, sample: dict, annotation: dict) -> None:
        """Keep ``sample`` if there is room; arrays that are still the annotation's, in memory anyway, are shared."""
        if self._full or index in self._samples:
            return
        made = tuple(key for key, value in sample.items() if _is_new(value, annotation.get(key)))
        size = _OVERHEAD + sum(sample[key].nbytes for key in made)
        if self.used + size > self.limit:
            self._full = True
            return
        self._samples[index] = {**sample, **{key: sample[key].copy() for key in made}}, made
        self.used += size


def _is_new(value: Any, original: Any) -> bool:
    return isinstance(value, np.ndarray) and value is not original


def check_keep_bytes(value: Any) -> int:
    """``value`` if it is a whole number from 0 up; raises ``ACLNetError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ACLNetError(f'keep_bytes must be a number of bytes from 0 up, got {shown(value)}')
    return int(value)
