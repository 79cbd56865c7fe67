"""ConcatDataset, RepeatDataset and lists in configs."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet.datasets import ConcatDataset, PoseDataset, RepeatDataset, build_dataset
from aclnet.errors import ACLNetError
from tests.datasets.samples import annotation_file
from tests.datasets.test_pose_dataset import draw


@pytest.fixture
def path(tmp_path):
    return annotation_file(tmp_path / 'a.pkl')


def part(path, **more):
    return dict(type='PoseDataset', ann_file=path, pipeline=[draw], **more)


def drawn(seed, epoch, index):
    return np.random.default_rng((seed, epoch, index)).random(3).tolist()


def test_repeats_differ_and_follow_the_rule(path):
    dataset = build_dataset(dict(type='RepeatDataset', times=3, dataset=part(path)))
    dataset.seed = 2
    assert len(dataset) == 36 and dataset.identifiers[12:24] == dataset.identifiers[:12]
    assert dataset.labels.tolist() == dataset.dataset.labels.tolist() * 3 and dataset.num_classes == 4
    for index in (1, 13, 35):
        sample = dataset[5, index]
        assert sample['frame_dir'] == f'clip{index % 12:03d}' and sample['draw'] == drawn(2, 5, index)
    assert dataset[-1]['draw'] == drawn(2, 0, 35)


def test_concat_of_different_sizes(path):
    dataset = ConcatDataset([part(path, split='val'), PoseDataset(path, [draw]), part(path, split='train')])
    names = [f'clip{i:03d}' for i in [*range(1, 12, 2), *range(12), *range(0, 12, 2)]]
    assert dataset.identifiers == names and len(dataset) == 24
    assert [sample['frame_dir'] for sample in dataset] == names
    assert dataset.labels.tolist() == [sample['label'] for sample in dataset]
    assert dataset[1, 23]['draw'] == drawn(0, 1, 23)


def test_weights_carry_over(path):
    weighted = part(path, class_prob=[1, 2, 3, 4])
    dataset = RepeatDataset(ConcatDataset([part(path), weighted]), 2)
    assert dataset.weights.tolist() == ([1] * 12 + [1, 2, 3, 4] * 3) * 2
    assert ConcatDataset([part(path)]).weights is None


def test_lists_in_configs_make_concats(path, tmp_path):
    other = annotation_file(tmp_path / 'b.pkl', count=5)
    assert len(build_dataset(part([path, other]))) == 17
    assert len(build_dataset(part(path, split=['train', 'val', 'val']))) == 18
    assert len(build_dataset([part(path), part(other)], dict(test_mode=True))) == 17
    assert build_dataset([part(path), part(other)], dict(test_mode=True)).test_mode
    assert len(RepeatDataset(part([path, other]), 2)) == 34


def test_test_mode_is_that_of_the_parts(path):
    dataset = RepeatDataset(part(path), 2, test_mode=True)
    assert dataset.test_mode and dataset[7, 13]['draw'] == drawn(0, 0, 13)
    assert RepeatDataset(part(path, test_mode=True), 2)[0]['test_mode'] is True
    with pytest.raises(ACLNetError, match='must have the same test_mode'):
        ConcatDataset([part(path), part(path, test_mode=True)])


@pytest.mark.parametrize(
    'make, words',
    [
        (lambda path: RepeatDataset(part(path), 0), 'times must be a whole number from 1 up, got 0'),
        (lambda path: ConcatDataset([]), 'datasets must be a list of at least one dataset, got []'),
        (lambda path: ConcatDataset([part(path), part(path, multi_class=True, num_classes=4)]), 'one class per sample'),
        (lambda path: RepeatDataset(part(path, split='x'), 2), "split 'x' is not in"),
    ],
)
def test_wrong_arguments(path, make, words):
    with pytest.raises(ACLNetError) as caught:
        make(path)
    assert words in str(caught.value)


def test_shards_of_stores_one_after_the_other(tmp_path):
    from aclnet.datasets import PoseDataset

    path = annotation_file(tmp_path / 'a.pkl')
    store, memory = PoseDataset(path, [], pack=True), PoseDataset(path, [], pack=False)
    assert store.shards.tolist() == [0] * 12 and memory.shards is None
    assert ConcatDataset([memory, store, store]).shards.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    assert ConcatDataset([memory, memory]).shards is None and RepeatDataset(memory, 2).shards is None
    repeated = RepeatDataset(store, 2)
    assert repeated.shards.tolist() == [0] * 24 and repeated.identifiers == [*store.identifiers] * 2
    assert ConcatDataset([memory, store]).identifiers == [*memory.identifiers] * 2
