"""The random transforms: what they do for given draws, how often, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet.datasets.transforms import Flip, PartDrop, RandomRot, SpatialFlip
from aclnet.errors import ACLNetError
from aclnet.skeletons import LAYOUTS
from tests.datasets.samples import sample_2d, sample_3d
from tests.oracles import transforms as oracle

LEFT, RIGHT = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]


@pytest.mark.parametrize('seed', range(10))
@pytest.mark.parametrize('channels', [2, 3])
def test_random_rot_against_the_oracle(seed, channels):
    rng = np.random.default_rng(seed)
    sample = sample_3d(rng, persons=int(rng.integers(1, 4)), frames=int(rng.integers(1, 5)))
    sample['keypoint'] = sample['keypoint'][..., :channels]
    before = sample['keypoint'].copy()
    angles = np.random.default_rng(seed + 100).uniform(-0.3, 0.3, 3 if channels == 3 else 1)
    out = RandomRot(theta=0.3)(dict(sample, rng=np.random.default_rng(seed + 100)))['keypoint']
    np.testing.assert_allclose(out, oracle.rotate(before, angles), atol=2e-6)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(sample['keypoint'], before)


def test_random_rot_turns_x_then_y_then_z():
    class Fixed:
        def uniform(self, low, high, size):
            return np.array([np.pi / 2, np.pi / 2, 0])

    out = RandomRot(2.0)(dict(keypoint=np.array([0, 0, 1.0]).reshape(1, 1, 1, 3), rng=Fixed()))['keypoint']
    np.testing.assert_allclose(out.ravel(), [0, 1, 0], atol=1e-6)  # Rx takes z to y, Ry leaves y; zyx would end on -x


def test_random_rot_of_zero_and_of_nothing():
    zeros = np.zeros((2, 1, 25, 3), np.float16)
    assert not RandomRot()(dict(keypoint=zeros))['keypoint'].any()
    ones = np.ones((1, 1, 25, 3), np.float16)
    np.testing.assert_array_equal(RandomRot(0)(dict(keypoint=ones))['keypoint'], ones)


@pytest.mark.parametrize('layout', list(LAYOUTS))
def test_spatial_flip_permutes_joints_and_is_its_own_inverse(layout, rng):
    shape = (2, 3, LAYOUTS[layout].num_joints)
    sample = dict(keypoint=rng.random((*shape, 3)), keypoint_score=rng.random(shape))
    flip = SpatialFlip(dataset=layout, p=1)
    once = flip(dict(sample))
    for joint, other in enumerate(LAYOUTS[layout].mirror):
        np.testing.assert_array_equal(once['keypoint'][:, :, joint], sample['keypoint'][:, :, other])
        np.testing.assert_array_equal(once['keypoint_score'][:, :, joint], sample['keypoint_score'][:, :, other])
    twice = flip(dict(once))
    np.testing.assert_array_equal(twice['keypoint'], sample['keypoint'])
    assert SpatialFlip(dataset=layout, p=0)(dict(sample))['keypoint'] is sample['keypoint']


@pytest.mark.parametrize('layout', list(LAYOUTS))
def test_part_drop_zeroes_one_whole_limb(layout):
    joints = LAYOUTS[layout].num_joints
    keypoint, score = np.ones((2, 3, joints, 3), np.float16), np.ones((2, 3, joints), np.float16)
    seen = set()
    for seed in range(40):
        out = PartDrop(p=1, dataset=layout)(
            dict(keypoint=keypoint, keypoint_score=score, rng=np.random.default_rng(seed))
        )
        gone = tuple(np.flatnonzero(out['keypoint'][0, 0, :, 0] == 0))
        assert not out['keypoint'][:, :, list(gone)].any() and out['keypoint'].sum() == 6 * 3 * (joints - len(gone))
        assert not out['keypoint_score'][:, :, list(gone)].any()
        seen.add(gone)
    assert seen == {tuple(sorted(limb)) for limb in LAYOUTS[layout].limbs}
    assert keypoint.all() and score.all()


def test_the_limbs_of_nturgbd_as_published():
    limbs = {tuple(sorted(limb)) for limb in PartDrop().layout.limbs}
    assert limbs == {(4, 5, 6, 7, 21, 22), (12, 13, 14, 15), (8, 9, 10, 11, 23, 24), (16, 17, 18, 19)}


@pytest.mark.parametrize(
    'make, changed',
    [
        (lambda p: SpatialFlip(p=p), lambda out, kp: out['keypoint'] is not kp),
        (lambda p: PartDrop(p=p), lambda out, kp: out['keypoint'] is not kp),
        (lambda p: Flip(p), lambda out, kp: out['flip']),
    ],
)
@pytest.mark.parametrize('p', [0, 0.3, 1])
def test_how_often(make, changed, p):
    transform, keypoint = make(p), np.ones((1, 1, 25, 3), np.float32)
    rng = np.random.default_rng(5)
    count = sum(
        bool(changed(transform(dict(keypoint=keypoint, img_shape=(10, 20), rng=rng)), keypoint)) for _ in range(1000)
    )
    assert abs(count / 1000 - p) < 0.05 and (p not in (0, 1) or count == 1000 * p)


@pytest.mark.parametrize('seed', range(10))
def test_flip_against_the_oracle(seed):
    rng = np.random.default_rng(seed)
    sample = sample_2d(
        rng, persons=int(rng.integers(1, 4)), frames=int(rng.integers(1, 5)), dtype=rng.choice([np.float16, np.float32])
    )
    before = sample['keypoint'].copy()
    out = Flip(1, left_kp=LEFT, right_kp=RIGHT)(dict(sample))
    np.testing.assert_allclose(out['keypoint'], oracle.flip(before, 340, LEFT, RIGHT), rtol=1e-6)
    np.testing.assert_array_equal(out['keypoint_score'], oracle.flip(sample['keypoint_score'], None, LEFT, RIGHT))
    assert out['flip'] is True and out['flip_direction'] == 'horizontal' and out['keypoint'].dtype == np.float32
    np.testing.assert_array_equal(sample['keypoint'], before)
    still = Flip(0, left_kp=LEFT, right_kp=RIGHT)(dict(sample))
    assert still['keypoint'] is sample['keypoint'] and still['flip'] is False


def test_flip_without_pairs_leaves_the_joints_in_place():
    out = Flip(1)(dict(keypoint=np.full((1, 1, 17, 2), 4.0), img_shape=(10, 20)))
    assert (out['keypoint'][..., 0] == 16).all() and (out['keypoint'][..., 1] == 4).all()


@pytest.mark.parametrize(
    'transform, keypoint, words',
    [
        (RandomRot(), np.ones((1, 1, 25, 4)), 'RandomRot needs keypoint with 2 or 3 channels, got 4'),
        (SpatialFlip(), np.ones((1, 1, 20, 3)), "SpatialFlip with layout 'nturgb+d' needs 25 joints, got 20"),
        (PartDrop(dataset='coco'), np.ones((1, 1, 25, 3)), "PartDrop with layout 'coco' needs 17 joints, got 25"),
        (Flip(), np.ones((1, 1, 17, 2)), "Flip needs the key 'img_shape'"),
    ],
)
def test_errors_name_the_sample(transform, keypoint, words):
    with pytest.raises(ACLNetError) as caught:
        transform(dict(frame_dir='x1', keypoint=keypoint))
    assert str(caught.value).startswith(f'sample x1: {words}')


def test_flip_of_a_joint_that_is_not_there():
    with pytest.raises(ACLNetError, match='sample x1: Flip swaps joint 17, but keypoint has 17 joints'):
        Flip(1, left_kp=[1], right_kp=[17])(dict(frame_dir='x1', keypoint=np.ones((1, 1, 17, 2)), img_shape=(9, 9)))


@pytest.mark.parametrize(
    'make, words',
    [
        (lambda: SpatialFlip(p=1.5), 'SpatialFlip: p must be a probability from 0 to 1, got 1.5'),
        (lambda: SpatialFlip('ntu'), "there is no joint layout 'ntu'"),
        (lambda: PartDrop(p=-1), 'PartDrop: p must be a probability'),
        (lambda: Flip('often'), 'Flip: flip_ratio must be a probability'),
        (lambda: Flip(direction='vertical'), "direction must be 'horizontal', got 'vertical'"),
        (lambda: Flip(left_kp=[1], right_kp=[2, 3]), 'of one length, got 1 and 2'),
        (lambda: RandomRot(-1), 'theta must be an angle in radians from 0 up, got -1'),
    ],
)
def test_arguments_are_checked(make, words):
    with pytest.raises(ACLNetError) as caught:
        make()
    assert words in str(caught.value)
