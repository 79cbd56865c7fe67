"""Completes the 17 joints of COCO by three that make a spine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aclnet import skeletons
from aclnet.datasets.transforms.base import check_layout, copy_channels, fail, keypoint_of, score_of
from aclnet.registry import TRANSFORMS

if TYPE_CHECKING:
    from aclnet.datasets.device.clips import Clips

__all__ = ['KineticsTransform']


@TRANSFORMS.register_module(name=['KineticsTransform', 'Kinetics_Transform'])
class KineticsTransform:
    """Make layout coco_new of layout coco: append mid-hip (17), mid-spine (18) and mid-shoulder (19).

    Reads ``keypoint`` (M, T, 17, 2) in pixels with ``keypoint_score`` (M, T, 17), or (M, T, 17, 3) with the score as
    last channel; writes ``keypoint`` (M, T, 20, 3), the new joints' scores being means too. Raises ``ACLNetError``
    for other joints, or where there is no score. Source: ACLNet's published FineGYM and Kinetics configs.
    """

    fixed = True

    def __call__(self, sample: dict) -> dict:
        keypoint = keypoint_of(sample, self, channels=(2, 3))
        check_layout(sample, keypoint, skeletons.get('coco'), self)
        scored = sample.get('keypoint_score') is not None
        if keypoint.shape[-1] + scored != 3:
            raise fail(
                sample,
                self,
                f'needs x, y and one score per joint, got {keypoint.shape[-1]} channels '
                f'{"and" if scored else "without"} keypoint_score',
            )
        score = score_of(sample, keypoint, self)
        sample.pop('keypoint_score', None)
        out = np.empty((*keypoint.shape[:2], 20, 3), np.float32)
        copy_channels(keypoint, out[:, :, :17])
        if score is not None:
            out[:, :, :17, 2] = score
        out[:, :, 17] = (out[:, :, 11] + out[:, :, 12]) / 2
        out[:, :, 19] = (out[:, :, 5] + out[:, :, 6]) / 2
        out[:, :, 18] = (out[:, :, 17] + out[:, :, 19]) / 2
        sample['keypoint'] = out
        return sample

    def batched(self, clips: Clips) -> None:
        clips.merge_score()
        keypoint = clips['keypoint']
        out = keypoint.new_empty((len(keypoint), 20, 3))
        out[:, :17] = keypoint
        out[:, 17] = (out[:, 11] + out[:, 12]) / 2
        out[:, 19] = (out[:, 5] + out[:, 6]) / 2
        out[:, 18] = (out[:, 17] + out[:, 19]) / 2
        clips['keypoint'] = out
