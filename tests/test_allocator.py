"""Memory that was freed stays with the process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from aclnet.allocator import keep_freed_memory
print(keep_freed_memory() if KEEP else False)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for n in range(40):
    if n == 5:
        before = faults()
    torch.ones(30_000_000)
print(faults() - before)
"""


def run(keep, **env):
    words = [sys.executable, '-c', PROGRAM.replace('KEEP', str(keep))]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, **env}, timeout=120)
    kept, faults = done.stdout.split()
    return kept == 'True', int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the C library is not glibc')
def test_large_arrays_take_the_memory_of_those_before():
    (kept, few), (_, many) = run(True), run(False)
    assert kept and few < many / 2
    assert run(True, MALLOC_MMAP_MAX_='1000')[0] is False  # whoever has chosen has chosen
