"""What every transform needs: the sample's random generator, its name for errors, and its checked arrays.

A sample is a dict. ``keypoint`` is (M persons, T frames, V joints, C channels), ``keypoint_score``, where there is one,
(M, T, V). Its arrays may belong to the dataset: a transform replaces an array, it never writes into one.

A transform whose class says ``fixed = True`` draws nothing: what it makes of a sample is the same in every epoch, so
that a dataset may keep it. Subclasses don't inherit that, since they may draw.

Beside its per-sample form, a transform may have a batched one: a method ``batched(clips)`` that does the same to the
``Clips`` of a batch, with the same draws. Where it cannot for some arguments, its property ``batches`` is False. What
it must know of a sample besides its poses, ``noted(sample)`` tells as a dict of numbers when the sample is packed.
Subclasses don't inherit that either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aclnet.errors import ACLNetError, names, nearest, shown
from aclnet.limits import MAX_FRAMES, MAX_PERSONS, MAX_VALUES
from aclnet.skeletons import Layout

if TYPE_CHECKING:
    from aclnet.datasets.device.clips import Clips

__all__ = [
    'batched_form',
    'check_frames',
    'check_layout',
    'check_positive',
    'check_probability',
    'check_size',
    'copy_channels',
    'fail',
    'float32_of',
    'is_fixed',
    'keypoint_of',
    'name_of',
    'numbers_of',
    'require',
    'rng_of',
    'score_of',
    'turned',
    'with_score',
]


def rng_of(sample: dict) -> np.random.Generator:
    """The sample's own generator (key ``rng``), or a fresh one for a sample that has none."""
    rng = sample.get('rng')
    return np.random.default_rng() if rng is None else rng


def is_fixed(transform: object) -> bool:
    """Whether a transform's own class says that it makes the same of a sample in every epoch."""
    return vars(type(transform)).get('fixed', False) is True


def batched_form(transform: object) -> Callable[[Clips], None] | None:
    """The batched form that a transform's own class has for its arguments, or None."""
    if 'batched' not in vars(type(transform)) or not getattr(transform, 'batches', True):
        return None
    return transform.batched  # type: ignore[attr-defined]  # as was just seen


def float32_of(array: np.ndarray) -> np.ndarray:
    """``array`` in float32; itself where it is that already."""
    if array.dtype == np.float16 and array.flags.c_contiguous and array.flags.writeable:
        return torch.from_numpy(array).float().numpy()  # the same numbers as numpy's, several times as fast
    return array.astype(np.float32, copy=False)


