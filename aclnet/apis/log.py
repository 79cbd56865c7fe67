"""The log of a run: on the screen and in work_dir, from rank 0; errors from every rank."""

from __future__ import annotations

import contextlib
import logging
import sys

from aclnet import distributed
from aclnet.errors import ACLNetError

__all__ = ['get_logger', 'start_log']

_FORMAT = '%(asctime)s - %(name)s - %(levelname)s - %(message)s'


def get_logger() -> logging.Logger:
    """The project's logger; it writes to the screen unless :func:`start_log` or the user configured it."""
    logger = logging.getLogger('aclnet')
    if not logger.handlers and not logging.getLogger().handlers:
        _add(logger, logging.StreamHandler())
        logger.setLevel(logging.INFO)
    return logger


def start_log(path: str, level: str = 'INFO') -> logging.Logger:
    """Log to the screen and to ``path``, and no longer to an earlier file.

    Ranks other than 0 log warnings and errors only, with their rank; they open the file when they have one.

    Raises:
        ACLNetError: the file cannot be written, or there is no such level.
    """
    logger = logging.getLogger('aclnet')
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    rank = distributed.get_dist_info()[0]
    try:
        logger.setLevel(level)
        if rank > 0:
            logger.setLevel(max(logger.level, logging.WARNING))
        _add(logger, logging.StreamHandler(), rank)
        _add(logger, _LogFile(path, encoding='utf-8', delay=rank > 0), rank)
    except (ValueError, TypeError):
        raise ACLNetError(f'log_level must be a level such as INFO or WARNING, got {level!r}') from None
    except OSError as error:
        raise ACLNetError(f'{path} cannot be written: {error.strerror}') from None
    logger.propagate = False
    return logger


class _LogFile(logging.FileHandler):
    """A log file that cannot be written ends the run in a sentence, where logging would print a traceback a line."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError as error:  # of opening it
            raise self._sentence(error) from None

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            raise self._sentence(error) from None
        super().handleError(record)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # said when it was written
            super().close()

    def _sentence(self, error: OSError) -> ACLNetError:
        return ACLNetError(f'{self.baseFilename} cannot be written: {error.strerror}')


def _add(logger: logging.Logger, handler: logging.Handler, rank: int = 0) -> None:
    handler.setFormatter(
        logging.Formatter(_FORMAT.replace('%(message)s', f'rank {rank}: %(message)s') if rank else _FORMAT)
    )
    logger.addHandler(handler)
