"""Where converted samples go: PYSKL's pickle, written sample by sample, or a packed store."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from collections.abc import Iterator
from typing import IO, Any, Protocol

from aclnet.errors import ACLNetError
from aclnet.files import atomic_write

__all__ = ['Writer', 'opened']


class Writer(Protocol):
    """Takes annotations one by one, and in the end their splits."""

    def add(self, annotation: dict) -> None:
        """One more sample."""

    def close(self, split: dict[str, list[str]]) -> None:
        """The end."""


@contextlib.contextmanager
def opened(path: str, about: dict[str, Any], scratch: str) -> Iterator[Writer]:
    """A writer of ``path``, a ``.pkl`` or else a store; what was there stays until all is written.

    Args:
        about: what a store says about itself.
        scratch: folder on the same disk in which a pickle grows: a killed process leaves nothing beside the output.

    Raises:
        ACLNetError: it cannot be written.
    """
    if path.endswith('.pkl'):
        grown = os.path.join(scratch, 'output')
        with atomic_write(grown) as stream:
            yield PickleWriter(stream)
        try:
            os.replace(grown, path)
        except OSError as error:
            raise ACLNetError(f'{path} cannot be written: {error.strerror}') from None
        return
    from aclnet.datasets.annotations.packed import StoreWriter  # here: it brings torch, which no pickle needs

    with StoreWriter(path, about) as writer:
        yield writer


class PickleWriter:
    """Writes ``dict(annotations=[...], split={...})`` in bounded memory: the pickle is put together from its items.

    Without a memo (``fast``) the pickles of items can stand behind one another, and without frames (protocol 3) too.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        stream.write(pickle.PROTO + b'\x03' + pickle.EMPTY_DICT + _body('annotations') + pickle.EMPTY_LIST)

    def add(self, annotation: dict) -> None:
        """One more annotation."""
        self._stream.write(_body(annotation) + pickle.APPEND)

    def close(self, split: dict[str, list[str]]) -> None:
        """The splits, and the end of the pickle."""
        self._stream.write(pickle.SETITEM + _body('split') + _body(split) + pickle.SETITEM + pickle.STOP)


def _body(value: Any) -> bytes:
    """The pickle of ``value`` without its first two bytes, the protocol, and its last, the stop."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=3)
    pickler.fast = True
    pickler.dump(value)
    return stream.getvalue()[2:-1]
