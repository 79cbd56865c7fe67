"""What all readers share: a reader lists the recordings of a source, and turns one into samples or a named drop."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aclnet.conversion.options import Options
from aclnet.errors import ACLNetError
from aclnet.limits import MAX_FRAMES, MAX_VALUES

__all__ = [
    'Dropped',
    'Reader',
    'Recording',
    'Sample',
    'broken',
    'files_below',
    'sample',
    'stamp',
    'stem',
    'without_gaps',
]


@dataclass(frozen=True)
class Recording:
    """One file, or one entry of a file, that becomes samples.

    Attributes:
        name: how the summary calls it.
        path: the file.
        facts: what its name says: ``label``, ``subject``, ``camera``, ``setup``, ... as far as they are known.
        payload: what the reader needs beside the file.
        stamp: what changes when the file changes.
    """

    name: str
    path: str
    facts: dict[str, Any] = field(default_factory=dict)
    payload: Any = None
    stamp: tuple = ()


@dataclass(frozen=True)
class Sample:
    """An annotation of the output, and what its splits are made from."""

    annotation: dict
    facts: dict[str, Any] = field(default_factory=dict)


class Dropped(Exception):
    """A recording or clip that does not become a sample.

    Args:
        name: of the recording.
        reason: the same words for all of a kind: the summary counts by them.
        detail: what is wrong and where, as a sentence; the reason itself if there is no more to say.
        broken: whether the data is damaged, which ``strict`` makes an error, rather than left out on purpose.
    """

    def __init__(self, name: str, reason: str, detail: str = '', broken: bool = False) -> None:
        super().__init__(name, reason, detail, broken)  # these make it again in another process
        self.name, self.reason, self.detail, self.broken = name, reason, detail or f'{name}: {reason}', broken


def broken(recording: Recording, reason: str, detail: str, line: int | None = None) -> Dropped:
    """A recording that is damaged; ``line`` counts from 1."""
    where = f'{recording.path}, line {line}' if line is not None else recording.path
    return Dropped(recording.name, reason, f'{where}: {detail}', broken=True)


class Reader:
    """Base of all readers.

    Attributes:
        layout: joint layout of its samples, a key of ``skeletons.LAYOUTS`` or one of the user's own.
        chunk: recordings that are converted and kept together.
        parallel: whether recordings are worth sending to other processes.
        notes: what the summary should say beside its counts.
        classes: names of the classes where the source has them.
    """

    layout = ''
    chunk = 256
    parallel = True
    notes: Sequence[str] = ()
    classes: Sequence[str] | None = None

    def __init__(self, source: str, path: str, options: Options) -> None:
        self.source, self.path, self.options = source, path, options

    def recordings(self) -> list[Recording]:
        """All recordings, in the order of the output. Raises ``ACLNetError`` where the input is none of this source."""
        raise NotImplementedError

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        """The samples of a recording. A ``Dropped`` may be raised too, and then stands for the rest of it."""
        raise NotImplementedError

    def splits(self, facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
        """The benchmark's own splits of the samples, ``facts`` being {identifier: facts}; none by default."""
        return {}


def files_below(folder: str, suffix: str, what: str) -> list[tuple[str, tuple]]:
    """(path, stamp) of all files below ``folder`` whose names end in ``suffix``, sorted by name, hidden ones left out.

    Raises:
        ACLNetError: there is no such folder, or none in it.
    """
    if not os.path.isdir(folder):
        raise ACLNetError(f'{folder} is no folder; it should hold {what}')
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in names:
            if name.endswith(suffix) and not name.startswith('.'):
                found.append(os.path.join(path, name))
    if not found:
        raise ACLNetError(f'there is no file *{suffix} below {folder}; it should hold {what}')
    found.sort(key=lambda path: (os.path.basename(path), path))
    return [(path, stamp(path)) for path in found]


def stamp(path: str) -> tuple:
    """Size and time of a file, which tell whether it changed."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise ACLNetError(f'{path} cannot be read: {error.strerror}') from None
    return status.st_size, status.st_mtime_ns


def stem(path: str) -> str:
    """A file's name without its ending."""
    return Path(path).name.partition('.')[0]


def without_gaps(recording: Recording, keypoint: np.ndarray) -> np.ndarray:
    """``keypoint`` (M, T, V, C) without persons and then frames that are all zero.

    Raises:
        Dropped: nothing is left.
    """
    persons = keypoint.any((1, 2, 3))
    frames = keypoint[persons].any((0, 2, 3))
    if not frames.any():
        raise Dropped(recording.name, 'no body in any frame')
    return keypoint[persons][:, frames]


def sample(recording: Recording, keypoint: np.ndarray, label: int, name: str | None = None, **others: Any) -> Sample:
    """A sample of ``keypoint`` (M, T, V, C).

    Raises:
        Dropped: it holds numbers that are not finite, or is larger than any.
    """
    name = recording.name if name is None else name
    if keypoint.shape[1] > MAX_FRAMES or keypoint.size > MAX_VALUES:
        raise broken(recording, 'too long', f'{keypoint.shape[1]} frames are more than any recording has')
    if not np.isfinite(keypoint).all():
        raise broken(recording, 'not finite', 'coordinates must be finite numbers, but some are NaN or too large')
    annotation = dict(
        frame_dir=name, label=int(label), total_frames=keypoint.shape[1], keypoint=np.ascontiguousarray(keypoint)
    )
    return Sample({**annotation, **others}, {**recording.facts, 'label': int(label)})
