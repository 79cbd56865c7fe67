"""The log of a run: on the screen and in work_dir, from rank 0."""

from __future__ import annotations

import logging
import os

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

    Ranks other than 0 log warnings and errors only, and to a file of their own, ``…_rank1.log`` for ``….log``, which
    there is no earlier than its first line.

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
        if rank:
            logger.setLevel(max(logger.level, logging.WARNING))
            path = f'_rank{rank}'.join(os.path.splitext(path))
        _add(logger, logging.StreamHandler())
        _add(logger, logging.FileHandler(path, encoding='utf-8', delay=rank > 0))
    except (ValueError, TypeError):
        raise ACLNetError(f'log_level must be a level such as INFO or WARNING, got {level!r}') from None
    except OSError as error:
        raise ACLNetError(f'{path} cannot be written: {error.strerror}') from None
    logger.propagate = False
    return logger


def _add(logger: logging.Logger, handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
