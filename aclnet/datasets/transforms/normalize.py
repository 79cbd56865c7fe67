"""Brings 3D skeletons into a common frame: centred on the leading person, upright if asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aclnet.datasets.transforms.base import check_frames, fail, float32_of, keypoint_of, turned
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

    fixed = True

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
        keypoint = float32_of(self._checked(sample))
        present, filled = _present(keypoint)
        if not filled.any():
            return sample
        keypoint, present = _leader_first(keypoint, present, filled)
        if self.align_center:
            center = keypoint[0, 0, self._center(keypoint.shape[2])].copy()
            keypoint = _shifted(keypoint, -center, present)
            sample['body_center'] = center
        if self.align_spine:
            keypoint = _upright(keypoint, self.zaxis[1], self.zaxis[0], (0, 0, 1))
            keypoint = _upright(keypoint, self.xaxis[0], self.xaxis[1], (1, 0, 0))
        sample['keypoint'] = keypoint
        sample['total_frames'] = keypoint.shape[1]
        return sample

    @property
    def exact(self) -> bool:
        """Whether ``packed`` leaves the numbers of ``keypoint`` as they are in the file."""
        return not self.align_spine

    def packed(self, sample: dict) -> dict:
        """The same in two parts where that is ``exact``, for those who keep many samples in little memory: ``keypoint``
        as it is in the file, in the order and of the frames that are to be, and under ``shift`` (3,) what is still to
        be added to the joints that are present."""
        keypoint = self._checked(sample)
        present, filled = _present(float32_of(keypoint))
        if not self.exact or not filled.any():
            return self(sample)
        keypoint, _ = _leader_first(keypoint, present, filled)
        if self.align_center:
            sample['shift'] = -float32_of(keypoint[0, 0, self._center(keypoint.shape[2])])
        sample['keypoint'] = keypoint
        sample['total_frames'] = keypoint.shape[1]
        return sample

    def _checked(self, sample: dict) -> np.ndarray:
        keypoint = keypoint_of(sample, self, channels=(3,))
        check_frames(sample, keypoint, self)
        self._check_joints(sample, keypoint.shape[2])
        return keypoint

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


def _present(keypoint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which joints are present (M, T, V), and which frames are not empty (M, T)."""
    sizes = np.abs(keypoint).reshape(-1, 3) @ np.ones(3, np.float32)  # any(-1) takes many times as long
    present = sizes.reshape(keypoint.shape[:3]) != 0
    return present, present.any(2)


def _leader_first(keypoint: np.ndarray, present: np.ndarray, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``keypoint`` and ``present`` with the leader first and only the frames in which it is not empty.

    The same arrays where that is so already.
    """
    leader = int(filled.sum(1).argmax())  # argmax takes the first of equals
    if leader == 0 and filled[0].all():
        return keypoint, present
    order = np.array([leader, *(person for person in range(len(keypoint)) if person != leader)])
    kept = np.ix_(order, np.flatnonzero(filled[leader]))
    return keypoint[kept], present[kept]


def _shifted(keypoint: np.ndarray, by: np.ndarray, present: np.ndarray) -> np.ndarray:
    """A copy with ``by`` (3,) added to the joints that are present, the others being 0."""
    whole = np.broadcast_to(by, keypoint.shape[2:]).ravel()  # V·3: a sum per frame, and not one per joint
    rows = keypoint.reshape(-1, len(whole)) + whole
    if not present.all():
        rows.reshape(-1, 3)[np.flatnonzero(~present)] = 0
    return rows.reshape(keypoint.shape)


def _upright(keypoint: np.ndarray, head: int, tail: int, target: tuple[int, int, int]) -> np.ndarray:
    """Rotate everything by what brings the leader's tail → head of the first frame onto ``target``."""
    direction = (keypoint[0, 0, head] - keypoint[0, 0, tail]).astype(np.float64)
    return turned(keypoint, _rotation(direction, np.array(target, np.float64)))


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
