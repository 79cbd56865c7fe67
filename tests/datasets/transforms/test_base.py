"""The arithmetic that transforms share: the same numbers as numpy's own, whatever the array's kind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aclnet.datasets.transforms import PreNormalize3D
from aclnet.datasets.transforms.base import copy_channels, float32_of, is_fixed, turned
from tests.datasets.odd import cases


def test_every_half_becomes_the_float_that_it_is():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(float32_of(halves), halves.astype(np.float32))


@pytest.mark.parametrize('dtype', ['f2', '>f2', 'f4', '>f4', 'f8', 'i2', 'u8'])
@pytest.mark.parametrize('kind', ['whole', 'strided', 'backwards', 'read-only', 'empty'])
def test_float32_of_arrays_of_all_kinds(dtype, kind):
    array = np.arange(48).reshape(2, 4, 6).astype(dtype)
    array = {'strided': array[:, ::2], 'backwards': array[:, ::-1], 'empty': array[:0]}.get(kind, array)
    array.flags.writeable = kind != 'read-only'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        out = float32_of(array)
    assert out.dtype == np.float32 and out.dtype.isnative
    np.testing.assert_array_equal(out, array)
    if dtype == 'f2':
        assert not np.shares_memory(out, array)
    if dtype == 'f4':
        assert out is array


@cases(20)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 26), st.sampled_from([2, 3])),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_turned(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    keypoint, matrix = rng.normal(size=shape).astype(dtype), rng.normal(size=(shape[-1], shape[-1]))
    out = turned(keypoint, matrix)
    assert out.dtype == np.float32 and out.shape == shape
    for place in np.ndindex(shape[:3]):
        expected = [
            sum(matrix[row][i] * float(keypoint[place][i]) for i in range(shape[-1])) for row in range(shape[-1])
        ]
        np.testing.assert_allclose(out[place], expected, atol=5e-6)


@pytest.mark.parametrize('dtype', [np.float16, np.float32])
def test_copy_channels_leaves_the_others(dtype, rng):
    array, out = rng.normal(size=(2, 3, 5, 2)).astype(dtype), np.full((2, 3, 5, 3), 7, np.float32)
    copy_channels(array, out)
    np.testing.assert_array_equal(out[..., :2], array)
    assert (out[..., 2] == 7).all()


def test_what_is_fixed():
    class Heir(PreNormalize3D):
        pass

    assert is_fixed(PreNormalize3D()) and not is_fixed(Heir()) and not is_fixed(lambda sample: sample)
