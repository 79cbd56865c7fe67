"""Text files of numbers: read whole by numpy, and nothing in them is trusted."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from aclnet.conversion.base import Recording, broken
from aclnet.errors import shown
from aclnet.limits import MAX_VALUES

__all__ = ['json_of', 'lines_of', 'table']

_MAX_BYTES = MAX_VALUES  # of a recording's file; the largest of PKU-MMD have 20 MB


def content_of(recording: Recording, path: str | None = None) -> bytes:
    """The bytes of a recording's file. Raises ``Dropped`` where it cannot be read, is empty or too large."""
    path = recording.path if path is None else path
    try:
        size = os.path.getsize(path)
        if size > _MAX_BYTES:
            raise broken(recording, 'too large', f'{size:,} bytes are more than any recording has')
        with open(path, 'rb') as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise broken(recording, 'cannot be read', error.strerror or str(error)) from None
    if not content.strip():
        raise broken(recording, 'empty file', 'the file is empty')
    return content


def lines_of(recording: Recording) -> list[bytes]:
    """The lines of a recording's file, without those at its end that are blank."""
    return content_of(recording).rstrip().splitlines()


def json_of(recording: Recording, path: str | None = None) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(content_of(recording, path))
    except (ValueError, RecursionError) as error:
        line = getattr(error, 'lineno', None)
        where = '' if path is None or path == recording.path else f' ({os.path.basename(path)})'
        raise broken(recording, 'no whole JSON', f'the file is cut short or damaged{where}', line) from None


def table(
    recording: Recording,
    lines: Sequence[bytes],
    width: int,
    numbers: Sequence[int] | None = None,
    keep: int | None = None,
) -> np.ndarray:
    """(len(lines), keep) float64: the first numbers of lines that all have ``width``, between spaces or commas.

    Args:
        recording: named in the error.
        lines: as they stand in the file.
        width: numbers per line.
        numbers: of the lines in the file, from 1; None for 1, 2, 3, ...
        keep: how many numbers to read of each line; None for all.

    Raises:
        Dropped: a line has more or fewer, or something else than a number among those that are read.
    """
    keep = width if keep is None else keep
    words: list[bytes] = []
    for place, line in enumerate(lines):
        found = line.replace(b',', b' ').split()
        if len(found) != width:
            number = numbers[place] if numbers else place + 1
            raise broken(recording, 'wrong number of values', f'needs {width} numbers, has {len(found)}', number)
        words += found[:keep]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # what is no number ends the reading: seen by the size
        try:
            values = np.fromstring(b' '.join(words), sep=' ')
        except ValueError:
            values = np.empty(0)
    if values.size != len(words):
        for place, word in enumerate(words):
            if not _is_number(word):
                number = numbers[place // keep] if numbers else place // keep + 1
                raise broken(recording, 'not a number', f'{shown(word.decode("latin-1"))} is no number', number)
        values = np.array(words, np.float64)
    return values.reshape(len(lines), keep)


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return b'_' not in word
