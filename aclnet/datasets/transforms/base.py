"""What every transform needs: the sample's random generator, its name for errors, and its checked arrays.

A sample is a dict. ``keypoint`` is (M persons, T frames, V joints, C channels), ``keypoint_score``, where there is one,
(M, T, V). Its arrays may belong to the dataset: a transform replaces an array, it never writes into one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aclnet.errors import ACLNetError, nearest
from aclnet.skeletons import Layout

__all__ = [
    'check_frames',
    'check_layout',
    'check_positive',
    'check_probability',
    'fail',
    'keypoint_of',
    'name_of',
    'require',
    'rng_of',
    'with_score',
]


def rng_of(sample: dict) -> np.random.Generator:
    """The sample's own generator (key ``rng``), or a fresh one for a sample that has none."""
    rng = sample.get('rng')
    return np.random.default_rng() if rng is None else rng


def name_of(sample: dict) -> str:
    """How errors call a sample: its ``filename``, else its ``frame_dir``."""
    return str(sample.get('filename') or sample.get('frame_dir') or 'without a frame_dir')


def fail(sample: dict, who: object, text: str) -> ACLNetError:
    """An error that names the sample and the transform ``who``; the caller raises it."""
    return ACLNetError(f'sample {name_of(sample)}: {type(who).__name__} {text}')


def require(sample: dict, key: str, who: object) -> Any:
    """``sample[key]``; raises ``ACLNetError`` naming the sample where the key is missing."""
    if key not in sample:
        raise fail(sample, who, f"needs the key '{key}'{nearest(key, sample)} (the sample has {', '.join(sample)})")
    return sample[key]


def keypoint_of(sample: dict, who: object, channels: tuple[int, ...] | None = None) -> np.ndarray:
    """``keypoint`` as it is stored, checked to be (M, T, V, C) with a person and a frame at least.

    Args:
        channels: the numbers of channels that the transform can work with; None allows any.

    Raises:
        ACLNetError: another shape, no person, no frame, or another number of channels.
    """
    keypoint = np.asarray(require(sample, 'keypoint', who))
    if keypoint.ndim != 4:
        raise fail(sample, who, f'needs keypoint of shape (persons, frames, joints, channels), got {keypoint.shape}')
    if 0 in keypoint.shape:
        lacking = ('person', 'frame', 'joint', 'channel')[keypoint.shape.index(0)]
        raise fail(
            sample,
            who,
            f'needs at least one {lacking}, got keypoint of shape {keypoint.shape}; '
            'drop the sample from the annotation file',
        )
    if channels is not None and keypoint.shape[-1] not in channels:
        wanted = ' or '.join(map(str, channels))
        raise fail(sample, who, f'needs keypoint with {wanted} channels, got {keypoint.shape[-1]}')
    return keypoint


def check_layout(sample: dict, keypoint: np.ndarray, layout: Layout, who: object) -> None:
    """Raise ``ACLNetError`` where the joints are not as many as the layout's."""
    if keypoint.shape[2] != layout.num_joints:
        raise fail(
            sample, who, f"with layout '{layout.name}' needs {layout.num_joints} joints, got {keypoint.shape[2]}"
        )


def check_frames(sample: dict, keypoint: np.ndarray, who: object) -> None:
    """Raise ``ACLNetError`` where ``total_frames`` says otherwise than ``keypoint``."""
    total = sample.get('total_frames', keypoint.shape[1])
    if total != keypoint.shape[1]:
        raise fail(
            sample, who, f'needs total_frames equal to the frames of keypoint, got {total} and {keypoint.shape[1]}'
        )


def with_score(sample: dict, keypoint: np.ndarray, who: object) -> np.ndarray:
    """Move ``keypoint_score``, if there is one, out of the sample into a last channel; returns float32 (M, T, V, C).

    Raises:
        ACLNetError: the scores don't fit the keypoints.
    """
    score = sample.pop('keypoint_score', None)
    if score is None:
        return keypoint.astype(np.float32, copy=False)
    if np.shape(score) != keypoint.shape[:3]:
        raise fail(sample, who, f'needs keypoint_score of shape {keypoint.shape[:3]}, got {np.shape(score)}')
    merged = np.empty((*keypoint.shape[:3], keypoint.shape[3] + 1), np.float32)
    merged[..., :-1] = keypoint
    merged[..., -1] = score
    return merged


def check_probability(value: float, name: str, who: object) -> float:
    """``value`` if it lies in [0, 1]; raises ``ACLNetError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ACLNetError(f'{type(who).__name__}: {name} must be a probability from 0 to 1, got {value!r}')
    return value


def check_positive(value: int, name: str, who: object) -> int:
    """``value`` if it is a whole number from 1 up; raises ``ACLNetError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ACLNetError(f'{type(who).__name__}: {name} must be a whole number from 1 up, got {value!r}')
    return int(value)
