"""Whether every annotation has what a data set reads from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aclnet.datasets.checks.data import Data
from aclnet.datasets.checks.findings import Finding

__all__ = ['identifiers', 'keys', 'total_frames']


def keys(data: Data) -> Iterator[Finding]:
    """Annotations are dicts with an identifier and a label, and their other keys hold what they should."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for sample in data.samples:
        of_poses = sample.poses.fault if sample.poses is not None else None
        for fault in (*sample.faults, of_poses) if of_poses else sample.faults:
            kinds.setdefault(fault.what, []).append((sample.name, fault.got))
    for what, samples in kinds.items():
        first, got = samples[0]
        yield Finding(
            'structure',
            f'{len(samples):,} annotations {what}{f"; the first, {first}, has {got}" if got else ""}',
            'mend them where the file is made; data/README.md shows the format',
            [name for name, _ in samples],
        )


def identifiers(data: Data) -> Iterator[Finding]:
    """No two annotations have one identifier."""
    count = Counter(sample.name for sample in data.samples if sample.named)
    doubles = [name for name, times in count.items() if times > 1]
    if doubles:
        yield Finding(
            'identifiers',
            f'{len(doubles):,} identifiers belong to several annotations, {doubles[0]} to {count[doubles[0]]}',
            'give each its own: splits take all annotations of a name, and scores of streams are matched by it',
            doubles,
        )


def total_frames(data: Data) -> Iterator[Finding]:
    """``total_frames`` is the number of frames that the poses have."""
    wrong, lacking = [], []
    for sample, poses in data.with_poses():
        if len(poses.shape) != 4:
            continue
        if sample.total_frames is None:
            lacking.append(sample.name)
        elif sample.total_frames != poses.shape[1]:
            wrong.append(sample.name)
    if wrong:
        yield Finding(
            'total_frames',
            f'total_frames of {len(wrong):,} samples is not the number of frames of their keypoint',
            'set it to keypoint.shape[1]: such samples are broken, training replaces and testing refuses them',
            wrong,
        )
    if lacking:
        yield Finding(
            'total_frames',
            f'{len(lacking):,} samples have no total_frames',
            'set it to keypoint.shape[1]: the sampling transforms read it',
            lacking,
        )
