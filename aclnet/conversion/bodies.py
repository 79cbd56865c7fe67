"""Tracks of bodies as a Kinect delivers them, and the field's usual denoising of NTU RGB+D.

Source of the thresholds: the preprocessing of VA-LSTM, HCN, CTR-GCN and PYSKL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ['Track', 'denoise', 'merge']

MIN_FRAMES = 12  # tracks of up to 11 frames are noise
MAX_RATIO = 0.8  # a body is no wider than 0.8 of its height
MAX_WIDE = 0.69754  # share of frames in which it may be wider
MIN_MOTION = 0.089925  # sum of the variances of x, y and z below which a track is a thing and no body


@dataclass(frozen=True)
class Track:
    """What one body id did.

    Attributes:
        frames: (n,) the frames in which it is, ascending.
        joints: (n, V, 3) metres.
    """

    frames: np.ndarray
    joints: np.ndarray

    @property
    def motion(self) -> float:
        """Sum of the variances of x, y and z over all joints and frames."""
        return _motion(self.joints)


def _motion(joints: np.ndarray) -> float:
    return float(joints.reshape(-1, 3).var(0).sum())


def denoise(tracks: Sequence[Track]) -> list[Track]:
    """The tracks that are bodies, those that move most first. One track alone is never noise, nor is the last one.

    In this order: tracks of up to 11 frames go; those wider than 0.8 of their height in more than 69.754 % of their
    frames go, the motion of the others being that of their other frames if that is less; then those with less motion
    than 0.089925 go, the one with most motion excepted.
    """
    tracks = [track for track in tracks if len(track.frames) >= MIN_FRAMES] or [_longest(tracks)]
    if len(tracks) == 1:
        return tracks
    motions: list[tuple[float, Track]] = []
    for track in tracks:
        low, high = track.joints[..., :2].min(1), track.joints[..., :2].max(1)
        width, height = (high - low).T
        fine = width <= MAX_RATIO * height
        if fine.mean() > 1 - MAX_WIDE:
            motions.append((min(track.motion, _motion(track.joints[fine])), track))
    if not motions:
        return [_longest(tracks)]
    motions.sort(key=lambda pair: -pair[0])  # stable: the first seen stays first
    return [track for place, (motion, track) in enumerate(motions) if place == 0 or motion >= MIN_MOTION]


def _longest(tracks: Sequence[Track]) -> Track:
    return max(tracks, key=lambda track: len(track.frames))


def merge(tracks: Sequence[Track], frames: int, persons: int = 2) -> np.ndarray:
    """(M, T, V, 3) float64, M up to ``persons``; a track takes the first person who is not in its frames already.

    So a body whose id changes half-way stays one person, and what is in nobody's free frames is left out.

    Args:
        tracks: those that matter most first.
        frames: T.
    """
    joints = tracks[0].joints.shape[1]
    keypoint = np.zeros((persons, frames, joints, 3))
    taken = np.zeros((persons, frames), bool)
    for track in tracks:
        free = np.flatnonzero(~taken[:, track.frames].any(1))
        if len(free):
            keypoint[free[0], track.frames] = track.joints
            taken[free[0], track.frames] = True
    return keypoint[taken.any(1)]
