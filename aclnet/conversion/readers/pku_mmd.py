"""PKU-MMD: recordings of several actions, cut into labelled clips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from aclnet.conversion.base import (
    Dropped,
    Reader,
    Recording,
    Sample,
    broken,
    files_below,
    sample,
    stamp,
    stem,
    without_gaps,
)
from aclnet.conversion.options import Options
from aclnet.conversion.splits import sections
from aclnet.conversion.text import lines_of, table
from aclnet.errors import ACLNetError

__all__ = ['PKUMMD']

_JOINTS, _PERSONS, _CLASSES = 25, 2, 51
_LISTS = dict(xsub=('cross-subject', 'cross_subject'), xview=('cross-view', 'cross_view'))


class PKUMMD(Reader):
    """``0002-L.txt`` twice: in one folder a line of 150 numbers per frame (2 bodies × 25 joints × 3), in another, whose
    name has 'label' in it, a line ``class,start,end,confidence`` per clip.

    A clip is the frames start ... end - 1, counted from 0. Coordinates become float16, as in the published pickle. The
    splits are those of ``cross-subject*.txt`` and ``cross-view*.txt`` where they lie below the input.
    """

    layout = 'nturgb+d'
    chunk = 8

    def __init__(self, source: str, path: str, options: Options) -> None:
        super().__init__(source, path, options)
        self.lists: dict[str, dict[str, set[str]]] = {}

    def recordings(self) -> list[Recording]:
        skeletons, labels = [], {}
        folder = self.options.labels
        for path, mark in files_below(self.path, '.txt', 'the .txt files of PKU-MMD'):
            title = next((title for title, words in _LISTS.items() if _is_list(path, words)), None)
            if title is not None:
                self.lists.setdefault(title, sections(path))
            elif folder is None and 'label' in os.path.relpath(path, self.path).lower():
                labels[stem(path)] = path
            elif folder is None or not os.path.abspath(path).startswith(os.path.abspath(folder) + os.sep):
                skeletons.append((path, mark))
        if folder is not None:
            labels = {stem(path): path for path, _ in files_below(folder, '.txt', 'the label files of PKU-MMD')}
        if not labels:
            raise ACLNetError(
                f"there are no label files below {self.path}; put them into a folder with 'label' in its name, or "
                'name their folder with --labels'
            )
        if not skeletons:
            raise ACLNetError(f'there are only label files below {self.path}, and no skeletons')
        lacking = [title for title in _LISTS if title not in self.lists]
        if lacking and not self.options.lists and self.options.by is None:
            files = ' and '.join(f'{_LISTS[title][0]}.txt' for title in lacking)
            self.notes = (f'there is no {files} below {self.path}, so these splits are left out',)
        found = []
        for path, mark in skeletons:
            name = stem(path)
            label = labels.get(name)
            found.append(Recording(name, path, payload=label, stamp=(*mark, *(stamp(label) if label else ()))))
        return found

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        if recording.payload is None:
            raise Dropped(recording.name, 'no label file', f'{recording.name}: there is no label file of this name')
        clips = self._clips(recording)
        lines = lines_of(recording)
        values = table(recording, lines, _PERSONS * _JOINTS * 3)
        bodies = values.reshape(len(lines), _PERSONS, _JOINTS, 3).transpose(1, 0, 2, 3)
        for number, (action, start, end) in enumerate(clips):
            name = f'{recording.name}_{number:03d}_A{action:02d}'
            try:
                yield self._clip(recording, name, bodies, action, start, end)
            except Dropped as drop:
                detail = f'{name}, frames {start} to {end} of {recording.path}: {drop.reason}'
                yield Dropped(name, drop.reason, detail, drop.broken)

    def _clip(self, recording: Recording, name: str, bodies: np.ndarray, action: int, start: int, end: int) -> Sample:
        if not 1 <= action <= _CLASSES:
            raise broken(recording, f'class beyond the {_CLASSES}', '')
        if not 0 <= start < end or start >= bodies.shape[1]:
            raise broken(recording, 'frames beyond the recording', '')
        with np.errstate(over='ignore'):
            keypoint = without_gaps(recording, bodies[:, start:end]).astype(np.float16)
        made = sample(recording, keypoint, action - 1, name)
        made.facts['recording'] = recording.name
        return made

    def _clips(self, recording: Recording) -> list[tuple[int, int, int]]:
        """(class, start, end) of every line of the label file."""
        labels = Recording(recording.name, recording.payload)
        values = table(labels, lines_of(labels), 4)
        if not (np.abs(values[:, :3]) < 2**31).all() or (values[:, :3] % 1).any():
            raise broken(labels, 'no whole numbers', 'class, start and end must be whole numbers')
        return [(int(action), int(start), int(end)) for action, start, end in values[:, :3]]

    def splits(self, facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
        return {
            f'{title}_{part}': [name for name, fact in facts.items() if fact['recording'] in members]
            for title, parts in self.lists.items()
            for part, members in parts.items()
        }


def _is_list(path: str, words: tuple[str, ...]) -> bool:
    return os.path.basename(path).lower().startswith(words)
