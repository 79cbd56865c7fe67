"""NTU RGB+D 60 and 120: ``S001C001P001R001A001.skeleton``, text of frames, bodies and joints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from aclnet.benchmarks import BENCHMARKS
from aclnet.conversion.base import Dropped, Reader, Recording, Sample, broken, files_below, sample, stem, without_gaps
from aclnet.conversion.bodies import Track, denoise, merge
from aclnet.conversion.splits import listed, official
from aclnet.conversion.text import lines_of, table
from aclnet.limits import MAX_FRAMES, MAX_PERSONS

__all__ = ['NTU']

_NAME = re.compile(r'S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})')
_JOINTS, _VALUES, _BODY = 25, 12, 10  # per joint x y z and nine others; per body an id and nine others
_MAX_JOINTS = 1_000


class NTU(Reader):
    """Reads ``.skeleton`` files; coordinates become float16, as in the published pickles."""

    layout = 'nturgb+d'

    def recordings(self) -> list[Recording]:
        missing = listed(self.options.missing) if self.options.missing else set()
        found = []
        for path, mark in files_below(self.path, '.skeleton', 'the .skeleton files of NTU RGB+D'):
            name = stem(path)
            match = _NAME.fullmatch(name)
            facts: dict[str, Any] = {}
            if match:
                facts = dict(zip(('setup', 'camera', 'subject', 'repetition', 'action'), map(int, match.groups())))
            found.append(Recording(name, path, facts, payload=name in missing, stamp=(*mark, name in missing)))
        benchmark = BENCHMARKS[self.source]
        recordings, without = benchmark.recorded or 0, (benchmark.recorded or 0) - (benchmark.samples or 0)
        self.notes = (
            f'the whole set has {recordings:,} recordings, {without} of them without skeletons, here are {len(found):,}'
            + ('' if missing else f'; the official list of the {without} can be given with --missing'),
        )
        return found

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        name, facts = recording.name, recording.facts
        actions = BENCHMARKS[self.source].classes
        if not facts:
            raise broken(recording, 'name', 'the name must be like S001C001P001R001A001.skeleton')
        if not 1 <= facts['action'] <= actions:
            reason = f'action beyond the {actions} of {self.source}'
            raise Dropped(name, reason, f'{name}: action {facts["action"]} is not one of the {actions}')
        if recording.payload:
            raise Dropped(name, 'listed as missing', f'{name} is in {self.options.missing}')
        frames, tracks = _tracks(recording)
        if self.options.denoise:
            tracks = denoise(tracks)
        else:
            tracks.sort(key=lambda track: -track.motion)
        with np.errstate(over='ignore'):
            keypoint = without_gaps(recording, merge(tracks, frames)).astype(np.float16)
        yield sample(recording, keypoint, facts['action'] - 1)

    def splits(self, facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
        return official(self.source, facts)


def _tracks(recording: Recording) -> tuple[int, list[Track]]:
    """Number of frames and the tracks by body id, in the order of their first frame.

    Raises:
        Dropped: no body, or the file is no whole ``.skeleton`` file.
    """
    lines = lines_of(recording)
    total = _count(recording, lines, 0, 'frames', MAX_FRAMES)
    if not total:
        raise Dropped(recording.name, 'no frames')
    frames: dict[bytes, list[int]] = {}  # of every body id: as text, since float64 cannot tell such numbers apart
    rows: dict[bytes, list[int]] = {}
    at, bodies = 1, 0
    joint_lines: list[bytes] = []
    numbers: list[int] = []
    for frame in range(total):
        count = _count(recording, lines, at, 'bodies', MAX_PERSONS)
        at += 1
        for _ in range(count):
            body = _line(recording, lines, at).split()
            if len(body) != _BODY:
                raise broken(recording, 'wrong number of values', f'a body has {_BODY} fields, got {len(body)}', at + 1)
            if _count(recording, lines, at + 1, 'joints', _MAX_JOINTS) != _JOINTS:
                raise broken(recording, 'wrong number of joints', f'a body must have {_JOINTS} joints', at + 2)
            _line(recording, lines, at + 1 + _JOINTS)
            if frames.get(body[0], (-1,))[-1] != frame:  # a body that is there twice counts once
                frames.setdefault(body[0], []).append(frame)
                rows.setdefault(body[0], []).append(bodies)
            joint_lines += lines[at + 2 : at + 2 + _JOINTS]
            numbers += range(at + 3, at + 3 + _JOINTS)
            bodies += 1
            at += 2 + _JOINTS
    if at < len(lines):
        raise broken(recording, 'goes on after its end', f'the file has {total} frames, but more lines', at + 1)
    if not bodies:
        raise Dropped(recording.name, 'no body in any frame')
    joints = table(recording, joint_lines, _VALUES, numbers, keep=3).reshape(bodies, _JOINTS, 3)
    if not np.isfinite(joints).all():
        line = numbers[int(np.flatnonzero(~np.isfinite(joints).all(-1).ravel())[0])]
        raise broken(recording, 'not finite', 'a joint is NaN or infinite', line)
    return total, [Track(np.array(frames[body]), joints[rows[body]]) for body in frames]


def _line(recording: Recording, lines: list[bytes], at: int) -> bytes:
    if at >= len(lines):
        raise broken(recording, 'cut short', f'the file ends after {len(lines)} lines, within a frame', len(lines))
    return lines[at]


def _count(recording: Recording, lines: list[bytes], at: int, what: str, most: int) -> int:
    """The whole number that a line is."""
    text = _line(recording, lines, at).strip()
    if not text.isdigit() or len(text) > 9 or int(text) > most:
        wrong = f'a number of {what} up to {most:,} must stand here, got {text[:40].decode("latin-1")!r}'
        raise broken(recording, f'no number of {what}', wrong, at + 1)
    return int(text)
