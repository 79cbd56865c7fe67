"""Sets of single recordings of a Kinect v1: NW-UCLA, UTD-MHAD and MSRAction3D, 20 joints and one person."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from aclnet.benchmarks import BENCHMARKS
from aclnet.conversion.base import Dropped, Reader, Recording, Sample, broken, files_below, sample, stem, without_gaps
from aclnet.conversion.splits import official
from aclnet.conversion.text import content_of, json_of, lines_of, table
from aclnet.errors import shown
from aclnet.limits import MAX_FRAMES

__all__ = ['MSRAction3D', 'NWUCLA', 'UTDMHAD']

_JOINTS = 20


class _Kinect(Reader):
    """Names such as a01_s02_e03: the pattern's groups are facts, the first the action."""

    layout = 'kinect20'
    suffix = ''
    pattern = ''
    parts: tuple[str, ...] = ()
    wanted = ''

    def recordings(self) -> list[Recording]:
        found = []
        for path, mark in files_below(self.path, self.suffix, self.wanted):
            match = re.fullmatch(self.pattern, stem(path), re.I)
            facts = dict(zip(self.parts, map(int, match.groups()))) if match else {}
            found.append(Recording(self._name(stem(path), facts), path, facts, stamp=mark))
        return sorted(found, key=lambda recording: (recording.name, recording.path))

    def _name(self, name: str, facts: dict[str, int]) -> str:
        return name

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        if not recording.facts:
            raise broken(recording, 'name', f'the name must be like that of {self.wanted}')
        action, actions = recording.facts['action'], BENCHMARKS[self.source].actions
        if action not in actions:
            raise broken(recording, 'unknown action', f'there is no action {action} in {self.source}')
        label = actions.index(action)
        with np.errstate(over='ignore'):
            joints = self._joints(recording, label).astype(np.float32)
        yield sample(recording, without_gaps(recording, joints[None]), label)

    def _joints(self, recording: Recording, label: int) -> np.ndarray:
        """(T, 20, 3) in the order of the layout 'kinect20'."""
        raise NotImplementedError

    def splits(self, facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
        return official(self.source, facts)


class NWUCLA(_Kinect):
    """``a01_s01_e00_v01.json``: ``skeletons`` (T, 20, 3), as CTR-GCN and Shift-GCN hand it on."""

    suffix, wanted = '.json', 'the files a01_s01_e00_v01.json of NW-UCLA'
    pattern, parts = r'a(\d+)_s(\d+)_e(\d+)_v(\d+)', ('action', 'subject', 'repetition', 'view')

    def _joints(self, recording: Recording, label: int) -> np.ndarray:
        content = json_of(recording)
        if not isinstance(content, dict) or 'skeletons' not in content:
            raise broken(recording, 'no skeletons', "the file must be a dict with the key 'skeletons'")
        told = content.get('label')
        if told is not None and told not in (label, label + 1, recording.facts['action']):
            wrong = f'the label {shown(told)} is not that of action {recording.facts["action"]} in its name'
            raise broken(recording, 'label against name', wrong)
        try:
            joints = np.array(content['skeletons'], np.float64)
        except (ValueError, TypeError, OverflowError):
            joints = np.empty(0)
        if joints.ndim != 3 or joints.shape[1:] != (_JOINTS, 3) or not 0 < len(joints) <= MAX_FRAMES:
            raise broken(recording, 'wrong shape', f'skeletons must be T × {_JOINTS} × 3 numbers, got {joints.shape}')
        return joints


class UTDMHAD(_Kinect):
    """``a1_s1_t1_skeleton.mat``: ``d_skel`` (20, 3, T), head first."""

    suffix, wanted = '.mat', 'the files a1_s1_t1_skeleton.mat of UTD-MHAD'
    pattern, parts = r'a(\d+)_s(\d+)_t(\d+)_skeleton', ('action', 'subject', 'repetition')
    order = (3, 2, 1, 0, *range(4, 20))  # head, shoulder centre, spine, hip centre, then as in the layout

    def _name(self, name: str, facts: dict[str, int]) -> str:
        return 'a{action:02d}_s{subject:02d}_t{repetition:02d}'.format(**facts) if facts else name

    def _joints(self, recording: Recording, label: int) -> np.ndarray:
        from scipy import io as matlab  # here: only this source needs it

        content = content_of(recording)
        try:  # the shape first: a small file can say that it holds a large array
            shape = {name: shape for name, shape, _ in matlab.whosmat(io.BytesIO(content))}.get('d_skel')
            if shape is None or len(shape) != 3 or shape[:2] != (_JOINTS, 3) or not 0 < shape[2] <= MAX_FRAMES:
                wrong = f'd_skel must be {_JOINTS} × 3 × T, got {"none" if shape is None else shape}'
                raise broken(recording, 'wrong shape', wrong)
            joints = matlab.loadmat(io.BytesIO(content), variable_names=['d_skel'])['d_skel']
        except Dropped:
            raise
        except Exception as error:  # a damaged file can raise nearly anything
            wrong = f'the file is no whole MATLAB file ({type(error).__name__})'
            raise broken(recording, 'no whole MATLAB file', wrong) from None
        if joints.dtype.kind not in 'fiu':
            raise broken(recording, 'no numbers', f'd_skel must be numbers, got {joints.dtype}')
        return joints.transpose(2, 0, 1)[:, self.order]


class MSRAction3D(_Kinect):
    """``a01_s01_e01_skeleton3D.txt``: a line ``x y z confidence`` per joint, 20 lines per frame.

    The order of its joints, by the authors' drawing code: 0 right and 1 left shoulder, 2 shoulder centre, 3 spine, 4
    right and 5 left hip, 6 hip centre, then right and left by turns: 7 8 elbows, 9 10 wrists, 11 12 hands, 13 14 knees,
    15 16 ankles, 17 18 feet; 19 head.
    """

    suffix, wanted = '_skeleton3D.txt', 'the files a01_s01_e01_skeleton3D.txt of MSRAction3D'
    pattern, parts = r'a(\d+)_s(\d+)_e(\d+)_skeleton3D', ('action', 'subject', 'repetition')
    order = (6, 3, 2, 19, 1, 8, 10, 12, 0, 7, 9, 11, 5, 14, 16, 18, 4, 13, 15, 17)

    def _name(self, name: str, facts: dict[str, int]) -> str:
        return 'a{action:02d}_s{subject:02d}_e{repetition:02d}'.format(**facts) if facts else name

    def _joints(self, recording: Recording, label: int) -> np.ndarray:
        lines = lines_of(recording)
        if len(lines) % _JOINTS:
            wrong = f'{len(lines)} lines are no whole number of frames of {_JOINTS} joints'
            raise broken(recording, 'cut short', wrong, len(lines))
        return table(recording, lines, 4, keep=3).reshape(-1, _JOINTS, 3)[:, self.order]
