"""The one error type that tools turn into a sentence, and the place where they do."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable

__all__ = ['ACLNetError', 'nearest', 'run_tool']


class ACLNetError(Exception):
    """Something that the user can mend: says what was wrong, where, and what would be right, in one line."""

    def __init__(self, sentence: str) -> None:
        super().__init__(' '.join(line.strip() for line in sentence.strip().splitlines()))  # others' texts have more


def nearest(word: object, choices: Iterable[object]) -> str:
    """Return ``'; did you mean X?'`` for the choice closest to ``word``, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(c) for c in choices], n=1)
    return f"; did you mean '{close[0]}'?" if close else ''


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
