"""One's own recordings: arrays, CSV, or a JSON file per frame, in a joint layout that is declared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from aclnet.conversion.base import Dropped, Reader, Recording, Sample, broken, sample, stamp
from aclnet.conversion.declaration import Declaration
from aclnet.conversion.options import Options
from aclnet.conversion.own_files import poses_of
from aclnet.conversion.splits import natural
from aclnet.errors import ACLNetError
from aclnet.files import read_text

__all__ = ['Custom']


class Custom(Reader):
    """What the files are is said by a :class:`Declaration`; docs/custom_data.md leads through it."""

    chunk = 64

    def __init__(self, source: str, path: str, options: Options) -> None:
        super().__init__(source, path, options)
        self.declared = Declaration.of(options.custom)
        self.layout = self.declared.layout

    def recordings(self) -> list[Recording]:
        if not os.path.isdir(self.path):
            raise ACLNetError(f'{self.path} is no folder; it should hold the recordings')
        told = _label_file(self.options.labels) if self.options.labels else {}
        pattern, found = self.declared.pattern, []
        for path in _places(self.path, folders=self.declared.per_frame):
            relative = os.path.relpath(path, self.path).replace(os.sep, '/')
            match = pattern.fullmatch(relative)
            if match:
                name = (relative if self.declared.per_frame else os.path.splitext(relative)[0]).replace('/', '_')
                facts = {**match.groupdict(), **told.get(name, told.get(os.path.basename(name), {}))}
                found.append(Recording(name, path, facts))
        if not found:
            kind = 'folder' if self.declared.per_frame else 'file'
            raise ACLNetError(f"no {kind} below {self.path} is like files='{self.declared.files}'")
        labels = {str(recording.facts['label']) for recording in found if recording.facts.get('label') is not None}
        self.classes = list(self.declared.classes or sorted(labels, key=natural))
        numbers = {label: number for number, label in enumerate(self.classes)}
        found.sort(key=lambda recording: natural(recording.name))
        return [self._labelled(recording, numbers) for recording in found]

    def _labelled(self, recording: Recording, numbers: dict[str, int]) -> Recording:
        label = recording.facts.get('label')
        number = None if label is None else numbers.get(str(label))
        mark = _stamp_of_all(recording.path) if self.declared.per_frame else stamp(recording.path)
        return replace(recording, payload=number, stamp=(*mark, number, repr(recording.facts)))

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        if recording.payload is None:
            label = recording.facts.get('label')
            if label is None:
                raise broken(recording, 'no label', 'neither its name nor --labels says its label')
            raise broken(recording, 'unknown class', f"'{label}' is none of the declared classes")
        keypoint, score = poses_of(recording, self.declared, self.options.persons)
        persons = keypoint.any((1, 2, 3))
        frames = keypoint[persons].any((0, 2, 3))
        if not frames.any():
            raise Dropped(recording.name, 'no body in any frame')
        others: dict[str, Any] = {}
        if score is not None:
            others = dict(
                keypoint_score=np.ascontiguousarray(score[persons][:, frames]),
                img_shape=self.declared.size,
                original_shape=self.declared.size,
            )
            if not np.isfinite(score).all():
                raise broken(recording, 'not finite', 'scores must be finite numbers, but some are NaN or too large')
        yield sample(recording, keypoint[persons][:, frames], recording.payload, **others)


def _places(folder: str, folders: bool) -> Iterator[str]:
    """All files below ``folder``, or all folders."""
    for path, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith('.'))
        chosen = below if folders else sorted(name for name in names if not name.startswith('.'))
        yield from (os.path.join(path, name) for name in chosen)


def _stamp_of_all(folder: str) -> tuple:
    marks = [stamp(entry.path) for entry in os.scandir(folder) if entry.is_file()]
    return len(marks), sum(size for size, _ in marks), max((time for _, time in marks), default=0)


def _label_file(path: str) -> dict[str, dict[str, str]]:
    """{name: dict(label[, subject])} of a CSV file with these columns.

    Raises:
        ACLNetError: it has no such columns, or a line has other ones.
    """
    lines = [line for line in read_text(path, f'label file {path}').splitlines() if line.strip()]
    columns = [column.strip() for column in lines[0].split(',')] if lines else []
    if not {'name', 'label'} <= set(columns):
        raise ACLNetError(f"label file {path} must begin with a line of columns, 'name,label' or 'name,label,subject'")
    told = {}
    for number, line in enumerate(lines[1:], 2):
        words = [word.strip() for word in line.split(',')]
        if len(words) != len(columns):
            raise ACLNetError(f'label file {path}, line {number}: needs {len(columns)} values, has {len(words)}')
        row = dict(zip(columns, words))
        told[re.sub(r'\.\w+$', '', row.pop('name')).replace('/', '_')] = row
    return told
