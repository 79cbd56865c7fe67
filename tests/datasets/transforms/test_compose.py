"""Pipelines: built from config, whole published ones on difficult samples, and what errors say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aclnet.datasets.transforms import STREAMS, Compose, rng_of
from aclnet.errors import ACLNetError
from aclnet.registry import TRANSFORMS
from tests.datasets.samples import poses, sample_2d, sample_3d

PUBLISHED = [
    'PreNormalize3D',
    'RandomRot',
    'Spatial_Flip',
    'Part_Drop',
    'Flip',
    'Kinetics_Transform',
    'JointToBone',
    'JointToKB',
    'ToMotion',
    'MergeSkeFeat',
    'Rename',
    'GenSkeFeat',
    'UniformSampleDecode',
    'UniformSampleFrames',
    'UniformSample',
    'PoseDecode',
    'DecompressPose',
    'FormatGCNInput',
    'Collect',
    'ToTensor',
]
LAST = [
    dict(type='FormatGCNInput', num_person=2),
    dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
    dict(type='ToTensor', keys=['keypoint']),
]


def ntu(feat, layout='nturgb+d', **clips):
    return [
        dict(type='PreNormalize3D', align_spine=False),
        dict(type='RandomRot', theta=0.2),
        dict(type='Spatial_Flip', dataset=layout, p=0.5),
        dict(type='Part_Drop', dataset=layout, p=0.5),
        dict(type='GenSkeFeat', dataset=layout, feats=[feat]),
        dict(type='UniformSampleDecode', clip_len=10, **clips),
        *LAST,
    ]


def finegym(feat, **clips):
    left, right = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]
    return [
        dict(type='UniformSampleFrames', clip_len=10, **clips),
        dict(type='PoseDecode'),
        dict(type='Flip', flip_ratio=0.5, left_kp=left, right_kp=right),
        dict(type='Kinetics_Transform'),
        dict(type='GenSkeFeat', dataset='coco_new', feats=[feat]),
        *LAST,
    ]


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_names_resolve(name):
    assert TRANSFORMS.get(name) is not None


@pytest.mark.parametrize('feat', STREAMS)
@pytest.mark.parametrize('persons', [1, 2, 3, 5])
@pytest.mark.parametrize('frames', [1, 12])
@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('zero', [False, True])
def test_difficult_samples_pass(feat, persons, frames, test_mode, zero, rng):
    clips = dict(num_clips=10) if test_mode else {}
    more = dict(rng=rng, test_mode=test_mode)
    packed = dict(
        poses(rng, total=frames, count=persons * frames),
        frame_dir='p',
        label=1,
        total_frames=frames,
        img_shape=(256, 340),
    )
    cases = [
        (ntu(feat, **clips), sample_3d(rng, persons, frames)),
        (ntu(feat, layout='kinect20', **clips), sample_3d(rng, persons, frames, joints=20, dtype=np.float32)),
        (finegym(feat, **clips), sample_2d(rng, persons, frames)),
        ([dict(type='DecompressPose', squeeze=True), *finegym(feat, **clips)], packed),
    ]
    for pipeline, sample in cases:
        if zero:
            sample['keypoint'] = np.zeros_like(sample['keypoint'])
        out = Compose(pipeline)({**sample, **more})
        joints = sample['keypoint'].shape[-2] if sample['keypoint'].shape[-2] != 17 else 20
        assert set(out) == {'keypoint', 'label'}
        assert out['keypoint'].shape == (10 if test_mode else 1, 2, 10, joints, 3)
        assert out['keypoint'].dtype == torch.float32 and torch.isfinite(out['keypoint']).all()


def test_callables_and_configs_mix():
    compose = Compose([dict(type='Rename', mapping=dict(a='b')), lambda sample: {**sample, 'c': 3}])
    assert compose(dict(a=1)) == dict(b=1, c=3)
    assert repr(compose) == 'Compose([Rename, function])'


@pytest.mark.parametrize(
    'pipeline, words',
    [
        ([dict(type='PreNormalise3D')], "there is no transform 'PreNormalise3D'; did you mean 'PreNormalize3D'?"),
        ([dict(type='Flip', flip_ration=0.5)], "did you mean 'flip_ratio'?"),
        ([dict(flip_ratio=0.5)], "must be a dict with the key 'type'"),
        (['Flip'], "must be a dict with the key 'type', got 'Flip'"),
        (dict(type='Flip'), 'a pipeline must be a list of transforms'),
        (None, 'a pipeline must be a list of transforms, got None'),
    ],
)
def test_errors(pipeline, words):
    with pytest.raises(ACLNetError) as caught:
        Compose(pipeline)
    assert words in str(caught.value)


def test_rng_of():
    rng = np.random.default_rng(1)
    assert rng_of(dict(rng=rng)) is rng
    assert rng_of({}).random() != rng_of({}).random()
