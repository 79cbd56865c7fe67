"""PoseDataset: its samples, their randomness, filters, labels, and what is said about wrong arguments."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from aclnet.datasets import PoseDataset, SampleKey, build_dataset
from aclnet.errors import ACLNetError
from tests.datasets.samples import annotation_file, kinetics_files, write

REAL = Path(__file__).resolve().parents[2] / '..' / 'shared' / 'data' / 'utd_mhad.pkl'


def draw(sample):
    """A transform that shows the sample's randomness."""
    sample['draw'] = sample['rng'].random(3).tolist()
    return sample


@pytest.fixture
def path(tmp_path):
    return annotation_file(tmp_path / 'a.pkl')


def test_a_sample(path):
    dataset = PoseDataset(path, pipeline=[], split='val')
    sample = dataset[1]
    assert sample['frame_dir'] == 'clip003' and sample['label'] == 3 and type(sample['label']) is int
    assert sample['keypoint'].shape == (1, 8, 20, 3) and sample['total_frames'] == 8
    assert sample['test_mode'] is False and 'rng' not in sample
    assert len(dataset) == 6 and dataset.identifiers == [f'clip{i:03d}' for i in range(1, 12, 2)]
    assert dataset.labels.tolist() == [1, 3, 1, 3, 1, 3] and dataset.labels.dtype == np.int64
    assert dataset.num_classes == 4 and dataset.weights is None and len(list(dataset)) == 6
    assert PoseDataset(path, [], 'val', num_classes=9).num_classes == 9


def test_two_datasets_of_a_file_share_its_arrays_and_leave_them_alone(path):
    train, val = (PoseDataset(path, pipeline=[], split=split) for split in ('train', None))
    assert train[0]['keypoint'] is val[0]['keypoint']
    sample = train[0]
    sample['keypoint'], sample['new'] = None, 1
    assert 'new' not in train[0] and train[0]['keypoint'] is not None


def test_the_rule_of_randomness(path):
    dataset = PoseDataset(path, pipeline=[draw])
    dataset.seed = 7

    def expected(epoch, number):
        return np.random.default_rng((7, epoch, number)).random(3).tolist()

    assert dataset[SampleKey(3, 5, 17)]['draw'] == expected(3, 17)
    assert dataset[3, 5]['draw'] == expected(3, 5)
    assert dataset[5]['draw'] == dataset[np.int64(5)]['draw'] == dataset[-7]['draw'] == expected(0, 5)
    assert dataset[SampleKey(1, 5, 17)]['frame_dir'] == 'clip005'
    dataset.epoch = 4
    assert dataset[5]['draw'] == expected(4, 5)
    assert dataset[5]['draw'] == dataset[5]['draw']


def test_in_test_mode_the_epoch_is_0(path):
    dataset = PoseDataset(path, pipeline=[draw], test_mode=True)
    assert dataset.seed == 0
    assert dataset[9, 5]['draw'] == dataset[5]['draw'] == np.random.default_rng((0, 0, 5)).random(3).tolist()
    assert dataset[0]['test_mode'] is True


@pytest.mark.parametrize('key', [12, -13, (1, 12)])
def test_beyond_the_end(path, key):
    with pytest.raises(IndexError, match='beyond the 12 samples'):
        PoseDataset(path, pipeline=[])[key]


@pytest.mark.parametrize('key', ['a', 1.5, (1,), (1, 2.5), None])
def test_wrong_keys(path, key):
    with pytest.raises(TypeError, match='SampleKey'):
        PoseDataset(path, pipeline=[])[key]


def test_seed_is_checked(path):
    dataset = PoseDataset(path, pipeline=[])
    dataset.seed = -1
    with pytest.raises(ACLNetError, match='seed must be a whole number from 0 up, got -1'):
        dataset[0]


def test_data_prefix(path):
    dataset = PoseDataset(path, pipeline=[], data_prefix='videos')
    assert dataset[2]['frame_dir'] == 'videos/clip002' and dataset.identifiers[2] == 'clip002'


def test_kinetics(tmp_path):
    path, poses = kinetics_files(tmp_path)
    dataset = PoseDataset(path, pipeline=[], split='train', box_thr=0.5, valid_ratio=0.0)
    sample = dataset[3]
    np.testing.assert_array_equal(sample['keypoint'], poses['video3']['keypoint'])
    np.testing.assert_array_equal(sample['frame_inds'], poses['video3']['frame_inds'])
    assert len(dataset) == 4 and not {'anno_inds', 'valid', 'box_score'} & set(sample)
    masked = PoseDataset(path, pipeline=[], split='train', box_thr=0.5, valid_ratio=0.95, data_prefix='x')
    assert masked.identifiers == ['video0', 'video1']
    score = masked.annotations[1]['box_score']
    np.testing.assert_array_equal(masked[1]['anno_inds'], score >= 0.5)
    pipeline = [dict(type='DecompressPose'), dict(type='UniformSampleFrames', clip_len=5), dict(type='PoseDecode')]
    assert PoseDataset(path, pipeline, 'train', 0.95, 0.5)[0]['keypoint'].shape[1:] == (5, 17, 2)


