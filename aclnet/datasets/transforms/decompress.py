"""From a list of poses with frame numbers, as Kinetics-Skeleton stores them, to persons and frames."""

from __future__ import annotations

import numpy as np

from aclnet.datasets.transforms.base import (
    check_positive,
    check_size,
    copy_channels,
    fail,
    float32_of,
    numbers_of,
    require,
)
from aclnet.errors import shown
from aclnet.limits import MAX_PERSONS
from aclnet.registry import TRANSFORMS

__all__ = ['DecompressPose']


@TRANSFORMS.register_module()
class DecompressPose:
    """Spread n poses over persons and frames.

    The poses of one frame become persons in their order. Above ``max_person`` in any frame, the persons of every frame
    are sorted by summed score, high first, and cut.

    Args:
        squeeze: whether frames without a pose are left out, the others being renumbered.
        max_person: most persons kept.

    Reads ``keypoint`` (n, V, 3) of x, y, score, ``frame_inds`` (n,), and ``anno_inds`` (n,), a mask or indices of the
    poses to use, if there is one; writes ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V) and ``total_frames``.
    Raises ``ACLNetError`` where these don't fit each other or no pose is left. Source: PYSKL's.
    """

    fixed = True

    def __init__(self, squeeze: bool = True, max_person: int = 10) -> None:
        self.squeeze = squeeze
        self.max_person = check_positive(max_person, 'max_person', self, MAX_PERSONS)

    def __call__(self, sample: dict) -> dict:
        keypoint, frames = self._poses(sample)
        in_order = bool((frames[1:] >= frames[:-1]).all())
        if self.squeeze:
            frames = _renumbered(frames, in_order)
            total = int(frames.max()) + 1
        else:
            total = check_positive(require(sample, 'total_frames', self), 'total_frames', self)
            if frames.min() < 0 or frames.max() >= total:
                raise fail(
                    sample, self, f'needs frame_inds from 0 to {total - 1}, got {frames.min()} to {frames.max()}'
                )
        count = np.bincount(frames, minlength=total)
        keypoint = float32_of(keypoint)
        persons, joints = min(int(count.max()), self.max_person), keypoint.shape[1]
        crowded = count.max() > persons
        if crowded or not in_order:
            # by frame, and then by score or as they came; stable
            order = np.lexsort((-keypoint[..., 2].sum(-1), frames)) if crowded else np.argsort(frames, kind='stable')
            keypoint, frames = keypoint[order], frames[order]
        person = np.arange(len(frames)) - (count.cumsum() - count)[frames]
        if crowded:
            kept = person < persons
            keypoint, frames, person = keypoint[kept], frames[kept], person[kept]
        check_size(sample, (persons, total, joints, 3), self)
        xy = np.empty((*keypoint.shape[:2], 2), np.float32)
        copy_channels(keypoint[..., :2], xy)
        sample['keypoint'] = np.zeros((persons, total, joints, 2), np.float32)
        sample['keypoint'][person, frames] = xy
        sample['keypoint_score'] = np.zeros((persons, total, joints), np.float32)
        sample['keypoint_score'][person, frames] = keypoint[..., 2]
        sample['total_frames'] = total
        return sample

    def _poses(self, sample: dict) -> tuple[np.ndarray, np.ndarray]:
        """The poses to use, (n, V, 3), and their frames (n,)."""
        keypoint = numbers_of(sample, 'keypoint', self)
        frames = numbers_of(sample, 'frame_inds', self, kinds='iu')
        del sample['frame_inds']  # it would pass for the sampling transforms' choice of frames
        if keypoint.ndim != 3 or keypoint.shape[2] != 3 or frames.shape != keypoint.shape[:1]:
            raise fail(
                sample,
                self,
                'needs keypoint of shape (poses, joints, 3) and as many frame_inds, '
                f'got {keypoint.shape} and {frames.shape}',
            )
        if sample.get('anno_inds') is not None:
            chosen = numbers_of(sample, 'anno_inds', self, kinds='biu')
            if chosen.dtype == bool and chosen.shape != frames.shape:
                raise fail(sample, self, f'needs one box score per pose, got {chosen.size} for {len(frames)} poses')
            if chosen.dtype != bool and (chosen.ndim != 1 or ((chosen < 0) | (chosen >= len(frames))).any()):
                raise fail(sample, self, f'needs anno_inds (n,) of the {len(frames)} poses, got {shown(chosen)}')
            keypoint, frames = keypoint[chosen], frames[chosen]
        sample.pop('anno_inds', None)
        if not len(frames):
            raise fail(sample, self, 'found no pose to use; lower box_thr, raise valid_ratio, or drop the sample')
        return keypoint, frames.astype(np.int64)


def _renumbered(frames: np.ndarray, in_order: bool) -> np.ndarray:
    """(n,) the rank, from 0, of each frame number among those that occur."""
    if not in_order:
        return np.unique(frames, return_inverse=True)[1]
    ranks = np.zeros(len(frames), np.int64)
    np.cumsum(frames[1:] != frames[:-1], out=ranks[1:])
    return ranks
