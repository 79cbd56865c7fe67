"""Every transform makes of any sample another one, or one sentence."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aclnet.datasets.transforms import Compose
from aclnet.errors import ACLNetError
from tests.datasets.odd import cases, odd, poses
from tests.datasets.samples import poses as compressed
from tests.datasets.samples import sample_2d, sample_3d

STEPS = [
    dict(type='PreNormalize3D'),
    dict(type='PreNormalize3D', align_spine=False, center_joint=0),
    dict(type='RandomRot'),
    dict(type='SpatialFlip', p=1),
    dict(type='PartDrop', p=1),
    dict(type='Flip', flip_ratio=1, left_kp=[1, 3], right_kp=[2, 4]),
    dict(type='KineticsTransform'),
    dict(type='JointToBone', dataset='coco'),
    dict(type='JointToKB'),
    dict(type='ToMotion', target='keypoint'),
    dict(type='GenSkeFeat', dataset='coco', feats=['j', 'km']),
    dict(type='MergeSkeFeat', feat_list=['keypoint', 'motion']),
    dict(type='UniformSampleDecode', clip_len=7, num_clips=2, p_interval=(0.4, 1)),
    dict(type='UniformSampleFrames', clip_len=7, num_clips=2),
    dict(type='PoseDecode'),
    dict(type='DecompressPose', max_person=2),
    dict(type='DecompressPose', squeeze=False),
    dict(type='FormatGCNInput', mode='loop'),
    dict(type='Rename', mapping=dict(keypoint='motion')),
    dict(type='Collect', keys=['keypoint', 'label']),
    dict(type='ToTensor', keys=['keypoint', 'label']),
]
KEYS = ['keypoint', 'keypoint_score', 'total_frames', 'img_shape', 'frame_inds', 'anno_inds', 'num_clips', 'offset']
KEYS += ['test_mode', 'motion', 'frame_dir', 'filename', 'label']
AXES = dict(FormatGCNInput=5)


@st.composite
def samples(draw):
    rng = np.random.default_rng(0)
    sample = draw(st.sampled_from([sample_3d(rng), sample_2d(rng), dict(compressed(rng), total_frames=12)])).copy()
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from(KEYS))
        sample[key] = draw(st.one_of(poses, odd) if key == 'keypoint' else odd)
    if isinstance(sample.get('keypoint'), np.ndarray) and sample['keypoint'].ndim == 4 and draw(st.booleans()):
        sample['total_frames'] = sample['keypoint'].shape[1]
    return sample


@pytest.mark.parametrize('step', STEPS, ids=lambda step: step['type'])
def test_any_sample(step):
    pipeline = Compose([step])

    @cases(25)
    @given(samples())
    def check(sample):
        before = sample.copy()
        with warnings.catch_warnings():
            warnings.simplefilter('error', RuntimeWarning)
            try:
                result = pipeline(sample)
            except ACLNetError as error:
                assert 10 < len(str(error)) < 1000 and '\n' not in str(error)
                return
        changed = result.get('keypoint')
        if changed is not before.get('keypoint') and isinstance(changed, np.ndarray):
            assert changed.ndim == AXES.get(step['type'], 4) and changed.size, changed.shape

    check()


def test_a_name_of_two_lines():
    sample = dict(sample_2d(np.random.default_rng(0)), frame_dir='a\nb')
    with pytest.raises(ACLNetError, match=r"^sample 'a\\nb': PreNormalize3D needs keypoint with 3 channels"):
        Compose([dict(type='PreNormalize3D')])(sample)


def test_a_score_that_is_none_is_no_score():
    sample = dict(sample_2d(np.random.default_rng(0)), keypoint_score=None)
    with pytest.raises(ACLNetError, match='got 2 channels without keypoint_score'):
        Compose([dict(type='KineticsTransform')])(sample.copy())
    assert Compose([dict(type='GenSkeFeat', dataset='coco')])(sample)['keypoint'].shape == (2, 12, 17, 2)


def test_lists_of_lists_are_not_followed():
    doubled: list = [0.5]
    for _ in range(40):
        doubled = [doubled, doubled]
    for step in (dict(type='ToTensor', keys=['keypoint']), dict(type='DecompressPose'), dict(type='PoseDecode')):
        with pytest.raises(ACLNetError, match='cannot make a tensor of a list|needs keypoint to be an array, got list'):
            Compose([step])(dict(frame_dir='a', keypoint=doubled))
    sample = dict(sample_2d(np.random.default_rng(0)), img_shape=doubled)
    with pytest.raises(ACLNetError, match=r'needs img_shape \(height, width\) in pixels, got \[\[\['):
        Compose([dict(type='Flip', flip_ratio=1)])(sample)
