"""The one error type that tools turn into a sentence, and the place where they do."""

from __future__ import annotations

import atexit
import contextlib
import difflib
import itertools
import logging
import os
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

__all__ = ['ACLNetError', 'LostRankError', 'names', 'nearest', 'run_tool', 'shown']


class ACLNetError(Exception):
    """Something that the user can mend: says what was wrong, where, and what would be right, in one line."""

    def __init__(self, sentence: str) -> None:
        super().__init__(' '.join(line.strip() for line in sentence.strip().splitlines()))  # others' texts have more

    exit_code = 2


class LostRankError(ACLNetError):
    """Another process of the group died or doesn't answer; the cause is to be found there."""

    exit_code = 3


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
    """Run a tool's ``main`` and exit: 0 when it returns, 2 with one sentence on an ``ACLNetError``, 3 on a lost rank.

    Errors go into the run's log file too, from every rank. ``ACLNET_TRACEBACK=1`` in the environment shows the
    traceback as well. Ctrl-C exits with 130.
    """
    try:
        main()
    except ACLNetError as error:
        _log(str(error))
        if os.environ.get('ACLNET_TRACEBACK') == '1':
            raise
        sys.stdout.flush()
        rank = os.environ.get('RANK', '0')
        print(f'error{"" if rank == "0" else f" (rank {rank})"}: {error}', file=sys.stderr, flush=True)
        _leave(error.exit_code)
    except BrokenPipeError:  # whoever read the output has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt as stop:  # of Ctrl-C, or of a training that stopped for a signal
        if os.environ.get('RANK', '0') == '0':
            print(str(stop) or 'interrupted', file=sys.stderr, flush=True)
        _leave(128 + getattr(stop, 'signum', 2))
    except Exception:
        _log('unexpected error', with_traceback=True)
        if not _one_of_several():
            raise
        traceback.print_exc()
        _leave(1)
    if _one_of_several():  # torch's threads can outlive the interpreter, and then abort the process at its very end
        atexit._run_exitfuncs()
        _leave(0)


def _one_of_several() -> bool:
    return os.environ.get('WORLD_SIZE', '1') != '1'


def _leave(code: int) -> NoReturn:
    """Exit; one of several ranks at once, since the interpreter may wait for ever for the threads of a broken group."""
    if _one_of_several():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _log(message: str, with_traceback: bool = False) -> None:
    """Put an error into the log files that are open, and not on the screen, which shows it anyway."""
    logger = logging.getLogger('aclnet')
    record = logger.makeRecord(
        logger.name, logging.ERROR, __file__, 0, message, (), sys.exc_info() if with_traceback else None
    )
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            with contextlib.suppress(ACLNetError):  # the error itself may be that the log cannot be written
                handler.handle(record)
