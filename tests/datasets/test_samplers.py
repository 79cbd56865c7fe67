"""How epochs are dealt out, for random sizes, batches and ranks, against positions dealt one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aclnet.datasets import EpochBatchSampler, OnceBatchSampler, SampleKey
from aclnet.errors import ACLNetError
from tests.oracles import epochs as oracle


class Sized:
    """What a sampler needs of a dataset."""

    def __init__(self, labels, class_prob=None, seed=0):
        self.labels = np.array(labels)
        self.weights = None if class_prob is None else np.array(class_prob, float)[self.labels]
        self.seed = seed

    def __len__(self):
        return len(self.labels)


def steps(dataset, batch_size, ranks, epoch=1, **args):
    """[step][rank] of lists of keys."""
    samplers = [EpochBatchSampler(dataset, batch_size, num_replicas=ranks, rank=rank, **args) for rank in range(ranks)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    batches = [list(sampler) for sampler in samplers]
    assert {len(one) for one in batches} == {len(sampler) for sampler in samplers}
    return [list(step) for step in zip(*batches)]


SIZES = dict(n=st.integers(1, 60), batch_size=st.integers(1, 9), ranks=st.integers(1, 9))


@settings(deadline=None, max_examples=200)
@given(**SIZES, epoch=st.integers(1, 300), seed=st.integers(0, 2**40), shuffle=st.booleans(), drop_last=st.booleans())
def test_against_positions_dealt_one_by_one(n, batch_size, ranks, epoch, seed, shuffle, drop_last):
    dataset = Sized([0] * n, seed=seed)
    if drop_last and n < batch_size * ranks:
        with pytest.raises(ACLNetError, match='not one step'):
            EpochBatchSampler(dataset, batch_size, drop_last=True, num_replicas=ranks)
        return
    order = [key for step in steps(dataset, n, 1, epoch, shuffle=shuffle) for key in step[0]]
    assert sorted(key.index for key in order) == list(range(n))
    assert all(key == SampleKey(epoch, key.draw, key.draw) for key in order)
    assert shuffle or [key.index for key in order] == list(range(n))
    got = steps(dataset, batch_size, ranks, epoch, shuffle=shuffle, drop_last=drop_last)
    assert got == oracle.deal(order, batch_size, ranks, drop_last)
    assert all(batch for step in got for batch in step)


@settings(deadline=None, max_examples=50)
@given(**SIZES)
def test_ranks_together_take_the_batches_of_one_rank(n, batch_size, ranks):
    dataset = Sized([0] * n)
    single = [step[0] for step in steps(dataset, batch_size * ranks, 1)]
    several = [sum(step, []) for step in steps(dataset, batch_size, ranks)]
    several[-1] = several[-1][: len(single[-1])]  # without the topping up
    assert several == single


def test_orders_differ_between_epochs_and_seeds_only():
    dataset = Sized([0] * 50)
    first = steps(dataset, 8, 1, seed=1)
    assert steps(dataset, 8, 1, seed=1) == first
    orders = {
        tuple(key.index for step in steps(dataset, 8, 1, epoch, seed=seed) for key in step[0])
        for epoch in (1, 2, 3)
        for seed in (1, 2)
    }
    assert len(orders) == 6
    sampler = EpochBatchSampler(dataset, 8, seed=1)
    for epoch in (5, 1, 5):
        sampler.set_epoch(epoch)
        assert list(sampler) == list(sampler) == [step[0] for step in steps(dataset, 8, 1, epoch, seed=1)]
    assert EpochBatchSampler(dataset, 8).epoch == 1


def test_the_order_is_not_drawn_from_a_samples_stream():
    order = EpochBatchSampler(Sized([0] * 50), 50, seed=0).order()[:, 0]
    assert order.tolist() != np.random.default_rng((0, 1, 0)).permutation(50).tolist()


@settings(deadline=None, max_examples=100)
@given(
    labels=st.lists(st.integers(0, 3), min_size=4, max_size=60),
    shuffle=st.booleans(),
    weights=st.lists(st.sampled_from([0, 0.1, 0.3, 0.5, 1, 1.25, 2, 2.3, 3.99]), min_size=4, max_size=4),
)
def test_class_prob_counts(labels, weights, shuffle):
    expected = oracle.repeats(weights, labels)
    dataset = Sized(labels, weights)
    if not sum(expected.values()):
        with pytest.raises(ACLNetError, match='class_prob leaves an epoch without samples'):
            EpochBatchSampler(dataset, 4)
        return
    lengths = set()
    for epoch in (1, 2):
        keys = [key for step in steps(dataset, 4, 1, epoch, shuffle=shuffle) for key in step[0]]
        lengths.add(len(keys))
        assert Counter(labels[key.index] for key in keys) == Counter({k: v for k, v in expected.items() if v})
        occurrences = Counter(key.index for key in keys)
        for index, count in occurrences.items():
            draws = sorted(key.draw for key in keys if key.index == index)
            assert draws == [index + r * len(labels) for r in range(count)]
            assert int(weights[labels[index]]) <= count <= int(weights[labels[index]]) + 1
    assert len(lengths) == 1


def test_who_occurs_once_more_changes_with_the_epoch():
    dataset = Sized([0] * 20, [0.5])
    chosen = {tuple(sorted(EpochBatchSampler(dataset, 4).order()[:, 0]))}
    sampler = EpochBatchSampler(dataset, 4)
    for epoch in range(2, 40):
        sampler.set_epoch(epoch)
        chosen.add(tuple(sorted(sampler.order()[:, 0])))
    assert len(chosen) > 30 and {index for one in chosen for index in one} == set(range(20))


@settings(deadline=None, max_examples=100)
@given(**SIZES)
def test_sizes_are_known_without_the_order(n, batch_size, ranks):
    sampler = EpochBatchSampler(Sized([0] * n), batch_size, num_replicas=ranks)
    for position in range(len(sampler)):
        assert sampler.sizes(position) == [len(part) for part in sampler.step(position)]


@settings(deadline=None, max_examples=100)
@given(**SIZES)
def test_evaluation_sees_every_sample_once(n, batch_size, ranks):
    samplers = [OnceBatchSampler(Sized([0] * n), batch_size, ranks, rank) for rank in range(ranks)]
    seen = []
    for rank, sampler in enumerate(samplers):
        sampler.set_epoch(7)
        batches = list(sampler)
        assert len(batches) == len(sampler) and all(1 <= len(batch) <= batch_size for batch in batches)
        keys = [key for batch in batches for key in batch]
        assert [key.index for key in keys] == sampler.indices() == samplers[0].indices(rank)
        assert all(key == SampleKey(0, key.index, key.index) for key in keys)
        seen += keys
    assert [key.index for key in seen] == list(range(n))
    sizes = [len(sampler.indices()) for sampler in samplers]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    'args, words',
    [
        (dict(batch_size=0), 'batch_size must be a whole number from 1 up, got 0'),
        (dict(batch_size=2.0), 'batch_size must be a whole number from 1 up, got 2.0'),
        (dict(batch_size=1, num_replicas=2, rank=2), 'rank must be from 0 to 1, got 2'),
        (dict(batch_size=1, seed=-3), 'seed must be a whole number from 0 up, got -3'),
        (
            dict(batch_size=5, drop_last=True),
            'an epoch has 4 samples, which is not one step of 5; lower the batch size',
        ),
    ],
)
def test_wrong_arguments(args, words):
    with pytest.raises(ACLNetError) as caught:
        EpochBatchSampler(Sized([0] * 4), **args)
    assert words in str(caught.value)


class Sharded(Sized):
    def __init__(self, shards, **kwargs):
        super().__init__([0] * len(shards), **kwargs)
        self.shards = np.array(shards)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=9).filter(any),
    at_once=st.integers(1, 10),
    batch_size=st.integers(1, 5),
    ranks=st.integers(1, 3),
    epoch=st.integers(1, 50),
)
def test_shards_are_read_some_at_a_time(sizes, at_once, batch_size, ranks, epoch):
    dataset = Sharded(np.repeat(np.arange(len(sizes)), sizes), seed=epoch)
    options = dict(epoch=epoch, shards_at_once=at_once)
    order = [key for step in steps(dataset, len(dataset), 1, **options) for key in step[0]]
    assert sorted(key.index for key in order) == list(range(len(dataset)))
    groups = [sorted({int(dataset.shards[key.index]) for key in order})]
    if at_once < len(groups[0]):  # cut the epoch where the set of open shards is full and exhausted
        groups, left = [set()], dict(enumerate(sizes))
        for key in order:
            shard = int(dataset.shards[key.index])
            if shard not in groups[-1] and len(groups[-1]) == at_once:
                assert not any(left[other] for other in groups[-1])
                groups.append(set())
            groups[-1].add(shard)
            left[shard] -= 1
        assert sum(map(len, groups)) == sum(map(bool, sizes))
    got = steps(dataset, batch_size, ranks, **options)
    assert got == oracle.deal(order, batch_size, ranks)
    resumed = EpochBatchSampler(dataset, batch_size, num_replicas=ranks, shards_at_once=at_once)
    resumed.set_epoch(epoch, len(got) // 2)
    assert list(resumed) == [step[0] for step in got[len(got) // 2 :]]
    assert resumed.step(len(got) - 1) == got[-1]


def test_shards_of_repeats_and_of_data_in_memory():
    kept = [np.arange(10).tolist(), np.zeros(10, int).tolist()]
    for shards in kept:
        sampler = EpochBatchSampler(Sharded(shards, class_prob=[2.5]), 4, shards_at_once=1)
        index, draw = sampler.order().T
        assert Counter(index.tolist()).total() == 25 and len(set(draw.tolist())) == 25
    plain = Sized([0] * 10)
    plain.shards = None
    same = [EpochBatchSampler(plain, 4, shards_at_once=n).order().tolist() for n in (None, 3)]
    assert same[0] == same[1]
    for bad in (0, True, 1.5, 'all'):
        with pytest.raises(ACLNetError, match='shards_at_once must be a whole number from 1 up, or None'):
            EpochBatchSampler(plain, 4, shards_at_once=bad)
