"""Broken samples: another stands in for them in training, the same whoever loads it, and they are reported once."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aclnet.datasets import ConcatDataset, Dataset, PoseDataset, RepeatDataset, build_dataloader
from aclnet.datasets.broken import Broken, BrokenReport
from aclnet.errors import ACLNetError
from tests.datasets.samples import write
from tests.datasets.test_loaders import PIPELINE, equal

BROKEN = {
    'no frame': (dict(keypoint=np.zeros((1, 0, 20, 3)), total_frames=0), 'must have at least one frame'),
    'no person': (dict(keypoint=np.zeros((0, 8, 20, 3))), 'must have at least one person'),
    'a joint less': (dict(keypoint=np.zeros((1, 8, 19, 3))), 'needs 20 joints, got 19'),
    'two channels': (dict(keypoint=np.zeros((1, 8, 20, 2))), 'needs keypoint with 3 channels, got 2'),
    'an axis less': (dict(keypoint=np.zeros((8, 20, 3))), '(persons, frames, joints, channels), got (8, 20, 3)'),
    'other frames': (dict(total_frames=9), 'must be the number of frames of its keypoint, 8, got 9'),
    'NaN': (dict(keypoint=np.full((1, 8, 20, 3), np.nan, np.float16)), '480 of its 480 numbers are NaN or infinite'),
    'beyond float32': (dict(keypoint=np.full((1, 8, 20, 3), 1e39)), '480 of its 480 numbers are NaN or infinite'),
    'ragged lists': (dict(keypoint=[[[1], [1, 2]]]), 'must be one array of numbers, got object'),
    'words': (dict(keypoint=np.full((1, 8, 20, 3), 'x')), 'must be one array of numbers, got <U1'),
    'infinite scores': (dict(keypoint_score=np.full((1, 8, 20), np.inf)), 'keypoint_score of sample clip003 of '),
    'scores of another shape': (
        dict(keypoint_score=np.ones((1, 8, 17))),
        'must be one number per joint, (1, 8, 20), got (1, 8, 17)',
    ),
    'nothing': (dict(keypoint=None), 'must be one array of numbers'),
}


def annotation_file(path, broken=(), change=BROKEN['NaN'][0], count=12):
    """Clips of one person, those at the positions ``broken`` changed."""
    rng = np.random.default_rng(0)
    annotations = [
        dict(frame_dir=f'clip{i:03d}', label=i % 4, total_frames=8, keypoint=rng.standard_normal((1, 8, 20, 3)))
        for i in range(count)
    ]
    for i in broken:
        annotations[i].update(change)
    return write(path, annotations)


@pytest.fixture
def path(tmp_path):
    return annotation_file(tmp_path / 'a.pkl', broken=(3, 7, 8))


@pytest.mark.parametrize('change, words', BROKEN.values(), ids=BROKEN)
def test_what_is_broken(tmp_path, change, words):
    path = annotation_file(tmp_path / 'a.pkl', (3,), change)
    (note,) = PoseDataset(path, PIPELINE)[1, 3]['broken']
    assert note.identifier == 'clip003' != note.substitute and 'clip003' in note.reason and words in note.reason
    for args in (dict(test_mode=True), dict(strict=True)):
        with pytest.raises(ACLNetError) as caught:
            PoseDataset(path, PIPELINE, **args)
        same = 'must have the same joints and channels, but clip000 has (20, 3) and clip003 has '
        assert str(caught.value) == note.reason or same in str(caught.value)


class Squares(Dataset):
    """i² and what the sample drew, but for the broken ones."""

    def __init__(self, count, broken, weights=None):
        self.identifiers = [str(i) for i in range(count)]
        self.labels = np.zeros(count, np.int64)
        self.broken, self.weights = set(broken), weights

    def __len__(self):
        return len(self.labels)

    def get(self, index, rng):
        drawn = rng.random()  # also by those that break later on
        if index in self.broken:
            raise ACLNetError(f'{index} is broken')
        return dict(square=index**2, drawn=drawn)


@given(
    broken=st.sets(st.integers(0, 8)), seed=st.integers(0, 2**40), epoch=st.integers(1, 500), draw=st.integers(0, 99)
)
@settings(deadline=None, max_examples=200)
def test_any_broken_positions(broken, seed, epoch, draw):
    dataset, index = Squares(9, broken), draw % 9
    dataset.seed = seed
    if len(broken) == 9:
        with pytest.raises(ACLNetError, match=f'^{index} is broken$'):
            dataset[epoch, index, draw]
        return
    sample = dataset[epoch, index, draw]
    assert sample == dataset[epoch, index, draw]
    assert sample['drawn'] == np.random.default_rng((seed, epoch, draw)).random()
    shown = int(sample['square'] ** 0.5)
    notes = sample.pop('broken', [])
    assert shown not in broken and (shown == index) == (not notes) == (index not in broken)
    tried = [int(note.identifier) for note in notes]
    assert tried == list(dict.fromkeys(tried)) and set(tried) <= broken and tried[:1] in ([index], [])
    assert all(note == Broken(str(i), f'{i} is broken', str(shown)) for i, note in zip(tried, notes))


def test_substitutes_are_drawn_anew_by_seed_epoch_and_draw_and_evenly():
    dataset = Squares(6, {0})
    seen = np.array([dataset[epoch, 0]['square'] ** 0.5 for epoch in range(1, 2001)])
    count = np.bincount(seen.astype(int))
    assert count[0] == 0 and (np.abs(count[1:] - 400) < 80).all()
    by_draw = [dataset[1, 0, draw]['square'] for draw in range(20)]
    dataset.seed = 1
    assert len(set(by_draw)) > 1 and by_draw != [dataset[1, 0, draw]['square'] for draw in range(20)]


def test_what_an_epoch_never_shows_stands_in_for_nothing():
    dataset = Squares(6, {0}, weights=np.array([1, 0, 0, 0.5, 2, 0]))
    assert {dataset[epoch, 0]['square'] for epoch in range(60)} == {9, 16}
    with pytest.raises(ACLNetError, match='^0 is broken$'):
        Squares(2, {0}, weights=np.array([1, 0]))[1, 0]


@pytest.mark.parametrize('name', ['test_mode', 'strict'])
def test_nothing_stands_in_where_an_error_is_asked_for(name):
    dataset = Squares(6, {0})
    setattr(dataset, name, True)
    assert dataset[1, 1]['square'] == 1
    with pytest.raises(ACLNetError, match='^0 is broken$'):
        dataset[1, 0]


def test_a_fault_that_all_have_is_told_of_the_first_after_8_more():
    dataset = Squares(1000, range(1000))
    asked = []
    dataset.get = lambda index, rng, get=dataset.get: asked.append(index) or get(index, rng)
    with pytest.raises(ACLNetError, match='^17 is broken$'):
        dataset[1, 17]
    assert asked[0] == 17 and len(set(asked)) == 9


@pytest.mark.parametrize('persistent', [False, True])
def test_workers_change_nothing(path, persistent):
    alone, helped = (
        build_dataloader(PoseDataset(path, PIPELINE), 5, workers, seed=3, persistent_workers=persistent)
        for workers in (0, 2)
    )
    for epoch in (1, 2):
        alone.set_epoch(epoch), helped.set_epoch(epoch)
        batches = list(alone)
        assert equal(batches, list(helped))
        assert all(sorted(batch) == ['img_metas', 'keypoint', 'label'] for batch in batches)
        assert all(torch.isfinite(batch['keypoint']).all() for batch in batches)
    assert set(alone.broken.identifiers) == set(helped.broken.identifiers) == {'clip003', 'clip007', 'clip008'}


def test_two_ranks_show_what_one_does_and_report_their_own(path):
    def load(size, ranks, rank):
        loader = build_dataloader(PoseDataset(path, PIPELINE), size, 0, seed=3, num_replicas=ranks, rank=rank)
        loader.set_epoch(2)
        return list(loader), set(loader.broken.identifiers)

    whole, all_broken = load(4, 1, 0)
    (first, its), (second, others) = load(2, 2, 0), load(2, 2, 1)
    for batch, one, two in zip(whole, first, second, strict=True):
        assert torch.equal(batch['keypoint'], torch.cat([one['keypoint'], two['keypoint']]))
    assert its | others == all_broken == {'clip003', 'clip007', 'clip008'}


def test_a_resumed_epoch_shows_the_same(path):
    def loader():
        return build_dataloader(PoseDataset(path, PIPELINE), 5, 0, seed=3)

    through, resumed = loader(), loader()
    for epoch in (1, 2, 3):
        through.set_epoch(epoch)
        batches = list(through)
    resumed.set_epoch(3)
    assert equal(list(resumed), batches)


def test_each_is_logged_once_with_the_number_so_far(path, caplog):
    loader = build_dataloader(RepeatDataset(PoseDataset(path, PIPELINE), 3), 5, 0)
    for epoch in (1, 2):
        loader.set_epoch(epoch)
        list(loader)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3 and {line.split()[1] for line in said} == {'clip003', 'clip007', 'clip008'}
    for number, line in enumerate(said, 1):
        assert f'(broken samples so far: {number}): keypoint of sample clip00' in line and path in line
        assert 'is broken and was replaced by clip0' in line
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert {record.name for record in caplog.records} == {'aclnet'}


def test_a_collate_fn_of_ones_own_sees_no_notes(path):
    loader = build_dataloader(PoseDataset(path, PIPELINE), 12, 0, collate_fn=lambda samples: samples)
    (samples,) = loader
    assert all(sorted(sample) == ['img_metas', 'keypoint', 'label'] for sample in samples)
    assert len(loader.broken.identifiers) == 3


@pytest.mark.parametrize('workers', [0, 1])
def test_a_strict_part_ends_a_training(tmp_path, workers):
    path = annotation_file(tmp_path / 'a.pkl', (3, 7, 8), BROKEN['a joint less'][0])

    def part(**args):
        return dict(type='PoseDataset', ann_file=path, pipeline=PIPELINE, **args)

    def load(dataset):
        return list(build_dataloader(dataset, 5, workers))

    assert len(load(ConcatDataset([part(), part()]))) == len(load(RepeatDataset(part(), 2))) == 5
    path = annotation_file(tmp_path / 'all.pkl', range(12), BROKEN['a joint less'][0])
    with pytest.raises(ACLNetError, match='^sample clip0[01][0-9]: .* needs 20 joints, got 19$'):
        load(ConcatDataset([*[part()] * 20, part(strict=True)]))
    with pytest.raises(ACLNetError, match='^sample clip0[01][0-9]: .* needs 20 joints, got 19$'):
        load(RepeatDataset(part(strict=True), 2))


def test_poses_of_raw_files_are_checked_too(tmp_path):
    poses = dict(keypoint=np.full((4, 17, 3), np.inf, np.float16), frame_inds=np.arange(4))
    write(tmp_path / 'raw.pkl', dict(a=poses))
    path = write(tmp_path / 'a.pkl', [dict(frame_dir='a', label=0, total_frames=4, raw_file='raw.pkl')])
    with pytest.raises(ACLNetError, match='^keypoint of sample a of .* 204 of its 204 numbers'):
        PoseDataset(path, [])[0]


@pytest.mark.parametrize('dtype', ['<f2', '>f2', '<f4', '>f8', '<i2', 'u1'])
def test_one_number_that_is_not_finite_is_found(tmp_path, dtype):
    keypoint = np.zeros((2, 3, 4, 3), dtype)
    values = (np.nan, -np.inf) if dtype[1] == 'f' else ()
    if values:
        keypoint[0, 0, 0] = np.finfo(dtype).tiny, np.finfo('f2').max, np.finfo('f2').min
    for name, value in zip('ab', values):
        changed = keypoint.swapaxes(0, 1).copy().swapaxes(0, 1)
        changed[1, 2, 3, 1] = value
        path = write(tmp_path / f'{name}.pkl', [dict(frame_dir=name, label=0, keypoint=changed)])
        with pytest.raises(ACLNetError, match=' 1 of its 72 numbers are NaN or infinite'):
            PoseDataset(path, [])[0]
    path = write(tmp_path / 'good.pkl', [dict(frame_dir='a', label=0, keypoint=keypoint)])
    np.testing.assert_array_equal(PoseDataset(path, [])[0]['keypoint'], keypoint)


def test_a_report_keeps_the_order():
    report = BrokenReport()
    report.add([Broken('b', 'x', 'c'), Broken('a', 'x', 'c'), Broken('b', 'y', 'd')])
    assert list(report.identifiers) == ['b', 'a']
