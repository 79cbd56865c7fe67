"""Pickles from elsewhere are read without running them; files are written whole or not at all."""

from __future__ import annotations

import os
import pickle
import resource
import stat
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from aclnet.errors import ACLNetError, shown
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
        bytearray(b'y'),
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
            assert got == value and type(got) is (dict if isinstance(value, dict) else type(value))


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


# Beginnings of pickles that end before a state
ARRAY = b'\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01'
DTYPE = b'cnumpy\ndtype\n\x8c\x02%b\x89\x88\x87R('
PLAIN = b'K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'


def test_the_pieces_of_a_made_pickle():
    data = ARRAY + b'K\x02\x85' + DTYPE % b'i1' + PLAIN + b'\x89C\x02\x01\x02tb.'
    assert loads_pickle(data, 'here').tolist() == [1, 2]


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (ARRAY + b'K\x05\x85' + DTYPE % b'O8' + PLAIN + b'\x89]K\x01atb.', "array of dtype 'O8'"),  # segfaults in numpy
        (ARRAY + b'K\x05\x85' + DTYPE % b'V8' + PLAIN + b'\x89C\x01atb.', "array of dtype 'V8'"),
        (ARRAY + b'\x8a\x06\xff\xff\xff\xff\xff\x00\x85' + DTYPE % b'i1' + PLAIN + b'\x89C\x01atb.', 'buffer size'),
        (ARRAY + b'J\xff\xff\xff\xff\x85' + DTYPE % b'i1' + PLAIN + b'\x89C\x01atb.', 'is not a whole pickle'),
        (DTYPE % b'U2' + b'K\x03\x8c\x01<NNNJ\xff\xff\xff\x7fK\x04K\x08tb.', 'damaged dtype'),
        (DTYPE % b'U2' + b'K\x03\x8c\x01<K\x01K\x02\x86NNK\x08K\x04K\x08tb.', 'array with fields'),
        (b'cnumpy\nndarray\nJ\x00\x00\x00\x7f\x85R.', "calls 'numpy.ndarray'"),
        (b'cnumpy\nvoid\nJ\x00\x00\x00\x7f\x85R.', "refers to 'numpy.void'"),
        (b'c_codecs\nencode\n}\x8c\x01aK\x01sb.', 'writes to a function'),
        (b'cnumpy.core.multiarray\n_reconstruct\nN}\x8c\x08__call__K\x01s\x86b.', 'writes to a function'),
        (b'ccollections\nOrderedDict\n)RN}\x8c\x05itemsK\x01s\x86b.', 'is not a whole pickle'),
        (b'cbuiltins\nset\ncbuiltins\nrange\n.', "refers to 'builtins.range'"),
        (b'Pid\n.', 'persistent id'),
        (b'\x80\x02\x82\x01.', 'unregistered extension code 1'),
        (pickle.dumps(np.arange(9), 5, buffer_callback=[].append), 'out-of-band'),
        (b'c' + b'm' * 10**6 + b'\nname\n.', r"refers to 'mmm.*\.\.\..*mmm\.name'"),
    ],
)
def test_what_numpy_or_pickle_would_trust(data, reason):
    with pytest.raises(ACLNetError, match=f'^here .*{reason}') as raised:
        loads_pickle(data, 'here')
    assert len(str(raised.value)) < 500


MANY = (10**12).to_bytes(8, 'little')


@pytest.mark.parametrize(
    'data',
    [
        b'Nr\xff\xff\xff\xff.',  # a memo of 64 GB
        b'Np4000000000\n.',
        b'\x80\x04\x8e' + MANY + b'x.',
        b'\x80\x04\x8d' + MANY + b'x.',
        b'\x80\x05\x96' + MANY + b'x.',
        b'\x80\x04\x95' + MANY + b'x.',
        b'\x80\x04cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.',
        b'c_codecs\nencode\n\x94X\x00\x00\x08\x00'
        + b'a' * 2**19
        + b'\x94\x8c\x06latin1\x94((h\x01h\x02h\x03\x86R' * 9
        + b'l.',
        b'c_codecs\nencode\nq\x000X\x00\x00\x08\x00'
        + b'a' * 2**19
        + b'q\x010('
        + b'h\x00h\x01\x8c\x06latin1\x86R' * 60_000
        + b'l.',
    ],
)
def test_memory_is_bounded_by_the_size_of_the_file(data):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ACLNetError, match='^here '):
        loads_pickle(data, 'here')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000, 'kB'
    assert resource.getrlimit(resource.RLIMIT_AS) == LIMITS, 'the limit is lifted again'


LIMITS = resource.getrlimit(resource.RLIMIT_AS)


@pytest.mark.parametrize('protocol', range(6))
def test_other_byte_orders(tmp_path, protocol):
    swapped = np.arange(300).astype(np.dtype('f8').newbyteorder())
    padding = [np.ones(100_000), np.ones(1), 'x' * 100_000]
    for number, value in enumerate(
        ([swapped], [*padding, swapped], [swapped[3], *padding], padding + [swapped, *padding])
    ):
        path = tmp_path / f'{number}.pkl'
        path.write_bytes(pickle.dumps(value, protocol))
        for got, wanted in zip(load_pickle(path), value):
            assert np.array_equal(got, wanted) and np.asarray(got).dtype.kind == np.asarray(wanted).dtype.kind


def test_what_is_shared_stays_shared():
    array, text = np.arange(3), np.array(['a'])
    shared = [array, (text, [text])]
    value = dict(a=shared, b=shared, c=(shared, array))
    value['d'] = value
    for proto in (2, 5):
        got = loads_pickle(pickle.dumps(value, proto), 'here')
        assert got['d'] is got and got['a'] is got['b'] is got['c'][0] and got['c'][1] is got['a'][0]
        assert got['a'][1][0] is got['a'][1][1][0] and got['a'][1][0].tolist() == ['a']
    got['a'][0][0] = 7  # an array is writable, as it is from pickle


def test_nested_without_end():
    deep: list | tuple = []
    for _ in range(100):
        deep = [deep, deep]
    assert isinstance(loads_pickle(pickle.dumps(deep), 'here'), list)
    assert isinstance(loads_pickle(b')' + b'\x85' * 100_000 + b'.', 'here'), tuple)
    with pytest.raises(ACLNetError, match='RecursionError'):
        loads_pickle(DTYPE % b'U2' + b'K\x03\x8c\x01<NNNK\x08K\x04K\x08tb0)' + b'\x85' * 100_000 + b'.', 'here')


def test_shown_is_short():
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    for value in (deep, 10**6000, -(10**6000), 'x' * 10**6, dict.fromkeys(range(10**5)), np.zeros(10**5)):
        assert len(shown(value)) < 300
    assert (shown(3), shown('a'), shown((1, 2)), shown(None)) == ('3', "'a'", '(1, 2)', 'None')


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
