"""Timing of two sides in one process, in turns, and the rows that come of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ['Row', 'pair', 'single']


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured, e.g. 'training step, batch 16, fp32'.
        ours: seconds (or ``unit``) of the fast path, the median of the repeats.
        literal: the same of the literal formulas; None where there is no other side.
        ratio: median of the ratios literal / ours of each turn; None where there is no other side.
        reach: what the ratio (or ours, where there is none) should reach; None for a figure without a goal.
        floor: the time below which this machine cannot go, by operations or bytes; None where unknown.
        unit: of ours, literal and floor.
        lower: whether a smaller ``ours`` (or ratio, where there is one) is the better one.
        note: what else a reader should know.
    """

    name: str
    ours: float
    literal: float | None = None
    ratio: float | None = None
    reach: float | None = None
    floor: float | None = None
    unit: str = 's'
    lower: bool = False
    note: str = ''

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.reach is None:
            return None
        value = self.ours if self.ratio is None else self.ratio
        return value <= self.reach if self.lower else value >= self.reach


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def pair(
    name: str,
    literal: Callable[[], object],
    ours: Callable[[], object],
    reach: float | None = None,
    repeats: int = 5,
    floor: float | None = None,
    note: str = '',
) -> Row:
    """Time both sides in turns, after one untimed call of each."""
    literal()
    ours()
    turns = [(seconds(literal), seconds(ours)) for _ in range(repeats)]
    theirs, own = (statistics.median(side) for side in zip(*turns))
    ratio = statistics.median(a / b for a, b in turns)
    return Row(name, own, theirs, ratio, reach, floor, note=note)


def single(name: str, run: Callable[[], object], reach: float | None = None, repeats: int = 5, note: str = '') -> Row:
    """Time one side alone, after one untimed call; the goal is a number of seconds not to exceed."""
    run()
    own = statistics.median(seconds(run) for _ in range(repeats))
    return Row(name, own, reach=reach, lower=True, note=note)
