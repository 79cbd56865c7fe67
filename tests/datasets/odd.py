"""Hypothesis strategies of values that don't belong into annotations. ``ACLNET_FUZZ_EXAMPLES`` asks for more cases."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

EXAMPLES = os.environ.get('ACLNET_FUZZ_EXAMPLES')


def cases(few: int) -> settings:
    """``few`` examples in continuous integration; in a long run, each must end within a second too."""
    if EXAMPLES is None:
        return settings(max_examples=few, deadline=None, database=None)
    return settings(max_examples=int(EXAMPLES), deadline=1000, database=None)


def _array(shape, dtype, fill):
    with np.errstate(all='ignore'):
        return np.full(shape, fill).astype(dtype)


def _holding_itself():
    items: list = [1]
    items.append(items)
    return items


def _doubled():
    items: list = [1.0]
    for _ in range(14):
        items = [items, items]
    return items


DTYPES = ['f2', 'f4', 'f8', '>f4', 'i1', 'i2', 'i8', 'u1', 'u8', 'b1', 'c8', 'U3', 'S2']
FILLS = [0, 1, 2, -1, 0.5, float('nan'), float('inf'), 1e300, 70000, 10**12]
arrays = st.builds(
    _array, st.lists(st.integers(0, 4), max_size=5).map(tuple), st.sampled_from(DTYPES), st.sampled_from(FILLS)
)
poses = st.builds(
    _array,
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from([1, 17, 20, 25]), st.integers(0, 4)),
    st.sampled_from(DTYPES),
    st.sampled_from(FILLS),
)  # more like keypoints
numbers = st.one_of(
    st.sampled_from([0, 1, -1, 2, 8, 10**4, 10**6, 10**6 + 1, 10**12, 2**63, -(2**63) - 1, 1 << 20000]),
    st.sampled_from([0.0, 0.5, -1.5, float('nan'), float('inf'), 1e308]),
    st.sampled_from([np.int8(3), np.uint64(2**64 - 1), np.float16(2), np.bool_(True), np.str_('b')]),
    st.booleans(),
)
plain = st.one_of(numbers, st.none(), st.text(max_size=3), st.binary(max_size=3), st.sampled_from(['train', 'a', 'b']))
odd = st.one_of(
    plain,
    arrays,
    poses,
    st.lists(st.one_of(plain, arrays), max_size=3),
    st.lists(plain, max_size=3).map(tuple),
    st.dictionaries(st.one_of(st.text(max_size=2), st.integers(), st.floats()), plain, max_size=2),
    st.frozensets(st.integers(), max_size=2),
    st.builds(_holding_itself),
    st.builds(_doubled),
)
