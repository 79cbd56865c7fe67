"""Values of annotations as JSON text that keeps their types: what a store holds beside its arrays."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

import numpy as np

from aclnet.errors import ACLNetError, shown

__all__ = ['decode', 'encode', 'is_plain_dtype']

_PLAIN = (str, int, float, bool, type(None))


def is_plain_dtype(text: Any) -> bool:
    """Whether ``text`` names a dtype of numbers or strings, such as '<f2'."""
    if not isinstance(text, str) or not re.fullmatch(r'[<>|]([biufc]\d{1,2}|[SU]\d{1,9})', text):
        return False
    try:
        return np.dtype(text).str == text
    except TypeError:  # a size that there is not, such as '<f3'
        return False


def encode(value: Any) -> bytes:
    """JSON of numbers, strings, bytes, containers and numpy's arrays and scalars.

    Raises:
        ACLNetError: it holds anything else, itself, or a number of more digits than Python writes.
    """
    try:
        return json.dumps(_tagged(value), separators=(',', ':')).encode('ascii')
    except RecursionError:
        raise ACLNetError('it is nested too deeply') from None
    except ValueError as error:  # whole numbers of thousands of digits
        raise ACLNetError(str(error)) from None


def _tagged(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [_tagged(item) for item in value]
    if kind in (tuple, set, frozenset):
        return {kind.__name__: [_tagged(item) for item in value]}
    if kind is dict:
        return {'dict': [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    if kind in (bytes, bytearray):
        return {kind.__name__: _text(value)}
    if kind is complex:
        return {'complex': [value.real, value.imag]}
    if isinstance(value, (np.ndarray, np.generic)) and is_plain_dtype(value.dtype.str):
        data = np.asarray(value)  # keeps the order of bytes
        return {
            'array' if isinstance(value, np.ndarray) else 'scalar': [
                data.dtype.str,
                [*data.shape],
                _text(data.tobytes()),
            ]
        }
    raise ACLNetError(f'it holds {shown(value)}, a {kind.__name__}')


def _text(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode('ascii')


def decode(data: bytes) -> Any:
    """The value that ``encode`` made ``data`` of.

    Raises:
        ValueError: it is no such text.
    """
    try:
        return _untagged(json.loads(data))
    except (TypeError, KeyError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def _untagged(value: Any) -> Any:
    if type(value) is list:
        return [_untagged(item) for item in value]
    if type(value) is not dict:
        return value
    ((tag, content),) = value.items()
    if tag == 'dict':
        return {_untagged(key): _untagged(item) for key, item in content}
    if tag in ('bytes', 'bytearray'):
        data = base64.b64decode(content, validate=True)
        return data if tag == 'bytes' else bytearray(data)
    if tag in ('array', 'scalar'):
        dtype, shape, data = content
        return _array(dtype, shape, data, tag == 'scalar')
    if tag == 'complex':
        return complex(*content)
    return {'tuple': tuple, 'set': set, 'frozenset': frozenset}[tag](_untagged(item) for item in content)


def _array(dtype: str, shape: list[int], text: str, scalar: bool) -> Any:
    data = base64.b64decode(text, validate=True)
    if not is_plain_dtype(dtype) or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError('no array')
    if math.prod(shape) * np.dtype(dtype).itemsize != len(data) or (scalar and shape):
        raise ValueError('an array of another size')
    array = np.ndarray(tuple(shape), dtype, bytearray(data))  # writable, as an unpickled one
    return array[()] if scalar else array
