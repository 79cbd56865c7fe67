"""Superclasses: the classes that the network confuses, and that the affinity term therefore pulls apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from aclnet.visualization.canvas import INK, MUTED, new_figure
from aclnet.visualization.confusion import class_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['draw_superclasses', 'order_of_likeness']

_TIGHT, _MIDDLE, _LOOSE = '#d1603d', '#e0b050', '#2f6f9f'


def draw_superclasses(
    superclasses: np.ndarray,
    confusion: np.ndarray,
    temperatures: Sequence[tuple[int | None, float]],
    names: Sequence[str] | None = None,
) -> Figure:
    """On the left a circle of classes, a chord where two confuse; on the right every class's superclass, a row each.

    Args:
        superclasses: (classes, classes) bool, row i the members of class i's superclass.
        confusion: (classes, classes) counts of confusions during training.
        temperatures: the loss's table, rows (largest size, temperature).
        names: of the classes; their numbers from 1 if None.

    Raises:
        ACLNetError: other numbers of names and classes.
    """
    names = class_names(names, len(superclasses))
    order = order_of_likeness(confusion)
    side = min(max(6.0, 0.34 * len(names)), 14)
    figure = new_figure(2 * side + 1.6, side + 1.2)
    circle, matrix = figure.subplots(1, 2)
    _draw_circle(circle, superclasses, confusion, temperatures, names, order)
    _draw_members(matrix, superclasses, confusion, names, order)
    return figure


def order_of_likeness(confusion: np.ndarray) -> np.ndarray:
    """(classes,) an order in which classes that are often confused stand beside each other."""
    affinity = _affinity(confusion)
    if len(affinity) < 3:
        return np.arange(len(affinity))
    distance = affinity.max() - affinity
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance, checks=False), 'average', optimal_ordering=True))


def _affinity(confusion: np.ndarray) -> np.ndarray:
    both = np.log1p((confusion + confusion.T).astype(np.float64))
    np.fill_diagonal(both, 0)
    return both


def _draw_circle(
    axes: Axes,
    superclasses: np.ndarray,
    confusion: np.ndarray,
    temperatures: Sequence[tuple[int | None, float]],
    names: list[str],
    order: np.ndarray,
) -> None:
    from matplotlib.patches import FancyArrowPatch

    turn = np.empty(len(order))
    turn[order] = 2 * np.pi * np.arange(len(order)) / len(order)
    place = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    affinity = _affinity(confusion)
    strongest = max(affinity.max(), 1e-9)
    for one, other in zip(*np.nonzero(np.triu(superclasses & superclasses.T, 1) & (affinity > 0))):
        weight = affinity[one, other] / strongest
        gap = np.linalg.norm(place[one] - place[other])
        (x, y), (u, v) = place[one], place[other]
        bend = np.copysign(0.28, x * v - y * u) if gap < 1.9 else 0.0  # chords bend towards the middle
        axes.add_patch(
            FancyArrowPatch(
                place[one], place[other], connectionstyle=f'arc3,rad={bend}', arrowstyle='-',
                linewidth=0.4 + 4 * weight**3, color=INK, alpha=0.08 + 0.7 * weight**2, zorder=1,
            )
        )  # fmt: skip
    size = superclasses.sum(1)
    heat = np.array([next(t for limit, t in temperatures if limit is None or n <= limit) for n in size])
    known = [t for _, t in temperatures]
    palette = {t: [_TIGHT, _MIDDLE, _LOOSE][min(i, 2)] for i, t in enumerate(sorted(set(known)))}
    radius = np.clip(700 / len(names), 12, 70)
    for temperature in sorted(set(heat)):
        chosen = heat == temperature
        axes.scatter(
            place[chosen, 0], place[chosen, 1], s=radius, color=palette[temperature], zorder=2, edgecolor='white',
            label=f'τ {temperature:g}: superclass of {_span(size[chosen])}',
        )  # fmt: skip
    font = 10 if len(names) <= 40 else 5
    for name, angle, (x, y) in zip(names, np.rad2deg(turn), place):
        flip = 90 < angle < 270
        axes.text(
            1.06 * x, 1.06 * y, name, rotation=angle + 180 * flip, rotation_mode='anchor', fontsize=font,
            ha='right' if flip else 'left', va='center', color=INK,
        )  # fmt: skip
    axes.set(xlim=(-1.75, 1.75), ylim=(-1.75, 1.75), aspect='equal')
    axes.axis('off')
    axes.legend(loc='lower center', ncols=3, frameon=False, fontsize=9, bbox_to_anchor=(0.5, -0.04))
    axes.set_title('Classes that training confused; a thicker line, more often', fontsize=11, color=INK)


def _span(sizes: np.ndarray) -> str:
    low, high = sizes.min(), sizes.max()
    return f'{low}' if low == high else f'{low} to {high}'


def _draw_members(
    axes: Axes, superclasses: np.ndarray, confusion: np.ndarray, names: list[str], order: np.ndarray
) -> None:
    counts = np.log1p(confusion[np.ix_(order, order)].astype(np.float64))
    axes.imshow(counts, cmap='Oranges', vmin=0, vmax=max(counts.max(), 1))
    rows, columns = np.nonzero(superclasses[np.ix_(order, order)])
    dots = np.clip(300 / len(names), 1.5, 16)
    axes.scatter(columns, rows, s=dots, color=INK, marker='s', linewidth=0)
    ordered = [names[index] for index in order]
    font = 9 if len(names) <= 40 else 4
    axes.set_xticks(range(len(names)), ordered, rotation=45, ha='right', rotation_mode='anchor', fontsize=font)
    axes.set_yticks(range(len(names)), ordered, fontsize=font)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("A row: the members (dots) of one class's superclass, on its confusions", fontsize=11, color=INK)
    axes.set_xlabel('classes, in an order of likeness', color=MUTED)
