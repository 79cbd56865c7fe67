"""The checkpoints of a work_dir: which there are, whether they are whole, and where a training goes on."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import itertools
import json
import os
import re
import shutil
from typing import IO, Any

from aclnet.errors import ACLNetError
from aclnet.files import atomic_write, read_text

__all__ = ['Archive', 'digest']

_LIST = 'run.json'
_LATEST = 'latest.pth'


def digest(path: str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    summed = hashlib.sha256()
    with open(path, 'rb') as stream:
        while block := stream.read(1 << 20):
            summed.update(block)
    return summed.hexdigest()


class Archive:
    """The list ``run.json`` of a work_dir: the seed, and each checkpoint with its place in the training and checksum.

    Used by rank 0 only. A work_dir without the list, of another program or version, is read by its file names.

    Args:
        folder: the work_dir.

    Raises:
        ACLNetError: the list is there but cannot be read.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._lock: IO | None = None
        self.seed: int | None = None
        self._entries: dict[str, dict[str, Any]] | None = None  # by file name; None where there is no list
        path = self.path(_LIST)
        if os.path.exists(path):
            try:
                content = json.loads(read_text(path, path))
                self.seed, entries = content['seed'], content['checkpoints']
                self._entries = {entry['file']: entry for entry in entries}
                sorted(entries, key=_place)
            except (ValueError, KeyError, TypeError):
                raise ACLNetError(
                    f'{path} is damaged; remove it, and the training goes on from what latest.pth names'
                ) from None

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def lock(self) -> None:
        """Keep a second training out of the work_dir for as long as this process lives.

        Raises:
            ACLNetError: there is one.
        """
        try:
            self._lock = open(self.path('.lock'), 'w')
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not inherited by data workers
        except BlockingIOError:
            raise ACLNetError(
                f'another training writes to {self.folder}; wait for its end, or choose another --work-dir'
            ) from None
        except OSError as error:
            if self._lock is None:
                raise ACLNetError(f'work_dir {self.folder} cannot be written: {error.strerror}') from None
            # else a file system without locks

    def begin(self, seed: int, anew: bool) -> None:
        """Note the seed before the first checkpoint; ``anew`` forgets the checkpoints of an earlier training.

        Their files stay until others of their name are written; only ``latest.pth`` is removed.
        """
        written = itertools.chain.from_iterable(glob.glob(self.path(names)) for names in ('.*.pth.*', '.run.json.*'))
        for leftover in written:  # by a process that was killed meanwhile
            with contextlib.suppress(OSError):
                os.unlink(leftover)
        if anew:
            self._entries = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(_LATEST))
        if not self._entries:
            self.seed, self._entries = seed, {}
            self._write()

    def add(self, name: str, epoch: int, iteration: int, kind: str) -> None:
        """List a checkpoint that was just written; ``kind`` is 'regular', 'best' or 'stopped'.

        Those of a later place are listed no more: the training went on from before them.
        """
        entry = dict(file=name, epoch=epoch, iter=iteration, kind=kind, sha256=digest(self.path(name)))
        earlier = {old: value for old, value in (self._entries or {}).items() if _place(value) <= _place(entry)}
        self._entries = {**earlier, name: entry}
        self._write()

    def remove(self, name: str) -> None:
        """Remove a checkpoint from the list and the disk, if it is there."""
        if self._entries is not None and name in self._entries:
            del self._entries[name]
            self._write()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path(name))

    def prune(self, keep: int) -> None:
        """Leave the ``keep`` newest regular checkpoints (all, where it is below 1), and none of an earlier stop.

        The best one and the newest whole one stay in any case.
        """
        entries = sorted((self._entries or {}).values(), key=_place, reverse=True)
        regular = [entry for entry in entries if entry['kind'] == 'regular']
        if not regular:
            return
        doomed = regular[keep:] if keep > 0 else []
        doomed += [entry for entry in entries if entry['kind'] == 'stopped' and _place(entry) <= _place(regular[0])]
        if doomed and self.is_whole(self.path(regular[0]['file'])):
            for entry in doomed:
                self.remove(entry['file'])

    def point(self, name: str) -> None:
        """Make ``latest.pth`` lead to the checkpoint ``name`` at once; a copy where the file system has no links."""
        link = self.path(_LATEST)
        temporary = self.path(f'.{_LATEST}.new')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        try:
            os.symlink(name, temporary)
            os.replace(temporary, link)
        except OSError:
            with open(self.path(name), 'rb') as source, atomic_write(link) as target:
                shutil.copyfileobj(source, target)

    def latest(self) -> str | None:
        """The file that ``latest.pth`` leads to: itself where it is a copy, None where there is none."""
        path = self.path(_LATEST)
        return os.path.basename(os.path.realpath(path)) if os.path.lexists(path) else None

    def candidates(self) -> list[str]:
        """Checkpoints to go on from: ``latest.pth``'s first, then those before it, the newest first."""
        latest = self.path(_LATEST)
        first = self.latest()
        if self._entries is None:
            names = sorted(
                (os.path.basename(path) for path in glob.glob(self.path('*.pth'))), key=_number, reverse=True
            )
            names = [name for name in names if _number(name)]
        else:
            names = [entry['file'] for entry in sorted(self._entries.values(), key=_place, reverse=True)]
        names = [name for name in names if os.path.exists(self.path(name))]
        if first is not None and first in names:
            names = names[names.index(first) :]
        elif os.path.exists(latest):
            names.insert(0, _LATEST)
        return [self.path(name) for name in names]

    def is_whole(self, path: str) -> bool:
        """Whether a file has the checksum of its entry; true for files that the list doesn't name."""
        entry = (self._entries or {}).get(os.path.basename(os.path.realpath(path)))
        try:
            return entry is None or digest(path) == entry['sha256']
        except OSError:
            return False

    def _write(self) -> None:
        entries = sorted((self._entries or {}).values(), key=_place)
        with atomic_write(self.path(_LIST), 'w') as stream:
            json.dump(dict(seed=self.seed, checkpoints=entries), stream, indent=1)


def _place(entry: dict[str, Any]) -> tuple[int, int]:
    return entry['iter'], entry['epoch']


def _number(name: str) -> int:
    """N of epoch_N.pth or iter_N.pth, else 0."""
    found = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', name)
    return int(found[1]) if found else 0
