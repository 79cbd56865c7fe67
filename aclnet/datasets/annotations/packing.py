"""Writing a packed store: annotation by annotation, in bounded memory, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

from aclnet.datasets.annotations.layout import (
    FIXED,
    FORMAT,
    HEADER,
    JSON,
    MAX_KINDS,
    VERSION,
    WIDTH,
    Entry,
    array_file,
    dump,
    header,
    is_store,
)
from aclnet.datasets.annotations.pickles import check_annotation
from aclnet.datasets.annotations.poses import check_poses
from aclnet.datasets.annotations.values import encode
from aclnet.errors import ACLNetError, names
from aclnet.files import atomic_write, sync_folder

__all__ = ['StoreWriter', 'locked']

SHARD = 1 << 28  # bytes of arrays after which a shard ends
_PROGRESS = 'progress.json'
_FULL = (errno.ENOSPC, errno.EDQUOT)


def _beside(path: str, ending: str) -> str:
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f'.{name}.{ending}')


@contextlib.contextmanager
def locked(path: str, wait: bool = True) -> Iterator[None]:
    """Keep other processes from writing the store ``path`` meanwhile; the system ends it with the process.

    Raises:
        ACLNetError: another process writes it, and ``wait`` is False.
        OSError: the folder cannot be written.
    """
    with open(_beside(path, 'lock'), 'a') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ACLNetError(f'another process writes the store {path}; wait for its end') from None
        try:
            yield
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)  # closing would leave it to children that were forked meanwhile


class _Stream:
    """One array's file while it grows, and the checksum of its data; ``head`` is put before them at the end."""

    def __init__(self, path: str, dtype: str, count: int = 0) -> None:
        self.dtype, self.count = dtype, count
        self._sum = hashlib.sha256()
        if not count:
            self._file: IO[bytes] = open(path, 'wb')
            self._file.write(bytes(HEADER))
            return
        self._file = open(path, 'r+b')
        left = count * np.dtype(dtype).itemsize
        self._file.truncate(HEADER + left)
        self._file.seek(HEADER)
        while left and (block := self._file.read(min(left, 1 << 20))):
            self._sum.update(block)
            left -= len(block)
        if left:
            raise ValueError('the file is too short')

    def write(self, values: np.ndarray) -> int:
        """Put ``values`` at the end, and say where that was, in elements."""
        at = self.count
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        self._file.write(data)
        self._sum.update(data)
        self.count += values.size
        return at

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self, shape: tuple[int, ...] | None = None) -> dict:
        shape = shape or (self.count,)
        self._file.seek(0)
        self._file.write(header(self.dtype, shape))
        self.sync()
        self._file.close()
        return dict(dtype=self.dtype, shape=[*shape], sha256=self._sum.hexdigest())

    def drop(self) -> None:
        with contextlib.suppress(OSError):  # of what could not be written
            self._file.close()