@pytest.mark.parametrize(
    'args, words',
    [
        (dict(valid_ratio=0.5), 'valid_ratio=0.5 needs box_thr'),
        (dict(box_thr=0.55), 'box_thr must be one of 0.5, 0.6, 0.7, 0.8, 0.9, got 0.55'),
        (dict(valid_ratio=1.5, box_thr=0.5), 'valid_ratio must be a share of the frames from 0 to 1, got 1.5'),
        (dict(valid_ratio=1.0, box_thr=0.9), 'leaves none of the 4 annotations'),
        (dict(split='trian'), "split 'trian' is not in "),
        (dict(pipeline=[dict(type='Nix')]), "there is no transform 'Nix'"),
        (dict(num_classes=2), 'label of sample video2 of '),
        (dict(memcached=True, mc_cfg='localhost'), 'mc_cfg must be (host, port)'),
    ],
)
def test_wrong_arguments(tmp_path, args, words):
    path, _ = kinetics_files(tmp_path)
    with pytest.raises(ACLNetError) as caught:
        PoseDataset(**{**dict(ann_file=path, pipeline=[], split='train'), **args})
    assert words in str(caught.value)


def test_valid_ratio_needs_its_keys(path):
    with pytest.raises(ACLNetError, match="annotation clip000 of .* has no 'valid'; leave out valid_ratio"):
        PoseDataset(path, pipeline=[], valid_ratio=0.5, box_thr=0.5)


def test_a_sample_without_poses(tmp_path):
    dataset = PoseDataset(write(tmp_path / 'a.pkl', [dict(frame_dir='a', label=0)]), pipeline=[])
    with pytest.raises(ACLNetError, match='sample a of .*a.pkl has neither keypoint nor frame_dir with a raw_file'):
        dataset[0]


@pytest.mark.parametrize(
    'label, args, words',
    [
        (-1, {}, 'must be a class from 0 up, got -1'),
        (4, dict(num_classes=4), 'must be a class from 0 to 3, got 4'),
        (1.5, {}, 'got 1.5'),
        (True, {}, 'got True'),
        ('a', {}, "got 'a'"),
        (None, {}, 'got None'),
        ([1, 2], {}, 'lists of classes need multi_class=True'),
        ([1, 5], dict(multi_class=True, num_classes=5), 'must be a class from 0 to 4, got 5'),
        ([1, 5], dict(multi_class=True), 'multi_class=True needs num_classes'),
    ],
)
def test_wrong_labels(tmp_path, label, args, words):
    good = dict(frame_dir='good', label=[0] if 'multi_class' in args else 0)
    path = write(tmp_path / 'a.pkl', [good, dict(frame_dir='bad', label=label)])
    with pytest.raises(ACLNetError) as caught:
        PoseDataset(path, pipeline=[], **args)
    assert words in str(caught.value) and ('bad' in str(caught.value) or 'needs num' in words)


def test_multi_class(tmp_path):
    annotations = [
        dict(frame_dir=str(i), label=label, keypoint=np.ones((1, 1, 2, 3)))
        for i, label in enumerate(([0, 2], [], 1, np.array([3])))
    ]
    dataset = PoseDataset(write(tmp_path / 'a.pkl', annotations), pipeline=[], multi_class=True, num_classes=4)
    assert dataset.labels.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    label = dataset[0]['label']
    assert label.dtype == np.float32
    label[:] = 9
    assert dataset[0]['label'].tolist() == [1, 0, 1, 0]


def test_class_prob(path):
    assert PoseDataset(path, [], class_prob=[1, 2.5, 0, 0.5]).weights[:5].tolist() == [1, 2.5, 0, 0.5, 1]
    assert PoseDataset(path, [], class_prob={1: 3}).weights[:5].tolist() == [1, 3, 1, 1, 1]
    for wrong, words in (
        ([1, 2], 'needs one number per class, 4, got 2'),
        ({4: 1}, 'names class 4; there are 0 to 3'),
        ({0: -1}, 'of class 0 must be a number from 0 up, got -1'),
    ):
        with pytest.raises(ACLNetError, match=words):
            PoseDataset(path, [], class_prob=wrong)
    with pytest.raises(ACLNetError, match='class_prob needs one class per sample'):
        PoseDataset(path, [], class_prob=[1] * 4, multi_class=True, num_classes=4)


def test_pickling_takes_only_what_a_worker_needs(path):
    dataset = PoseDataset(path, pipeline=[dict(type='RandomRot')], split='val')
    dataset.seed = 3
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy[2, 1]['keypoint'], dataset[2, 1]['keypoint'])
    assert len(pickle.dumps(dataset)) < 0.6 * len(pickle.dumps(PoseDataset(path, pipeline=[])))


def test_from_config(path):
    cfg = dict(type='PoseDataset', ann_file=path, pipeline=[], split='val')
    assert build_dataset(cfg, dict(test_mode=True)).test_mode and not build_dataset(cfg).test_mode
    assert cfg == dict(type='PoseDataset', ann_file=path, pipeline=[], split='val')
    with pytest.raises(ACLNetError, match="there is no dataset 'PoseDatset'; did you mean 'PoseDataset'?"):
        build_dataset(dict(type='PoseDatset'))
    with pytest.raises(ACLNetError, match="did you mean 'ann_file'?"):
        build_dataset(dict(type='PoseDataset', ann_fil=path, pipeline=[]))


@pytest.mark.skipif(not REAL.exists(), reason='the UTD-MHAD recordings are not beside this checkout')
def test_real_recordings():
    pipeline = [
        dict(type='PreNormalize3D', align_spine=False),
        dict(type='RandomRot', theta=0.2),
        dict(type='GenSkeFeat', dataset='kinect20', feats=['bm']),
        dict(type='UniformSampleDecode', clip_len=64),
        dict(type='FormatGCNInput', num_person=1),
    ]
    train, val = (PoseDataset(str(REAL), pipeline, split) for split in ('xsub_train', 'xsub_val'))
    assert (len(train), len(val), train.num_classes) == (431, 430, 27)
    for index in range(0, 431, 20):
        keypoint = train[1, index]['keypoint']
        assert keypoint.shape == (1, 1, 64, 20, 3) and np.isfinite(keypoint).all() and keypoint.any()
