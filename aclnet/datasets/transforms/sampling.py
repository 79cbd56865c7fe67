"""Choosing the frames of clips: each clip of L frames spreads over the whole sample, one frame from each L-th.

In test mode these transforms, and only they, ignore the sample's generator and reproduce the published clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from aclnet.datasets.transforms.base import (
    check_frames,
    check_positive,
    check_size,
    fail,
    float32_of,
    keypoint_of,
    numbers_of,
    require,
    rng_of,
    score_of,
    with_score,
)
from aclnet.errors import ACLNetError, shown
from aclnet.limits import MAX_CLIPS, MAX_FRAMES
from aclnet.registry import TRANSFORMS

if TYPE_CHECKING:
    from aclnet.datasets.device.clips import Clips
    from aclnet.datasets.device.generators import Generators

__all__ = ['PoseDecode', 'UniformSampleDecode', 'UniformSampleFrames']


_Draws = np.random.RandomState | SimpleNamespace
_MAX_CHOICE = 10_000  # slots: beyond that, numpy chooses in another way
_KEPT_INDICES = 2**21  # 16 MiB: the test clips of 2,000 different lengths of samples, if they are ten of 100 frames


def _in_test_mode(sample: dict) -> bool:
    mode = sample.get('test_mode', False)
    return isinstance(mode, (bool, int, np.bool_)) and bool(mode)


class _UniformSampling:
    """What both ways of uniform sampling share: arguments, draws, the stretch and the slots of a clip."""

    def __init__(
        self, clip_len: int, num_clips: int = 1, p_interval: float | Sequence[float] = 1, seed: int = 255
    ) -> None:
        self.clip_len = check_positive(clip_len, 'clip_len', self)
        self.num_clips = check_positive(num_clips, 'num_clips', self, MAX_CLIPS)
        if self.clip_len * self.num_clips > MAX_FRAMES:
            raise ACLNetError(
                f'{type(self).__name__}: {num_clips} clips of {clip_len} frames are more than {MAX_FRAMES:,} frames'
            )
        interval = tuple(p_interval) if isinstance(p_interval, (list, tuple)) else (p_interval, p_interval)
        if len(interval) != 2 or not 0 < interval[0] <= interval[1] <= 1:
            raise ACLNetError(
                f'{type(self).__name__}: p_interval must be a share of the frames, or a pair of them, '
                f'above 0 and up to 1, got {p_interval!r}'
            )
        self.p_interval = interval
        self.seed = seed
        self._test_clips: dict[int, np.ndarray] = {}  # by the number of frames, on which alone they depend

    def _frames(self, sample: dict, total: int) -> np.ndarray:
        """(num_clips · L,) frames of all clips of a sample of ``total`` frames."""
        if not _in_test_mode(sample):
            rng = rng_of(sample)
            return self._drawn(SimpleNamespace(rand=rng.random, randint=rng.integers, choice=rng.choice), total)
        frames = self._test_clips.get(total)
        if frames is None:
            frames = self._drawn(np.random.RandomState(self.seed), total, test_mode=True)
            if self.seed is not None and (len(self._test_clips) + 1) * len(frames) <= _KEPT_INDICES:
                self._test_clips[total] = frames
        return frames

    def _drawn(self, draws: _Draws, total: int, test_mode: bool = False) -> np.ndarray:
        clips = [self._clip(draws, total, clip, test_mode) for clip in range(self.num_clips)]
        return clips[0] if len(clips) == 1 else np.concatenate(clips)

    def _clip(self, draws: _Draws, total: int, clip: int, test_mode: bool) -> np.ndarray:
        """(L,) frames of one clip."""
        raise NotImplementedError

    def _stretch(self, draws: _Draws, total: int) -> tuple[int, int]:
        """(frames, offset) of the stretch of the sample that a clip is taken from."""
        low, high = self.p_interval
        frames = max(1, int((draws.rand() * (high - low) + low) * total))
        return frames, int(draws.randint(total - frames + 1))

    def _spread(self, draws: _Draws, frames: int) -> np.ndarray:
        """(L,) increasing indices into a stretch of at least L frames."""
        length = self.clip_len
        if frames < 2 * length:
            skipped = np.zeros(length + 1, np.int64)
            skipped[draws.choice(length + 1, frames - length, replace=False)] = 1
            return np.arange(length) + skipped.cumsum()[:-1]
        bounds = np.arange(length + 1) * frames // length
        return bounds[:-1] + draws.randint(np.diff(bounds))

    @property
    def batches(self) -> bool:
        return self.clip_len < _MAX_CHOICE

    def _frames_of(self, clips: Clips) -> np.ndarray:
        """(N, num_clips · L) frames of a batch."""
        clips.num_clips = self.num_clips
        if clips.test_mode:
            return np.stack([self._frames({'test_mode': True}, total) for total in clips.frames.tolist()])
        return np.concatenate([self._clip_of(clips.draws, clips.frames) for _ in range(self.num_clips)], 1)

    def _clip_of(self, draws: Generators, total: np.ndarray) -> np.ndarray:
        """(N, L) frames of one training clip each of samples of ``total`` (N,) frames."""
        low, high = self.p_interval
        frames = np.maximum(1, ((draws.random()[:, 0] * (high - low) + low) * total).astype(np.int64))
        offset, place = draws.integers(total - frames + 1), np.arange(self.clip_len)
        out = np.empty((len(total), self.clip_len), np.int64)
        short, long = frames < self.clip_len, frames >= 2 * self.clip_len
        if (rows := np.flatnonzero(short)).size:
            out[rows] = self._looped(draws.integers(frames[rows], rows)[:, None] + place, frames[rows, None])
        if (rows := np.flatnonzero(~(short | long))).size:
            skipped = draws.choice(self.clip_len + 1, frames[rows] - self.clip_len, rows)
            out[rows] = place + skipped.cumsum(1)[:, :-1]
        if (rows := np.flatnonzero(long)).size:
            bounds = np.arange(self.clip_len + 1) * frames[rows, None] // self.clip_len
            out[rows] = bounds[:, :-1] + draws.integers(np.diff(bounds), rows)
        return out + offset[:, None]

    def _looped(self, chosen: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Frames of a stretch shorter than L, numbered on beyond its end, as frames of it."""
        return chosen

    def _mark(self, sample: dict) -> None:
        sample['clip_len'] = self.clip_len
        sample['num_clips'] = self.num_clips
        sample['frame_interval'] = None


