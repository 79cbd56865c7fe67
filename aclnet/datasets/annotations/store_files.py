"""The .npy files of a packed store: their sizes checked, their content read, and held against its checksums."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from aclnet.datasets.annotations.layout import HEADER, JSON, array_file, header
from aclnet.errors import ACLNetError

__all__ = ['StoreFiles', 'damaged']


def damaged(path: str, what: str) -> ACLNetError:
    """The error on a store that cannot be as it was written."""
    return ACLNetError(f'store {path} is damaged: {what}; pack it again')


class StoreFiles:
    """The files of a store.

    Args:
        folder: of the store.
        files: name → dict(dtype, shape, sha256), as in ``store.json``.

    Attributes:
        checksum: of the checksums of all files: tells one store from another.

    Raises ``ACLNetError`` where a file is missing or has another size or header.
    """

    def __init__(self, folder: str, files: dict[str, dict]) -> None:
        self.folder = folder
        self._files = files
        self._mapped: dict[str, np.ndarray] = {}
        self._opened: dict[tuple[str, int], tuple[_Handle, int, np.dtype, str, int]] = {}  # by stem and shard
        for name in files:
            self._check(name)
        self.checksum = hashlib.sha256(''.join(file['sha256'] for file in files.values()).encode()).hexdigest()

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def _size(self, name: str) -> int:
        file = self._files[name]
        return HEADER + np.dtype(file['dtype']).itemsize * math.prod(file['shape'])

    def _check(self, name: str) -> None:
        file, path = self._files[name], os.path.join(self.folder, name)
        try:
            size = os.stat(path).st_size
            with open(path, 'rb') as stream:
                head = stream.read(HEADER)
        except OSError as error:
            raise ACLNetError(f'store {self.folder} lacks its file {name} ({error.strerror}); pack it again') from None
        if size != self._size(name):
            raise ACLNetError(f'{path} has {size} bytes instead of {self._size(name)}; pack the store again')
        if head != header(file['dtype'], tuple(file['shape'])):
            raise ACLNetError(f'{path} is damaged: its header is not what {JSON} says; pack the store again')

    def mapped(self, name: str) -> np.ndarray:
        """The whole array of a file, read-only, in the system's memory and not in ours.

        Raises:
            ACLNetError: there is no such file, or it changed since the store was opened.
        """
        if name not in self._mapped:
            if name not in self._files:
                raise damaged(self.folder, f'it has no {name}')
            file, path = self._files[name], os.path.join(self.folder, name)
            try:
                with open(path, 'rb') as stream:
                    content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise ACLNetError(f'{path} cannot be mapped: {error}') from None
            if len(content) != self._size(name):
                raise damaged(self.folder, f'{name} has changed since it was opened')
            self._mapped[name] = np.ndarray(tuple(file['shape']), file['dtype'], content, HEADER)
        return self._mapped[name]

    def read(self, stem: str, shard: int, dtype: str, start: int, shape: list[int]) -> np.ndarray:
        """A new array of ``shape``, from element ``start`` of a shard's file on.

        A copy out of the system's memory takes less time than the page faults of a map that is read at random, and the
        process holds nothing of it afterwards.

        Raises:
            ACLNetError: there is no such file, it ends before, or it cannot be read.
        """
        handle, number, kind, text, count = self._opened.get((stem, shard)) or self._open(stem, shard)
        size = math.prod(shape)
        if start < 0 or start + size > count or min(shape) < 0 or text != dtype:
            raise damaged(self.folder, f'a sample lies beyond {array_file(stem, shard)}')
        array = np.empty(shape, kind)
        if size:
            try:
                got = os.preadv(number, [cast(Any, array)], HEADER + start * kind.itemsize)
            except OSError as error:  # of a disk, or of a network
                raise ACLNetError(f'{handle.path} cannot be read: {error.strerror}') from None
            if got != array.nbytes:
                raise damaged(self.folder, f'{array_file(stem, shard)} was cut short')
        return array

    def _open(self, stem: str, shard: int) -> tuple[_Handle, int, np.dtype, str, int]:
        name = array_file(stem, shard)
        file = self._files.get(name)
        if file is None or len(file['shape']) != 1:
            raise damaged(self.folder, f'it has no {name}')
        handle, kind = _Handle(os.path.join(self.folder, name)), np.dtype(file['dtype'])
        found = handle, handle.number, kind, kind.str, file['shape'][0]
        self._opened[stem, shard] = found
        return found

    def verify(self) -> Iterator[str]:
        """Read all files and yield a sentence for each whose content is not what its checksum says."""
        for name, file in self._files.items():
            path = os.path.join(self.folder, name)
            summed = hashlib.sha256()
            try:
                self._check(name)
                with open(path, 'rb') as stream:
                    stream.seek(HEADER)
                    while block := stream.read(1 << 20):
                        summed.update(block)
            except ACLNetError as error:
                yield str(error)
                continue
            except OSError as error:
                yield f'{path} cannot be read: {error.strerror}; pack the store again'
                continue
            if summed.hexdigest() != file['sha256']:
                yield f'{path} is damaged: its content is not what its checksum says; pack the store again'


class _Handle:
    """A file that is open for reading for as long as this lives."""

    def __init__(self, path: str) -> None:
        self.path, self.number = path, -1
        try:
            self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ACLNetError(f'{path} cannot be read: {error.strerror}') from None

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)
