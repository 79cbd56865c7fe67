"""2D poses of several people per frame, as detectors write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ['arrange', 'flat']


def flat(values: object, width: int) -> np.ndarray | None:
    """(n, width) float64 of a flat or nested list of numbers; None where it is none of whole rows."""
    try:
        array = np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if array.size == 0 or array.size % width or array.ndim == 0 or (array.ndim > 1 and array.shape[-1] != width):
        return None
    return array.reshape(-1, width)


def arrange(frames: Sequence[Sequence[np.ndarray]], persons: int) -> tuple[np.ndarray, np.ndarray]:
    """``keypoint`` (M, T, V, 2) and ``keypoint_score`` (M, T, V), float32, of those frames that have a person.

    Args:
        frames: per frame the people in it, each (V, 3) x y score, all V alike.
        persons: how many to keep per frame, those with the highest sums of scores first.
    """
    full = [people for people in frames if len(people)]
    if not full:
        return np.zeros((0, 0, 0, 2), np.float32), np.zeros((0, 0, 0), np.float32)
    joints = full[0][0].shape[0]
    poses = np.zeros((min(persons, max(map(len, full))), len(full), joints, 3), np.float32)
    for frame, people in enumerate(full):
        best = sorted(people, key=lambda pose: -pose[:, 2].sum())[:persons]
        with np.errstate(over='ignore'):
            poses[: len(best), frame] = best
    return poses[..., :2], poses[..., 2]
