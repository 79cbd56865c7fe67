"""Broken samples: noted by whoever draws them, in a worker perhaps, and reported where the batches arrive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

__all__ = ['NOTES', 'Broken', 'BrokenReport', 'NotingCollate']

NOTES = 'broken'  # key of the notes in a sample that stands in for others


class Broken(NamedTuple):
    """A note on a sample that could not be drawn.

    Attributes:
        identifier: the broken sample.
        reason: the sentence of its error.
        substitute: identifier of the sample that was drawn in its place.
    """

    identifier: str
    reason: str
    substitute: str


class NotingCollate:
    """Makes a ``collate_fn`` that takes the notes out of the samples: samples → (batch, list of ``Broken``).

    Args:
        collate_fn: makes a batch of samples without notes.
    """

    def __init__(self, collate_fn: Callable[[list], Any]) -> None:
        self.collate_fn = collate_fn

    def __call__(self, samples: list) -> tuple[Any, list[Broken]]:
        notes = [note for sample in samples if isinstance(sample, dict) for note in sample.pop(NOTES, ())]
        return self.collate_fn(samples), notes


class BrokenReport:
    """Logs each broken sample once, with the number of them so far.

    Attributes:
        identifiers: the broken samples, as they were first met.
    """

    def __init__(self) -> None:
        self.identifiers: dict[str, None] = {}  # a set that keeps its order

    def add(self, notes: Iterable[Broken]) -> None:
        for note in notes:
            if note.identifier in self.identifiers:
                continue
            self.identifiers[note.identifier] = None
            logging.getLogger('aclnet').warning(
                'sample %s is broken and was replaced by %s (broken samples so far: %d): %s',
                note.identifier,
                note.substitute,
                len(self.identifiers),
                note.reason,
            )
