"""SBU Kinect Interaction: ``s01s02/01/001/skeleton_pos.txt``, two persons of 15 joints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from aclnet.conversion.base import Dropped, Reader, Recording, Sample, broken, files_below, sample, without_gaps
from aclnet.conversion.text import lines_of, table

__all__ = ['SBU']

_JOINTS = 15
_PLACE = re.compile(r's(\d\d)s(\d\d)/(\d\d)/(\d\d\d)/skeleton_pos\.txt')
FOLDS = (
    ('s01s02', 's03s04', 's05s02', 's06s04'),
    ('s02s03', 's02s07', 's03s05', 's05s03'),
    ('s01s03', 's01s07', 's07s01', 's07s03'),
    ('s02s01', 's02s06', 's03s02', 's03s06'),
    ('s04s02', 's04s03', 's04s06', 's06s02', 's06s03'),
)


class SBU(Reader):
    """A line per frame: its number, then x y z of 15 joints of the first person and of the second.

    x and y are shares of the picture, z of the depth, and stay as they are in the file. Folds 1 to 5 are those of the
    authors: ``fold1_val`` is the first of them, ``fold1_train`` the others.
    """

    layout = 'sbu15'

    def recordings(self) -> list[Recording]:
        found = []
        for path, mark in files_below(self.path, 'skeleton_pos.txt', 'the folders s01s02/01/001 of SBU'):
            place = '/'.join(os.path.abspath(path).split(os.sep)[-4:])
            match = _PLACE.fullmatch(place)
            facts: dict[str, Any] = {}
            name = os.path.relpath(os.path.dirname(path), self.path).replace(os.sep, '_')
            if match:
                first, second, action, run = match.groups()
                facts = dict(pair=f's{first}s{second}', subject=first, action=int(action))
                name = f's{first}s{second}_{action}_{run}'
            found.append(Recording(name, path, facts, stamp=mark))
        return sorted(found, key=lambda recording: (recording.name, recording.path))

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        if not recording.facts or not 1 <= recording.facts['action'] <= 8:
            raise broken(recording, 'name', 'the folders must be like s01s02/01/001, with an action from 01 to 08')
        lines = lines_of(recording)
        values = table(recording, lines, 1 + 2 * _JOINTS * 3)[:, 1:]
        keypoint = values.reshape(len(lines), 2, _JOINTS, 3).transpose(1, 0, 2, 3)
        with np.errstate(over='ignore'):
            keypoint = without_gaps(recording, keypoint.astype(np.float32))
        yield sample(recording, keypoint, recording.facts['action'] - 1)

    def splits(self, facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
        splits = {}
        for number, pairs in enumerate(FOLDS, 1):
            splits[f'fold{number}_train'] = [name for name, fact in facts.items() if fact['pair'] not in pairs]
            splits[f'fold{number}_val'] = [name for name, fact in facts.items() if fact['pair'] in pairs]
        return splits
