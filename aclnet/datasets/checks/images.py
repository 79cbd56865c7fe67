"""What 2D poses need beside their coordinates."""

from __future__ import annotations

from collections.abc import Iterator

from aclnet.datasets.checks.data import Data, Poses, Sample
from aclnet.datasets.checks.findings import Finding

__all__ = ['img_shape', 'score_range', 'scores', 'swapped']


def _flat(data: Data) -> Iterator[tuple[Sample, Poses]]:
    return ((sample, poses) for sample, poses in data.with_poses() if poses.shape[-1:] == (2,))


def scores(data: Data) -> Iterator[Finding]:
    """2D poses have scores."""
    lacking = [sample.name for sample, poses in _flat(data) if poses.scores is None and not poses.empty]
    if lacking:
        yield Finding(
            'scores',
            f'{len(lacking):,} samples of 2D poses have no keypoint_score',
            'add it, (persons, frames, joints), all 1 where it is unknown: it is the third channel of 2D poses',
            lacking,
        )


def score_range(data: Data) -> Iterator[Finding]:
    """Scores are between 0 and about 1."""
    odd = [s.name for s, p in data.with_poses() if p.scores is not None and not -0.2 <= p.scores[0] <= p.scores[1] <= 2]
    if odd:
        yield Finding(
            'scores',
            f'keypoint_score of {len(odd):,} samples is not between 0 and 1',
            'divide by the largest possible score',
            odd,
            problem=False,
        )


def img_shape(data: Data) -> Iterator[Finding]:
    """2D poses name the size of their image."""
    lacking = [s.name for s in data.samples if s.img_shape is None and (_is_flat(s) or s.raw_file is not None)]
    if lacking:
        yield Finding(
            'img_shape',
            f'{len(lacking):,} samples of 2D poses have no img_shape of two whole numbers (height, width)',
            'add it: Flip mirrors poses within it',
            lacking,
        )


def _is_flat(sample: Sample) -> bool:
    return sample.poses is not None and sample.poses.shape[-1:] == (2,)


def swapped(data: Data) -> Iterator[Finding]:
    """``img_shape`` is (height, width), not (width, height)."""
    seen, odd = 0, []
    for sample, poses in _flat(data):
        if sample.img_shape is None or poses.size is None:
            continue
        seen += 1
        (height, width), (x, y) = sample.img_shape, poses.size
        if (x > width or y > height) and x <= height and y <= width:
            odd.append(sample.name)
    if odd and 2 * len(odd) > seen:
        yield Finding(
            'img_shape',
            f'the poses of {len(odd):,} samples fit into their image only if img_shape is (width, height)',
            'write it as (height, width)',
            odd,
        )
