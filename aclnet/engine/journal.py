"""Losses and norms of iterations, fetched from the device when somebody reads them and not at each step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ['Entry', 'Journal']


class Entry(NamedTuple):
    """What was measured in one iteration.

    Attributes:
        epoch: from 1.
        step: position in the epoch, from 0.
        samples: number of samples of all ranks.
        values: name → value.
    """

    epoch: int
    step: int
    samples: int
    values: dict[str, float]


class Journal:
    """Iterations whose measurements are still on the device, in order."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, int, dict[str, Tensor]]] = []

    def add(self, epoch: int, step: int, samples: int, values: dict[str, Tensor]) -> None:
        """Open the entry of an iteration; ``values`` are scalars, the same on all ranks."""
        self._entries.append((epoch, step, samples, dict(values)))

    def amend(self, **values: Tensor) -> None:
        """Add scalars to the newest entry."""
        if self._entries:
            self._entries[-1][3].update(values)

    def fetch(self) -> list[Entry]:
        """All entries, in one transfer; the journal is empty afterwards."""
        entries, self._entries = self._entries, []
        tensors = [value.detach().float().reshape(()) for *_, values in entries for value in values.values()]
        numbers = iter(torch.stack(tensors).tolist() if tensors else ())
        return [
            Entry(epoch, step, samples, {name: next(numbers) for name in values})
            for epoch, step, samples, values in entries
        ]
