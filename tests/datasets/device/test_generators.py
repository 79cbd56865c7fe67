"""Many generators at once, against numpy's, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aclnet.datasets.device.generators import Generators
from tests.datasets.odd import cases

BOUNDS = [2, 3, 100, 2**31 + 5, 3 * 2**30]  # of the last ones, a third of the draws is refused and made again


def some(rng, count):
    return np.flatnonzero(rng.random(count) < 0.6)


def draw(kind, rng, together, alone):
    """The same draws of some of the generators: together (n, …), and a list of n one by one."""
    rows = some(rng, len(together))
    mine = [alone[row] for row in rows]
    if kind == 'random':
        return together.random(3, rows), [one.random(3) for one in mine]
    if kind == 'uniform':
        return together.uniform(-0.2, 0.3, 2, rows), [one.uniform(-0.2, 0.3, 2) for one in mine]
    if kind == 'integer':
        bounds = rng.choice([1, *BOUNDS], len(rows))
        return together.integers(bounds, rows), [one.integers(bound) for one, bound in zip(mine, bounds)]
    if kind == 'integers':
        bounds = rng.choice(BOUNDS, (len(rows), rng.integers(1, 20)))
        return together.integers(bounds, rows), [one.integers(bound) for one, bound in zip(mine, bounds)]
    size = int(rng.integers(2, 120))
    counts = rng.integers(0, size, len(rows))
    expected = [np.isin(np.arange(size), one.choice(size, n, replace=False)) for one, n in zip(mine, counts)]
    return together.choice(size, counts, rows), expected


KINDS = ('random', 'uniform', 'integer', 'integers', 'choice')


@cases(30)
@given(
    seed=st.sampled_from([0, 7, 2**32 - 1, 2**32, 2**62 + 11]),
    epoch=st.sampled_from([0, 1, 2**33]),
    last=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=12),
    choices=st.integers(0, 2**31),
)
def test_the_draws_of_numpy(seed, epoch, last, kinds, choices):
    together = Generators((seed, epoch), np.array(last))
    alone = [np.random.default_rng((seed, epoch, number)) for number in last]
    rng = np.random.default_rng(choices)
    for kind in kinds:
        got, expected = draw(kind, rng, together, alone)
        if len(expected):
            np.testing.assert_array_equal(got, np.array(expected))
    np.testing.assert_array_equal(together.random()[:, 0], [one.random() for one in alone])


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_draw_is_reached(kind):
    """A generator of another seed draws otherwise, so that the comparison above can fail."""
    rng, other = np.random.default_rng(0), [np.random.default_rng((1, 2, number)) for number in range(50)]
    got, expected = draw(kind, rng, Generators((1, 1), np.arange(50)), other)
    assert (got != np.array(expected)).any()
