"""Stopping on SIGTERM and SIGINT: the iteration is finished first, on all ranks alike."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import TracebackType

import torch
import torch.distributed as dist

from aclnet import distributed

__all__ = ['StopSignals', 'Stopped']

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ONE = 2.0  # seconds within which signals count as one: a terminal and a launcher both send theirs


class Stopped(KeyboardInterrupt):
    """A training ended early because a signal asked for it; what is needed to go on is on disk.

    Attributes:
        signum: the signal.
    """

    def __init__(self, signum: int, message: str = '') -> None:
        super().__init__(message)
        self.signum = signum


class StopSignals:
    """While open, SIGINT and SIGTERM ask for a stop instead of ending the process; a later second one ends it at once.

    Outside the main thread, where Python takes no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.asked = 0  # number of the first signal
        self._since = 0.0
        self._handlers: dict[int, object] = {}
        self._pipe: tuple[int, int] | None = None
        self._old_fd = -1
        self._flag: torch.Tensor | None = None
        self._work: dist.Work | None = None

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            reader, writer = self._pipe = os.pipe()
            os.set_blocking(writer, False)
            # a thread reads the signals: Python's own handlers wait while the main thread waits for other ranks
            threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
            self._old_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
            self._handlers = {signum: signal.signal(signum, lambda *_: None) for signum in _SIGNALS}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._work is not None:
            with contextlib.suppress(RuntimeError):  # another rank is gone
                self._work.wait()  # torch aborts the process if it ends within an exchange
            self._work = None
        if self._pipe is None:
            return
        if self.asked:  # the rest of what counts as one signal must not meet the handlers from before
            time.sleep(max(0.0, self._since + _ONE - time.monotonic()))
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]  # it is what signal.signal returned
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._pipe[1])  # the watching thread reads the end of it
        self._pipe = None

    def _watch(self, reader: int) -> None:
        with contextlib.closing(os.fdopen(reader, 'rb', buffering=0)) as stream:
            while received := stream.read(1):
                signum = received[0]
                if signum not in _SIGNALS:
                    continue
                if not self.asked:
                    self.asked, self._since = signum, time.monotonic()
                    _say(f'{signal.Signals(signum).name}: stopping after this iteration; a second one stops at once\n')
                elif time.monotonic() - self._since > _ONE:
                    _say(f'{signal.Signals(signum).name} again: stopped at once, without a checkpoint\n')
                    os._exit(128 + signum)

    def agree(self) -> int:
        """The signal that stops all ranks now, or 0; to be called by all of them, in step.

        Over several ranks it answers a call later: nobody waits for the others' flags meanwhile.
        """
        if distributed.get_dist_info()[1] == 1:
            return self.asked
        answer = 0
        if self._work is not None and self._flag is not None:
            self._work.wait()
            answer = int(self._flag)
        self._flag = torch.tensor(self.asked)
        self._work = dist.all_reduce(self._flag, dist.ReduceOp.MAX, async_op=True)
        return answer


def _say(text: str) -> None:
    if int(os.environ.get('RANK', '0')) == 0:
        os.write(2, text.encode())
