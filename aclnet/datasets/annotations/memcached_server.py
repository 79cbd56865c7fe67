"""A memcached server of our own, for as long as a command needs it: started where nobody listens, filled, stopped.

It is the child of a shell that waits for a line from us, or for our end: so it ends with us, killed as we may be.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from aclnet.datasets.annotations.memcached import MemcachedPoses, Server
from aclnet.datasets.annotations.raw_files import RawFiles
from aclnet.errors import ACLNetError

__all__ = ['PoseServer', 'is_free', 'node_lock']

_GUARD = '"$@" & child=$!; read -r line; kill $child; wait $child'
_PATIENCE = 10.0  # seconds for it to start, and to stop
_logger = logging.getLogger('aclnet')


def is_free(server: Server) -> bool:
    """Whether the server's host is this one and nobody listens at its port."""
    if server.host not in ('localhost', '127.0.0.1', '::1', socket.gethostname()):
        return False
    try:
        socket.create_connection((server.host, server.port), timeout=1).close()
        return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def node_lock(server: Server, job: str = '', wait: bool = True) -> Iterator[bool]:
    """Held by the process of this node that starts and fills a server, while others wait.

    Args:
        server: which.
        job: makes it another lock, of the processes of one job.
        wait: whether to wait for it; else it gives False where another process holds it.
    """
    path = os.path.join(tempfile.gettempdir(), f'aclnet-memcached-{os.getuid()}-{server.port}{job}.lock')
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # then nobody waits
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            held = False
        yield held
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing would leave it to children that were forked meanwhile
        os.close(handle)


class PoseServer:
    """A memcached server, from ``start`` to ``stop``; it does not outlive this process.

    Args:
        server: host, port and sizes.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._guard: subprocess.Popen | None = None

    def start(self) -> bool:
        """Whether it was started; where it cannot be, a warning says why."""
        program = shutil.which('memcached')
        if program is None:
            _logger.warning("nobody listens at %s, and there is no program 'memcached' to start", self.server)
            return False
        words = [program, '-l', self.server.host, '-p', str(self.server.port), '-m', str(self.server.memory_mb)]
        words += ['-I', f'{self.server.item_mb}m', '-c', '4096', *(('-u', 'nobody') if os.getuid() == 0 else ())]
        with tempfile.TemporaryFile() as said:
            try:
                self._guard = subprocess.Popen(
                    ['sh', '-c', _GUARD, 'sh', *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,  # Ctrl-C is for us: it serves until we end
                )
            except OSError as error:
                _logger.warning('memcached cannot be started: %s', error)
                return False
            until = time.monotonic() + _PATIENCE
            while time.monotonic() < until:
                if not is_free(self.server):
                    _logger.info(
                        'started memcached at %s with %d MB, up to %d MB for a clip',
                        self.server, self.server.memory_mb, self.server.item_mb,
                    )  # fmt: skip
                    return True
                said.seek(0)
                if said.read().strip():
                    break
                time.sleep(0.02)
            self.stop()
            said.seek(0)
            lines = said.read().decode(errors='replace').strip().splitlines() or ['it said nothing']
            _logger.warning('memcached did not start at %s: %s', self.server, lines[0])
            return False

    def fill(self, wanted: Sequence[tuple[MemcachedPoses, Sequence[dict]]], processes: int | None = None) -> int:
        """Put poses into the server, a raw file at a time, by several processes; what fails is left to its reader.

        Args:
            wanted: for each annotation file, what reads its poses through this server, and the annotations.
            processes: None takes one per processor, at most 16.

        Returns:
            how many clips the server took.
        """
        tasks: dict[tuple[int, str], list[dict]] = {}
        for number, (_, clips) in enumerate(wanted):
            for annotation in clips:
                if 'keypoint' not in annotation and annotation.get('frame_dir') and annotation.get('raw_file'):
                    light = {key: annotation[key] for key in ('frame_dir', 'raw_file')}
                    tasks.setdefault((number, annotation['raw_file']), []).append(light)
        total, taken = sum(map(len, tasks.values())), 0
        work = [(number, of_file) for (number, _), of_file in tasks.items()]
        count = max(1, min(processes or os.cpu_count() or 1, 16, len(work)))
        readers = [reader for reader, _ in wanted]
        with multiprocessing.get_context('fork').Pool(count, _begin, (readers,)) as pool:
            with tqdm(total=total, desc='filling memcached', unit='clip', leave=False) as bar:
                for done, asked in pool.imap_unordered(_fill, work):
                    taken += done
                    bar.update(asked)
        _logger.info('memcached at %s took %d of %d clips', self.server, taken, total)
        evicted = self._evictions()
        if evicted:
            _logger.warning(
                'memcached at %s has no room for %d of %d clips, which will be read from raw files; raise memory_mb of '
                'mc_cfg, now %d, or pack the data set (tools/data/pack.py)',
                self.server, evicted, total, self.server.memory_mb,
            )  # fmt: skip
        return taken

    def _evictions(self) -> int:
        statistics = MemcachedPoses(self.server, RawFiles('')).ask('stats')
        return int(statistics.get(b'evictions', 0)) if isinstance(statistics, dict) else 0

    def stop(self) -> None:
        """Stop it, if ``start`` started it."""
        guard, self._guard = self._guard, None
        if guard is None or guard.stdin is None:
            return
        with contextlib.suppress(OSError):
            guard.stdin.write(b'\n')  # workers may hold the other end, so that closing it does not do
            guard.stdin.close()
        try:
            guard.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()

    def __enter__(self) -> PoseServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


_readers: list[MemcachedPoses] = []  # of a filling process


def _begin(readers: list[MemcachedPoses]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C, which our parent heeds
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _readers[:] = readers


def _fill(task: tuple[int, list[dict]]) -> tuple[int, int]:
    """(how many clips of a raw file the server took, how many there are)."""
    number, clips = task
    taken = 0
    for annotation in clips:
        with contextlib.suppress(ACLNetError):  # whoever reads the sample will say it
            taken += _readers[number].put(annotation)
    return taken, len(clips)
