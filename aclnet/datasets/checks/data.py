"""What the checks look at: a few facts per sample, so that all poses are gone through once and none are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from aclnet.benchmarks import Benchmark
from aclnet.datasets.annotations.pickles import KEYS
from aclnet.datasets.annotations.poses import is_finite
from aclnet.errors import ACLNetError, shown
from aclnet.limits import MAX_CLASSES, MAX_PIXELS

__all__ = ['Data', 'Fault', 'Poses', 'Sample', 'read_poses', 'read_sample']


class Fault(NamedTuple):
    """A fault of an annotation: ``what`` it does, as in 'N annotations ...', and what is there, for the first."""

    what: str
    got: str = ''


@dataclass(slots=True)
class Poses:
    """Facts about the poses of a sample.

    Attributes:
        shape: of the keypoints, (M, T, V, C), or (n, V, C) where persons and frames are told apart later.
        not_finite: how many numbers are NaN or infinite.
        occupied: (M, T) where a person has a joint that is not at the origin; (1, n) of (n, V, C).
        largest: the largest finite coordinate, without its sign.
        digest: of dtype, shape and content.
        scores: the lowest and the highest ``keypoint_score``, or None without any.
        size: the largest x and y of 2D poses.
        fault: why they are no poses; nothing else is known then.
    """

    shape: tuple[int, ...] = ()
    not_finite: int = 0
    occupied: np.ndarray | None = None
    largest: float = 0.0
    digest: bytes = b''
    scores: tuple[float, float] | None = None
    size: tuple[float, float] | None = None
    fault: Fault | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no person or no frame."""
        return self.fault is None and 0 in self.shape

    @property
    def all_zero(self) -> bool:
        return self.occupied is not None and not self.occupied.any()


@dataclass(slots=True)
class Sample:
    """Facts about one annotation.

    Attributes:
        name: its identifier, or ``annotation N`` where it has none.
        named: whether it has one.
        labels: its classes; empty where the label is none.
        bad_label: what stands there instead, if it is none.
        faults: what is wrong with its keys.
        total_frames: as the annotation says, None where it doesn't.
        img_shape: (h, w), None where there is none that could be.
        raw_file: where the poses are, if they aren't in the annotation.
        raw_missing: whether that file is not there.
        poses: None where they are in another file that was not read.
    """

    name: str
    named: bool = True
    labels: tuple[int, ...] = ()
    bad_label: str | None = None
    faults: list[Fault] = field(default_factory=list)
    total_frames: int | None = None
    img_shape: tuple[int, int] | None = None
    raw_file: str | None = None
    raw_missing: bool = False
    poses: Poses | None = None


@dataclass
class Data:
    """A data set as the checks see it.

    Attributes:
        samples: in the file's order.
        splits: {name: identifiers}, None where there are none; those of them that aren't lists of strings are in
            ``bad_splits``.
        benchmark: which one it is, if any.
        class_names: of its classes, if known.
    """

    samples: list[Sample]
    splits: dict[str, list[str]] | None
    bad_splits: dict[str, str] = field(default_factory=dict)
    benchmark: Benchmark | None = None
    class_names: list[str] | None = None

    def with_poses(self) -> Iterator[tuple[Sample, Poses]]:
        """The samples whose poses are known, and those."""
        for sample in self.samples:
            if sample.poses is not None and sample.poses.fault is None:
                yield sample, sample.poses

    def class_name(self, label: int) -> str:
        """A class for a report: its number, and its name if that is known."""
        known = self.class_names is not None and 0 <= label < len(self.class_names)
        return f'{label} {self.class_names[label]}' if self.class_names and known else str(label)


