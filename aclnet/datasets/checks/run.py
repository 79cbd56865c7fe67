"""Going through a data set once, and all checks over what was seen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from tqdm import tqdm

from aclnet import benchmarks
from aclnet.datasets.annotations.raw_files import RawFiles
from aclnet.datasets.checks import duplicates, expected, images, labels, poses, splits, structure
from aclnet.datasets.checks.data import Data, Fault, Sample, read_poses, read_sample
from aclnet.datasets.checks.findings import Finding, Report
from aclnet.datasets.checks.source import Source, open_source
from aclnet.errors import ACLNetError, shown

__all__ = ['CHECKS', 'check_data', 'gather']

CHECKS: tuple[Callable[[Data], Iterator[Finding]], ...] = (
    structure.keys,
    structure.identifiers,
    structure.total_frames,
    splits.split_form,
    splits.split_members,
    splits.split_overlap,
    splits.split_coverage,
    labels.label_range,
    labels.class_gaps,
    labels.untrained_classes,
    labels.class_balance,
    poses.missing,
    poses.joints,
    poses.finite,
    poses.empty_samples,
    poses.zero,
    poses.empty_frames,
    poses.persons,
    poses.leader,
    poses.lengths,
    poses.unit,
    images.scores,
    images.score_range,
    images.img_shape,
    images.swapped,
    duplicates.copies,
    duplicates.copies_of_other_class,
    duplicates.copies_across_splits,
    expected.expected_samples,
    expected.expected_splits,
    expected.expected_names,
    expected.expected_labels,
    expected.official_splits,
    expected.expected_frames,
)


def check_data(path: str | os.PathLike, benchmark: str | None = None, raw_files: bool = False) -> Report:
    """Look for everything that is wrong with a data set.

    Args:
        path: annotation file, or the folder of a packed store.
        benchmark: which one it should be; by default it is recognised, and ``'none'`` says that it is none.
        raw_files: whether to read poses that are kept in other files (Kinetics) too.

    Raises:
        ACLNetError: the file cannot be read, or there is no such benchmark.
    """
    path = os.fspath(path)
    known = None if benchmark in (None, 'none') else benchmarks.get(str(benchmark))
    source = open_source(path)
    data = gather(source, path, raw_files)
    if benchmark is None:
        known = benchmarks.recognise(path, [sample.name for sample in data.samples])
    data.benchmark = known
    data.class_names = benchmarks.names_for(path, known.classes if known else None)
    if data.class_names is None and known is not None:
        data.class_names = benchmarks.class_names(known.name)
    found = [
        Finding('damage', sentence, 'pack it again from its source, or copy it again') for sentence in source.damage()
    ]
    found += chain.from_iterable(check(data) for check in CHECKS) if data.samples else [_NOTHING]
    return Report(path, known.title if known else None, _summary(data), found)


_NOTHING = Finding('structure', 'there are no annotations', 'make or download the file again')


def gather(source: Source, path: str, raw_files: bool = False) -> Data:
    """The facts that checks need, of all annotations of a source; shows a progress bar on a terminal."""
    seen = []
    raw = _Raw(path, raw_files)
    identifier = 'frame_dir'
    hidden = not sys.stderr.isatty()
    for position, annotation in enumerate(tqdm(source, desc='checking', unit=' samples', disable=hidden, leave=False)):
        if position == 0 and isinstance(annotation, dict) and 'filename' in annotation:
            identifier = 'filename'
        sample = read_sample(position, annotation, identifier)
        if sample.raw_file is not None:
            raw.read(sample, annotation)
        seen.append(sample)
    return Data(seen, *_splits(source.splits))


def _splits(value: Any) -> tuple[dict[str, list[str]] | None, dict[str, str]]:
    """The splits that are lists of strings, and what the others are."""
    if value is None:
        return None, {}
    if not isinstance(value, dict):
        return None, {'split': shown(value)}
    good, bad = {}, {}
    for name, listed in value.items():
        members = listed.tolist() if isinstance(listed, np.ndarray) else listed
        if isinstance(name, str) and isinstance(members, (list, tuple, set, frozenset)):
            if all(isinstance(member, str) for member in members):
                good[name] = list(members)
                continue
        bad[str(name) if isinstance(name, str) else shown(name)] = shown(listed)
    return good, bad


class _Raw:
    """Poses in raw files: whether the files are there, and, if asked for, what is in them."""

    def __init__(self, path: str, wanted: bool) -> None:
        self.folder = os.path.dirname(path)
        self.files = RawFiles(path) if wanted else None
        self.there: dict[str, bool] = {}

    def read(self, sample: Sample, annotation: dict) -> None:
        name = annotation['raw_file']
        if name not in self.there:
            self.there[name] = any(os.path.isfile(path) for path in (name, os.path.join(self.folder, name)))
        sample.raw_missing = not self.there[name]
        if self.files is None or sample.raw_missing or not isinstance(annotation.get('frame_dir'), str):
            return
        try:
            found = self.files.read(annotation)
        except ACLNetError as error:
            sample.faults.append(Fault('have no poses in their raw file', f'this: {error}'))
            return
        sample.poses = read_poses({'keypoint': found['keypoint']}, axes=3)
        frames, boxes = found['frame_inds'], annotation.get('box_score')
        if boxes is not None and len(boxes) != len(frames):
            sample.faults.append(
                Fault('have another number of box_score than of poses', f'{len(boxes)} for {len(frames)}')
            )
        if len(frames) and not 0 <= frames.min() <= frames.max() < (sample.total_frames or np.inf):
            sample.faults.append(Fault('have poses in frames beyond their total_frames', f'frame {frames.max()}'))


def _summary(data: Data) -> dict[str, Any]:
    """What is in a data set, in numbers."""
    count = labels.count_classes(data)
    shapes = [poses.shape for _, poses in data.with_poses()]
    whole = [shape for shape in shapes if len(shape) == 4]
    frames = [shape[1] for shape in whole] or [s.total_frames for s in data.samples if s.total_frames is not None]
    crowd = [shape[0] for shape in whole]
    about: dict[str, Any] = {'samples': len(data.samples), 'classes': len(count)}
    if count:
        (most, many), (fewest, few) = count.most_common()[0], count.most_common()[-1]
        about['samples of a class'] = {
            'fewest': f'{few:,} ({data.class_name(fewest)})',
            'most': f'{many:,} ({data.class_name(most)})',
        }
    if data.splits:
        about['splits'] = {name: len(set(members)) for name, members in data.splits.items()}
    if frames:
        about['frames'] = {'least': min(frames), 'median': int(np.median(frames)), 'most': max(frames)}
    if crowd:
        about['samples by persons'] = {str(number): crowd.count(number) for number in sorted(set(crowd))}
    if shapes:
        about['joints, coordinates'] = [
            f'{joints}, {channels}' for joints, channels in sorted({s[-2:] for s in shapes})
        ]
    return about
