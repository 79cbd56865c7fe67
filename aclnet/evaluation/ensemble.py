"""Fusing the scores of several streams, once it is sure that they speak of the same samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aclnet.errors import ACLNetError, nearest
from aclnet.evaluation.labels import read_labels, split_of_config
from aclnet.evaluation.metrics import evaluate
from aclnet.evaluation.score_files import load_scores, save_scores

__all__ = ['FUSIONS', 'Fusion', 'Report', 'ScoreSet', 'align', 'ensemble', 'fuse', 'published_weight']

STREAMS = ('j', 'b', 'k', 'jm', 'bm', 'km')
FUSIONS = (('j', 'b'), ('j', 'b', 'jm', 'bm'), STREAMS)


@dataclass
class ScoreSet:
    """Scores of one stream.

    Attributes:
        name: the stream, e.g. 'j'.
        scores: (n, classes).
        identifiers: one per sample, or None where unknown; the order is then trusted.
        labels: one per sample, or None where unknown.
    """

    name: str
    scores: np.ndarray
    identifiers: list[str] | None = None
    labels: list[int] | None = None


@dataclass
class Fusion:
    """One line of a report: the streams, their weights, and the values of the metrics."""

    streams: tuple[str, ...]
    weights: tuple[float, ...]
    values: dict[str, float]

    @property
    def name(self) -> str:
        weights = f' {":".join(f"{w:g}" for w in self.weights)}' if len(self.streams) > 1 else ''
        return '+'.join(self.streams) + weights


@dataclass
class Report:
    """What :func:`ensemble` found; ``str()`` is the table that the tool prints."""

    title: str
    num_samples: int
    rows: list[Fusion]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict:
        rows = [dict(streams=list(r.streams), weights=list(r.weights), **r.values) for r in self.rows]
        return dict(title=self.title, num_samples=self.num_samples, results=rows, notes=self.notes)

    def __str__(self) -> str:
        keys = list(self.rows[0].values)
        width = max(len(row.name) for row in self.rows)
        lines = [
            f'{self.title}: {self.num_samples} samples, per cent',
            ' ' * width + ''.join(f'  {key}' for key in keys),
        ]
        for row in self.rows:
            cells = ''.join(f'  {100 * value:{len(key)}.2f}' for key, value in row.values.items())
            lines.append(f'{row.name:<{width}}{cells}')
        return '\n'.join([*lines, *(f'note: {note}' for note in self.notes)])


def published_weight(stream: str) -> float:
    """Weight of a stream in the published fusions: 2 for j, b and k, 1 for their motion (and any other)."""
    return 2.0 if stream in ('j', 'b', 'k') else 1.0


def align(sets: Sequence[ScoreSet]) -> list[ScoreSet]:
    """The same sets with every one's samples in the first identified one's order.

    A set without identifiers keeps its order. Raises ``ACLNetError``, naming the first sample at fault, where sets
    have other samples, other labels for one sample, or other numbers of samples or classes.
    """
    if not sets:
        raise ACLNetError('there are no scores to fuse')
    lead = next((s for s in sets if s.identifiers is not None), sets[0])
    aligned = []
    for one in sets:
        if one.scores.shape[1:] != lead.scores.shape[1:]:
            raise ACLNetError(
                f"streams '{lead.name}' and '{one.name}' have {lead.scores.shape[1]} and "
                f'{one.scores.shape[1]} classes: they are scores of different data sets'
            )
        mine, wanted = one.identifiers, lead.identifiers
        if mine is not None and wanted is not None and list(mine) != list(wanted):
            one = _reordered(one, mine, lead, wanted)
        if len(one.scores) != len(lead.scores):
            raise ACLNetError(
                f"streams '{lead.name}' and '{one.name}' have {len(lead.scores)} and {len(one.scores)} "
                'samples: they are scores of different splits'
            )
        aligned.append(one)
    labelled = [(one.name, one.labels) for one in aligned if one.labels is not None]
    for name, labels in labelled[1:]:
        first, known = labelled[0]
        for index, (expected, found) in enumerate(zip(known, labels)):
            if not np.array_equal(expected, found):
                sample = lead.identifiers[index] if lead.identifiers is not None else f'number {index}'
                raise ACLNetError(
                    f"sample {sample} has label {expected} in stream '{first}' but {found} in stream '{name}'"
                )
    return aligned


def _reordered(one: ScoreSet, mine: list[str], lead: ScoreSet, wanted: list[str]) -> ScoreSet:
    place = {identifier: index for index, identifier in enumerate(mine)}
    expected = set(wanted)
    for missing, there, absent in ((wanted, lead, one), (mine, one, lead)):
        known = place if absent is one else expected
        for identifier in missing:
            if identifier not in known:
                raise ACLNetError(f"sample {identifier} is in stream '{there.name}' but not in stream '{absent.name}'")
    for who, names in ((one, mine), (lead, wanted)):
        if len(set(names)) != len(names):
            raise ACLNetError(
                f"stream '{who.name}' lists a sample twice, so that its order cannot be matched with "
                f"stream '{(lead if who is one else one).name}'"
            )
    order = [place[identifier] for identifier in wanted]
    labels = None if one.labels is None else [one.labels[index] for index in order]
    return ScoreSet(one.name, one.scores[order], list(wanted), labels)


def fuse(scores: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Weighted sum of score arrays of equal shape, in float64. Raises ``ACLNetError`` for other numbers of weights."""
    if len(scores) != len(weights):
        raise ACLNetError(f'{len(scores)} streams need as many weights, got {len(weights)}')
    return np.sum([weight * np.asarray(array, np.float64) for array, weight in zip(scores, weights)], axis=0)


