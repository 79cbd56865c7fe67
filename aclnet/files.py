"""Reading files that came from elsewhere without running them, and writing files whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tempfile
from collections.abc import Iterator
from typing import IO, Any, cast

from aclnet import unpickling
from aclnet.errors import ACLNetError

__all__ = ['atomic_write', 'load_pickle', 'loads_pickle', 'read_text', 'sync_folder']


def _load(stream: IO[bytes], size: int, where: str) -> Any:
    try:
        return unpickling.load(stream, size)
    except pickle.UnpicklingError as error:
        again = '; download or make it again' if 'truncated' in str(error) else ''
        raise ACLNetError(f'{where} was not loaded: {_brief(error)}{again}') from None
    except MemoryError:
        raise ACLNetError(f'{where} was not loaded: it asks for more memory than its size accounts for') from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ACLNetError(
            f'{where} is not a whole pickle file ({type(error).__name__}: {_brief(error)}); download or make it again'
        ) from None


def _brief(error: Exception) -> str:
    """What an error says, in one line: some quote what they found, which may be anything."""
    return ' '.join(str(error).split())[:300]


def load_pickle(path: str | os.PathLike, what: str = 'file') -> Any:
    """Load a pickle of numpy arrays and plain containers; nothing in the file is called.

    Args:
        path: the file.
        what: how an error names it, e.g. ``'annotation file'``.

    Raises:
        ACLNetError: the file is missing, unreadable, damaged, or holds anything else.
    """
    path = os.fspath(path)
    try:
        stream = open(path, 'rb')
    except FileNotFoundError:
        raise ACLNetError(f'{what} {path} does not exist') from None
    except OSError as error:
        raise ACLNetError(f'{what} {path} cannot be read: {error.strerror}') from None
    with stream:
        return _load(stream, os.fstat(stream.fileno()).st_size, f'{what} {path}')


def loads_pickle(data: bytes, where: str) -> Any:
    """Like :func:`load_pickle` for bytes in memory; ``where`` names their origin in an error."""
    return _load(cast(IO[bytes], io.BufferedReader(io.BytesIO(data))), len(data), where)  # buffered: it can peek


def read_text(path: str | os.PathLike, where: str) -> str:
    """A text file's content; ``where`` names it in an error, e.g. ``'side file x.json'``.

    Raises:
        ACLNetError: the file is missing, unreadable, or not UTF-8.
    """
    try:
        with open(path, encoding='utf-8') as stream:
            return stream.read()
    except FileNotFoundError:
        raise ACLNetError(f'{where} does not exist') from None
    except OSError as error:
        raise ACLNetError(f'{where} cannot be read: {error.strerror}') from None
    except UnicodeDecodeError:
        raise ACLNetError(f'{where} is not a text file') from None


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = 'wb') -> Iterator[IO]:
    """Open a temporary file beside ``path`` that takes its name when the block ends without an error.

    Raises:
        ACLNetError: the folder cannot be made or the file cannot be written; an earlier file stays as it was.
    """
    path = os.fspath(path)
    folder = os.path.dirname(path) or '.'
    temporary = None
    try:
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f'.{os.path.basename(path)}.')
        with open(handle, mode) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
        temporary = None
        sync_folder(folder)
    except OSError as error:
        raise ACLNetError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def sync_folder(path: str) -> None:
    """Make a new name survive a power failure; some file systems can't, and need not."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
