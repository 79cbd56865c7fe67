"""The one error type that tools turn into a sentence, and the place where they do."""

from __future__ import annotations

import difflib
import itertools
import os
import reprlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ['ACLNetError', 'names', 'nearest', 'run_tool', 'shown']


class ACLNetError(Exception):
    """Something that the user can mend: says what was wrong, where, and what would be right."""


def nearest(word: object, choices: Iterable[object]) -> str:
    """Return ``'; did you mean X?'`` for the choice closest to ``word``, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(c) for c in choices], n=1)
    return f"; did you mean '{close[0]}'?" if close else ''


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        return (
            repr(x) if x.bit_length() < 256 else f'a whole number of {x.bit_length()} bits'
        )  # Python refuses long ones

    def repr_ndarray(self, x: Any, level: int) -> str:
        return f'an array of shape {x.shape}'


def shown(value: object) -> str:
    """``repr(value)`` for an error about data from a file, cut short whatever was in that file."""
    return _Short().repr(value)


def names(keys: Iterable[object]) -> str:
    """The first keys of a dict from a file, for an error; strings without quotes."""
    few = [key[:80] if isinstance(key, str) else shown(key) for key in itertools.islice(keys, 11)]
    return ', '.join(few[:10]) + (' and more' if len(few) > 10 else '') or 'none'


def run_tool(main: Callable[[], object]) -> None:
    """Run a tool's ``main`` and exit: 0 when it returns, 2 with one sentence on an ``ACLNetError``.

    ``ACLNET_TRACEBACK=1`` in the environment shows the traceback as well. Ctrl-C exits with 130.
    """
    try:
        main()
    except ACLNetError as error:
        if os.environ.get('ACLNET_TRACEBACK') == '1':
            raise
        sys.stdout.flush()
        rank = os.environ.get('RANK', '0')
        print(f'error{"" if rank == "0" else f" (rank {rank})"}: {error}', file=sys.stderr, flush=True)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr, flush=True)
        sys.exit(130)
