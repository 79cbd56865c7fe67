"""Reading a packed store: files that the system keeps in its memory once for all processes.

Opening reads ``store.json`` and looks at the sizes of the files. The index is mapped; the arrays of a sample are read
from their place when it is asked for, so that what a process holds does not grow with the data; ``arrays`` maps them
whole. Whatever the files say is checked before it is used.
"""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from aclnet.datasets.annotations.layout import FIXED, JSON, Entry, array_file, read_json
from aclnet.datasets.annotations.packing import StoreWriter
from aclnet.datasets.annotations.pickles import check_annotation
from aclnet.datasets.annotations.selection import Names, Packed
from aclnet.datasets.annotations.store_files import StoreFiles, damaged
from aclnet.datasets.annotations.values import decode
from aclnet.errors import ACLNetError, names
from aclnet.limits import MAX_FRAMES

__all__ = ['Names', 'Packed', 'Store', 'StoreWriter']

_opened: weakref.WeakValueDictionary[tuple, Store] = weakref.WeakValueDictionary()


class Store:
    """A packed store, opened once per process for as long as somebody holds it. ``store[index]`` is an annotation.

    Attributes:
        path: the directory.
        about: what its writer said about it: ``layout``, ``source``, ...
        identifier: key of the identifiers, ``filename`` or ``frame_dir``.
        unfit: positions of the samples whose poses were not fit for use when they were packed.
        checksum: of the checksums of all files: tells one store from another.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        content = read_json(self.path)
        self.about: dict = content['about']
        self.identifier: str = content['identifier']
        self._files = StoreFiles(self.path, content['files'])
        self.checksum = self._files.checksum
        self._kinds: list[list[Entry]] = content['kinds']
        self._firsts: list[int] = content['shards']
        self._spans: dict[str, dict] | None = content['splits']
        self._lost = content['lost']
        self._simple = [all(map(_is_simple, kind)) for kind in self._kinds]
        self._index = self._files.mapped('index.npy')
        self._names = self._files.mapped('names.npy')
        self._rest = self._files.mapped('rest.npy')
        self.unfit = frozenset(self._span(content['unfit']).tolist())

    @classmethod
    def open(cls, path: str | os.PathLike) -> Store:
        """The store at ``path``.

        Raises:
            ACLNetError: it is none, of another version, damaged, or a file of it is missing or cut short.
        """
        path = os.fspath(path)
        try:
            status = os.stat(os.path.join(path, JSON))
        except OSError:
            raise ACLNetError(f'{path} is no store: it has no {JSON}') from None
        key = (os.path.realpath(path), status.st_ino, status.st_mtime_ns, status.st_size)
        found = _opened.get(key)
        if found is None:
            found = _opened[key] = cls(path)
        return found

    def __reduce__(self) -> tuple:
        return _reopened, (self.path, self.checksum)

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return f'Store({self.path}: {len(self)} annotations)'

    def _damaged(self, what: str) -> ACLNetError:
        return damaged(self.path, what)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The annotation at ``index``, its arrays newly read.

        Raises:
            ACLNetError: it is damaged.
        """
        row = self._index[index].tolist()
        number, shard, start, size = row[:4]
        if not (0 <= number < len(self._kinds) and 0 <= shard < len(self._firsts)):
            raise self._damaged(f'sample {index} is of no known kind')
        name = self._name(start, size, index)
        rest = self._text(row[4], row[5], f'sample {name}') if row[5] else {}
        annotation: dict[str, Any] = {}
        at = FIXED
        for key, storage, dtype, ndim, stem in self._kinds[number]:
            if storage == 'array':
                annotation[key] = self._files.read(stem, shard, dtype, row[at], row[at + 1 : at + 1 + ndim])
                at += 1 + ndim
            elif storage == 'int':
                annotation[key] = self._number(row[at], dtype, name) if dtype else row[at]
                at += 1
            elif storage == 'name':
                annotation[key] = name
            elif isinstance(rest, dict) and key in rest:
                annotation[key] = rest[key]
            else:
                raise self._damaged(f'sample {name} lacks its {key}')
        if not self._simple[number] or annotation.get('total_frames', 0) > MAX_FRAMES:
            check_annotation(self.path, index, annotation, self.identifier)
        return annotation

    def _number(self, value: int, dtype: str, name: str) -> np.generic:
        try:
            return np.dtype(dtype).type(value)
        except OverflowError:
            raise self._damaged(f'sample {name} has a number that is too large') from None

    def _name(self, start: int, size: int, index: int) -> str:
        if start < 0 or size < 0 or start + size > len(self._names):
            raise self._damaged(f'the name of sample {index} lies beyond names.npy')
        try:
            return self._names[start : start + size].tobytes().decode('utf-8', 'surrogatepass')
        except UnicodeDecodeError:
            raise self._damaged(f'the name of sample {index} is no text') from None

    def _text(self, start: int, size: int, where: str) -> Any:
        if start < 0 or size < 0 or start + size > len(self._rest):
            raise self._damaged(f'what is said of {where} lies beyond rest.npy')
        try:
            return decode(self._rest[start : start + size].tobytes())
        except ValueError:
            raise self._damaged(f'what is said of {where} makes no sense') from None

    def name(self, index: int) -> str:
        """Identifier of the sample at ``index``."""
        start, size = self._index[index, 2:4].tolist()
        return self._name(start, size, index)

    @property
    def identifiers(self) -> Names:
        """Of all samples, in order."""
        return Names(self, np.arange(len(self)))

    @property
    def labels(self) -> np.ndarray | None:
        """(N,) int64 classes; None where not every label is one whole number."""
        return self.column('label')

    def column(self, key: str, part: int = 0, rows: np.ndarray | None = None) -> np.ndarray | None:
        """(n,) int64 column of the index, of all samples or those at ``rows``.

        Args:
            key: of the annotations.
            part: 0 for the value of a whole number, or the offset of an array, in elements of its shard's file; from 1
                on the sizes of its axes: 1 and 2 are persons and frames of ``keypoint`` (M, T, V, C).
            rows: positions of samples.

        Returns:
            None where a kind of samples has no such column.
        """
        places = []
        for kind in self._kinds:
            before = [entry.key for entry in kind].index(key) if key in [entry.key for entry in kind] else len(kind)
            if before == len(kind) or part >= kind[before].width:
                return None
            places.append(FIXED + sum(entry.width for entry in kind[:before]) + part)
        index = self._index if rows is None else self._index[rows]
        if len(set(places)) == 1:
            return index[:, places[0]].copy()
        kinds = index[:, 0]
        if len(kinds) and not (0 <= kinds.min() and kinds.max() < len(places)):
            raise self._damaged('the index has samples of no known kind')
        return index[np.arange(len(index)), np.array(places)[kinds]]

    def arrays(self, key: str) -> list[np.ndarray]:
        """The values of ``key``, one read-only map (elements,) per shard, for those who take the store whole.

        Raises:
            ACLNetError: there is none, or samples have it in several dtypes.
        """
        stems = {entry.stem for kind in self._kinds for entry in kind if entry.key == key and entry.storage == 'array'}
        if len(stems) != 1:
            raise ACLNetError(f"store {self.path} has '{key}' in {len(stems)} dtypes; it must be one")
        (stem,) = stems
        files = [array_file(stem, shard) for shard in range(len(self._firsts))]
        return [self._files.mapped(file) for file in files if file in self._files]

    @property
    def shards(self) -> np.ndarray:
        """(N,) number of the shard that holds each sample: samples of one lie together in the files."""
        return np.searchsorted(np.array(self._firsts), np.arange(len(self)), side='right') - 1

    @property
    def splits(self) -> dict[str, list[str]] | None:
        """{name: identifiers} as they were given, those without annotations included; None where there are none."""
        if self._spans is None:
            return None
        start, size = self._lost
        lost = self._text(start, size, 'splits')
        if not isinstance(lost, list):
            raise self._damaged('what is said of splits is no list')
        splits = {}
        for title, span in self._spans.items():
            codes = self._span(span['listed'])
            if len(codes) and not (-len(lost) <= codes.min() and codes.max() < len(self)):
                raise self._damaged(f"split '{title}' lists samples that it has not")
            splits[title] = [self.name(code) if code >= 0 else lost[-1 - code] for code in codes.tolist()]
        return splits

    def _span(self, span: list[int]) -> np.ndarray:
        return self._files.mapped('splits.npy')[span[0] : span[0] + span[1]]

    def select(self, split: str | None = None) -> Packed:
        """The annotations of a split, or all of them, in the store's order.

        Raises:
            ACLNetError: there is no such split, or nothing in it has an annotation.
        """
        if split is None:
            return Packed(self, np.arange(len(self)))
        if self._spans is None:
            raise ACLNetError(f"split '{split}' is not in {self.path}, which has no splits; leave out split")
        if split not in self._spans:
            raise ACLNetError(f"split '{split}' is not in {self.path}; it has {names(self._spans)}")
        listed, chosen = (self._span(self._spans[split][part]) for part in ('listed', 'chosen'))
        if not len(chosen):
            raise ACLNetError(
                f"split '{split}' of {self.path} lists {len(listed)} identifiers, none of which is the "
                f"'{self.identifier}' of an annotation"
            )
        if chosen.min() < 0 or chosen.max() >= len(self):
            raise self._damaged(f"split '{split}' lists samples that it has not")
        lost = set(listed[listed < 0].tolist())
        if lost:
            warnings.warn(
                f"split '{split}' of {self.path}: {len(lost)} of {len(np.unique(listed))} identifiers have no "
                'annotation and are left out',
                stacklevel=2,
            )
        return Packed(self, np.array(chosen))

    def sound(self, rows: np.ndarray) -> bool:
        """Whether the samples at ``rows`` were fit for use when they were packed, all of the same joints and channels;
        False also where that isn't known."""
        dims = {_dimensions(kind) for kind in self._kinds}
        if len(dims) > 1 or not dims & {3, 4} or not self.unfit.isdisjoint(rows.tolist() if self.unfit else ()):
            return False
        sizes = [self.column('keypoint', part, rows) for part in range(3, dims.pop() + 1)]  # joints and channels
        return all(size is not None and (not len(size) or size.min() == size.max()) for size in sizes)

    def verify(self) -> Iterator[str]:
        """Read all files and yield a sentence for each whose content is not what its checksum says."""
        return self._files.verify()


def _dimensions(kind: list[Entry]) -> int:
    """Of the array ``keypoint``; 0 where there is none."""
    return next((entry.ndim for entry in kind if entry.key == 'keypoint' and entry.storage == 'array'), 0)


def _is_simple(entry: Entry) -> bool:
    """Whether what ``check_annotation`` looks at cannot be wrong, apart from the number of frames."""
    if entry.key == 'box_score':
        return entry.storage == 'array' and entry.ndim == 1
    storage = {'total_frames': 'int', 'frame_dir': 'name', 'filename': 'name', 'raw_file': None, 'valid': None}
    return storage.get(entry.key, entry.storage) == entry.storage


def _reopened(path: str, checksum: str) -> Store:
    """The same store in another process."""
    store = Store.open(path)
    if store.checksum != checksum:
        raise ACLNetError(f'store {path} was replaced while it was in use; start again')
    return store