def ensemble(
    dataset: str | os.PathLike = 'ntu60_xsub',
    work_dirs: str | os.PathLike = 'work_dirs',
    streams: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    file_name: str = 'best_pred.pkl',
    metrics: Sequence[str] = (),
    labels: str | os.PathLike | None = None,
    split: str | None = None,
    out: str | os.PathLike | None = None,
    root: str | os.PathLike | None = None,
) -> Report:
    """Accuracy of every stream found under ``{work_dirs}/{dataset}/{stream}/{file_name}``, and of their fusions.

    Args:
        dataset: name of a data set, or its config folder.
        work_dirs: where the runs are.
        streams: fuse exactly these; by default the published J+B, four- and six-stream fusions whose streams are there.
        weights: one per stream of ``streams``; by default :func:`published_weight`.
        file_name: name of a stream's score file.
        metrics: names out of ``metrics.METRICS`` to report beside the accuracy.
        labels: annotation file, for scores without a side file.
        split: its split.
        out: score file to write the last (largest) fusion to.
        root: where relative paths are looked up that the working directory doesn't have.

    Raises:
        ACLNetError: no scores, scores that don't belong together, no labels, or a file that cannot be read or written.
    """
    if weights is not None and streams is None:
        raise ACLNetError('weights need to know their streams: give both')
    if streams is not None:
        _check_streams(streams, weights)
    name = Path(os.path.abspath(dataset)).name
    if name.endswith('.py'):
        raise ACLNetError(f'{dataset} is one config; give its folder, {Path(dataset).parent}')
    folder = _find(work_dirs, root) / name
    paths = {stream: folder / stream / file_name for stream in (streams or STREAMS)}
    missing = [stream for stream, path in paths.items() if not path.exists()]
    if len(missing) == len(paths) or (streams and missing):
        raise ACLNetError(
            f'there are no scores of {name}, stream {missing[0]}: {paths[missing[0]]} does not exist'
            f'{_others(folder, file_name)}; tools/train.py --test-best writes {file_name}, and '
            f'tools/test.py --out any file'
        )
    sets = align([_read(stream, path) for stream, path in paths.items() if stream not in missing])
    truth, identifiers, notes = _labels(sets, dataset, labels, split, root)
    wanted = [tuple(streams)] if streams else FUSIONS
    rows, fused = _rows(sets, truth, wanted, weights, metrics)
    notes += [
        f'{name} has no {"+".join(f)}: {", ".join(s for s in f if s in missing)} not found'
        for f in wanted
        if set(f) & set(missing)
    ]
    if out is not None:
        save_scores(
            out,
            fused,
            dict(
                identifiers=identifiers,
                labels=truth,
                config=str(dataset),
                checkpoint=None,
                streams=list(rows[-1].streams),
                weights=list(rows[-1].weights),
            ),
        )
    return Report(f'{name} ({folder})', len(truth), rows, notes)


def _check_streams(streams: Sequence[str], weights: Sequence[float] | None) -> None:
    if not streams or len(set(streams)) != len(streams):
        raise ACLNetError(f'streams must be different ones, got {" ".join(streams) or "none"}')
    if weights is not None and len(weights) != len(streams):
        raise ACLNetError(f'{len(streams)} streams need as many weights, got {len(weights)}')
    if weights is not None and not np.isfinite(weights).all():
        raise ACLNetError(f'weights must be finite numbers, got {" ".join(map(str, weights))}')


