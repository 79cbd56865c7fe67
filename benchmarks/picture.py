"""Figures of the benchmarks against their goals, and the growth of the losses' time, in one picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aclnet.errors import ACLNetError
from aclnet.visualization.canvas import INK, LEFT, MUTED, RIGHT, new_figure, save_figure
from benchmarks.measure import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ['draw']

_SIZES = re.compile(r'both terms, batch (\d+), (\d+) classes, memory (\d+)')
_NAMES = 'batch', 'classes', 'memory'


def draw(rows: list[Row], path: str) -> None:
    """Bars of the figures that have a goal, as multiples of it; below them both terms' times by size, where measured.

    Raises:
        ACLNetError: there is neither, or the file cannot be written.
    """
    with_goal = [row for row in rows if row.reached is not None and _multiple(row) > 0]
    grown = [(tuple(map(int, found.groups())), row.ours) for row in rows if (found := _SIZES.fullmatch(row.name))]
    if not with_goal and not grown:
        raise ACLNetError('there is nothing to draw: no figure has a goal')
    heights = [0.34 * len(with_goal) + 1.0] * bool(with_goal) + [2.6] * bool(grown)
    figure = new_figure(9, sum(heights))
    parts = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if with_goal:
        _bars(parts.pop(0).subplots(), with_goal)
    if grown:
        usual = max({sizes for sizes, _ in grown}, key=lambda one: sum(_apart(one, two) == 1 for two, _ in grown))
        axes = parts[0].subplots(1, 3, sharey=True)
        for place, axis in enumerate(axes):
            axis.set_xlabel(_NAMES[place])
            _growth(
                axis, sorted((s[place], t * 1e3) for s, t in grown if _apart(s, usual) == 0 or _only(s, usual, place))
            )
        axes[0].set_ylabel('both terms, ms')
    save_figure(figure, path)


def _multiple(row: Row) -> float:
    """How many times as good as its goal; 1 is just reached."""
    assert row.reach is not None
    value = row.ours if row.ratio is None else row.ratio
    return row.reach / max(value, 1e-9) if row.lower else value / row.reach


def _bars(axis: Axes, rows: list[Row]) -> None:
    multiples = [_multiple(row) for row in rows]
    axis.barh(
        range(len(rows)),
        [m - 1 for m in multiples],
        left=1,
        color=[RIGHT if row.reached else LEFT for row in rows],
        height=0.65,
    )
    axis.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set_xscale('log')
    axis.set_xlim(min(0.5, *multiples) * 0.9 if len(rows) > 1 else 0.4, max(2.0, *multiples) * 2.2)
    axis.axvline(1, color=INK, linewidth=1)
    axis.set_xlabel('multiple of the goal (line: just reached)')
    for place, (row, multiple) in enumerate(zip(rows, multiples)):
        shown = f'{row.ours:.3g} {row.unit}' if row.ratio is None else f'{row.ratio:.3g} ×'
        axis.text(max(multiple, 1) * 1.06, place, shown, va='center', fontsize=8, color=INK)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)


def _growth(axis: Axes, points: list[tuple[int, float]]) -> None:
    sizes, times = zip(*points)
    axis.loglog(sizes, times, marker='o', color=RIGHT, label='measured')
    axis.loglog(sizes, [times[-1] * size / sizes[-1] for size in sizes], '--', color=MUTED, label='linear')
    axis.legend(fontsize=7, frameon=False)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)


def _apart(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    return sum(a != b for a, b in zip(one, two))


def _only(one: tuple[int, ...], two: tuple[int, ...], place: int) -> bool:
    return _apart(one, two) == 1 and one[place] != two[place]
