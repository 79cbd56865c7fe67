"""Batches, the same with and without workers, and errors that come out of workers as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aclnet.datasets import EpochBatchSampler, OnceBatchSampler, PoseDataset, RepeatDataset, build_dataloader
from aclnet.datasets.loaders import collate
from aclnet.errors import ACLNetError
from tests.datasets.samples import annotation_file, write

PIPELINE = [
    dict(type='PreNormalize3D', align_spine=False),
    dict(type='RandomRot', theta=0.2),
    dict(type='GenSkeFeat', dataset='kinect20', feats=['j']),
    dict(type='UniformSampleDecode', clip_len=5),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='Collect', keys=['keypoint', 'label'], meta_keys=['frame_dir']),
    dict(type='ToTensor', keys=['keypoint']),
]


@pytest.fixture
def path(tmp_path):
    return annotation_file(tmp_path / 'a.pkl')


def equal(batches, others):
    return len(batches) == len(others) and all(
        torch.equal(a['keypoint'], b['keypoint'])
        and torch.equal(a['label'], b['label'])
        and a['img_metas'] == b['img_metas']
        for a, b in zip(batches, others)
    )


def test_a_batch(path):
    loader = build_dataloader(PoseDataset(path, PIPELINE), 5, 0)
    batches = list(loader)
    assert len(loader) == len(batches) == 3 and [len(batch['label']) for batch in batches] == [5, 5, 2]
    assert batches[0]['keypoint'].shape == (5, 1, 1, 5, 20, 3) and batches[0]['keypoint'].dtype == torch.float32
    assert batches[0]['label'].shape == (5,) and batches[0]['label'].dtype == torch.int64
    names = [meta['frame_dir'] for batch in batches for meta in batch['img_metas']]
    assert sorted(names) == [f'clip{i:03d}' for i in range(12)]
    assert [int(name[4:]) % 4 for name in names] == torch.cat([batch['label'] for batch in batches]).tolist()


def test_the_rule_of_randomness_for_any_number_of_workers(path):
    """Literally default_rng((seed, epoch, index)), whoever loads the sample, in epochs that differ."""
    show = [lambda sample: dict(draw=sample['rng'].random(2), frame_dir=sample['frame_dir'], keypoint=0, label=0)]
    for workers in (0, 2):
        loader = build_dataloader(RepeatDataset(PoseDataset(path, show), 2), 5, workers, seed=11)
        for epoch in (1, 4):
            loader.set_epoch(epoch)
            keys = [key for batch in loader.batch_sampler for key in batch]
            got = np.concatenate([batch['draw'] for batch in loader])
            expected = [np.random.default_rng((11, epoch, key.index)).random(2) for key in keys]
            np.testing.assert_array_equal(got, expected)
            assert len({tuple(row) for row in got}) == 24


@pytest.mark.parametrize('persistent', [False, True])
def test_workers_change_nothing(path, persistent):
    alone = build_dataloader(PoseDataset(path, PIPELINE), 5, 0, seed=3)
    helped = build_dataloader(PoseDataset(path, PIPELINE), 5, 2, seed=3, persistent_workers=persistent)
    seen = []
    for epoch in (1, 2):
        alone.set_epoch(epoch), helped.set_epoch(epoch)
        seen.append(list(alone))
        assert equal(seen[-1], list(helped))
    assert not equal(*seen)
    alone.set_epoch(1)
    assert equal(list(alone), seen[0])


def test_two_ranks_load_the_batches_of_one(path):
    whole = list(build_dataloader(PoseDataset(path, PIPELINE), 4, 0, seed=3, num_replicas=1, rank=0))
    parts = [
        list(build_dataloader(PoseDataset(path, PIPELINE), 2, 0, seed=3, num_replicas=2, rank=rank)) for rank in (0, 1)
    ]
    assert [len(part) for part in parts] == [3, 3]
    for batch, first, second in zip(whole, *parts):
        assert torch.equal(batch['keypoint'], torch.cat([first['keypoint'], second['keypoint']]))


def test_which_sampler(path):
    train, test = PoseDataset(path, []), PoseDataset(path, [], test_mode=True)
    assert isinstance(build_dataloader(test, 2, 0, shuffle=False).batch_sampler, OnceBatchSampler)
    for dataset, shuffle in ((train, True), (train, False), (test, True)):
        sampler = build_dataloader(dataset, 2, 0, shuffle=shuffle).batch_sampler
        assert isinstance(sampler, EpochBatchSampler) and sampler.shuffle is shuffle
    assert build_dataloader(train, 5, 0, drop_last=True).batch_sampler.drop_last


def test_torchs_own_generator_is_not_touched(path):
    loader = build_dataloader(PoseDataset(path, PIPELINE), 5, 0)
    state = torch.get_rng_state()
    list(loader)
    assert torch.equal(torch.get_rng_state(), state)


def test_seed_reaches_the_dataset(path):
    dataset = PoseDataset(path, [])
    assert build_dataloader(dataset, 2, 0, seed=9).batch_sampler.seed == dataset.seed == 9
    assert build_dataloader(dataset, 2, 0).batch_sampler.seed == dataset.seed == 9


def test_arguments_of_torch_are_passed_on(path):
    dataset = PoseDataset(path, [])
    loader = build_dataloader(dataset, 2, 2, prefetch_factor=3, pin_memory=False)
    assert loader.prefetch_factor == 3 and loader.num_workers == 2 and not loader.pin_memory
    loader = build_dataloader(dataset, 2, 0, prefetch_factor=3, persistent_workers=True, timeout=5)
    assert loader.num_workers == 0 and not loader.persistent_workers
    assert loader.pin_memory == torch.cuda.is_available()


@pytest.mark.parametrize(
    'args, words',
    [
        (dict(prefetch=3), "there is no dataloader argument 'prefetch'; did you mean 'prefetch_factor'?"),
        (dict(workers_per_gpu=-1), 'workers_per_gpu must be a whole number from 0 up, got -1'),
        (dict(videos_per_gpu=0), 'batch_size must be a whole number from 1 up, got 0'),
        (dict(seed=-1), 'seed must be a whole number from 0 up, got -1'),
    ],
)
def test_wrong_arguments(path, args, words):
    with pytest.raises(ACLNetError) as caught:
        build_dataloader(PoseDataset(path, []), **{**dict(videos_per_gpu=2, workers_per_gpu=0), **args})
    assert words in str(caught.value)


@pytest.mark.parametrize('workers', [0, 2])
def test_an_error_is_one_sentence_with_and_without_workers(path, workers):
    pipeline = [dict(type='Spatial_Flip'), dict(type='Collect', keys=['keypoint'])]
    loader = build_dataloader(PoseDataset(path, pipeline), 12, workers)
    first = next(iter(loader.batch_sampler))[0].index
    with pytest.raises(ACLNetError) as caught:
        list(loader)
    assert str(caught.value) == (f"sample clip{first:03d}: SpatialFlip with layout 'nturgb+d' needs 25 joints, got 20")


@pytest.mark.parametrize('workers', [0, 1])
def test_samples_that_do_not_stack(tmp_path, workers):
    annotations = [dict(frame_dir=str(i), label=0, keypoint=np.ones((1, i + 1, 5, 3), np.float32)) for i in range(2)]
    pipeline = [dict(type='Collect', keys=['keypoint', 'label'])]
    dataset = PoseDataset(write(tmp_path / 'a.pkl', annotations), pipeline)
    with pytest.raises(ACLNetError, match=r"^'keypoint' of the samples of a batch does not stack: shapes "):
        list(build_dataloader(dataset, 2, workers))


def test_collate_keeps_dicts_and_stacks_the_rest():
    batch = collate([dict(label=i, score=np.float32(i), meta=dict(i=i), hot=np.ones(3, np.float32)) for i in range(2)])
    assert batch['label'].dtype == torch.int64 and batch['meta'] == [dict(i=0), dict(i=1)]
    assert batch['hot'].shape == (2, 3) and batch['hot'].dtype == torch.float32
    with pytest.raises(ACLNetError, match='does not stack'):
        collate([dict(a=1), dict(b=1)])


def test_workers_compute_with_one_thread(path):
    show = [lambda sample: dict(threads=torch.get_num_threads())]
    assert next(iter(build_dataloader(PoseDataset(path, show), 2, 1)))['threads'].tolist() == [1, 1]
