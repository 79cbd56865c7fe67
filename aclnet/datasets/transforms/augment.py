"""Random changes of a training clip: rotation, mirror, dropped limbs, flip."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import torch

from aclnet import skeletons
from aclnet.datasets.transforms.base import (
    check_layout,
    check_probability,
    fail,
    float32_of,
    keypoint_of,
    require,
    rng_of,
    score_of,
    turned,
)
from aclnet.errors import ACLNetError, shown
from aclnet.limits import MAX_PIXELS
from aclnet.registry import TRANSFORMS

if TYPE_CHECKING:
    from aclnet.datasets.device.clips import Clips

__all__ = ['Flip', 'PartDrop', 'RandomRot', 'SpatialFlip']


@TRANSFORMS.register_module()
class RandomRot:
    """Rotate a whole clip by random angles.

    Args:
        theta: largest angle in radians; each angle is drawn from U(-theta, theta).

    Reads and writes ``keypoint`` (M, T, V, 3): x' = Rz·Ry·Rx·x with one angle per axis, or (M, T, V, 2) with one angle.
    Raises ``ACLNetError`` for other numbers of channels. Source: PYSKL's, as ACLNet's NTU configs use it.
    """

    def __init__(self, theta: float = 0.3) -> None:
        if isinstance(theta, bool) or not isinstance(theta, (int, float)) or not 0 <= theta < np.inf:
            raise ACLNetError(f'RandomRot: theta must be an angle in radians from 0 up, got {theta!r}')
        self.theta = theta

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self, channels=(2, 3))
        rng = rng_of(sample)
        if keypoint.shape[-1] == 3:
            angles = rng.uniform(-self.theta, self.theta, 3)
            matrix = _rotation_3d(np.cos(angles).tolist(), np.sin(angles).tolist())
        else:
            matrix = _rotation_2d(rng.uniform(-self.theta, self.theta))
        sample['keypoint'] = turned(keypoint, matrix)
        return sample

    def batched(self, clips: Clips) -> None:
        keypoint = clips['keypoint'].float()
        channels = keypoint.shape[-1]
        angles = clips.draws.uniform(-self.theta, self.theta, 3 if channels == 3 else 1).T
        matrix = _rotation_3d(np.cos(angles), np.sin(angles)) if channels == 3 else _rotation_2d(angles[0])  # C C N
        rows = clips.rows_of(np.ascontiguousarray(np.moveaxis(matrix, -1, 0), np.float32))
        turned = keypoint[..., :1] * rows[:, None, :, 0]  # no matrix products, whose precision may be lowered on GPUs
        for channel in range(1, channels):
            turned.addcmul_(keypoint[..., channel : channel + 1], rows[:, None, :, channel])
        clips['keypoint'] = turned


def _rotation_3d(cosines: Sequence | np.ndarray, sines: Sequence | np.ndarray) -> np.ndarray:
    """Rz·Ry·Rx (3, 3, …) of three angles, multiplied out: three arrays and their products would take as long as
    turning the clip."""
    (cx, cy, cz), (sx, sy, sz) = cosines, sines
    return np.array(
        [
            [cz * cy, cz * sy * sx + sz * cx, sz * sx - cz * sy * cx],
            [-sz * cy, cz * cx - sz * sy * sx, sz * sy * cx + cz * sx],
            [sy, -cy * sx, cy * cx],
        ]
    )


def _rotation_2d(angle: float | np.ndarray) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


@TRANSFORMS.register_module(name=['SpatialFlip', 'Spatial_Flip'])
class SpatialFlip:
    """Swap the left and right joints of a whole clip; coordinates stay as they are.

    Args:
        dataset: joint layout whose mirror to apply, a key of ``skeletons.LAYOUTS``.
        p: probability of a swap, in [0, 1].

    Reads and writes ``keypoint`` (M, T, V, C), and ``keypoint_score`` (M, T, V) if there is one. Raises ``ACLNetError``
    where V is not the layout's joint count. Source: ACLNet's published NTU configs.
    """

    def __init__(self, dataset: str = 'nturgb+d', p: float = 0.5) -> None:
        self.layout = skeletons.get(dataset)
        self.p = check_probability(p, 'p', self)

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self)
        check_layout(sample, keypoint, self.layout, self)
        score = score_of(sample, keypoint, self)
        if rng_of(sample).random() < self.p:
            sample['keypoint'] = keypoint.take(self.layout.mirror, axis=2)
            if score is not None:
                sample['keypoint_score'] = score.take(self.layout.mirror, axis=2)
        return sample

    def batched(self, clips: Clips) -> None:
        _swap_joints(clips, clips.draws.random()[:, 0] < self.p, self.layout.mirror)


@TRANSFORMS.register_module(name=['PartDrop', 'Part_Drop'])
class PartDrop:
    """Zero one limb of every person for a whole clip.

    Args:
        p: probability of a drop, in [0, 1]; each of the four limbs is then as likely.
        dataset: joint layout whose limbs to choose from, a key of ``skeletons.LAYOUTS``.

    Reads and writes ``keypoint`` (M, T, V, C), and ``keypoint_score`` (M, T, V) if there is one. Raises ``ACLNetError``
    where V is not the layout's joint count. Source: ACLNet's published NTU and PKU-MMD configs.
    """

    def __init__(self, p: float = 0.2, dataset: str = 'nturgb+d') -> None:
        self.p = check_probability(p, 'p', self)
        self.layout = skeletons.get(dataset)

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self)
        check_layout(sample, keypoint, self.layout, self)
        score = score_of(sample, keypoint, self)
        rng = rng_of(sample)
        if rng.random() < self.p:
            limb = list(self.layout.limbs[rng.integers(len(self.layout.limbs))])
            for key, array in (('keypoint', keypoint), ('keypoint_score', score)):
                if array is not None:
                    sample[key] = np.array(array)  # a copy: the array may be the dataset's
                    sample[key][:, :, limb] = 0
        return sample

    def batched(self, clips: Clips) -> None:
        dropping = np.flatnonzero(clips.draws.random()[:, 0] < self.p)
        limbs = np.zeros((len(self.layout.limbs), self.layout.num_joints), bool)
        for limb, joints in zip(limbs, self.layout.limbs):
            limb[list(joints)] = True
        dropped = np.zeros((len(clips), self.layout.num_joints), bool)
        dropped[dropping] = limbs[clips.draws.integers(np.full(len(dropping), len(limbs)), dropping)]
        rows = clips.rows_of(dropped)
        clips['keypoint'] = clips['keypoint'].masked_fill(rows[..., None], 0)
        if 'keypoint_score' in clips:
            clips['keypoint_score'] = clips['keypoint_score'].masked_fill(rows, 0)


def _swap_joints(clips: Clips, swapped: np.ndarray, order: np.ndarray) -> None:
    """Put the joints of the samples ``swapped`` (N,) in another order (V,), their scores too."""
    rows = clips.rows_of(np.where(swapped[:, None], order, np.arange(len(order))))  # rows V
    keypoint = clips['keypoint']
    clips['keypoint'] = keypoint.gather(1, rows[..., None].expand(keypoint.shape))
    if 'keypoint_score' in clips:
        clips['keypoint_score'] = clips['keypoint_score'].gather(1, rows)


@TRANSFORMS.register_module()
class Flip:
    """Mirror a 2D clip in its image: x becomes width - x, and left and right joints change places.

    Args:
        flip_ratio: probability of a flip, in [0, 1].
        left_kp, right_kp: joints that change places, in the same order; None leaves the joints where they are.
        direction: 'horizontal', the only one there is.

    Reads and writes ``keypoint`` (M, T, V, C) in pixels, and ``keypoint_score`` if there is one; reads ``img_shape``
    (height, width); sets ``flip`` and ``flip_direction``. Joints with x = 0 are missing and stay there. Raises
    ``ACLNetError`` where img_shape is missing or a joint doesn't exist. Source: PYSKL's.
    """

    def __init__(
        self,
        flip_ratio: float = 0.5,
        left_kp: Sequence[int] | None = None,
        right_kp: Sequence[int] | None = None,
        direction: str = 'horizontal',
    ) -> None:
        if direction != 'horizontal':
            raise ACLNetError(f"Flip: direction must be 'horizontal', got {direction!r}")
        left, right = list(left_kp or ()), list(right_kp or ())
        if len(left) != len(right):
            raise ACLNetError(f'Flip: left_kp and right_kp must be of one length, got {len(left)} and {len(right)}')
        self.flip_ratio = check_probability(flip_ratio, 'flip_ratio', self)
        self.left_kp, self.right_kp = left, right
        self.direction = direction

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self)
        score, width = score_of(sample, keypoint, self), self._width(sample)
        joints = keypoint.shape[2]
        beyond = [joint for joint in (*self.left_kp, *self.right_kp) if not 0 <= joint < joints]
        if beyond:
            raise fail(sample, self, f'swaps joint {beyond[0]}, but keypoint has {joints} joints')
        sample['flip'] = bool(rng_of(sample).random() < self.flip_ratio)
        sample['flip_direction'] = self.direction
        if sample['flip']:
            order = self._order(joints)
            keypoint = float32_of(keypoint.take(order, axis=2))
            x = keypoint[..., 0]
            keypoint[..., 0] = np.where(x != 0, width - x, x)
            sample['keypoint'] = keypoint
            if score is not None:
                sample['keypoint_score'] = score.take(order, axis=2)
        return sample

    def noted(self, sample: dict) -> dict[str, float]:
        return {'width': self._width(sample)}

    def batched(self, clips: Clips) -> None:
        flipped = clips.draws.random()[:, 0] < self.flip_ratio
        _swap_joints(clips, flipped, self._order(clips['keypoint'].shape[1]))
        keypoint = clips['keypoint'].float()
        x = keypoint[..., 0]
        width = clips.rows_of(np.where(flipped, clips.notes['width'], np.nan).astype(np.float32))[:, None]
        keypoint[..., 0] = torch.where((x != 0) & ~width.isnan(), width - x, x)
        clips['keypoint'] = keypoint

    def _order(self, joints: int) -> np.ndarray:
        order = np.arange(joints)
        order[self.left_kp], order[self.right_kp] = self.right_kp, self.left_kp
        return order

    def _width(self, sample: dict) -> float:
        shape = require(sample, 'img_shape', self)
        if isinstance(shape, np.ndarray):
            shape = tuple(shape.ravel()[:3])
        sizes = isinstance(shape, (tuple, list)) and len(shape) == 2 and all(isinstance(size, Real) for size in shape)
        if not sizes or not all(0 < size <= MAX_PIXELS for size in shape):
            raise fail(sample, self, f'needs img_shape (height, width) in pixels, got {shown(shape)}')
        return float(shape[1])
