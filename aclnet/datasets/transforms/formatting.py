"""The last steps of a pipeline: the network's axes, the keys that it reads, tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aclnet.datasets.transforms.base import check_positive, check_size, fail, keypoint_of, require, with_score
from aclnet.errors import ACLNetError
from aclnet.limits import MAX_PERSONS
from aclnet.registry import TRANSFORMS

if TYPE_CHECKING:
    from aclnet.datasets.device.clips import Clips

__all__ = ['Collect', 'FormatGCNInput', 'ToTensor']


@TRANSFORMS.register_module()
class FormatGCNInput:
    """Give a sample the persons and the axes that the network reads.

    Args:
        num_person: persons in the result; a surplus is cut.
        mode: how missing persons are made up: 'zero' by zeros, 'loop' by the first person.

    Reads ``keypoint`` (M, clips · L, V, C), ``num_clips`` (1 if absent) and, if there is one, ``keypoint_score``, which
    becomes a channel; writes ``keypoint`` (clips, num_person, L, V, C) float32, never an array of the dataset. Raises
    ``ACLNetError`` where the frames don't divide into clips. Source: PYSKL's.
    """

    def __init__(self, num_person: int = 2, mode: str = 'zero') -> None:
        if mode not in ('zero', 'loop'):
            raise ACLNetError(f"FormatGCNInput: mode must be 'zero' or 'loop', got {mode!r}")
        self.num_person = check_positive(num_person, 'num_person', self, MAX_PERSONS)
        self.mode = mode

    def __call__(self, sample: dict) -> dict:
        keypoint = with_score(sample, keypoint_of(sample, self), self)[: self.num_person]
        persons, frames, joints, channels = keypoint.shape
        clips = check_positive(sample.get('num_clips', 1), 'num_clips', self)
        if frames % clips:
            raise fail(sample, self, f'needs frames that divide into {clips} clips, got {frames}')
        check_size(sample, (self.num_person, frames, joints, channels), self)
        # M clips·L V C -> clips M L V C
        keypoint = keypoint.reshape(persons, clips, frames // clips, joints, channels).swapaxes(0, 1)
        out = np.zeros((clips, self.num_person, *keypoint.shape[2:]), np.float32)
        out[:, :persons] = keypoint
        if self.mode == 'loop':
            out[:, persons:] = keypoint[:, :1]
        sample['keypoint'] = out
        return sample

    def batched(self, clips: Clips) -> None:
        clips.merge_score()
        clips.whole['keypoint'] = clips.arranged('keypoint', clips.num_clips, self.num_person, self.mode == 'loop')


@TRANSFORMS.register_module()
class Collect:
    """Keep the keys that the network reads, drop the rest.

    Args:
        keys: kept at the top level.
        meta_keys: kept together in a dict; none of them, no dict.
        meta_name: key of that dict.

    Raises ``ACLNetError`` where a key is missing. Source: PYSKL's, with no meta keys by default.
    """

    def __init__(self, keys: Sequence[str], meta_keys: Sequence[str] = (), meta_name: str = 'img_metas') -> None:
        for name, value in (('keys', keys), ('meta_keys', meta_keys)):
            if isinstance(value, str):
                raise ACLNetError(f'Collect: {name} must be a list of keys, got {value!r}')
        self.keys = tuple(keys)
        self.meta_keys = tuple(meta_keys)
        self.meta_name = meta_name

    def __call__(self, sample: dict) -> dict:
        kept = {key: require(sample, key, self) for key in self.keys}
        if self.meta_keys:
            kept[self.meta_name] = {key: require(sample, key, self) for key in self.meta_keys}
        return kept

    @property
    def batches(self) -> bool:
        return not self.meta_keys and set(self.keys) <= {'keypoint', 'label'}

    def batched(self, clips: Clips) -> None:
        clips.whole = {key: clips.whole[key] for key in self.keys}


@TRANSFORMS.register_module()
class ToTensor:
    """Turn arrays, lists and numbers into tensors; a single number becomes a tensor (1,).

    Args:
        keys: what to turn.

    Raises ``ACLNetError`` where a key is missing or holds nothing of the kind. Source: PYSKL's.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if isinstance(keys, str):
            raise ACLNetError(f'ToTensor: keys must be a list of keys, got {keys!r}')
        self.keys = tuple(keys)

    def __call__(self, sample: dict) -> dict:
        for key in self.keys:
            sample[key] = self._tensor(sample, require(sample, key, self))
        return sample

    def batched(self, clips: Clips) -> None:
        for key in self.keys:
            value = clips.whole[key]
            clips.whole[key] = value[:, None] if value.ndim == 1 else value

    def _tensor(self, sample: dict, value: Any) -> torch.Tensor:
        if isinstance(value, torch.Tensor):
            return value
        try:
            if isinstance(value, (list, tuple)) and any(isinstance(item, (list, tuple, dict)) for item in value):
                raise TypeError  # one list a million times in another would become as many numbers
            tensor = torch.as_tensor(np.ascontiguousarray(value))
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise fail(sample, self, f'cannot make a tensor of a {type(value).__name__}') from None
        return tensor.float() if isinstance(value, float) else tensor
