"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ['keep_freed_memory']

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # numbers of glibc's mallopt
_OWN = ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_MAX_', 'MALLOC_MMAP_THRESHOLD_', 'GLIBC_TUNABLES')


def keep_freed_memory() -> bool:
    """Have this process keep the memory of large arrays for the next ones.

    glibc hands each array of more than 32 MB back to the system and asks for it anew, and the system fills it with
    zeros, a page at a time: a quarter of a training step on a CPU. What is kept counts as the process's own until it
    ends, so its size stays near its peak.

    Returns:
        whether it does: not where the C library is another, or variables of the environment have chosen for it.
    """
    if platform.libc_ver()[0] != 'glibc' or any(name in os.environ for name in _OWN):
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1))