def read_sample(position: int, annotation: Any, identifier: str) -> Sample:
    """The facts of an annotation.

    Args:
        position: its place in the file.
        annotation: whatever is there.
        identifier: key of the identifiers.
    """
    if isinstance(annotation, ACLNetError):
        return Sample(f'annotation {position}', False, faults=[Fault('cannot be read', f'this: {annotation}')])
    if not isinstance(annotation, dict):
        return Sample(f'annotation {position}', False, faults=[Fault('are no dicts', shown(annotation))])
    name = annotation.get(identifier)
    sample = Sample(name, True) if isinstance(name, str) else Sample(f'annotation {position}', False)
    if not sample.named:
        sample.faults.append(Fault(f"have no string as '{identifier}'", shown(name)))
    if 'label' not in annotation:
        sample.faults.append(Fault("have no 'label'"))
    else:
        sample.labels = _whole(annotation['label'], MAX_CLASSES)
        sample.bad_label = None if sample.labels else shown(annotation['label'])
    for key, (fits, wanted) in KEYS.items():
        if annotation.get(key) is not None and not fits(annotation[key]):
            sample.faults.append(Fault(f'have something else than {wanted} as {key}', shown(annotation[key])))
        elif key == 'total_frames' and annotation.get(key) is not None:
            sample.total_frames = int(annotation[key])
    sample.img_shape = _img_shape(annotation.get('img_shape'))
    if annotation.get('keypoint') is not None:
        sample.poses = read_poses(annotation)
    elif isinstance(annotation.get('raw_file'), str):
        sample.raw_file = annotation['raw_file']
    return sample


def read_poses(annotation: dict, axes: int = 4) -> Poses:
    """The facts of an annotation's ``keypoint``, of so many axes, and ``keypoint_score``."""
    keypoint = _numbers(annotation['keypoint'])
    if keypoint is None:
        return Poses(fault=Fault('have a keypoint that is not one array of numbers', shown(annotation['keypoint'])))
    if keypoint.ndim != axes:
        return Poses(
            fault=Fault('have a keypoint of other axes than persons, frames, joints, coordinates', f'{keypoint.shape}')
        )
    poses = Poses(shape=keypoint.shape, digest=_digest(keypoint))
    if 0 in keypoint.shape:
        return poses
    finite = is_finite(keypoint)
    poses.not_finite = int(finite.size - np.count_nonzero(finite))
    occupied = _is_nonzero(keypoint).any(axis=(-2, -1))
    poses.occupied = np.atleast_2d(occupied)
    clean = keypoint if not poses.not_finite else np.where(finite, keypoint, 0)
    poses.largest = float(max(clean.max(), -clean.min()))
    if keypoint.ndim == 4 and keypoint.shape[-1] == 2:
        poses.size = float(clean[..., 0].max()), float(clean[..., 1].max())
    if annotation.get('keypoint_score') is not None:
        scores = _numbers(annotation['keypoint_score'])
        if scores is None or scores.shape != keypoint.shape[:-1]:
            got = f'{shown(annotation["keypoint_score"])} for {keypoint.shape}'
            return Poses(fault=Fault('have a keypoint_score that is not one number per joint', got))
        bad = ~is_finite(scores)
        poses.not_finite += int(np.count_nonzero(bad))
        kept = np.where(bad, 0, scores)
        poses.scores = float(kept.min()), float(kept.max())
    return poses


def _whole(value: Any, limit: int) -> tuple[int, ...]:
    """The whole numbers from 0 up and below ``limit`` that are in ``value``; none if anything else is."""
    values = value.ravel() if isinstance(value, np.ndarray) else value
    values = values if isinstance(values, (list, tuple, np.ndarray)) else [values]
    whole = all(isinstance(one, Integral) and not isinstance(one, bool) for one in values)
    numbers = tuple(int(one) for one in values) if whole else ()
    return numbers if all(0 <= one < limit for one in numbers) else ()


def _img_shape(value: Any) -> tuple[int, int] | None:
    values = _whole(value, MAX_PIXELS)
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None


def _numbers(value: Any) -> np.ndarray | None:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in 'fiu' else None


def _is_nonzero(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.float16:  # numpy's own comparison of float16 takes several times as long
        return (array.view(np.uint16) & 0x7FFF) != 0
    return array != 0


def _digest(array: np.ndarray) -> bytes:
    content = hashlib.blake2b(f'{array.dtype.str} {array.shape} '.encode(), digest_size=16)
    content.update(np.ascontiguousarray(array).data)
    return content.digest()
