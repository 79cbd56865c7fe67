"""The six streams against their literal form, for every layout, and the published steps they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet.datasets.transforms import (
    STREAMS,
    Compose,
    GenSkeFeat,
    JointToBone,
    JointToKB,
    KineticsTransform,
    MergeSkeFeat,
    Rename,
    ToMotion,
)
from aclnet.errors import ACLNetError
from aclnet.skeletons import LAYOUTS
from tests.datasets.samples import sample_2d
from tests.oracles import transforms as oracle


@pytest.mark.parametrize('layout', list(oracle.PARENTS))
@pytest.mark.parametrize('feat', STREAMS)
@pytest.mark.parametrize('seed', range(3))
def test_against_the_oracle(layout, feat, seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.choice([1, 2, 6])), len(oracle.PARENTS[layout]))
    channels = int(rng.integers(2, 4))
    keypoint = rng.standard_normal((*shape, channels)).astype(rng.choice([np.float16, np.float32]))
    before = keypoint.copy()
    out = GenSkeFeat(dataset=layout, feats=[feat])(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_allclose(out, oracle.stream(before, layout, feat), atol=2e-6)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(keypoint, before)


@pytest.mark.parametrize('layout', ['coco', 'coco_new', 'openpose', 'openpose_new'])
def test_a_separate_score_becomes_the_third_channel(layout, rng):
    shape = (2, 4, len(oracle.PARENTS[layout]))
    xy, score = rng.random((*shape, 2)).astype(np.float16), rng.random(shape).astype(np.float16)
    for feat in STREAMS:
        out = GenSkeFeat(dataset=layout, feats=[feat])(dict(keypoint=xy, keypoint_score=score))
        whole = np.concatenate([xy, score[..., None]], -1)
        np.testing.assert_allclose(out['keypoint'], oracle.stream(whole, layout, feat), atol=2e-6)
        assert 'keypoint_score' not in out


def test_several_streams_are_concatenated(rng):
    keypoint = rng.random((2, 5, 25, 3)).astype(np.float32)
    out = GenSkeFeat(feats=list(STREAMS))(dict(keypoint=keypoint))['keypoint']
    assert out.shape == (2, 5, 25, 18)
    for i, feat in enumerate(STREAMS):
        np.testing.assert_allclose(out[..., 3 * i : 3 * i + 3], oracle.stream(keypoint, 'nturgb+d', feat), atol=2e-6)
    assert GenSkeFeat(feats=['j', 'b'], axis=0)(dict(keypoint=keypoint))['keypoint'].shape == (4, 5, 25, 3)


@pytest.mark.parametrize('layout', ['nturgb+d', 'coco', 'coco_new'])
@pytest.mark.parametrize('feat', STREAMS)
def test_is_the_published_composition(layout, feat, rng):
    keypoint = rng.random((2, 5, len(oracle.PARENTS[layout]), 3)).astype(np.float32)
    steps = Compose(
        [
            dict(type='JointToBone', dataset=layout, target='b'),
            dict(type='JointToKB', dataset=layout, target='k'),
            dict(type='Rename', mapping={'keypoint': 'j'}),
            *(dict(type='ToMotion', dataset=layout, source=name, target=f'{name}m') for name in 'jbk'),
            dict(type='MergeSkeFeat', feat_list=[feat]),
        ]
    )
    expected = steps(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_array_equal(GenSkeFeat(layout, [feat])(dict(keypoint=keypoint))['keypoint'], expected)


def test_kinetics_against_the_oracle(rng):
    sample = sample_2d(rng, persons=3, frames=4)
    out = KineticsTransform()(dict(sample))
    np.testing.assert_allclose(
        out['keypoint'],
        oracle.kinetics(sample['keypoint'].astype(float), sample['keypoint_score'].astype(float)),
        rtol=1e-6,
    )
    assert 'keypoint_score' not in out and out['keypoint'].dtype == np.float32
    merged = np.concatenate([sample['keypoint'], sample['keypoint_score'][..., None]], -1)
    np.testing.assert_array_equal(KineticsTransform()(dict(keypoint=merged))['keypoint'], out['keypoint'])


def test_a_root_child_has_no_kbone(rng):
    keypoint = rng.random((1, 2, 20, 3)).astype(np.float32)
    out = JointToKB('coco_new')(dict(keypoint=keypoint))['keypoint']
    children = [j for j, parent in enumerate(LAYOUTS['coco_new'].parents) if parent == LAYOUTS['coco_new'].root]
    assert not out[:, :, children].any()  # the score too is subtracted there
    keypoint = rng.random((1, 2, 17, 3)).astype(np.float32)
    out = JointToKB('coco')(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_array_equal(out[:, :, 0, 2], keypoint[:, :, 0, 2])


@pytest.mark.parametrize(
    'transform, sample, words',
    [
        (
            GenSkeFeat(),
            dict(keypoint=np.ones((1, 2, 20, 3))),
            "GenSkeFeat with layout 'nturgb+d' needs 25 joints, got 20",
        ),
        (
            GenSkeFeat(),
            dict(keypoint=np.ones((1, 2, 25, 2)), keypoint_score=np.ones((1, 2, 25))),
            "GenSkeFeat with layout 'nturgb+d' takes 3D joints, got keypoint_score",
        ),
        (
            GenSkeFeat('coco'),
            dict(keypoint=np.ones((1, 2, 17, 2)), keypoint_score=np.ones((1, 3, 17))),
            'GenSkeFeat needs keypoint_score of shape (1, 2, 17), got (1, 3, 17)',
        ),
        (
            GenSkeFeat('coco'),
            dict(keypoint=np.ones((1, 2, 17, 3)), keypoint_score=np.ones((1, 2, 17))),
            'GenSkeFeat needs keypoint with 2 channels, got 3',
        ),
        (
            JointToBone(),
            dict(keypoint=np.ones((1, 2, 25, 4))),
            'JointToBone needs keypoint with 2 or 3 channels, got 4',
        ),
        (ToMotion(source='b'), dict(keypoint=np.ones((1, 2, 25, 3))), "ToMotion needs the key 'b'"),
        (MergeSkeFeat(['a', 'keypoint']), dict(keypoint=np.ones(2)), "MergeSkeFeat needs the key 'a'"),
        (
            MergeSkeFeat(['a', 'keypoint'], axis=0),
            dict(keypoint=np.ones((2, 1)), a=np.ones((2, 2))),
            'MergeSkeFeat cannot join a, keypoint on axis 0',
        ),
        (Rename({'keypoint': 'j'}), dict(keypoint=1, j=2), "Rename cannot call 'keypoint' 'j'"),
        (KineticsTransform(), dict(keypoint=np.ones((1, 2, 17, 2))), 'got 2 channels without keypoint_score'),
        (KineticsTransform(), dict(keypoint=np.ones((1, 2, 25, 3))), "with layout 'coco' needs 17 joints, got 25"),
    ],
)
def test_errors_name_the_sample(transform, sample, words):
    with pytest.raises(ACLNetError) as caught:
        transform(dict(frame_dir='x1', **sample))
    assert str(caught.value).startswith('sample x1: ') and words in str(caught.value)


@pytest.mark.parametrize(
    'make, words',
    [
        (lambda: GenSkeFeat(feats=['jb']), "there is no stream 'jb'; did you mean"),
        (lambda: GenSkeFeat(feats='j'), "feats must be a list of streams, e.g. ['j'], got 'j'"),
        (lambda: GenSkeFeat('coco_nwe'), "there is no joint layout 'coco_nwe'; did you mean 'coco_new'?"),
        (lambda: MergeSkeFeat([]), 'feat_list must be a list of keys, got []'),
    ],
)
def test_arguments_are_checked(make, words):
    with pytest.raises(ACLNetError) as caught:
        make()
    assert words in str(caught.value)
