"""Brings 3D skeletons into a common frame: centred on the leading person, upright if asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aclnet.datasets.transforms.base import check_frames, fail, keypoint_of
from aclnet.errors import ACLNetError
from aclnet.registry import TRANSFORMS

__all__ = ['PreNormalize3D']


@TRANSFORMS.register_module()
class PreNormalize3D:
    """Put the leading person first, drop the frames that lack it, centre on it and, if asked for, turn it upright.

    The person with the most non-empty frames leads (the first of equals). The centre and the axes are those of the
    leader in the first frame kept, so a clip moves as one; joints at (0, 0, 0) are missing and stay there.
    All-zero samples pass unchanged.

    Args:
        zaxis: joints (bottom, top) of the spine, which ``align_spine`` turns onto +z.
        xaxis: joints (right, left) of the shoulders: the way from left to right is then turned onto +x.
        align_spine: whether to turn.
        align_center: whether to centre.
        center_joint: joint to centre on; None is joint 1 of 25 joints, else the last joint.

    Reads and writes ``keypoint`` (M, T, V, 3) in metres; sets ``total_frames`` and ``body_center`` (3,). Raises
    ``ACLNetError`` where the channels are not 3 or a joint doesn't exist. Source: PYSKL's, as ACLNet's configs use it.
    """

    def __init__(
        self,
        zaxis: Sequence[int] = (0, 1),
        xaxis: Sequence[int] = (8, 4),
        align_spine: bool = True,
        align_center: bool = True,
        center_joint: int | None = None,
    ) -> None:
        for name, axis in (('zaxis', zaxis), ('xaxis', xaxis)):
            if len(axis) != 2 or any(not isinstance(joint, (int, np.integer)) for joint in axis):
                raise ACLNetError(f'PreNormalize3D: {name} must be a pair of joints, got {axis!r}')
        self.zaxis = tuple(zaxis)
        self.xaxis = tuple(xaxis)
        self.align_spine = align_spine
        self.align_center = align_center
        self.center_joint = center_joint

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self, channels=(3,))
        check_frames(sample, keypoint, self)
        self._check_joints(sample, keypoint.shape[2])
        if not keypoint.any():
            return sample
        keypoint = _leader_first(keypoint)
        if self.align_center:
            center = keypoint[0, 0, self._center(keypoint.shape[2])].copy()
            present = keypoint.any(-1, keepdims=True)
            keypoint = (keypoint - center) * present
            sample['body_center'] = center
        if self.align_spine:
            keypoint = _turned(keypoint, self.zaxis[1], self.zaxis[0], (0, 0, 1))
            keypoint = _turned(keypoint, self.xaxis[0], self.xaxis[1], (1, 0, 0))
        sample['keypoint'] = keypoint
        sample['total_frames'] = keypoint.shape[1]
        return sample

    def _center(self, num_joints: int) -> int:
        if self.center_joint is not None:
            return self.center_joint
        return 1 if num_joints == 25 else num_joints - 1

    def _check_joints(self, sample: dict, num_joints: int) -> None:
        used = [*self.zaxis, *self.xaxis] if self.align_spine else []
        if self.align_center:
            used.append(self._center(num_joints))
        beyond = [joint for joint in used if not -num_joints <= joint < num_joints]
        if beyond:
            raise fail(sample, self, f'uses joint {beyond[0]}, but keypoint has {num_joints} joints')


def _leader_first(keypoint: np.ndarray) -> np.ndarray:
    """float32 copy with the leader first and only the frames in which it is not empty."""
    filled = np.asarray(keypoint.any((2, 3)))  # M T
    leader = int(filled.sum(1).argmax())  # argmax takes the first of equals
    order = np.array([leader, *(person for person in range(len(keypoint)) if person != leader)])
    return keypoint[np.ix_(order, np.flatnonzero(filled[leader]))].astype(np.float32)


def _turned(keypoint: np.ndarray, head: int, tail: int, target: tuple[int, int, int]) -> np.ndarray:
    """Rotate everything by what brings the leader's tail → head of the first frame onto ``target``."""
    direction = (keypoint[0, 0, head] - keypoint[0, 0, tail]).astype(np.float64)
    matrix = _rotation(direction, np.array(target, np.float64)).astype(np.float32)
    return keypoint @ matrix.T


def _rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) rotation about source × target by the angle between them; the identity where either is about zero."""
    axis = np.cross(source, target)
    if np.abs(axis).sum() < 1e-6:  # parallel, opposite or of no length: there is no axis to turn about
        return np.eye(3)
    cosine = np.clip(source @ target / np.linalg.norm(source) / np.linalg.norm(target), -1, 1)
    angle = np.arccos(cosine)
    if angle < 1e-6:
        return np.eye(3)
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - cosine) * cross @ cross