def turned(keypoint: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Every joint of ``keypoint`` (M, T, V, C) multiplied by ``matrix`` (C, C), in float32."""
    flat = float32_of(keypoint).reshape(-1, len(matrix))  # one product: a small one per frame takes twice the time
    return (flat @ np.ascontiguousarray(matrix.T, np.float32)).reshape(keypoint.shape)


def copy_channels(array: np.ndarray, out: np.ndarray) -> None:
    """Copy ``array`` (..., C) into the first C channels of ``out``; one by one, as rows of C numbers take longer."""
    for channel in range(array.shape[-1]):
        out[..., channel] = array[..., channel]


def name_of(sample: dict) -> str:
    """How errors call a sample: its ``filename``, else its ``frame_dir``."""
    name = sample.get('filename', sample.get('frame_dir'))
    if not isinstance(name, str) or not name:
        return 'without a frame_dir'
    return name if name.isprintable() and len(name) < 300 else shown(name)


def fail(sample: dict, who: object, text: str) -> ACLNetError:
    """An error that names the sample and the transform ``who``; the caller raises it."""
    return ACLNetError(f'sample {name_of(sample)}: {type(who).__name__} {text}')


def require(sample: dict, key: str, who: object) -> Any:
    """``sample[key]``; raises ``ACLNetError`` naming the sample where the key is missing."""
    if key not in sample:
        raise fail(
            sample,
            who,
            f"needs the key '{key}'{nearest(key, names(sample).split(', '))} (the sample has {names(sample)})",
        )
    return sample[key]


def numbers_of(sample: dict, key: str, who: object, kinds: str = 'fiu') -> np.ndarray:
    """``sample[key]`` as an array; raises ``ACLNetError`` where it is missing or no array of numbers.

    Args:
        kinds: the kinds of numpy's dtypes that will do.
    """
    value = require(sample, key, who)
    if not hasattr(value, '__array__'):  # a list from a file may hold itself, or one list a million times
        raise fail(sample, who, f'needs {key} to be an array, got {type(value).__name__}')
    array = np.asarray(value)
    if array.dtype.kind not in kinds:
        raise fail(sample, who, f'needs {key} to be an array of numbers, got dtype {array.dtype}')
    return array


def keypoint_of(sample: dict, who: object, channels: tuple[int, ...] | None = None) -> np.ndarray:
    """``keypoint`` as it is stored, checked to be (M, T, V, C) numbers with a person and a frame at least.

    Args:
        channels: the numbers of channels that the transform can work with; None allows any.

    Raises:
        ACLNetError: another shape, no person, no frame, more of them than there can be, or another number of channels.
    """
    keypoint = numbers_of(sample, 'keypoint', who)
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
    if keypoint.shape[0] > MAX_PERSONS or keypoint.shape[1] > MAX_FRAMES:
        raise fail(
            sample,
            who,
            f'takes up to {MAX_PERSONS:,} persons and {MAX_FRAMES:,} frames, got keypoint of shape {keypoint.shape}',
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
    if not isinstance(total, (int, Integral)) or total != keypoint.shape[1]:
        raise fail(
            sample,
            who,
            f'needs total_frames equal to the frames of keypoint, got {shown(total)} and {keypoint.shape[1]}',
        )


def check_size(sample: dict, shape: Sequence[int], who: object) -> None:
    """Raise ``ACLNetError`` where an array of ``shape`` is too large to be made."""
    if math.prod(map(int, shape)) > MAX_VALUES:
        raise fail(sample, who, f'would make an array of shape {tuple(map(int, shape))}, above {MAX_VALUES:,} numbers')


def score_of(sample: dict, keypoint: np.ndarray, who: object) -> np.ndarray | None:
    """``keypoint_score`` (M, T, V) of a sample, None where there is none.

    Raises:
        ACLNetError: it is no array of numbers, or doesn't fit the keypoints.
    """
    if sample.get('keypoint_score') is None:
        return None
    score = numbers_of(sample, 'keypoint_score', who)
    if score.shape != keypoint.shape[:3]:
        raise fail(sample, who, f'needs keypoint_score of shape {keypoint.shape[:3]}, got {score.shape}')
    return score


def with_score(sample: dict, keypoint: np.ndarray, who: object) -> np.ndarray:
    """Move ``keypoint_score``, if there is one, out of the sample into a last channel; returns float32 (M, T, V, C).

    Raises:
        ACLNetError: the scores don't fit the keypoints.
    """
    score = score_of(sample, keypoint, who)
    sample.pop('keypoint_score', None)
    if score is None:
        return float32_of(keypoint)
    merged = np.empty((*keypoint.shape[:3], keypoint.shape[3] + 1), np.float32)
    copy_channels(keypoint, merged)
    merged[..., -1] = score
    return merged


def check_probability(value: float, name: str, who: object) -> float:
    """``value`` if it lies in [0, 1]; raises ``ACLNetError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ACLNetError(f'{type(who).__name__}: {name} must be a probability from 0 to 1, got {value!r}')
    return value


def check_positive(value: int, name: str, who: object, most: int = MAX_FRAMES) -> int:
    """``value`` if it is a whole number from 1 to ``most``; raises ``ACLNetError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ACLNetError(f'{type(who).__name__}: {name} must be a whole number from 1 up, got {shown(value)}')
    if value > most:
        raise ACLNetError(f'{type(who).__name__}: {name} must be at most {most:,}, got {shown(value)}')
    return int(value)
