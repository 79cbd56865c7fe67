"""Reading files that came from elsewhere without running them, and writing files whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from aclnet.errors import ACLNetError

__all__ = ['atomic_write', 'load_pickle', 'loads_pickle', 'numpy_home', 'read_text']

_CONTAINERS = {
    'builtins': {'set', 'frozenset', 'slice', 'complex', 'bytearray', 'range'},
    'collections': {'OrderedDict', 'defaultdict'},
    '_codecs': {'encode'},
}  # protocol 2 writes bytes as a call of _codecs.encode
_NUMPY = {('multiarray', '_reconstruct'), ('multiarray', 'scalar'), ('numeric', '_frombuffer')}


class _DataUnpickler(pickle.Unpickler):
    """Admits numpy arrays and scalars and plain containers; anything else is refused by name, and nothing runs."""

    def find_class(self, module: str, name: str) -> Any:
        if module == '__builtin__':  # protocol 2 keeps the names of Python 2
            module, name = 'builtins', {'xrange': 'range'}.get(name, name)
        if (module, name) == ('builtins', 'bytes'):
            return _no_bytes  # only empty bytes are written so
        if name in _CONTAINERS.get(module, ()):
            return super().find_class(module, name)
        root, _, rest = module.partition('.')
        if root == 'numpy':
            inner = rest.removeprefix('_core.').removeprefix('core.')
            if (inner, name) in _NUMPY:
                return super().find_class(numpy_home(inner), name)
            if rest == '' and (name in ('ndarray', 'dtype') or _is_scalar_type(name)):
                return getattr(np, name)
            if rest == 'dtypes' and isinstance(getattr(np.dtypes, name, None), type):
                return getattr(np.dtypes, name)
        raise pickle.UnpicklingError(f"it refers to '{module}.{name}', which is neither an array nor a plain container")


def _no_bytes() -> bytes:
    return b''


def numpy_home(inner: str) -> str:
    """Module of numpy's pickle helpers in the numpy at hand: files of numpy 1 and 2 name different ones."""
    return f'numpy.{"core" if np.__version__.startswith("1.") else "_core"}.{inner}'


def _is_scalar_type(name: str) -> bool:
    found = getattr(np, name, None)
    return isinstance(found, type) and issubclass(found, np.generic) and found is not np.object_


def _load(stream: IO[bytes], where: str) -> Any:
    try:
        return _DataUnpickler(stream).load()
    except pickle.UnpicklingError as error:
        again = '; download or make it again' if 'truncated' in str(error) else ''
        raise ACLNetError(f'{where} was not loaded: {error}{again}') from None
    except MemoryError:
        raise ACLNetError(f'{where} was not loaded: it asks for more memory than there is') from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ACLNetError(
            f'{where} is not a whole pickle file ({type(error).__name__}: {error}); download or make it again'
        ) from None


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
        return _load(stream, f'{what} {path}')


def loads_pickle(data: bytes, where: str) -> Any:
    """Like :func:`load_pickle` for bytes in memory; ``where`` names their origin in an error."""
    return _load(io.BytesIO(data), where)


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
        _sync_folder(folder)
    except OSError as error:
        raise ACLNetError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _sync_folder(path: str) -> None:
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
