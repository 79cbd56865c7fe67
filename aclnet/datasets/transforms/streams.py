"""The six streams: joints j, bones b, k-bones k, and the motion jm, bm, km of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from aclnet import skeletons
from aclnet.datasets.transforms.base import check_layout, fail, float32_of, keypoint_of, require, with_score
from aclnet.errors import ACLNetError, nearest
from aclnet.registry import TRANSFORMS
from aclnet.skeletons import Layout

if TYPE_CHECKING:
    from aclnet.datasets.device.clips import Clips

__all__ = ['STREAMS', 'GenSkeFeat', 'JointToBone', 'JointToKB', 'MergeSkeFeat', 'Rename', 'ToMotion']

STREAMS = ('j', 'b', 'k', 'jm', 'bm', 'km')


def _to_partner(keypoint: np.ndarray, partner: np.ndarray, mean_score: bool) -> np.ndarray:
    """Joint minus partner joint, (M, T, V, C) float32; the score channel is averaged if asked for."""
    keypoint = float32_of(keypoint)
    other = keypoint.take(partner, axis=2)
    out = keypoint - other
    if mean_score:
        out[..., 2] = (keypoint[..., 2] + other[..., 2]) / 2
    return out


def _has_score(keypoint: np.ndarray | Tensor, layout: Layout) -> bool:
    return layout.scored and keypoint.shape[-1] == 3


def _bones(keypoint: np.ndarray, layout: Layout) -> np.ndarray:
    return _to_partner(keypoint, layout.bone_partner, _has_score(keypoint, layout))


def _kbones(keypoint: np.ndarray, layout: Layout) -> np.ndarray:
    return _to_partner(keypoint, layout.kbone_partner, _has_score(keypoint, layout) and not layout.subtracts_scores)


def _motion(data: np.ndarray, layout: Layout) -> np.ndarray:
    """Next frame minus this one, (M, T, V, C) float32; the last frame is 0."""
    data = float32_of(data)
    out = np.empty_like(data)
    out[:, -1] = 0
    np.subtract(data[:, 1:], data[:, :-1], out=out[:, :-1])
    if _has_score(data, layout) and not layout.subtracts_scores:
        out[:, :-1, :, 2] = (data[:, 1:, :, 2] + data[:, :-1, :, 2]) / 2
    return out


def _rows_to_partner(keypoint: Tensor, clips: Clips, layout: Layout, grand: bool) -> Tensor:
    """Bones, or with ``grand`` k-bones, of the rows (rows, V, C) of a batch."""
    partner = layout.kbone_partner if grand else layout.bone_partner
    other = keypoint.index_select(1, clips.put(partner))
    out = keypoint - other
    if _has_score(keypoint, layout) and not (grand and layout.subtracts_scores):
        out[..., 2] = (keypoint[..., 2] + other[..., 2]) / 2
    return out


def _rows_motion(data: Tensor, clips: Clips, layout: Layout) -> Tensor:
    """Motion of the rows (rows, V, C) of a batch: 0 in the last row of every person."""
    out = torch.empty_like(data)
    torch.sub(data[1:], data[:-1], out=out[:-1])
    if _has_score(data, layout) and not layout.subtracts_scores:
        out[:-1, :, 2] = (data[1:, :, 2] + data[:-1, :, 2]) / 2
    return out.index_fill_(0, clips.put(clips.ends()), 0)


@TRANSFORMS.register_module()
class JointToBone:
    """Bones: each joint minus its parent.

    Args:
        dataset: joint layout, a key of ``skeletons.LAYOUTS``.
        target: key under which the bones go.

    Reads ``keypoint`` (M, T, V, 2 or 3), writes ``target`` of the same shape; the score of a 2D layout's third channel
    is averaged. Raises ``ACLNetError`` where V is not the layout's joint count. Source: PYSKL's.
    """

    feature = staticmethod(_bones)

    def __init__(self, dataset: str = 'nturgb+d', target: str = 'keypoint') -> None:
        self.layout = skeletons.get(dataset)
        self.target = target

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self, channels=(2, 3))
        check_layout(sample, keypoint, self.layout, self)
        sample[self.target] = self.feature(keypoint, self.layout)
        return sample

    def batched(self, clips: Clips) -> None:
        clips[self.target] = _rows_to_partner(clips['keypoint'].float(), clips, self.layout, grand=False)


@TRANSFORMS.register_module()
class JointToKB(JointToBone):
    """K-bones: each joint minus its grandparent, or minus itself where its parent is the root.

    Args:
        dataset: joint layout, a key of ``skeletons.LAYOUTS``.
        target: key under which the k-bones go.

    Reads ``keypoint`` (M, T, V, 2 or 3), writes ``target`` of the same shape. The score of a 2D layout's third channel
    is averaged for coco and openpose, subtracted for their ``_new`` variants, as published. Raises ``ACLNetError``
    where V is not the layout's joint count. Source: ACLNet's release.
    """

    feature = staticmethod(_kbones)

    def batched(self, clips: Clips) -> None:
        clips[self.target] = _rows_to_partner(clips['keypoint'].float(), clips, self.layout, grand=True)


@TRANSFORMS.register_module()
class ToMotion:
    """Motion: the next frame minus this one; the last frame is 0.

    Args:
        dataset: joint layout, a key of ``skeletons.LAYOUTS``.
        source, target: keys of the data read and written.

    Reads ``source`` (M, T, V, 2 or 3), writes ``target`` of the same shape. Scores are treated as in ``JointToKB``.
    After the sampling transforms T runs over all clips, so a clip's last frame looks at the next clip's first, as
    published. Raises ``ACLNetError`` where V is not the layout's joint count. Source: PYSKL's.
    """

    def __init__(self, dataset: str = 'nturgb+d', source: str = 'keypoint', target: str = 'motion') -> None:
        self.layout = skeletons.get(dataset)
        self.source = source
        self.target = target

    def __call__(self, sample: dict) -> dict:
        require(sample, self.source, self)
        data = keypoint_of({**sample, 'keypoint': sample[self.source]}, self, channels=(2, 3))
        check_layout(sample, data, self.layout, self)
        sample[self.target] = _motion(data, self.layout)
        return sample

    def batched(self, clips: Clips) -> None:
        clips[self.target] = _rows_motion(clips[self.source].float(), clips, self.layout)


@TRANSFORMS.register_module()
class MergeSkeFeat:
    """Concatenate several features into one.

    Args:
        feat_list: keys of the features, which leave the sample.
        target: key of the result.
        axis: axis of the concatenation.

    Raises ``ACLNetError`` where a feature is missing or their shapes don't fit. Source: PYSKL's.
    """

    def __init__(self, feat_list: Sequence[str] = ('keypoint',), target: str = 'keypoint', axis: int = -1) -> None:
        if isinstance(feat_list, str) or not feat_list:
            raise ACLNetError(f'MergeSkeFeat: feat_list must be a list of keys, got {feat_list!r}')
        self.feat_list = tuple(feat_list)
        self.target = target
        self.axis = axis

    def __call__(self, sample: dict) -> dict:
        feats = [require(sample, name, self) for name in self.feat_list]
        for name in self.feat_list:
            sample.pop(name, None)
        if len(feats) > 1:
            try:
                feats = [np.concatenate(feats, axis=self.axis)]
            except ValueError as error:
                names = ', '.join(self.feat_list)
                raise fail(sample, self, f'cannot join {names} on axis {self.axis}: {error}') from None
        sample[self.target] = feats[0]
        return sample

    @property
    def batches(self) -> bool:
        return self.axis == -1 or len(self.feat_list) == 1

    def batched(self, clips: Clips) -> None:
        feats = [clips.pop(name) for name in self.feat_list]
        clips[self.target] = feats[0] if len(feats) == 1 else torch.cat([feat.float() for feat in feats], -1)


@TRANSFORMS.register_module()
class Rename:
    """Rename keys of a sample; keys that it lacks are passed over.

    Args:
        mapping: new name of every old one.

    Raises ``ACLNetError`` where a new name is taken. Source: PYSKL's.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self.mapping = dict(mapping)

    def __call__(self, sample: dict) -> dict:
        for old, new in self.mapping.items():
            if old in sample:
                if new in sample:
                    raise fail(sample, self, f"cannot call '{old}' '{new}': the sample has that key already")
                sample[new] = sample.pop(old)
        return sample

    def batched(self, clips: Clips) -> None:
        for old, new in self.mapping.items():
            if old in clips:
                clips[new] = clips.pop(old)


