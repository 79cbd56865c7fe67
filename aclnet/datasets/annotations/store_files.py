"""The .npy files of a packed store: their sizes checked, their content mapped, and held against its checksums."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from collections.abc import Iterator

import numpy as np

from aclnet.datasets.annotations.layout import HEADER, JSON, array_file, header
from aclnet.errors import ACLNetError

__all__ = ['StoreFiles', 'damaged']


def damaged(path: str, what: str) -> ACLNetError:
    """The error on a store that cannot be as it was written."""
    return ACLNetError(f'store {path} is damaged: {what}; pack it again')


_WINDOW = 1 << 26  # bytes of the files that a process has in its page tables at most
_AROUND = 1 << 16  # bytes that a page fault brings there


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
        self._parts: dict[tuple[str, int], np.ndarray] = {}  # by stem and shard
        self._maps: list[mmap.mmap] = []  # of these
        self._touched = 0  # bytes
        self._window = float('inf')  # for as long as all maps are small
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
            content, self._mapped[name] = self._map(name)
        return self._mapped[name]

    def _map(self, name: str) -> tuple[mmap.mmap, np.ndarray]:
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
        return content, np.ndarray(tuple(file['shape']), file['dtype'], content, HEADER)

    def view(self, stem: str, shard: int, dtype: str, start: int, shape: list[int]) -> np.ndarray:
        """A read-only array of ``shape``, from element ``start`` of a shard's file on, where it lies.

        Raises:
            ACLNetError: there is no such file, or it ends before.
        """
        values = self._parts.get((stem, shard))
        if values is None:
            values = self._part(stem, shard)
        end = start + math.prod(shape)
        if start < 0 or end > len(values) or min(shape) < 0 or values.dtype.str != dtype:
            raise damaged(self.folder, f'a sample lies beyond {array_file(stem, shard)}')
        part = values[start:end]
        self._touched += part.nbytes + _AROUND
        if self._touched > self._window:
            self._let_go()
        return part.reshape(shape)

    def _part(self, stem: str, shard: int) -> np.ndarray:
        content, values = self._map(array_file(stem, shard))
        if values.ndim != 1:
            raise damaged(self.folder, f'{array_file(stem, shard)} has several axes')
        self._maps.append(content)
        if sum(map(len, self._maps)) > _WINDOW:
            self._window = _WINDOW
        self._parts[stem, shard] = values
        return values

    def _let_go(self) -> None:
        """Have this process hold no page of the arrays any more; they stay in the system's memory, and come back."""
        self._touched = 0
        for content in self._maps:
            content.madvise(mmap.MADV_DONTNEED)

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
