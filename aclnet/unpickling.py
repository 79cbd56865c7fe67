"""An unpickler of data: arrays, plain containers, strings and numbers, and nothing that a file could make it run.

Whatever a pickle refers to by name meets a stand-in of this module, never the function or class itself. numpy's own
``__setstate__`` of arrays and dtypes trust what they are given, to the point of a crash, so a pickle reaches them only
with dtypes that it cannot change. There are two ways: quickly, where all dtypes are numbers in this machine's byte
order, which is nearly always; else with every array built here, once the whole pickle is read. Memory is bounded by the
size of the file.
"""

from __future__ import annotations

import contextlib
import gc
import math
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from aclnet.errors import shown

__all__ = ['PickledDtype', 'load', 'numpy_scalar']

SLACK = 1 << 28  # bytes that loading may take beyond GROWTH times the file's size
GROWTH = 32  # Python objects take up to about 20 times the bytes of their pickle


class _Pending:
    """Stands for an object of numpy's from its making until the whole pickle is read; ``value`` is that object."""

    __slots__ = ('value',)
    __hash__ = None  # type: ignore[assignment]  # neither a set nor a dict may keep one as a key

    def __init__(self, *args: Any) -> None:
        self.value: Any = None


class PickledDtype(_Pending):
    """``numpy.dtype(code, align, copy)`` and its state; of booleans, numbers and strings only."""

    __slots__ = ()

    def __init__(self, code: str, align: Any = False, copy: Any = False) -> None:
        if not isinstance(code, str) or not re.fullmatch(r'[biufcSU]\d{1,9}', code):
            raise pickle.UnpicklingError(
                f'it holds an array of dtype {shown(code)}; arrays must be of numbers or strings'
            )
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        _version, order, subdtype, names, fields, size, *_rest = state
        if order not in ('<', '>', '|', '=') or (subdtype, names, fields) != (None, None, None):
            raise pickle.UnpicklingError('it holds an array with fields; arrays must be of numbers or strings')
        if size not in (-1, self.value.itemsize):
            raise pickle.UnpicklingError('it holds a damaged dtype')
        self.value = self.value.newbyteorder(order)


class _PickledArray(_Pending):
    """``numpy._reconstruct(ndarray, (0,), b'b')``, all of whose content is in the state that follows."""

    __slots__ = ()

    def __setstate__(self, state: tuple) -> None:
        _version, shape, dtype, by_column, data = state
        if type(dtype) is not PickledDtype or type(data) is not bytes:
            raise pickle.UnpicklingError('it holds a damaged array')
        if dtype.value.isnative:
            self.value = np.ndarray(0, np.int8)
            self.value.__setstate__((1, shape, dtype.value, bool(by_column), data))  # shares the bytes, and is writable
        else:
            self.value = _array(data, dtype, shape, 'F' if by_column else 'C')