@TRANSFORMS.register_module()
class GenSkeFeat:
    """Turn joints into the streams asked for, concatenated.

    Args:
        dataset: joint layout, a key of ``skeletons.LAYOUTS``.
        feats: streams of :data:`STREAMS`, e.g. ``['j']`` or ``['j', 'bm']``.
        axis: axis along which several streams are concatenated; -1 stacks their channels.

    Reads ``keypoint`` (M, T, V, 2 or 3), and ``keypoint_score`` (M, T, V), which becomes the third channel of two;
    writes ``keypoint`` (M, T, V, 3 · streams) float32. Raises ``ACLNetError`` where V is not the layout's joint count.
    Source: PYSKL's, with the k-bones of ACLNet's release.

    Example:
        >>> sample = dict(keypoint=np.zeros((2, 10, 25, 3)))
        >>> GenSkeFeat(dataset='nturgb+d', feats=['j', 'bm'])(sample)['keypoint'].shape
        (2, 10, 25, 6)
    """

    fixed = True

    def __init__(self, dataset: str = 'nturgb+d', feats: Sequence[str] = ('j',), axis: int = -1) -> None:
        if isinstance(feats, str) or not feats:
            raise ACLNetError(f"GenSkeFeat: feats must be a list of streams, e.g. ['j'], got {feats!r}")
        for feat in feats:
            if feat not in STREAMS:
                raise ACLNetError(
                    f"GenSkeFeat: there is no stream '{feat}'{nearest(feat, STREAMS)} (known: {', '.join(STREAMS)})"
                )
        self.layout = skeletons.get(dataset)
        self.feats = tuple(feats)
        self.axis = axis

    def __call__(self, sample: dict) -> dict:
        scored = sample.get('keypoint_score') is not None
        keypoint = keypoint_of(sample, self, channels=(2,) if scored else (2, 3))
        check_layout(sample, keypoint, self.layout, self)
        if scored and not self.layout.scored:
            raise fail(sample, self, f"with layout '{self.layout.name}' takes 3D joints, got keypoint_score")
        keypoint = with_score(sample, keypoint, self)
        feats = [self._stream(keypoint, feat) for feat in self.feats]
        sample['keypoint'] = feats[0] if len(feats) == 1 else np.concatenate(feats, axis=self.axis)
        return sample

    @property
    def batches(self) -> bool:
        return self.axis == -1 or len(self.feats) == 1

    def batched(self, clips: Clips) -> None:
        clips.merge_score()
        keypoint = clips['keypoint']
        feats = [self._rows_stream(keypoint, clips, feat) for feat in self.feats]
        clips['keypoint'] = feats[0] if len(feats) == 1 else torch.cat(feats, -1)

    def _rows_stream(self, keypoint: Tensor, clips: Clips, feat: str) -> Tensor:
        if feat[0] != 'j':
            keypoint = _rows_to_partner(keypoint, clips, self.layout, grand=feat[0] == 'k')
        return _rows_motion(keypoint, clips, self.layout) if feat.endswith('m') else keypoint

    def _stream(self, keypoint: np.ndarray, feat: str) -> np.ndarray:
        if feat[0] == 'b':
            keypoint = _bones(keypoint, self.layout)
        elif feat[0] == 'k':
            keypoint = _kbones(keypoint, self.layout)
        return _motion(keypoint, self.layout) if feat.endswith('m') else keypoint
