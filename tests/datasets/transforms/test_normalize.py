"""PreNormalize3D against its literal form, and what it promises about the first frame."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet.datasets.transforms import PreNormalize3D
from aclnet.errors import ACLNetError
from tests.datasets.samples import sample_3d
from tests.oracles import transforms as oracle


@pytest.mark.parametrize('seed', range(40))
def test_against_the_oracle(seed):
    rng = np.random.default_rng(seed)
    joints = int(rng.choice([25, 20]))
    sample = sample_3d(
        rng,
        persons=int(rng.integers(1, 6)),
        frames=int(rng.choice([1, 2, 9])),
        joints=joints,
        dtype=rng.choice([np.float16, np.float32]),
        gaps=bool(rng.integers(2)),
    )
    args = dict(
        align_spine=bool(rng.integers(2)), align_center=bool(rng.integers(4)), center_joint=rng.choice([None, 3])
    )
    expected = oracle.pre_normalize(sample['keypoint'], **args)
    before = sample['keypoint'].copy()
    out = PreNormalize3D(**args)(dict(sample))
    assert out['keypoint'].shape == expected.shape and out['total_frames'] == expected.shape[1]
    np.testing.assert_allclose(out['keypoint'], expected, atol=5e-6)
    assert out['keypoint'].dtype == np.float32 or not before.any()
    np.testing.assert_array_equal(sample['keypoint'], before)


def test_the_spine_stands_up_and_the_shoulders_point_along_x(rng):
    sample = sample_3d(rng, dtype=np.float32, gaps=False)
    first = sample['keypoint'][0, 0]
    spine, across = first[1] - first[0], first[8] - first[4]
    first[8] -= spine * (across @ spine) / (spine @ spine)  # level shoulders
    out = PreNormalize3D()(sample)['keypoint'][0, 0]
    np.testing.assert_allclose(out[1], 0, atol=1e-6)
    for (top, bottom), axis in (((1, 0), 2), ((8, 4), 0)):
        direction = out[top] - out[bottom]
        assert direction[axis] > 0 and np.abs(np.delete(direction, axis)).max() < 1e-5


def test_of_two_persons_the_fuller_leads_and_the_first_of_equals():
    keypoint = np.zeros((2, 4, 25, 3), np.float16)
    keypoint[0, 1:3], keypoint[1, :3] = 1, 2
    out = PreNormalize3D(align_spine=False, align_center=False)(dict(keypoint=keypoint))['keypoint']
    assert out[:, :, 0, 0].tolist() == [[2, 2, 2], [0, 1, 1]]
    keypoint[1, 0] = 0
    out = PreNormalize3D(align_spine=False, align_center=False)(dict(keypoint=keypoint))['keypoint']
    assert out[:, :, 0, 0].tolist() == [[1, 1], [2, 2]]


def test_missing_joints_stay_missing():
    keypoint = np.ones((1, 2, 25, 3), np.float16)
    keypoint[0, 1, 5] = 0
    out = PreNormalize3D(align_spine=False)(dict(keypoint=keypoint * 2))['keypoint']
    assert not out.any()
    keypoint[0, 0, 1] = 3
    out = PreNormalize3D(align_spine=False)(dict(keypoint=keypoint))['keypoint']
    assert out[0, 1, 5].tolist() == [0, 0, 0] and out[0, 1, 6].tolist() == [-2, -2, -2]


def test_all_zero_passes_unchanged():
    sample = dict(keypoint=np.zeros((2, 5, 25, 3), np.float16), total_frames=5)
    out = PreNormalize3D()(dict(sample))
    assert out['keypoint'] is sample['keypoint'] and out['total_frames'] == 5


@pytest.mark.parametrize('spine', [(0, 0, 1), (0, 0, -1), (0, 0, 0)])
def test_a_spine_without_an_axis_to_turn_about_is_left(spine):
    keypoint = np.zeros((1, 1, 25, 3), np.float32)
    keypoint[0, 0, 1], keypoint[0, 0, 4] = spine, (0, 0, 2)
    keypoint[0, 0, 8] = keypoint[0, 0, 4] + (1, 0, 0)
    out = PreNormalize3D(align_center=False)(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_array_equal(out, keypoint)


@pytest.mark.parametrize(
    'keypoint, total, words',
    [
        (np.zeros((1, 4, 17, 2)), 4, 'sample x1: PreNormalize3D needs keypoint with 3 channels, got 2'),
        (np.zeros((0, 4, 25, 3)), 4, 'needs at least one person, got keypoint of shape (0, 4, 25, 3)'),
        (np.zeros((1, 0, 25, 3)), 0, 'needs at least one frame'),
        (np.zeros((4, 25, 3)), 4, 'needs keypoint of shape (persons, frames, joints, channels), got (4, 25, 3)'),
        (np.ones((1, 4, 25, 3)), 5, 'needs total_frames equal to the frames of keypoint, got 5 and 4'),
        (np.ones((1, 4, 5, 3)), 4, 'uses joint 8, but keypoint has 5 joints'),
    ],
)
def test_errors_name_the_sample(keypoint, total, words):
    with pytest.raises(ACLNetError) as caught:
        PreNormalize3D()(dict(frame_dir='x1', keypoint=keypoint, total_frames=total))
    assert str(caught.value).startswith('sample x1: PreNormalize3D ') and words in str(caught.value)


def test_axes_must_be_pairs():
    with pytest.raises(ACLNetError, match=r'zaxis must be a pair of joints, got \[0\]'):
        PreNormalize3D(zaxis=[0])
