"""What is kept of samples from epoch to epoch: the same values, within a limit, and only what cannot change."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from aclnet.datasets import PoseDataset, RepeatDataset, SampleKey, build_dataloader
from aclnet.datasets.kept import KeptSamples
from aclnet.datasets.transforms import PreNormalize3D, rng_of
from aclnet.errors import ACLNetError
from tests.datasets.samples import annotation_file, kinetics_files, sample_3d, write
from tests.datasets.test_loaders import PIPELINE, equal


class Counted:
    """A fixed transform that makes a new array and counts its calls."""

    fixed = True

    def __init__(self):
        self.calls = 0

    def __call__(self, sample):
        self.calls += 1
        return {**sample, 'keypoint': sample['keypoint'] * 2}


class Passing:
    """A fixed transform with nothing to do."""

    fixed = True

    def __call__(self, sample):
        return sample


class Drawing(PreNormalize3D):
    """Draws, so that it is not as fixed as what it derives from."""

    def __call__(self, sample):
        sample = super().__call__(sample)
        return {**sample, 'keypoint': sample['keypoint'] + rng_of(sample).random()}


@pytest.fixture
def path(tmp_path):
    return annotation_file(tmp_path / 'a.pkl')


def epochs(dataset, count=3):
    return [[dataset[SampleKey(epoch, i, i)] for i in range(len(dataset))] for epoch in range(1, count + 1)]


def test_a_fixed_transform_is_applied_once(path):
    counted = Counted()
    dataset = PoseDataset(path, [counted])
    first, second, _ = epochs(dataset)
    assert counted.calls == len(dataset) == len(dataset._kept)
    np.testing.assert_array_equal(first[3]['keypoint'], second[3]['keypoint'])
    np.testing.assert_array_equal(first[3]['keypoint'], dataset.annotations[3]['keypoint'] * 2)


def test_only_leading_transforms_are_kept(path):
    counted = Counted()
    epochs(PoseDataset(path, [lambda sample: sample, counted]))
    assert counted.calls == 36


def test_a_subclass_that_draws_is_not_taken_for_fixed(path):
    first, second, _ = epochs(PoseDataset(path, [Drawing(align_spine=False)]))
    assert not np.array_equal(first[0]['keypoint'], second[0]['keypoint'])
    np.testing.assert_allclose(first[0]['keypoint'][0, 0, -1], np.random.default_rng((0, 1, 0)).random(), rtol=1e-6)


@pytest.mark.parametrize('share', [0, 0.4, 1])
def test_memory_is_bounded_and_values_are_the_same(path, share):
    plain = PoseDataset(path, PIPELINE, keep_bytes=0)
    size = 12 * (8 * 20 * 3 * 4 + 12 + 1024)
    dataset = PoseDataset(path, PIPELINE, keep_bytes=int(share * size))
    for ours, theirs in zip(epochs(dataset), epochs(plain)):
        for a, b in zip(ours, theirs):
            assert a.keys() == b.keys() and a['label'] == b['label']
            np.testing.assert_array_equal(a['keypoint'], b['keypoint'])
    assert len(dataset._kept) == int(share * 12) and dataset._kept.used <= share * size
    assert len(plain._kept) == plain._kept.used == 0


def test_arrays_of_the_data_set_are_not_copied(path):
    for steps in ([lambda sample: sample], [Passing()], [Passing(), lambda sample: sample]):
        dataset = PoseDataset(path, steps)
        for _ in 'ab':
            assert dataset[5]['keypoint'] is dataset.annotations[5]['keypoint']


def test_kept_arrays_of_the_data_set_take_no_memory():
    kept, source = KeptSamples(2000), dict(keypoint=np.ones((9, 100, 25, 3)))
    kept.put(0, dict(source, label=1), source)
    assert kept.get(0)['keypoint'] is source['keypoint'] and kept.used < 2000


def test_writing_into_a_sample_does_not_reach_what_is_kept(path):
    def spoil(sample):
        sample['keypoint'][:] = 7
        sample.clear()
        return sample

    dataset = PoseDataset(path, [dict(type='PreNormalize3D', align_spine=False), spoil])
    epochs(dataset)
    expected = PreNormalize3D(align_spine=False)(dict(dataset.annotations[2]))['keypoint']
    np.testing.assert_array_equal(dataset._kept.get(2)['keypoint'], expected)


def test_multi_hot_labels_are_a_samples_own(tmp_path):
    annotations = [dict(sample_3d(np.random.default_rng(0)), label=[0, 2])]
    path = write(tmp_path / 'a.pkl', annotations)
    dataset = PoseDataset(path, [PreNormalize3D()], multi_class=True, num_classes=3)
    for _ in 'abc':
        sample = dataset[0]
        assert sample['label'].tolist() == [1, 0, 1]
        sample['label'][:] = 9


def test_a_broken_sample_is_replaced_in_every_epoch_by_the_same(tmp_path):
    annotations = [sample_3d(np.random.default_rng(i), name=f's{i}') for i in range(6)]
    annotations[2]['keypoint'][0, 0, 0] = np.nan
    annotations[4]['keypoint'] = annotations[4]['keypoint'][..., :2]
    path = write(tmp_path / 'a.pkl', annotations)
    steps = [dict(type='PreNormalize3D', align_spine=False), dict(type='RandomRot')]
    kept, plain = PoseDataset(path, steps), PoseDataset(path, steps, keep_bytes=0)
    for ours, theirs in zip(epochs(kept), epochs(plain)):
        assert [sample.get('broken') for sample in ours] == [sample.get('broken') for sample in theirs]
        assert [i for i, sample in enumerate(ours) if 'broken' in sample] == [2, 4]
        for a, b in zip(ours, theirs):
            np.testing.assert_array_equal(a['keypoint'], b['keypoint'])
    assert len(kept._kept) == 4


def test_kinetics_is_decompressed_once_and_poses_are_read_once(tmp_path, monkeypatch):
    path, _ = kinetics_files(tmp_path)
    steps = [dict(type='DecompressPose'), dict(type='UniformSampleFrames', clip_len=5), dict(type='PoseDecode')]
    dataset, plain = PoseDataset(path, steps), PoseDataset(path, steps, keep_bytes=0)
    read = []
    find = dataset._poses.read
    monkeypatch.setattr(dataset._poses, 'read', lambda annotation: read.append(annotation) or find(annotation))
    for ours, theirs in zip(epochs(dataset), epochs(plain)):
        for a, b in zip(ours, theirs):
            np.testing.assert_array_equal(a['keypoint'], b['keypoint'])
            np.testing.assert_array_equal(a['keypoint_score'], b['keypoint_score'])
    assert len(read) == len(dataset)


def test_each_process_keeps_its_own(path):
    dataset = PoseDataset(path, PIPELINE)
    epochs(dataset)
    assert len(dataset._kept) == 12
    other = pickle.loads(pickle.dumps(dataset))
    assert len(other._kept) == other._kept.used == 0 and other._kept.limit == dataset._kept.limit


@pytest.mark.parametrize('context', ['fork', 'spawn'])
def test_workers_that_keep_load_the_same(path, context):
    plain = build_dataloader(RepeatDataset(PoseDataset(path, PIPELINE, keep_bytes=0), 2), 5, 0, seed=3)
    keeping = RepeatDataset(PoseDataset(path, PIPELINE), 2)
    helped = build_dataloader(keeping, 5, 2, seed=3, persistent_workers=True, multiprocessing_context=context)
    for epoch in (1, 2, 3):
        plain.set_epoch(epoch), helped.set_epoch(epoch)
        assert equal(list(plain), list(helped))


@pytest.mark.parametrize('value', [-1, 2.5, True, None, '1GB'])
def test_keep_bytes_is_checked(path, value):
    with pytest.raises(ACLNetError, match='^keep_bytes must be a number of bytes from 0 up, got '):
        PoseDataset(path, [], keep_bytes=value)
