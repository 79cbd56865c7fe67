"""What is done of a conversion, kept beside the output until all of it is, so that an interrupted one goes on."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aclnet.conversion.base import Dropped, Reader, Recording, Sample
from aclnet.errors import ACLNetError
from aclnet.files import atomic_write, load_pickle

__all__ = ['Part', 'Parts']

_FORMAT = 1  # goes into the key: what another version kept is not taken over


@dataclass(frozen=True)
class Part:
    """One chunk of recordings, converted.

    Attributes:
        annotations: of the samples.
        facts: what their splits are made from, in the same order.
        dropped: (name, reason, detail) of the others.
    """

    annotations: list[dict]
    facts: list[dict[str, Any]]
    dropped: list[tuple[str, str, str]]


class Parts:
    """The hidden folder ``.OUTPUT.parts``, one file per chunk.

    Args:
        output: what the conversion writes.
        command: whatever else the result depends on: parts of another command are done anew.
    """

    def __init__(self, output: str, command: str) -> None:
        folder, name = os.path.split(os.path.abspath(output))
        self.folder = os.path.join(folder, f'.{name}.parts')
        self.output, self.command = output, command

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder for this process alone; it is removed when the block ends without an error.

        Raises:
            ACLNetError: another process writes the same output, or the folder cannot be made.
        """
        try:
            os.makedirs(self.folder, exist_ok=True)
            stream = open(os.path.join(self.folder, 'lock'), 'w')
        except OSError as error:
            raise ACLNetError(f'{self.folder} cannot be made: {error.strerror}') from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ACLNetError(f'another conversion is writing {self.output}; wait for it, or end it') from None
            for name in os.listdir(self.folder):
                if name.startswith('.'):  # what a killed process had begun
                    os.unlink(os.path.join(self.folder, name))
            yield
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, number: int, chunk: list[Recording]) -> str:
        """Where the part of a chunk is: the name changes with whatever its content depends on."""
        marks = [(recording.name, recording.path, recording.stamp) for recording in chunk]
        key = hashlib.sha256(repr((_FORMAT, self.command, marks)).encode('utf-8', 'surrogatepass')).hexdigest()
        return os.path.join(self.folder, f'{number:06d}-{key[:20]}.pkl')

    @staticmethod
    def write(path: str, part: Part) -> None:
        """Keep a part, whole or not at all."""
        with atomic_write(path) as stream:
            pickle.dump((part.annotations, part.facts, part.dropped), stream, protocol=4)

    @staticmethod
    def read(path: str) -> Part:
        """A part that ``write`` kept."""
        return Part(*load_pickle(path, 'part'))


def converted(reader: Reader, chunk: list[Recording], strict: bool) -> Part:
    """The part of a chunk.

    Raises:
        ACLNetError: ``strict``, and a recording is broken.
    """
    part = Part([], [], [])
    for recording in chunk:
        try:
            for item in reader.read(recording):
                if isinstance(item, Sample):
                    part.annotations.append(item.annotation)
                    part.facts.append(item.facts)
                else:
                    _drop(part, item, strict)
        except Dropped as drop:
            _drop(part, drop, strict)
    return part


def _drop(part: Part, drop: Dropped, strict: bool) -> None:
    if strict and drop.broken:
        raise ACLNetError(f'{drop.detail}; mend it, or leave out --strict to drop such recordings')
    part.dropped.append((drop.name, drop.reason, drop.detail))