@TRANSFORMS.register_module()
class UniformSampleDecode(_UniformSampling):
    """Sample clips and return them decoded: the frames of all clips, one clip after the other.

    Args:
        clip_len: frames L of a clip.
        num_clips: clips per sample.
        p_interval: share of the frames that a clip spreads over, or the (least, largest) share to draw from.
        seed: of the draws in test mode; 255 gives the published clips.

    Reads ``keypoint`` (M, T, V, C) and ``keypoint_score`` if there is one, which becomes a channel; writes ``keypoint``
    (M, num_clips · L, V, C). A sample shorter than L is looped. Source: PYSKL's, as ACLNet's NTU configs use it.

    Example:
        >>> sample = dict(keypoint=np.zeros((2, 30, 25, 3)), total_frames=30)
        >>> UniformSampleDecode(clip_len=100, num_clips=10)(sample)['keypoint'].shape
        (2, 1000, 25, 3)
    """

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self)
        check_frames(sample, keypoint, self)
        keypoint = with_score(sample, keypoint, self)
        check_size(sample, (len(keypoint), self.num_clips * self.clip_len, *keypoint.shape[2:]), self)
        sample['keypoint'] = keypoint.take(self._frames(sample, keypoint.shape[1]), axis=1)
        self._mark(sample)
        return sample

    def batched(self, clips: Clips) -> None:
        clips.merge_score()
        clips.take(self._frames_of(clips))

    def _looped(self, chosen: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return chosen % frames

    def _clip(self, draws: _Draws, total: int, clip: int, test_mode: bool) -> np.ndarray:
        frames, offset = self._stretch(draws, total)
        if frames >= self.clip_len:
            return self._spread(draws, frames) + offset
        start = draws.randint(0, frames)
        return np.arange(start, start + self.clip_len) % frames + offset


@TRANSFORMS.register_module(name=['UniformSampleFrames', 'UniformSample'])
class UniformSampleFrames(_UniformSampling):
    """Choose the frames of clips; ``PoseDecode`` gathers them.

    The draws are those of ``UniformSampleDecode``, but indices wrap around the whole sample, and in test mode the clips
    of a sample shorter than L start at even distances.

    Args:
        clip_len: frames L of a clip.
        num_clips: clips per sample.
        p_interval: share of the frames that a clip spreads over, or the (least, largest) share to draw from.
        seed: of the draws in test mode; 255 gives the published clips.

    Reads ``keypoint`` (M, T, V, C) or, without one, ``total_frames``; writes ``frame_inds`` (num_clips · L,) int64.
    Source: PYSKL's.
    """

    def __call__(self, sample: dict) -> dict:
        if 'keypoint' in sample:
            keypoint = keypoint_of(sample, self)
            check_frames(sample, keypoint, self)
            total = keypoint.shape[1]
        else:
            total = check_positive(require(sample, 'total_frames', self), 'total_frames', self)
        sample['frame_inds'] = self._frames(sample, total) % total + sample.get('start_index', 0)
        self._mark(sample)
        return sample

    def batched(self, clips: Clips) -> None:
        clips.frame_inds = self._frames_of(clips) % clips.frames[:, None]

    def _clip(self, draws: _Draws, total: int, clip: int, test_mode: bool) -> np.ndarray:
        frames, offset = self._stretch(draws, total)
        if frames >= self.clip_len:
            return self._spread(draws, frames) + offset
        if not test_mode:
            start = int(draws.randint(0, frames))
        else:
            start = clip if frames < self.num_clips else clip * frames // self.num_clips
        return np.arange(start, start + self.clip_len) + offset


@TRANSFORMS.register_module()
class PoseDecode:
    """Gather the frames that ``UniformSampleFrames`` chose.

    Reads ``frame_inds`` (n,), without which all frames stay, ``keypoint`` (M, T, V, C) and ``keypoint_score`` if there
    is one; writes both as float32 with n frames. Source: PYSKL's.
    """

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self)
        score, total = score_of(sample, keypoint, self), keypoint.shape[1]
        sample.setdefault('frame_inds', np.arange(total))
        chosen, offset = numbers_of(sample, 'frame_inds', self, kinds='iu'), sample.get('offset', 0)
        if chosen.ndim != 1 or not isinstance(offset, Integral) or abs(int(offset)) > MAX_FRAMES:
            raise fail(sample, self, f'needs frame_inds (n,) and an offset, got {shown(chosen)} and {shown(offset)}')
        chosen = chosen + int(offset)
        if len(chosen) and not -total <= chosen.min() <= chosen.max() < total:
            raise fail(sample, self, f'needs frame_inds from 0 to {total - 1}, got {chosen.min()} to {chosen.max()}')
        check_size(sample, (len(keypoint), len(chosen), *keypoint.shape[2:]), self)
        sample['keypoint'] = float32_of(keypoint.take(chosen, axis=1))
        if score is not None:
            sample['keypoint_score'] = float32_of(score.take(chosen, axis=1))
        return sample

    def batched(self, clips: Clips) -> None:
        if clips.frame_inds is not None:
            clips.take(clips.frame_inds)
