"""DecompressPose against its literal form."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet.datasets.transforms import DecompressPose
from aclnet.errors import ACLNetError
from tests.datasets.samples import poses
from tests.oracles import transforms as oracle


@pytest.mark.parametrize('seed', range(40))
def test_against_the_oracle(seed):
    rng = np.random.default_rng(seed)
    total = int(rng.choice([1, 3, 12]))
    packed = poses(rng, total, count=int(rng.choice([1, 5, 40])))
    if seed % 4 == 0:
        packed['frame_inds'] = rng.permutation(packed['frame_inds'])
    mask = rng.random(len(packed['frame_inds'])) < 0.7
    mask[0] = True
    args = dict(squeeze=bool(rng.integers(2)), max_person=int(rng.choice([1, 2, 10])))
    more = dict(anno_inds=mask) if rng.integers(2) else {}
    before = packed['keypoint'].copy()
    expected = oracle.decompress(**packed, **more, total_frames=total, **args)
    out = DecompressPose(**args)(dict(packed, **more, total_frames=total))
    np.testing.assert_allclose(out['keypoint'], expected[..., :2], rtol=1e-6)
    np.testing.assert_allclose(out['keypoint_score'], expected[..., 2], rtol=1e-6)
    assert out['keypoint'].dtype == out['keypoint_score'].dtype == np.float32
    assert out['total_frames'] == expected.shape[1] and not {'frame_inds', 'anno_inds'} & set(out)
    np.testing.assert_array_equal(packed['keypoint'], before)


def test_persons_keep_their_order_unless_there_are_too_many():
    keypoint = np.zeros((3, 17, 3), np.float16)
    keypoint[:, :, 2] = np.array([0.2, 0.9, 0.5])[:, None]
    sample = dict(keypoint=keypoint, frame_inds=np.array([4, 4, 4]), total_frames=9)
    scores = DecompressPose(max_person=3)(dict(sample))['keypoint_score'][:, 0, 0]
    np.testing.assert_allclose(scores, [0.2, 0.9, 0.5], atol=1e-3)
    scores = DecompressPose(max_person=2)(dict(sample))['keypoint_score'][:, 0, 0]
    np.testing.assert_allclose(scores, [0.9, 0.5], atol=1e-3)


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(anno_inds=np.zeros(30, bool)), 'found no pose to use'),
        (dict(anno_inds=np.ones(29, bool)), 'needs one box score per pose, got 29 for 30 poses'),
        (dict(frame_inds=np.zeros(29, int)), 'got (30, 17, 3) and (29,)'),
        (dict(keypoint=np.zeros((30, 17, 2))), 'needs keypoint of shape (poses, joints, 3)'),
    ],
)
def test_errors_name_the_sample(rng, change, words):
    sample = dict(poses(rng), frame_dir='x1', total_frames=12)
    with pytest.raises(ACLNetError) as caught:
        DecompressPose()({**sample, **change})
    assert str(caught.value).startswith('sample x1: DecompressPose ') and words in str(caught.value)


def test_frames_beyond_the_total_need_squeeze(rng):
    sample = dict(poses(rng, total=1), frame_dir='x1', total_frames=1)
    sample['frame_inds'] = sample['frame_inds'] + 5
    assert DecompressPose()(dict(sample))['total_frames'] == 1
    with pytest.raises(ACLNetError, match='needs frame_inds from 0 to 0, got 5 to 5'):
        DecompressPose(squeeze=False)(dict(sample))
