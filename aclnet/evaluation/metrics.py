"""Accuracies and average precision of a set of scores."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np

from aclnet.errors import ACLNetError, nearest

__all__ = ['average_clips', 'METRICS', 'evaluate', 'mean_average_precision', 'mean_class_accuracy', 'top_k_accuracy']

METRICS = ('top_k_accuracy', 'mean_class_accuracy', 'mean_average_precision')


def top_k_accuracy(
    scores: Sequence | np.ndarray, labels: Sequence | np.ndarray, topk: int | Iterable[int] = (1, 5)
) -> list[float]:
    """Share of samples whose label is among their k highest scores, for each k.

    Args:
        scores: (n, classes), or one array (classes,) per sample.
        labels: (n,) or (n, 1) class indices.
        topk: the k; one above the number of classes counts as that number.

    Equal scores rank as in mmaction and PYSKL, by ``argsort``. Raises ``ACLNetError`` for other shapes, no samples,
    labels outside the classes, or a k below 1.
    """
    scores = _as_scores(scores)
    labels = _as_class_indices(labels, *scores.shape)
    topk = (topk,) if isinstance(topk, (int, np.integer)) else tuple(topk)
    for k in topk:
        if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
            raise ACLNetError(f'topk takes whole numbers of at least 1, got {k!r}')
    ranking = np.argsort(scores, axis=1)[:, ::-1]
    hits = ranking == labels[:, None]
    return [float(hits[:, :k].any(1).mean()) for k in topk]


def mean_class_accuracy(scores: Sequence | np.ndarray, labels: Sequence | np.ndarray) -> float:
    """Top-1 accuracy within each class, averaged over the classes that occur among the labels.

    Args and errors are those of :func:`top_k_accuracy`; of equal scores the lowest class wins.
    """
    scores = _as_scores(scores)
    classes = scores.shape[1]
    labels = _as_class_indices(labels, *scores.shape)
    count = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[scores.argmax(1) == labels], minlength=classes)
    occurs = count > 0
    return float((hits[occurs] / count[occurs]).mean())


def mean_average_precision(scores: Sequence | np.ndarray, labels: Sequence | np.ndarray) -> float:
    """Area under the precision-recall steps of each class, averaged over the classes that have a positive.

    Args:
        scores: (n, classes), or one array (classes,) per sample.
        labels: (n, classes) of zeros and ones; (n,) or (n, 1) class indices are taken as one-hot.

    Samples of equal score enter a class's curve together. Raises ``ACLNetError`` for other shapes, no samples, labels
    other than 0 and 1, or if no class has a positive. Source: the definition that mmaction uses.
    """
    scores = _as_scores(scores)
    n, classes = scores.shape
    labels = np.asarray(labels)
    if labels.shape == scores.shape:
        if not np.isin(labels, (0, 1)).all():
            raise ACLNetError('multi-hot labels must be zeros and ones')
        positive = labels.astype(bool)
    else:
        positive = np.eye(classes, dtype=bool)[_as_class_indices(labels, n, classes)]
    precisions = [_average_precision(scores[:, c], positive[:, c]) for c in range(classes) if positive[:, c].any()]
    if not precisions:
        raise ACLNetError(f'mean average precision needs a positive label; the {n} samples have none')
    return float(np.mean(precisions))


def _average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    order = np.argsort(-scores, kind='stable')
    scores, positive = scores[order], positive[order]
    last_of_equals = np.append(scores[1:] != scores[:-1], True)
    found = np.cumsum(positive)[last_of_equals]
    precision = found / (np.flatnonzero(last_of_equals) + 1)
    recall = found / found[-1]
    return float((np.diff(recall, prepend=0) * precision).sum())


def average_clips(scores: Sequence) -> np.ndarray:
    """(n, classes) scores, from such scores or from those of clips that are kept apart, (n, clips, classes)."""
    scores = np.stack(scores)
    return scores.mean(1) if scores.ndim == 3 else scores


def evaluate(
    scores: Sequence | np.ndarray,
    labels: Sequence | np.ndarray,
    metrics: str | Iterable[str] = ('top_k_accuracy',),
    topk: int | Iterable[int] = (1, 5),
    metric_options: dict | None = None,
) -> OrderedDict[str, float]:
    """Values of several metrics under the keys that logs and ``save_best`` use.

    Args:
        scores: (n, classes), or one array (classes,) per sample.
        labels: (n,) or (n, 1) class indices, or (n, classes) multi-hot for ``mean_average_precision``.
        metrics: names out of ``METRICS``, or one name.
        topk: the k of ``top_k_accuracy``.
        metric_options: ``dict(top_k_accuracy=dict(topk=…))``, as mmaction writes it; goes before ``topk``.

    Returns:
        e.g. ``top1_acc``, ``top5_acc``, ``mean_class_accuracy``, ``mean_average_precision``, in the order asked for.

    Raises:
        ACLNetError: an unknown metric (the nearest is suggested), or what a metric itself refuses.
    """
    metrics = [metrics] if isinstance(metrics, str) else metrics
    if not isinstance(metrics, Iterable) or not (metrics := list(metrics)):
        raise ACLNetError(f'metrics must be a list of at least one of {", ".join(METRICS)}, got {metrics!r}')
    for name in (*metrics, *(metric_options or {})):
        if name not in METRICS:
            raise ACLNetError(f"there is no metric '{name}'{nearest(name, METRICS)} (known: {', '.join(METRICS)})")
    topk = (metric_options or {}).get('top_k_accuracy', {}).get('topk', topk)
    topk = (topk,) if isinstance(topk, (int, np.integer)) else tuple(topk)
    values: OrderedDict[str, float] = OrderedDict()
    for name in metrics:
        if name == 'top_k_accuracy':
            values.update(zip([f'top{k}_acc' for k in topk], top_k_accuracy(scores, labels, topk)))
        elif name == 'mean_class_accuracy':
            values[name] = mean_class_accuracy(scores, labels)
        else:
            values[name] = mean_average_precision(scores, labels)
    return values


def _as_scores(scores: Sequence | np.ndarray) -> np.ndarray:
    if len(scores) == 0:
        raise ACLNetError('there are no samples to evaluate')
    try:
        array = np.asarray(scores)
    except ValueError:
        raise ACLNetError('scores must have the same number of classes for every sample') from None
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in 'fiu':
        raise ACLNetError(f'scores must be numbers of shape (samples, classes), got {array.dtype} {array.shape}')
    return array


def _as_class_indices(labels: Sequence | np.ndarray, n: int, classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape not in ((n,), (n, 1)) or labels.dtype.kind not in 'iu':
        raise ACLNetError(f'labels must be one class index for each of {n} samples, got {labels.dtype} {labels.shape}')
    labels = labels.reshape(n).astype(np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise ACLNetError(
            f'label {labels[wrong[0]]} of sample {wrong[0]} is outside the {classes} classes of the scores'
        )
    return labels
