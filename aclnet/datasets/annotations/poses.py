"""Which poses of a sample are fit for use."""

from __future__ import annotations

import numpy as np

from aclnet.errors import ACLNetError

__all__ = ['check_poses', 'is_finite']


def check_poses(sample: dict, where: str, finite: bool = True) -> None:
    """Check the poses of a sample, if it has any.

    Args:
        sample: with ``keypoint`` (M, T, V, C), or (n, V, C) where persons and frames are told apart later, and perhaps
            ``keypoint_score`` of the same shape without C, and ``total_frames``.
        where: how errors name it, e.g. ``'sample a of data/mine.pkl'``.
        finite: whether to look at the numbers too, and not only at shapes.

    Raises:
        ACLNetError: what should be an array of finite numbers isn't, there is no person or frame, or scores or
            ``total_frames`` don't fit.
    """
    if 'keypoint' not in sample:
        return
    shape = _numbers(sample, 'keypoint', where, finite).shape
    if 'keypoint_score' in sample:
        scores = _numbers(sample, 'keypoint_score', where, finite).shape
        if scores != shape[:-1]:
            raise ACLNetError(f'keypoint_score of {where} must be one number per joint, {shape[:-1]}, got {scores}')
    if len(shape) == 4 and 0 in shape:
        lacking = ('person', 'frame', 'joint', 'channel')[shape.index(0)]
        raise ACLNetError(f'keypoint of {where} must have at least one {lacking}, got {shape}; drop the sample')
    if len(shape) == 4 and sample.get('total_frames', shape[1]) != shape[1]:
        raise ACLNetError(
            f'total_frames of {where} must be the number of frames of its keypoint, {shape[1]}, '
            f'got {sample["total_frames"]}'
        )


def _numbers(sample: dict, key: str, where: str, check: bool) -> np.ndarray:
    try:
        array = np.asarray(sample[key])
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in 'fiu':
        raise ACLNetError(f'{key} of {where} must be one array of numbers, got {array.dtype}')
    if not check:
        return array
    finite = is_finite(array)
    if not finite.all():
        raise ACLNetError(
            f'{key} of {where} must be finite, but {finite.size - np.count_nonzero(finite)} of its {finite.size} '
            'numbers are NaN or infinite; set missing joints to 0, or drop the sample'
        )
    return array


def is_finite(array: np.ndarray) -> np.ndarray:
    """Where ``array`` holds numbers that are finite in float32."""
    if array.dtype == np.float16:  # numpy's own test of float16 takes several times as long
        return (array.view(np.uint16) & 0x7C00) != 0x7C00
    with np.errstate(over='ignore'):  # what float32 cannot hold becomes infinite
        return np.isfinite(array.astype(np.float32, copy=False))