def _array(data: bytes | bytearray, dtype: Any, shape: tuple, order: str, axes: tuple | None = None) -> Any:
    """Array over ``data``; stands for ``numpy._frombuffer``, by which protocol 5 writes arrays."""
    dtype = dtype.value if isinstance(dtype, PickledDtype) else dtype
    if not isinstance(dtype, np.dtype) or type(data) not in (bytes, bytearray):
        raise pickle.UnpicklingError('it holds a damaged array')
    shape = tuple(shape) if isinstance(shape, tuple) else (shape,)
    if any(type(size) is not int or size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise pickle.UnpicklingError(f'it holds an array of shape {shown(shape)} with {len(data)} bytes')
    if order == 'K' and axes is not None:
        return np.ndarray(shape, dtype, data).transpose(axes)
    return np.ndarray(shape, dtype, data, order='F' if order == 'F' else 'C')


def numpy_scalar(dtype: PickledDtype | np.dtype, data: bytes) -> np.generic:
    """Stands for ``numpy.multiarray.scalar``."""
    return _array(data, dtype, (), 'C')[()]


class _StandIn:
    """A function that a pickle may call; as an object without attributes it offers nothing to write to."""

    __slots__ = ('_call',)

    def __init__(self, call: Callable) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        _refuse_state(state)


def _refuse_state(state: Any) -> None:
    raise pickle.UnpicklingError('it writes to a function')


class _Containers:
    """What a pickle may have made of its own content, until that comes to more than ``size`` items.

    Honest pickles make each object once; a hostile one could copy one of its strings over and over.
    """

    def __init__(self, size: int) -> None:
        self._left = size

    def _take(self, items: list | tuple | str | bytes, *kinds: type) -> Any:
        if type(items) not in kinds:
            raise pickle.UnpicklingError(f'it makes a container of {shown(items)}')
        self._left -= len(items)
        if self._left < 0:
            raise pickle.UnpicklingError('it makes more of its content than its size accounts for')
        return items

    def encode(self, text: str, encoding: str) -> bytes:
        """Bytes as protocols up to 2 write them."""
        return self._take(text, str).encode('latin1')

    def bytes(self) -> Any:
        return b''  # only empty bytes are written so

    def bytearray(self, data: Any = b'', encoding: str = 'latin1') -> Any:
        taken = self._take(data, bytes, str)
        return bytearray(taken.encode('latin1') if type(taken) is str else taken)

    def set(self, items: list | tuple = ()) -> set:
        return set(self._take(items, list, tuple))

    def frozenset(self, items: list | tuple = ()) -> frozenset:
        return frozenset(self._take(items, list, tuple))

    def complex(self, real: float, imaginary: float) -> complex:
        return complex(real, imaginary)

    def OrderedDict(self, items: list | tuple = ()) -> dict:
        return dict(self._take(items, list, tuple))

    def defaultdict(self, factory: Any = None) -> dict:
        return {}


class DataUnpickler(pickle.Unpickler):
    """Admits arrays and scalars of numpy and plain containers; anything else is refused by name, and nothing runs.

    ``OrderedDict`` and ``defaultdict`` come back as plain dicts.

    Args:
        stream: what is read.
        size: its bytes.
        quick: whether numpy itself builds the arrays, or each stays a :class:`_Pending`.
    """

    def __init__(self, stream: IO[bytes], size: int, quick: bool) -> None:
        super().__init__(stream)
        self._containers = _Containers(size)
        self.dtypes = _NativeDtypes(stream)
        self._numpy = dict(_NUMPY)
        if quick:
            self._numpy['numpy', 'dtype'] = _StandIn(self.dtypes.make)
            self._numpy['numpy.core.multiarray', '_reconstruct'] = _empty_array

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name in the pickle; raises ``UnpicklingError`` where there is none."""
        if name in _ADMITTED.get(module, ()):
            return _StandIn(getattr(self._containers, name))
        found = self._numpy.get((module.replace('numpy._core', 'numpy.core'), name))  # as numpy 2 and 1 call it
        if found is None:
            raise pickle.UnpicklingError(
                f"it refers to '{shown(module)[1:-1]}.{shown(name)[1:-1]}', "
                'which is neither an array nor a plain container'
            )
        return found


class _Unusual(Exception):
    """The pickle cannot be read quickly."""


class _NativeDtypes:
    """numpy's own instances of the number types: ``__setstate__`` of these does nothing, whatever a pickle says.

    Only the byte order, which a pickle says there, would be missed; :meth:`swapped` finds it.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._places: list[int] = []

    def make(self, code: str, align: Any = False, copy: Any = False) -> np.dtype:
        found = _NUMBERS.get(code)
        if found is None:
            raise _Unusual
        self._places.append(self._stream.tell())
        return found

    def swapped(self) -> bool:
        """Whether a dtype of another byte order than this machine's was read.

        Its state stands near the stream's place when the dtype was made, as far as the unpickler reads ahead.
        """
        done = 0
        for place in self._places:
            start = max(done, place - _AHEAD)
            done = max(done, place + _AHEAD)
            self._stream.seek(start)
            near = self._stream.read(done - start)
            if any(state in near for state in _SWAPPED):
                return True
        return False


_AHEAD = 1 << 17  # bytes: twice the frames of protocols 4 and 5
_FOREIGN = b'>' if sys.byteorder == 'little' else b'<'
_ORDERS = (b'K\x03\x8c\x01', b'K\x03X\x01\0\0\0', b'K\x03U\x01', b'I3\nV', b"I3\nS'")  # before it, in any protocol
_SWAPPED = tuple(before + _FOREIGN for before in _ORDERS)
_NUMBERS = {code: np.dtype(code) for code in 'b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16'.split()}


def _empty_array(subtype: Any, shape: Any, dtype: Any) -> np.ndarray:
    """Stands for ``numpy._reconstruct``, called once for each array; the state that follows fills it.

    A function, since calling an object takes longer.
    """
    return _empty(0, _BYTE)


_empty, _BYTE = np.empty, np.dtype(np.int8)
_empty_array.__setstate__ = _refuse_state  # type: ignore[attr-defined]


def _no_call(*args: Any) -> None:
    raise pickle.UnpicklingError("it calls 'numpy.ndarray', which is neither an array nor a plain container")


_BUILTINS = {'bytes', 'bytearray', 'set', 'frozenset', 'complex'}
_ADMITTED = {
    'builtins': _BUILTINS,
    '__builtin__': _BUILTINS,  # protocol 2 keeps the names of Python 2
    'collections': {'OrderedDict', 'defaultdict'},
    '_codecs': {'encode'},
}
_NUMPY: dict[tuple[str, str], Any] = {
    ('numpy', 'dtype'): PickledDtype,
    ('numpy', 'ndarray'): _StandIn(_no_call),  # an argument of _reconstruct
    ('numpy.core.multiarray', '_reconstruct'): _PickledArray,
    ('numpy.core.multiarray', 'scalar'): _StandIn(numpy_scalar),
    ('numpy.core.numeric', '_frombuffer'): _StandIn(_array),
}


def load(stream: IO[bytes], size: int) -> Any:
    """The content of a pickle of ``size`` bytes in a seekable stream, its arrays as numpy's own.

    Raises:
        UnpicklingError: it refers to anything but data.
        MemoryError: it asks for more memory than a pickle of its size can need.
        Exception: nearly any other, where it is damaged.
    """
    with _without_collections(), _bounded_memory(GROWTH * size + SLACK):
        try:
            unpickler = DataUnpickler(stream, size, quick=True)
            content = unpickler.load()
            if not unpickler.dtypes.swapped():
                return content
        except _Unusual:
            pass
        stream.seek(0)
        return _settled(DataUnpickler(stream, size, quick=False).load())


def _settled(content: Any) -> Any:
    """``content`` with every :class:`_Pending` replaced by its value; what is referred to twice is visited once."""
    root = [content]
    todo: list[Any] = [root]
    visited = {id(root)}
    tuples: dict[int, tuple[tuple, tuple]] = {}  # by id: each tuple, kept alive so that its id stays its own

    def settle(value: Any) -> Any:
        kind = type(value)
        if kind is _PickledArray or kind is PickledDtype:
            if value.value is None:
                raise pickle.UnpicklingError('it holds a damaged array')
            return value.value
        if kind is dict or kind is list:
            if id(value) not in visited:
                visited.add(id(value))
                todo.append(value)
        elif kind is tuple:
            if id(value) not in tuples:
                tuples[id(value)] = value, tuple([settle(item) for item in value])
            return tuples[id(value)][1]
        return value

    while todo:
        container = todo.pop()
        for key, value in container.items() if type(container) is dict else enumerate(container):
            if type(value) in _SETTLED:
                container[key] = settle(value)
    return root[0]


_SETTLED = {_PickledArray, PickledDtype, dict, list, tuple}


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """No garbage collection meanwhile: among many new objects, none of them garbage, it only takes time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()  # and back: what is new counts as old, or the next collection would go through all of it
                gc.unfreeze()
            gc.enable()


@contextlib.contextmanager
def _bounded_memory(allowance: int) -> Iterator[None]:
    """At most ``allowance`` bytes more for this process meanwhile; a request beyond them is a ``MemoryError``.

    Ten bytes of pickle can make the unpickler fill a memo of 64 GB. Only Linux enforces such a limit, and only the main
    thread sets it, since it holds for all threads.
    """
    try:
        import resource

        with open('/proc/self/statm', encoding='ascii') as stream:
            used = int(stream.read().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError):
        yield
        return
    limit = used + allowance
    within = any(0 <= given <= limit for given in (soft, hard))  # -1 is none
    if within or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