def _rows(
    sets: list[ScoreSet],
    truth: list[int],
    fusions: Sequence[tuple[str, ...]],
    weights: Sequence[float] | None,
    metrics: Sequence[str],
) -> tuple[list[Fusion], np.ndarray]:
    by_name = {one.name: one.scores for one in sets}
    plans: list[tuple[tuple[str, ...], tuple[float, ...]]] = [((stream,), (1.0,)) for stream in by_name]
    for streams in fusions:
        if len(streams) > 1 and set(streams) <= set(by_name):
            plans.append((streams, tuple(weights) if weights is not None else _default_weights(streams)))
    rows = []
    for streams, of_streams in plans:
        fused = fuse([by_name[stream] for stream in streams], of_streams)
        rows.append(Fusion(streams, of_streams, _values(fused, truth, metrics)))
    return rows, fused


def _default_weights(streams: Sequence[str]) -> tuple[float, ...]:
    weights = [published_weight(stream) for stream in streams]
    return tuple(weight / min(weights) for weight in weights)  # J+B then reads 1:1


def _values(scores: np.ndarray, labels: list[int], metrics: Sequence[str]) -> dict[str, float]:
    # The published scripts take argmax, which differs from top_k_accuracy's order where two scores are equal
    evaluated = evaluate(scores, labels, ['top_k_accuracy', *(m for m in metrics if m != 'top_k_accuracy')])
    accuracy = float((scores.argmax(1) == np.asarray(labels).reshape(-1)).mean())
    values = {**evaluated, 'top1_acc': accuracy}
    return values if 'top_k_accuracy' in metrics else {k: v for k, v in values.items() if k != 'top5_acc'}


def _read(stream: str, path: Path) -> ScoreSet:
    scores, meta = load_scores(path)
    meta = meta or {}
    return ScoreSet(stream, scores, meta.get('identifiers'), meta.get('labels'))


def _labels(
    sets: list[ScoreSet],
    dataset: str | os.PathLike,
    ann_file: str | os.PathLike | None,
    split: str | None,
    root: str | os.PathLike | None,
) -> tuple[list[int], list[str] | None, list[str]]:
    """Labels in the sets' order, the samples' identifiers where known, and what to tell the user about them."""
    notes = [
        f"stream '{one.name}' has no side file: its samples are taken to be in the labels' order"
        for one in sets
        if one.identifiers is None
    ]
    identifiers = next((one.identifiers for one in sets if one.identifiers is not None), None)
    known = next((one.labels for one in sets if one.labels is not None), None)
    if known is not None and ann_file is None:
        return known, identifiers, notes
    configured = None
    if ann_file is None or split is None:
        configured = _configured_test_set(dataset, sets[0].name, root)
    if ann_file is None:
        if configured is None:
            raise ACLNetError(
                f'the scores of {dataset} come without labels, and there is no config '
                f'{_config(dataset, sets[0].name, root)}: name the annotation file with --labels'
            )
        ann_file, split = configured[0], split or configured[1]
    found, labels = read_labels(_find(ann_file, root), split or (configured and _own_split(ann_file, configured)))
    if identifiers is None:
        if len(labels) != len(sets[0].scores):
            raise ACLNetError(
                f'{ann_file} has {len(labels)} labels for {len(sets[0].scores)} scores; '
                'is it the split that was tested?'
            )
        return labels, found, notes + [f'labels are those of {ann_file}, in its order']
    of_sample = dict(zip(found, labels))
    for identifier in identifiers:
        if identifier not in of_sample:
            raise ACLNetError(f'sample {identifier} of the scores is not in {ann_file}')
    return [of_sample[identifier] for identifier in identifiers], identifiers, notes


def _own_split(ann_file: str | os.PathLike, configured: tuple[str, str | None]) -> str | None:
    return configured[1] if Path(ann_file).name == Path(configured[0]).name else None


def _configured_test_set(
    dataset: str | os.PathLike, stream: str, root: str | os.PathLike | None
) -> tuple[str, str | None] | None:
    config = _config(dataset, stream, root)
    return split_of_config(config) if config.exists() else None


def _config(dataset: str | os.PathLike, stream: str, root: str | os.PathLike | None) -> Path:
    folder = Path(dataset)
    if not (folder / f'{stream}.py').exists():
        folder = _find(Path('configs', Path(os.path.abspath(dataset)).name), root)
    return folder / f'{stream}.py'


def _find(path: str | os.PathLike, root: str | os.PathLike | None) -> Path:
    path = Path(path)
    if path.exists() or path.is_absolute() or root is None:
        return path
    return Path(root) / path if (Path(root) / path).exists() else path


def _others(folder: Path, file_name: str) -> str:
    if not folder.is_dir():
        known = sorted(p.name for p in folder.parent.glob('*') if p.is_dir()) if folder.parent.is_dir() else []
        hint = nearest(folder.name, known)
        return f' ({folder.parent} has {", ".join(known)}{hint})' if known else ''
    known = sorted(p.parent.name for p in folder.glob(f'*/{file_name}'))
    return f' ({folder} has {file_name} for {", ".join(known)})' if known else ''
