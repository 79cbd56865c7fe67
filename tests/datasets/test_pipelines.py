"""Whole published pipelines, sample by sample as a data set gives them, against literal loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmcv import Config

from aclnet.datasets import PoseDataset, SampleKey
from aclnet.datasets.transforms import STREAMS
from tests.datasets.odd import cases
from tests.datasets.samples import poses, sample_3d, write
from tests.oracles import pipelines as oracle

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CLIP = 9
NTU = dict(
    plain=('ntu60_xsub', ('j', 'jm')),
    spatial_flip=('ntu60_xsub', ('b', 'bm', 'k', 'km')),
    part_drop=('pku_mmd_xsub', STREAMS),
)


def shortened(path, phase):
    """The pipeline of a config with clips of 9 frames, so that samples of few frames reach all ways of sampling."""
    steps = Config.fromfile(str(CONFIGS / f'{path}.py')).data[phase].pipeline
    return [dict(step, clip_len=CLIP) if 'clip_len' in step else dict(step) for step in steps]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('made')


@pytest.mark.parametrize('extra', NTU)
def test_ntu(folder, extra):
    config, streams = NTU[extra]

    @cases(6)
    @given(
        feat=st.sampled_from(streams),
        persons=st.integers(1, 3),
        frames=st.sampled_from([1, 2, 8, 9, 10, 17, 18, 31]),
        dtype=st.sampled_from([np.float16, np.float32, np.float64]),
        gaps=st.booleans(),
        keep_bytes=st.sampled_from([0, 2**20]),
        seed=st.integers(0, 2**40),
    )
    def check(feat, persons, frames, dtype, gaps, keep_bytes, seed):
        sample = sample_3d(np.random.default_rng(seed), persons, frames, dtype=dtype, gaps=gaps)
        path = write(folder / f'{extra}.pkl', [sample])
        train = PoseDataset(path, shortened(f'{config}/{feat}', 'train'), keep_bytes=keep_bytes)
        train.seed = seed
        for epoch in (1, 2, 2**33):
            got = train[SampleKey(epoch, 0, 5)]['keypoint'].numpy()
            rng = np.random.default_rng((seed, epoch, 5))
            expected = oracle.ntu(sample['keypoint'], feat, rng, extra, clip_len=CLIP)
            np.testing.assert_allclose(got, expected, atol=1e-5)
        test = PoseDataset(path, shortened(f'{config}/{feat}', 'test'), test_mode=True, keep_bytes=keep_bytes)
        for _ in 'ab':
            got = test[0]['keypoint'].numpy()
            np.testing.assert_allclose(got, oracle.ntu(sample['keypoint'], feat, clip_len=CLIP, clips=10), atol=1e-5)

    check()


@cases(8)
@given(
    feat=st.sampled_from(STREAMS),
    total=st.sampled_from([1, 2, 8, 9, 10, 17, 18, 31]),
    most=st.integers(1, 12),
    shuffled=st.booleans(),
    keep_bytes=st.sampled_from([0, 2**20]),
    seed=st.integers(0, 2**31),
)
def test_kinetics(folder, feat, total, most, shuffled, keep_bytes, seed):
    rng = np.random.default_rng(seed)
    packed = poses(rng, total, count=total * most)
    if shuffled:
        packed['frame_inds'] = rng.permutation(packed['frame_inds'])
    write(folder / 'raw.pkl', {'v': packed})
    score = np.ones(len(packed['frame_inds']), np.float16)
    annotation = dict(
        frame_dir='v', label=0, total_frames=total, img_shape=(256, 340), raw_file='raw.pkl', box_score=score
    )
    path = write(folder / 'kinetics.pkl', [annotation])
    train = PoseDataset(path, shortened(f'k400/{feat}', 'train'), keep_bytes=keep_bytes)
    for epoch in (1, 2):
        got = train[SampleKey(epoch, 0, 0)]['keypoint'].numpy()
        expected = oracle.kinetics(packed, feat, np.random.default_rng((0, epoch, 0)), clip_len=CLIP)
        np.testing.assert_allclose(got, expected, atol=2e-4)
    test = PoseDataset(path, shortened(f'k400/{feat}', 'test'), test_mode=True, keep_bytes=keep_bytes)
    np.testing.assert_allclose(test[0]['keypoint'], oracle.kinetics(packed, feat, clip_len=CLIP, clips=10), atol=2e-4)
