"""The demo data: a body that stays whole, actions and cameras that differ, knobs that do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aclnet import skeletons
from aclnet.datasets import build_dataset
from aclnet.datasets.demo import ACTIONS, SIZES, DemoSize, class_names, make_demo
from aclnet.datasets.demo.actions import VARIANTS, perform, recipe
from aclnet.datasets.demo.body import DOFS, HANDED, Person, forward_kinematics
from aclnet.datasets.demo.make import record
from aclnet.datasets.demo.sensor import Camera, sense
from aclnet.errors import ACLNetError
from aclnet.files import load_pickle

SMALL = DemoSize(classes=4, subjects=3, repetitions=2)
BONES = [(joint, parent) for joint, parent in enumerate(skeletons.get('nturgb+d').parents) if joint != parent]
# the tip of a hand hangs from its thumb in the layout, and both turn with the wrist: rigid as well


def lengths(joints):
    return np.stack([np.linalg.norm(joints[..., a, :] - joints[..., b, :], axis=-1) for a, b in BONES], axis=-1)


@given(seed=st.integers(0, 2**31), label=st.integers(0, len(ACTIONS) * len(VARIANTS) - 1))
@settings(max_examples=60, deadline=None)
def test_bones_keep_their_length_and_feet_the_floor(seed, label):
    rng = np.random.default_rng(seed)
    person = Person.draw(rng)
    joints = forward_kinematics(person.offsets, *perform(recipe(label), person, rng))
    assert joints.shape[1:] == (25, 3) and len(joints) >= 8 and np.isfinite(joints).all()
    rigid = lengths(joints)
    np.testing.assert_allclose(rigid, np.broadcast_to(rigid[0], rigid.shape), atol=1e-9)
    assert 1.2 < np.ptp(joints[0, :, 1]) < 2.2  # everyone begins upright, but for those who sit or bend
    assert joints[..., 1].min() >= -1e-9
    feet = joints[:, [14, 15, 18, 19], 1].min(axis=1)
    assert feet.max() < 0.3
    lowest = joints[..., 1].argmin(axis=1)
    standing = np.isin(lowest, [14, 15, 18, 19])  # rather than on the hands or the seat
    assert recipe(label).rise or np.all(feet[standing] < 1e-9)
    assert standing.all() or any(word in recipe(label).name for word in ('seated', 'squat'))


@given(seed=st.integers(0, 2**31), dof=st.sampled_from(sorted(DOFS)), degrees=st.floats(-60, 60))
@settings(max_examples=60, deadline=None)
def test_the_other_hand_is_the_mirror_image(seed, dof, degrees):
    person = Person.draw(np.random.default_rng(seed))
    other, sign = HANDED[dof]
    place = np.zeros((1, 3))
    right = forward_kinematics(person.offsets, {dof: np.array([degrees])}, place)
    left = forward_kinematics(person.offsets, {other: np.array([sign * degrees])}, place)
    mirrored = left[:, skeletons.get('nturgb+d').mirror] * [-1, 1, 1]
    np.testing.assert_allclose(right, mirrored, atol=1e-9)


@given(seed=st.integers(0, 2**31), azimuth=st.floats(-180, 180))
@settings(max_examples=40, deadline=None)
def test_a_camera_turns_and_shifts_but_never_bends_or_mirrors(seed, azimuth):
    rng = np.random.default_rng(seed)
    joints = rng.standard_normal((5, 25, 3))
    seen = Camera(azimuth, 3.0, 1.0).view(joints)
    np.testing.assert_allclose(lengths(seen), lengths(joints), atol=1e-9)
    corner, viewed = joints[:, 1:4] - joints[:, :1], seen[:, 1:4] - seen[:, :1]
    # the camera's axes (right, up, away) are left-handed where the body's (left, up, forward) are right-handed
    np.testing.assert_allclose(np.linalg.det(viewed), -np.linalg.det(corner), atol=1e-8)


def test_cameras_stand_where_they_say():
    origin = np.zeros((1, 25, 3))
    origin[0, 1] = [1, 0, 0]  # a metre to the person's left
    origin[0, 2] = [0, 0, 1]  # a metre before them
    front, left = Camera(0, 3, 1).view(origin)[0], Camera(90, 3, 1).view(origin)[0]
    np.testing.assert_allclose(front[:3], [[0, -1, 3], [1, -1, 3], [0, -1, 2]], atol=1e-12)
    np.testing.assert_allclose(left[:3], [[0, -1, 3], [0, -1, 2], [-1, -1, 3]], atol=1e-12)


def test_noise_is_a_knob_and_0_is_a_perfect_sensor():
    rng = np.random.default_rng(0)
    person = Person.draw(rng)
    joints = forward_kinematics(person.offsets, *perform(recipe(0), person, rng))
    error = []
    for noise in (0.0, 0.5, 1.0, 2.0):
        camera = Camera(20, 3, 1, noise)
        seen = sense(joints, camera, np.random.default_rng(1))
        kept = seen.any(axis=(1, 2))
        error.append(np.abs(seen - camera.view(joints))[kept].mean())
    assert error[0] == 0 and 0 < error[1] < error[2] < error[3]
    assert 0.003 < error[2] < 0.05  # centimetres, as depth cameras err


def test_files_are_the_same_for_the_same_knobs_and_others_otherwise(tmp_path):
    paths = [str(tmp_path / f'{name}.pkl') for name in 'abc']
    make_demo(paths[0], SMALL, seed=3, progress=False)
    make_demo(paths[1], SMALL, seed=3, progress=False)
    make_demo(paths[2], SMALL, seed=4, progress=False)
    same, again, other = (open(path, 'rb').read() for path in paths)
    assert same == again != other
    assert (tmp_path / 'a_classes.txt').read_text().split('\n') == [*class_names(4), '']


def test_a_larger_set_holds_the_smaller_one(tmp_path):
    small = make_demo(str(tmp_path / 'a.pkl'), SMALL, progress=False)
    large = make_demo(str(tmp_path / 'b.pkl'), DemoSize(classes=5, subjects=4, repetitions=3), progress=False)
    known = {one['frame_dir']: one for one in large['annotations']}
    for one in small['annotations']:
        assert known[one['frame_dir']]['label'] == one['label']
        np.testing.assert_array_equal(known[one['frame_dir']]['keypoint'], one['keypoint'])


def test_layout_of_the_file_and_its_splits(tmp_path):
    path = str(tmp_path / 'demo.pkl')
    make_demo(path, SMALL, progress=False)
    data = load_pickle(path)  # by the reader that admits arrays and plain containers only
    assert len(data['annotations']) == SMALL.samples == 4 * 3 * 2 * 3
    names = [one['frame_dir'] for one in data['annotations']]
    assert len(set(names)) == len(names) and names[0] == 'S001C001P001R001A001'
    for one in data['annotations']:
        persons, frames, joints, channels = one['keypoint'].shape
        assert (joints, channels, one['keypoint'].dtype) == (25, 3, np.float16) and persons in (1, 2)
        assert frames == one['total_frames'] and one['label'] == int(one['frame_dir'][-3:]) - 1
    split = data['split']
    assert (
        sorted(split['xsub_train'] + split['xsub_val'])
        == sorted(split['xview_train'] + split['xview_val'])
        == sorted(names)
    )
    assert {name[8:12] for name in split['xsub_train']} == {'P001', 'P003'}
    assert {name[8:12] for name in split['xsub_val']} == {'P002'}
    assert {name[4:8] for name in split['xview_train']} == {'C002', 'C003'}
    assert {name[4:8] for name in split['xview_val']} == {'C001'}


def test_the_default_set_has_everything_that_real_recordings_have(tmp_path):
    data = make_demo(str(tmp_path / 'demo.pkl'), progress=False)
    clips = [one['keypoint'] for one in data['annotations']]
    assert (
        len(clips) == SIZES['demo'].samples
        and len({one['label'] for one in data['annotations']}) == SIZES['demo'].classes == 14
    )
    seen = [clip.any(axis=(2, 3)) for clip in clips]  # M T
    lost = [one for one in seen if one.shape[0] == 1 and not one.all()]
    both = [one for one in seen if one.shape[0] == 2 and one.all(axis=0).any()]
    handed_over = [one for one in seen if one.shape[0] == 2 and not one.all(axis=0).any()]
    assert len(lost) > 50 and len(both) > 20 and len(handed_over) > 10
    led_by_the_second = [one for one in both if one[1].sum() > one[0].sum()]
    assert led_by_the_second
    assert len({clip.shape[1] for clip in clips}) > 15
    assert all(one.any(axis=0).sum() >= 6 for one in seen)
    assert (tmp_path / 'demo.pkl').stat().st_size < 10e6


def test_both_persons_of_a_clip_are_people():
    rng = np.random.default_rng(0)
    person = Person.draw(rng)
    pairs = [clip for _ in range(60) for clip in record(recipe(0), person, (3.0, 1.0), 0.0, rng) if len(clip) == 2]
    assert pairs
    for clip in pairs:
        for one in clip:
            there = one.any(axis=(1, 2))
            rigid = lengths(one[there])
            assert there.any()
            np.testing.assert_allclose(rigid, np.broadcast_to(rigid[0], rigid.shape), atol=1e-9)


def test_the_pipeline_of_ntu_takes_it(tmp_path):
    path = str(tmp_path / 'demo.pkl')
    make_demo(path, SMALL, progress=False)
    pipeline = [
        dict(type='PreNormalize3D', align_spine=False),
        dict(type='GenSkeFeat', dataset='nturgb+d', feats=['b']),
        dict(type='UniformSampleDecode', clip_len=16),
        dict(type='FormatGCNInput', num_person=2),
        dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
        dict(type='ToTensor', keys=['keypoint']),
    ]
    dataset = build_dataset(dict(type='PoseDataset', ann_file=path, split='xview_train', pipeline=pipeline))
    for index in range(len(dataset)):
        keypoint = dataset[index]['keypoint']
        assert keypoint.shape == (1, 2, 16, 25, 3) and keypoint.isfinite().all() and keypoint.any()


def test_every_class_has_a_name_of_its_own_and_neighbours_are_alike():
    names = class_names(len(ACTIONS) * len(VARIANTS))
    assert len(names) == len(set(names)) == 128
    person = Person.draw(np.random.default_rng(5))

    def course(label):  # a performance without chance: mean pose over ten, each at 20 moments
        poses = []
        for trial in range(10):
            joints = forward_kinematics(person.offsets, *perform(recipe(label), person, np.random.default_rng(trial)))
            joints = joints - joints[:, :1]
            poses.append(joints[np.linspace(0, len(joints) - 1, 20).astype(int)])
        return np.mean(poses, axis=0)

    courses = [course(label) for label in range(len(ACTIONS))]
    distance = np.array([[np.abs(a - b).mean() for b in courses] for a in courses])
    np.fill_diagonal(distance, np.inf)
    rank = (distance < distance[np.arange(len(ACTIONS)), np.arange(len(ACTIONS)) ^ 1][:, None]).sum(axis=1)
    assert rank.mean() < 2 and rank.max() <= 4, rank  # classes nearer than the partner; 7 would be chance


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(classes=1), ['2 to 128 classes', 'got 1']),
        (dict(classes=129), ['2 to 128 classes', 'got 129']),
        (dict(subjects=1), ['2 to 999 subjects']),
        (dict(repetitions=0), ['1 to 999 repetitions']),
        (dict(views=4), ['1 to 3 views', 'got 4']),
    ],
)
def test_sizes_out_of_range_are_refused(change, words):
    with pytest.raises(ACLNetError) as error:
        DemoSize(**{**dict(classes=2, subjects=2, repetitions=1), **change})
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize('knobs', [dict(noise=-1), dict(noise=float('nan')), dict(seed=-1)])
def test_knobs_out_of_range_are_refused(knobs, tmp_path):
    with pytest.raises(ACLNetError, match='at least 0'):
        make_demo(str(tmp_path / 'a.pkl'), SMALL, progress=False, **knobs)
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_written_are_told(tmp_path):
    with pytest.raises(ACLNetError, match=r'ends in \.pkl'):
        make_demo(str(tmp_path / 'demo.npz'), SMALL, progress=False)
    (tmp_path / 'file').write_text('')
    with pytest.raises(ACLNetError, match='cannot be written'):
        make_demo(str(tmp_path / 'file' / 'demo.pkl'), SMALL, progress=False)
    with pytest.raises(ACLNetError, match='asked for number 129'):
        recipe(128)