class StoreWriter:
    """Writes the store ``path``; it appears, in place of an earlier one, when ``close`` has written all of it.

    Args:
        path: of the store, a directory.
        about: what else there is to say, as JSON: ``layout``, ``source`` (name, bytes, mtime_ns, sha256), ...
        resume: go on, where an earlier writer of the same ``about`` was interrupted after a ``flush``; ``len`` says
            after how many annotations, ``note`` what that flush was given.
        lock: whether to keep other writers out; False where the caller holds ``locked(path)``.
        shard: bytes of arrays after which a new shard begins.

    Raises ``ACLNetError`` where ``path`` is there and no store, another process writes it, or it cannot be written.

    Example:
        >>> with StoreWriter('data/mine.store', dict(layout='coco')) as store:
        ...     for annotation in annotations:
        ...         store.add(annotation)
        ...     store.close(dict(train=['a', 'b'], val=['c']))
    """

    def __init__(
        self, path: str | os.PathLike, about: dict, resume: bool = False, lock: bool = True, shard: int = SHARD
    ) -> None:
        self.path = os.fspath(path)
        self.about = about
        self._about = json.dumps(about, sort_keys=True)  # what is no JSON fails now
        self._resume, self._shard_bytes = resume, shard
        self._part, self._old = _beside(self.path, 'part'), _beside(self.path, 'old')
        self._locks = contextlib.ExitStack()
        self._closed = False
        self.note: Any = None
        if os.path.lexists(self.path) and not is_store(self.path):
            raise ACLNetError(f'{self.path} is there and is no store; choose another name or remove it')
        with self._saying():
            os.makedirs(os.path.dirname(self._part), exist_ok=True)
            if lock:
                self._locks.enter_context(locked(self.path, wait=False))
            try:
                self._begin()
            except BaseException:
                self._locks.close()
                raise

    def _begin(self) -> None:
        self.identifier: str | None = None
        self._count = 0
        self._kinds: dict[tuple[Entry, ...], int] = {}
        self._stems: dict[tuple[str, str], str] = {}  # by key and dtype
        self._shards: list[int] = []  # number of the first sample of each
        self._written = 0  # bytes of arrays in the last one
        self._unfit: list[int] = []
        self._files: dict[str, dict] = {}  # what is finished
        self._streams: dict[str, _Stream] = {}
        if os.path.exists(self._old) and not os.path.exists(self.path):  # killed in the middle of the last step
            os.rename(self._old, self.path)
        shutil.rmtree(self._old, ignore_errors=True)
        if self._resume and self._restore():
            return
        shutil.rmtree(self._part, ignore_errors=True)
        os.mkdir(self._part)
        for name, dtype in (('index.npy', '<i8'), ('names.npy', '|u1'), ('rest.npy', '|u1')):
            self._open(name, dtype)

    def _open(self, name: str, dtype: str, count: int = 0) -> _Stream:
        self._streams[name] = _Stream(os.path.join(self._part, name), dtype, count)
        return self._streams[name]

    @contextlib.contextmanager
    def _saying(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = '; make room there' if error.errno in _FULL else ''
            raise ACLNetError(f'store {self.path} cannot be written: {error.strerror or error}{hint}') from error

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *error: object) -> None:
        """Without a ``close`` before, nothing appears; what was flushed stays for one that resumes."""
        for stream in self._streams.values():
            stream.drop()
        if not self._closed and not (self._resume and os.path.exists(os.path.join(self._part, _PROGRESS))):
            shutil.rmtree(self._part, ignore_errors=True)
        self._locks.close()

    def __len__(self) -> int:
        return self._count

    def add(self, annotation: dict[str, Any]) -> None:
        """Put one annotation at the end.

        Raises:
            ACLNetError: it lacks its name or label, holds what is no data, or cannot be written.
        """
        if self.identifier is None:
            first = isinstance(annotation, dict) and 'filename' in annotation
            self.identifier = 'filename' if first else 'frame_dir'
        check_annotation(self.path, self._count, annotation, self.identifier)
        name = annotation[self.identifier]
        if not all(type(key) is str for key in annotation):
            raise ACLNetError(f'annotation {name} cannot go into the store {self.path}: its keys must be strings')
        kind = tuple(self._entry(key, value) for key, value in annotation.items())
        few = kind in self._kinds or len(self._kinds) < MAX_KINDS
        if not few or FIXED + sum(entry.width for entry in kind) > WIDTH:
            kind = tuple(Entry(key, 'name' if key == self.identifier else 'rest') for key in annotation)
        if kind not in self._kinds and len(self._kinds) >= 2 * MAX_KINDS:
            raise ACLNetError(
                f'annotation {name} cannot go into the store {self.path}: its keys ({names(annotation)}) differ too '
                'often from those of others'
            )
        rest = {entry.key: annotation[entry.key] for entry in kind if entry.storage == 'rest'}
        try:
            text = encode(rest) if rest else b''
        except ACLNetError as error:
            raise ACLNetError(f'annotation {name} cannot go into the store {self.path}: {error}') from None
        with self._saying():
            self._write(kind, annotation, name, text)
        try:
            check_poses(annotation, name)
        except ACLNetError:
            self._unfit.append(self._count)
        self._count += 1

    def _entry(self, key: str, value: Any) -> Entry:
        if key == self.identifier and type(value) is str:
            return Entry(key, 'name')
        if type(value) is int and -(2**63) <= value < 2**63:
            return Entry(key, 'int')
        if isinstance(value, np.generic) and value.dtype.kind in 'iu' and int(value) < 2**63:
            return Entry(key, 'int', value.dtype.str)
        if type(value) is np.ndarray and value.dtype.kind in 'biufc' and 1 <= value.ndim <= 5:
            return Entry(key, 'array', value.dtype.str, value.ndim, self._stem(key, value.dtype.str))
        return Entry(key, 'rest')

    def _stem(self, key: str, dtype: str) -> str:
        """Name of the files of arrays of a key and dtype: the key itself, a number behind it for further dtypes."""
        if (key, dtype) not in self._stems:
            plain = key if key.isascii() and key.isidentifier() and len(key) < 50 else 'array'
            taken = {'index', 'names', 'rest', 'splits', *self._stems.values()}
            choices = (plain, *(f'{plain}-{number}' for number in range(2, len(taken) + 3)))
            self._stems[key, dtype] = next(choice for choice in choices if choice not in taken)
        return self._stems[key, dtype]

    def _write(self, kind: tuple[Entry, ...], annotation: dict, name: str, text: bytes) -> None:
        if not self._shards or self._written >= self._shard_bytes:
            self._end_shard()
            self._shards.append(self._count)
        shard = len(self._shards) - 1
        row = [self._kinds.setdefault(kind, len(self._kinds)), shard]
        for stream, data in (('names.npy', name.encode('utf-8', 'surrogatepass')), ('rest.npy', text)):
            row += [self._streams[stream].write(np.frombuffer(data, np.uint8)), len(data)]
        for entry in kind:
            value = annotation[entry.key]
            if entry.storage == 'int':
                row.append(int(value))
            elif entry.storage == 'array':
                file = array_file(entry.stem, shard)
                row += [(self._streams.get(file) or self._open(file, entry.dtype)).write(value), *value.shape]
                self._written += value.nbytes
        self._streams['index.npy'].write(np.array(row + [0] * (WIDTH - len(row)), np.int64))

    def _end_shard(self) -> None:
        self._written = 0
        for name in [name for name in self._streams if name.count('.') == 2]:
            self._files[name] = self._streams.pop(name).finish()

    def flush(self, note: Any = None) -> None:
        """Have all that was added survive a kill, for a writer that resumes, and ``note``, which is JSON, with it."""
        with self._saying():
            for stream in self._streams.values():
                stream.sync()
        state = dict(
            about=self._about, note=note, identifier=self.identifier, count=self._count, kinds=[*self._kinds],
            stems=[[*key, stem] for key, stem in self._stems.items()], shards=self._shards, written=self._written,
            unfit=self._unfit, files=self._files,
            streams={name: [stream.dtype, stream.count] for name, stream in self._streams.items()},
        )  # fmt: skip
        with atomic_write(os.path.join(self._part, _PROGRESS), 'w') as stream:
            json.dump(state, stream)

    def _restore(self) -> bool:
        """Whether an interrupted writer's files could be taken over."""
        try:
            with open(os.path.join(self._part, _PROGRESS), encoding='utf-8') as stream:
                state = json.load(stream)
            if state['about'] != self._about:
                return False
            kinds = [tuple(Entry(*entry) for entry in kind) for kind in state['kinds']]
            self._stems = {(key, dtype): stem for key, dtype, stem in state['stems']}
            for name, file in state['files'].items():
                size = np.dtype(file['dtype']).itemsize * file['shape'][0]
                if os.path.getsize(os.path.join(self._part, name)) != HEADER + size:
                    return False
            for name, (dtype, count) in state['streams'].items():
                self._open(name, dtype, count)
        except (OSError, ValueError, KeyError, TypeError):
            for stream in self._streams.values():
                stream.drop()
            self._streams.clear()
            self._stems.clear()
            return False
        self._kinds = {kind: number for number, kind in enumerate(kinds)}
        self.identifier, self._count, self._shards = state['identifier'], state['count'], state['shards']
        self._written, self._unfit, self._files = state['written'], state['unfit'], state['files']
        self.note = state['note']
        return True

    def close(self, split: Mapping[str, Sequence[str]] | None) -> None:
        """Finish the store and put it in its place.

        Args:
            split: {name: identifiers}, which may list some that have no annotation; None where there are no splits.

        Raises:
            ACLNetError: nothing was added, a split is no list of strings, or the store cannot be written.
        """
        if not self._count or self.identifier is None:
            raise ACLNetError(f'store {self.path} would hold no annotations')
        with self._saying():
            self._end_shard()
            splits, lost = self._write_splits(split)
            index = self._finish_index()
            self._files.update({name: stream.finish() for name, stream in self._streams.items()})
            self._streams.clear()
            self._files['index.npy'] = index
            content = dict(
                format=FORMAT, version=VERSION, about=self.about, identifier=self.identifier, shards=self._shards,
                kinds=[*self._kinds], splits=splits['splits'], unfit=splits['unfit'], lost=lost, files=self._files,
            )  # fmt: skip
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._part, _PROGRESS))
            with atomic_write(os.path.join(self._part, JSON), 'w') as stream:
                stream.write(dump(content))
            if os.path.exists(self.path):
                os.rename(self.path, self._old)
            os.rename(self._part, self.path)
            sync_folder(os.path.dirname(self._part))
            self._closed = True
            shutil.rmtree(self._old, ignore_errors=True)

    def _finish_index(self) -> dict:
        """Rewrite the index without the columns that no kind needs."""
        stream = self._streams.pop('index.npy')
        stream.sync()
        stream.drop()
        path = os.path.join(self._part, 'index.npy')
        width = max(FIXED + sum(entry.width for entry in kind) for kind in self._kinds)
        narrow = _Stream(path + '.new', '<i8')
        rows = np.memmap(path, np.int64, 'r', HEADER, (self._count, WIDTH))
        for start in range(0, self._count, 1 << 14):
            narrow.write(rows[start : start + (1 << 14), :width])
        del rows
        os.replace(path + '.new', path)
        return narrow.finish((self._count, width))

    def _write_splits(self, split: Mapping[str, Sequence[str]] | None) -> tuple[dict, list[int]]:
        """splits.npy: for each split the positions of what it lists, where −1 is the first name without annotation, −2
        the next; and those of all its annotations in the order of the store. At its end those of unfit samples."""
        stream = self._open('splits.npy', '<i8')
        found = self._positions() if split is not None else {}
        lost: dict[str, int] = {}
        entries = {}
        for title, listed in (split or {}).items():
            listed = listed.tolist() if isinstance(listed, np.ndarray) else listed
            if type(title) is not str or type(listed) not in (list, tuple) or not all(type(n) is str for n in listed):
                raise ACLNetError(f'split {title!r} of the store {self.path} must be a list of identifiers')
            codes = [found[name][0] if name in found else -1 - lost.setdefault(name, len(lost)) for name in listed]
            chosen = sorted(position for name in set(listed) for position in found.get(name, ()))
            spans = [[stream.write(np.array(part, np.int64)), len(part)] for part in (codes, chosen)]
            entries[title] = dict(listed=spans[0], chosen=spans[1])
        unfit = [stream.write(np.array(self._unfit, np.int64)), len(self._unfit)]
        text = encode([*lost])
        where = [self._streams['rest.npy'].write(np.frombuffer(text, np.uint8)), len(text)]
        return dict(splits=None if split is None else entries, unfit=unfit), where

    def _positions(self) -> dict[str, list[int]]:
        """Of every name."""
        for name in ('index.npy', 'names.npy'):
            self._streams[name].sync()
        rows = np.memmap(os.path.join(self._part, 'index.npy'), np.int64, 'r', HEADER, (self._count, WIDTH))
        with open(os.path.join(self._part, 'names.npy'), 'rb') as stream:
            text = stream.read()[HEADER:]
        found: dict[str, list[int]] = {}
        for position, (start, size) in enumerate(rows[:, 2:4].tolist()):
            found.setdefault(text[start : start + size].decode('utf-8', 'surrogatepass'), []).append(position)
        return found
