"""Whole published pipelines as the literal transforms one after the other, with the draws in their published order."""

from __future__ import annotations

import numpy as np

from tests.oracles import transforms as oracle

LEFT, RIGHT = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]


def ntu(keypoint, feat, rng=None, extra=None, clip_len=100, clips=1, persons=2, layout='nturgb+d', theta=0.2):
    """(clips, persons, clip_len, V, 3) of a 3D sample; without ``rng`` its test clips.

    ``extra`` is None, 'spatial_flip' or 'part_drop', with the probabilities of the configs.
    """
    keypoint = oracle.pre_normalize(keypoint, align_spine=False)
    if rng is not None:
        keypoint = oracle.rotate(keypoint, rng.uniform(-theta, theta, 3))
        if extra == 'spatial_flip' and rng.random() < 0.5:
            keypoint = oracle.mirror(keypoint, layout)
        if extra == 'part_drop' and rng.random() < 0.2:
            keypoint = oracle.drop(keypoint, oracle.LIMBS[layout][rng.integers(4)])
    keypoint = oracle.stream(keypoint, layout, feat)
    total = keypoint.shape[1]
    if rng is None:
        frames = oracle.sample_indices(total, clip_len, clips)
    else:
        frames = oracle.training_indices(rng, total, clip_len, clips)
    return oracle.format_input(oracle.gather(keypoint, frames), clips, persons, 'zero')


def kinetics(poses, feat, rng=None, width=340, clip_len=100, clips=1, persons=2):
    """(clips, persons, clip_len, 20, 3) of compressed poses dict(keypoint, frame_inds); without ``rng`` test clips."""
    keypoint = oracle.decompress(poses['keypoint'], poses['frame_inds'])
    total = keypoint.shape[1]
    if rng is None:
        frames = oracle.sample_indices(total, clip_len, clips, decode=False)
    else:
        frames = oracle.training_indices(rng, total, clip_len, clips, decode=False)
    keypoint = oracle.gather(keypoint, frames)
    xy, score = keypoint[..., :2], keypoint[..., 2]
    if rng is not None and rng.random() < 0.5:
        xy, score = oracle.flip(xy, width, LEFT, RIGHT), oracle.flip(score, None, LEFT, RIGHT)
    keypoint = oracle.stream(oracle.kinetics(xy, score), 'coco_new', feat)
    return oracle.format_input(keypoint, clips, persons, 'zero').astype(np.float64)
