"""Pickles from elsewhere are read without running them; files are written whole or not at all."""

from __future__ import annotations

import os
import pickle
import stat
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from aclnet.errors import ACLNetError
from aclnet.files import atomic_write, load_pickle, loads_pickle


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', range(2, 6))
@pytest.mark.parametrize(
    'value',
    [
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.asfortranarray(np.ones((2, 3))),
        np.array([], np.int16),
        np.array([True, False]),
        np.array(['a', 'bc']),
        np.array(3.0),
        np.ones((4, 4))[::2, ::2],
        np.float32(1.5),
        np.int64(3),
        np.bool_(True),
        dict(a=[1, (2.0, None)], b={3, 4}, c=b'x', d='ü', e=1 + 2j),
        frozenset([1]),
        OrderedDict(a=1),
        range(3),
        bytearray(b'y'),
        slice(1, 2),
        np.dtype('float16'),
        defaultdict(None, a=[1]),
    ],
)
def test_plain_data_comes_back(tmp_path, value, protocol):
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(value, protocol))
    for got in (load_pickle(path), loads_pickle(path.read_bytes(), 'here')):
        if isinstance(value, (np.ndarray, np.generic)):
            assert got.dtype == value.dtype and np.array_equal(got, value)
        else:
            assert got == value and type(got) is type(value)


@pytest.mark.parametrize('old', [b'numpy.core.multiarray', b'numpy._core.multiarray'])
def test_files_of_numpy_1_and_2(old):
    data = pickle.dumps(np.arange(5), 2)
    for name in (b'numpy._core.multiarray', b'numpy.core.multiarray'):
        data = data.replace(b'c' + name, b'c' + old)
    assert loads_pickle(data, 'here').tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    'make',
    [
        lambda target: Call(os.system, f'touch {target}'),
        lambda target: Call(eval, f"__import__('pathlib').Path({str(target)!r}).touch()"),
        lambda target: Call(exec, f"open({str(target)!r}, 'w')"),
        lambda target: Call(open, str(target), 'w'),
        lambda target: Call(np.save, str(target), np.ones(2)),
        lambda target: Call(np.memmap, str(target), 'uint8', 'w+', 0, (3,)),
        lambda target: [np.ones(3), dict(deep=Call(os.mkdir, str(target)))],
        lambda target: Call(getattr, 'text', '__class__'),
        lambda target: Call(__import__, 'os'),
        lambda target: Call(np.array, Call(os.system, f'touch {target}')),
    ],
)
@pytest.mark.parametrize('protocol', [2, 4])
def test_what_would_run_is_refused_and_does_not(tmp_path, make, protocol):
    target = tmp_path / 'owned'
    data = pickle.dumps(make(target), protocol)
    with pytest.raises(ACLNetError, match="here was not loaded: it refers to '.*', which is neither"):
        loads_pickle(data, 'here')
    assert not target.exists() and not target.with_suffix('.npy').exists()


def test_an_attribute_path_is_no_way_around():
    data = b'\x80\x04\x8c\x05numpy\x8c\x10ndarray.__reduce__\x93.'
    with pytest.raises(ACLNetError):
        loads_pickle(data, 'here')


@pytest.mark.parametrize('cut', [0, 1, 10, 0.5, -1])
def test_damaged_files(tmp_path, cut):
    data = pickle.dumps(dict(a=np.arange(1000), b=list(range(100))), 4)
    path = tmp_path / 'a.pkl'
    path.write_bytes(data[: int(cut * len(data)) if isinstance(cut, float) else cut])
    with pytest.raises(ACLNetError, match='^annotation file .*a.pkl '):
        load_pickle(path, 'annotation file')


@pytest.mark.parametrize('data', [b'', b'not a pickle', b'\x80\x04.', b'PK\x03\x04', b'\x80\xff.', b'N', b'0.'])
def test_what_is_no_pickle(data):
    with pytest.raises(ACLNetError, match='^here '):
        loads_pickle(data, 'here')


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(ACLNetError, match='score file .*none.pkl does not exist'):
        load_pickle(tmp_path / 'none.pkl', 'score file')
    with pytest.raises(ACLNetError, match='cannot be read: Is a directory'):
        load_pickle(tmp_path)


def test_writing(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.bin'
    with atomic_write(path) as stream:
        stream.write(b'one')
        assert not path.exists()
    assert path.read_bytes() == b'one' and os.listdir(path.parent) == ['a.bin']
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    with atomic_write(path, 'w') as stream:
        stream.write('two')
    assert path.read_text() == 'two'


def test_a_failure_leaves_the_earlier_file(tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')
    with pytest.raises(RuntimeError, match='in the middle'):
        with atomic_write(path) as stream:
            stream.write(b'new')
            raise RuntimeError('in the middle')
    assert path.read_bytes() == b'old' and os.listdir(tmp_path) == ['a.bin']


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ACLNetError, match='a.bin cannot be written: '):
        with atomic_write(tmp_path / 'file' / 'a.bin'):
            pass
