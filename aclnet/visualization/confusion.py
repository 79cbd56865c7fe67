"""The confusion matrix: which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aclnet.errors import ACLNetError
from aclnet.visualization.canvas import INK, MUTED, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['confusion_matrix', 'draw_confusion']

_NUMBERS_UP_TO, _NAMES_UP_TO, _MISTAKES = 40, 130, 8


def confusion_matrix(scores: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """(classes, classes) counts: row the true class, column the one with the highest score.

    Args:
        scores: (n, classes).
        labels: (n,) class indices.

    Raises:
        ACLNetError: other numbers of scores and labels, several labels per sample, or a label without a score.
    """
    truth = np.asarray(labels)
    if truth.ndim != 1 or truth.shape[0] != scores.shape[0]:
        raise ACLNetError(
            f'a confusion matrix takes one label per sample, got labels of shape {truth.shape} for '
            f'{scores.shape[0]} samples'
        )
    classes = scores.shape[1]
    if truth.size and not 0 <= truth.min() <= truth.max() < classes:
        raise ACLNetError(f'labels go from {truth.min()} to {truth.max()}, but the scores have {classes} classes')
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, scores.argmax(1)), 1)
    return counts


def draw_confusion(
    scores: np.ndarray, labels: Sequence[int], names: Sequence[str] | None = None, title: str = 'Confusion matrix'
) -> Figure:
    """Per cent of each true class (row) that was taken for each class (column), and the most frequent mistakes.

    Args:
        scores: (n, classes).
        labels: (n,) class indices.
        names: of the classes; their numbers from 1 if None.
        title: stands above, before the accuracy.

    Raises:
        ACLNetError: see :func:`confusion_matrix`; other numbers of names and classes.
    """
    counts = confusion_matrix(np.asarray(scores), labels)
    classes = len(counts)
    names = class_names(names, classes)
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(max(4.5, 0.42 * classes), 16)
    figure = new_figure(side + 4.2, side + 0.8)
    matrix, mistakes = figure.subplots(1, 2, width_ratios=(side, 2.4))
    matrix.imshow(share, cmap='Blues', vmin=0, vmax=100, aspect='equal')
    if classes <= _NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(counts)):
            value = share[row, column]
            colour = 'white' if value > 55 else INK
            matrix.text(column, row, f'{value:.0f}', ha='center', va='center', fontsize=8, color=colour)
    size = 9 if classes <= _NUMBERS_UP_TO else 5
    if classes <= _NAMES_UP_TO:
        matrix.set_xticks(range(classes), names, rotation=45, ha='right', rotation_mode='anchor', fontsize=size)
        matrix.set_yticks(range(classes), names, fontsize=size)
    matrix.set_xlabel('taken for', color=MUTED)
    matrix.set_ylabel('true class', color=MUTED)
    matrix.spines[:].set_visible(False)
    matrix.tick_params(length=0)
    total = max(int(counts.sum()), 1)
    figure.suptitle(f'{title}: {100 * np.trace(counts) / total:.1f} % of {total:,} clips right', color=INK)
    _list_mistakes(mistakes, counts, share, names)
    return figure


def class_names(names: Sequence[str] | None, classes: int) -> list[str]:
    """The names, or numbers from 1 (as the data sets count their classes) where there are none."""
    if names is None:
        return [str(number) for number in range(1, classes + 1)]
    if len(names) != classes:
        raise ACLNetError(f'there are {classes} classes but {len(names)} names')
    return list(names)


def _list_mistakes(axes: Axes, counts: np.ndarray, share: np.ndarray, names: list[str]) -> None:
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind='stable')[:_MISTAKES]
    lines = [
        f'{share[row, column]:.0f} %  {names[row]}\n          → {names[column]}'
        for row, column in zip(*np.unravel_index(order, wrong.shape))
        if wrong[row, column]
    ]
    axes.axis('off')
    axes.text(0, 1, 'Most frequent mistakes', va='top', fontsize=10, color=INK, weight='bold', transform=axes.transAxes)
    text = '\n\n'.join(lines) if lines else 'none'
    axes.text(0, 0.94, text, va='top', fontsize=9, color=INK, linespacing=1.3, transform=axes.transAxes)
