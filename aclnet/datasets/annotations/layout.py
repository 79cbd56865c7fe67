"""How a packed store lies on the disk: ``store.json`` and one-dimensional ``.npy`` files, nothing that could run.

``index.npy`` (samples, width) int64 has a row per sample: its kind, its shard, where its name and its other values lie
(offset and bytes of each), then for each key of its kind that is a whole number that number, and for each that is an
array its offset, in elements of that shard's file, and its shape. Arrays lie back to back in ``KEY.SHARD.npy``, in the
order of samples; ``keypoint`` (M, T, V, C) is thus M·T frames. docs/data_store.md describes all of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
from typing import Any, NamedTuple

import numpy as np

from aclnet.datasets.annotations.values import is_plain_dtype
from aclnet.errors import ACLNetError, shown

__all__ = ['FIXED', 'FORMAT', 'HEADER', 'JSON', 'MAX_KINDS', 'VERSION', 'WIDTH', 'Entry', 'array_file', 'dump',
           'header', 'is_store', 'read_json']  # fmt: skip

JSON, FORMAT, VERSION = 'store.json', 'aclnet store', 1
HEADER = 128  # bytes before the data of a .npy file
FIXED = 6  # columns of a row before those of its kind
WIDTH = 32  # columns of a row at most
MAX_KINDS = 64  # combinations of keys, dtypes and dimensions


class Entry(NamedTuple):
    """Where a kind's samples have the value of one key.

    Attributes:
        key: of the annotation.
        storage: 'name' (the identifier), 'int' (in the row), 'array' (in a column's files) or 'rest' (as text).
        dtype: of an 'int' that is one of numpy's, else ''; of an 'array'.
        ndim: dimensions of an array.
        stem: what an array's files are called before the number of the shard.
    """

    key: str
    storage: str
    dtype: str = ''
    ndim: int = 0
    stem: str = ''

    @property
    def width(self) -> int:
        """Columns that it takes of a row."""
        return {'int': 1, 'array': 1 + self.ndim}.get(self.storage, 0)


def header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The first ``HEADER`` bytes of a .npy file in version 1.0 of its format."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', HEADER - 10) + text.ljust(HEADER - 11).encode('ascii') + b'\n'


def array_file(stem: str, shard: int) -> str:
    """Name of the file of a shard's arrays."""
    return f'{stem}.{shard:04d}.npy'


def is_store(path: str) -> bool:
    """Whether ``path`` is a directory with a ``store.json``."""
    return os.path.isfile(os.path.join(path, JSON))


def _checksum(content: dict) -> str:
    text = json.dumps({key: value for key, value in content.items() if key != 'checksum'}, sort_keys=True)
    return hashlib.sha256(text.encode('ascii')).hexdigest()


def dump(content: dict) -> str:
    """Text of ``store.json``, with a checksum of itself."""
    return json.dumps({**content, 'checksum': _checksum(content)}, indent=1)


def read_json(path: str) -> dict[str, Any]:
    """The content of a store's ``store.json``, checked as far as it goes.

    Raises:
        ACLNetError: it is missing, of another version, or damaged.
    """
    try:
        with open(os.path.join(path, JSON), encoding='ascii') as stream:
            content = json.load(stream)
    except FileNotFoundError:
        raise ACLNetError(f'{path} is no store: it has no {JSON}') from None
    except OSError as error:
        raise ACLNetError(f'store {path} cannot be read: {error.strerror}') from None
    except (ValueError, RecursionError):
        raise ACLNetError(f'store {path} is damaged: {JSON} is no JSON; pack it again') from None
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise ACLNetError(f'{path} is no store: its {JSON} is of something else')
    if content.get('version') != VERSION:
        raise ACLNetError(
            f'store {path} has version {shown(content.get("version"))} of the format, and this program reads '
            f'{VERSION}; pack it again'
        )
    if content.get('checksum') != _checksum(content):
        raise ACLNetError(f'store {path} is damaged: {JSON} is not what its checksum says; pack it again')
    try:
        _check(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ACLNetError(f'store {path} is damaged: its {JSON} makes no sense ({error}); pack it again') from None
    return content


def _check(content: dict) -> None:
    """Turn kinds into ``Entry``; raises whatever comes where the content is not as ``StoreWriter`` writes it."""
    for name, file in content['files'].items():
        if not re.fullmatch(r'[\w-]+(\.\d{4,})?\.npy', name):
            raise ValueError(f'a file is called {shown(name)}')
        if not is_plain_dtype(file['dtype']) or not _are_sizes(file['shape']) or not isinstance(file['sha256'], str):
            raise ValueError(f'{name} has no size')
        if np.dtype(file['dtype']).itemsize * math.prod(file['shape']) > 2**60:
            raise ValueError(f'{name} is larger than any disk')
    samples, width = content['files']['index.npy']['shape']
    for name, dtype, axes in (('index', '<i8', 2), ('splits', '<i8', 1), ('names', '|u1', 1), ('rest', '|u1', 1)):
        file = content['files'][f'{name}.npy']
        if file['dtype'] != dtype or len(file['shape']) != axes:
            raise ValueError(f'{name}.npy is not of {dtype} in {axes} axes')
    content['kinds'] = [[Entry(*entry) for entry in kind] for kind in content['kinds']]
    for kind in content['kinds']:
        if FIXED + sum(entry.width for entry in kind) > width:
            raise ValueError('a kind is wider than the index')
        for entry in kind:
            if not _is_entry(entry) or (entry.storage == 'name') > (entry.key == content['identifier']):
                raise ValueError(f'it has the entry {shown(tuple(entry))}')
    bounds = content['shards']
    if not _are_sizes(bounds) or bounds != sorted(bounds) or (bounds and (bounds[0] != 0 or bounds[-1] > samples)):
        raise ValueError('shards are out of order')
    if samples and not (bounds and content['kinds']):
        raise ValueError('it has no shards or kinds')
    if content['identifier'] not in ('frame_dir', 'filename'):
        raise ValueError('it has no identifier')
    spans = [content['unfit']]
    for split in ({} if content['splits'] is None else content['splits']).values():
        spans += [split['listed'], split['chosen']]
    (total,) = content['files']['splits.npy']['shape']
    for start, count in spans:
        if not _are_sizes([start, count]) or start + count > total:
            raise ValueError('a split goes beyond splits.npy')
    start, count = content['lost']
    if not _are_sizes([start, count]) or start + count > content['files']['rest.npy']['shape'][0]:
        raise ValueError('the names without annotations go beyond rest.npy')
    if not isinstance(content['about'], dict):
        raise ValueError('about is no dict')


def _is_entry(entry: Entry) -> bool:
    texts = isinstance(entry.key, str) and isinstance(entry.stem, str) and re.fullmatch(r'[\w-]*', entry.stem)
    if not texts or type(entry.ndim) is not int:
        return False
    if entry.storage == 'array':
        return is_plain_dtype(entry.dtype) and 1 <= entry.ndim < WIDTH
    if entry.storage == 'int':
        return entry.dtype == '' or (is_plain_dtype(entry.dtype) and entry.dtype[1] in 'iu')
    return entry.storage in ('name', 'rest')


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
