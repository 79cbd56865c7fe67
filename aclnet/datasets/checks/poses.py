"""Whether the poses can be trained on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aclnet.datasets.checks.data import Data
from aclnet.datasets.checks.findings import Finding
from aclnet.skeletons import LAYOUTS

__all__ = [
    'empty_frames',
    'empty_samples',
    'finite',
    'joints',
    'leader',
    'lengths',
    'missing',
    'persons',
    'unit',
    'zero',
]

_MAIN_PERSONS = 2  # that the configs keep, see FormatGCNInput
_SHORT = 5  # frames
_FAR = 50.0  # metres


def missing(data: Data) -> Iterator[Finding]:
    """Every sample has poses, here or in a raw file."""
    lacking = [sample.name for sample in data.samples if sample.poses is None and sample.raw_file is None]
    if lacking:
        yield Finding(
            'poses',
            f'{len(lacking):,} samples have neither keypoint nor raw_file',
            'make the file again, or drop them',
            lacking,
        )
    lost = [sample.name for sample in data.samples if sample.raw_file is not None and sample.raw_missing]
    if lost:
        yield Finding(
            'poses',
            f'the raw files of {len(lost):,} samples are neither in the working directory nor beside the file',
            'unpack kpfiles.zip there, or run this where the training will run',
            lost,
        )


def finite(data: Data) -> Iterator[Finding]:
    """No number is NaN or infinite."""
    bad = [(sample.name, poses.not_finite) for sample, poses in data.with_poses() if poses.not_finite]
    if bad:
        yield Finding(
            'finite',
            f'{len(bad):,} samples have NaN or infinite numbers, {sum(n for _, n in bad):,} in all',
            'set missing joints to 0, or drop the samples: training replaces them and testing refuses them',
            [name for name, _ in bad],
        )


def empty_samples(data: Data) -> Iterator[Finding]:
    """Every sample has a person and a frame."""
    empty = [sample.name for sample, poses in data.with_poses() if poses.empty]
    if empty:
        yield Finding('empty', f'{len(empty):,} samples have no person, frame or joint', 'drop them', empty)


def zero(data: Data) -> Iterator[Finding]:
    """No sample has all joints at the origin."""
    blank = [sample.name for sample, poses in data.with_poses() if poses.all_zero]
    if blank:
        yield Finding(
            'zero',
            f'{len(blank):,} samples have every joint at the origin: nobody was tracked',
            'drop them: they teach that nothing is a class',
            blank,
        )


def empty_frames(data: Data) -> Iterator[Finding]:
    """Somebody is there in every frame."""
    holes, frames, total = [], 0, 0
    for sample, poses in data.with_poses():
        if poses.occupied is None or not poses.occupied.any():
            continue
        empty = int(np.count_nonzero(~poses.occupied.any(axis=0)))
        total += poses.occupied.shape[1]
        frames += empty
        if empty:
            holes.append(sample.name)
    if holes:
        yield Finding(
            'empty',
            f'{frames:,} of {total:,} frames, in {len(holes):,} samples, have nobody in them',
            'nothing where PreNormalize3D drops them (3D configs); else cut them out',
            holes,
            problem=False,
        )


def persons(data: Data) -> Iterator[Finding]:
    """There are no more persons than the configs keep."""
    crowds = [s.name for s, p in data.with_poses() if len(p.shape) == 4 and p.shape[0] > _MAIN_PERSONS]
    if crowds:
        yield Finding(
            'persons',
            f'{len(crowds):,} samples have more than {_MAIN_PERSONS} persons',
            f'put those that matter first: the configs keep {_MAIN_PERSONS}, FormatGCNInput(num_person=...) more',
            crowds,
            problem=False,
        )


def leader(data: Data) -> Iterator[Finding]:
    """The first person is there if anybody is."""
    late = [s.name for s, p in data.with_poses() if p.occupied is not None and _is_first_empty(p.occupied)]
    if late:
        yield Finding(
            'persons',
            f'the first person of {len(late):,} samples is empty, another one is not',
            'put the person who acts first: cutting to one person would leave nothing',
            late,
            problem=False,
        )


def _is_first_empty(occupied: np.ndarray) -> bool:
    return bool(occupied.any() and not occupied[0].any())


def lengths(data: Data) -> Iterator[Finding]:
    """Samples are long enough to hold an action."""
    short = [s.name for s, p in data.with_poses() if len(p.shape) == 4 and 0 < p.shape[1] < _SHORT]
    if short:
        yield Finding(
            'lengths',
            f'{len(short):,} samples have fewer than {_SHORT} frames',
            'look at them: their frames are repeated to fill a clip',
            short,
            problem=False,
        )


def joints(data: Data) -> Iterator[Finding]:
    """All samples have one number of joints and channels, for which there is a layout."""
    kinds: dict[tuple[int, ...], list[str]] = {}
    for sample, poses in data.with_poses():
        kinds.setdefault(poses.shape[-2:], []).append(sample.name)
    if not kinds:
        return
    usual = max(kinds, key=lambda kind: len(kinds[kind]))
    others = [name for kind, samples in kinds.items() if kind != usual for name in samples]
    if others:
        yield Finding(
            'joints',
            f'most samples have {usual[0]} joints of {usual[1]} channels, {len(others):,} have others',
            'convert them to one layout: a network takes one',
            others,
        )
    number, channels = usual
    known = {layout.num_joints: layout.name for layout in LAYOUTS.values()}
    expected = data.benchmark.joints if data.benchmark else number
    if number != expected and data.benchmark:
        yield Finding(
            'joints',
            f'samples have {number} joints, those of {data.benchmark.title} have {expected}',
            'take the file that the configs are for, or write a config for this layout',
        )
    elif number not in known:
        yield Finding(
            'joints',
            f'there is no layout of {number} joints; layouts have {", ".join(map(str, sorted(known)))}',
            'declare one in aclnet/skeletons.py, see docs/extending.md',
        )
    if channels not in (2, 3):
        yield Finding(
            'joints', f'joints have {channels} coordinates', 'keep x y z (3D) or x y (2D, with keypoint_score)'
        )


def unit(data: Data) -> Iterator[Finding]:
    """3D poses are in metres."""
    far = [s.name for s, p in data.with_poses() if len(p.shape) == 4 and p.shape[-1] == 3 and p.largest > _FAR]
    if far:
        yield Finding(
            'unit',
            f'{len(far):,} samples have joints more than {_FAR:g} from the origin',
            'divide by 1000 if they are in millimetres: poses are in metres, and the network is not blind to scale',
            far,
            problem=False,
        )
