"""torchrun's agent with sentences: it starts this node's processes, watches them, and says how they ended."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed import DistError
from torch.distributed.elastic.agent.server import RunResult, WorkerGroup, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.rendezvous import RendezvousError, RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from aclnet import distributed
from aclnet.errors import ACLNetError, LostRankError
from aclnet.meeting import Meeting

__all__ = ['End', 'exit_code', 'report', 'start']

_REST = 5  # seconds in which the others notice by themselves that a process is gone, and then to end when told to
_STOPPED = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM))
_HINTS = {
    signal.SIGKILL: ', as happens where memory runs out',
    signal.SIGABRT: ', as NCCL does when other ranks do not answer in time',
}


@dataclass
class End:
    """How a process ended.

    Args:
        rank: of the process.
        code: exit code, negative for a signal.
        late: it still ran when another had failed, and was ended.
    """

    rank: int
    code: int
    late: bool = False

    @property
    def stopped(self) -> bool:
        """By a signal that asks to stop, in good order or not."""
        return self.code in _STOPPED or self.code in (-signal.SIGINT, -signal.SIGTERM)

    def __str__(self) -> str:
        if self.late:
            return f'rank {self.rank} still ran and was ended'
        if self.code == LostRankError.exit_code:
            return f'rank {self.rank} lost the others'
        if self.stopped:
            number = signal.Signals(abs(self.code) % 128)
            return f'rank {self.rank} was stopped by {number.name}'
        if self.code < 0:
            number = signal.Signals(-self.code)
            return f'rank {self.rank} was killed by signal {number.value} ({number.name}{_HINTS.get(number, "")})'
        return f'rank {self.rank} failed with exit code {self.code}'


def _causes(ends: list[End]) -> list[End]:
    """Those that did not end because of another; where it is on another node, those that noticed."""
    noticed = [end for end in ends if not end.late]
    return [end for end in noticed if end.code != LostRankError.exit_code] or noticed or ends


def report(ends: list[End]) -> str:
    """One line on all processes that did not end well, the causes first."""
    causes = _causes(ends)
    return '; '.join(str(end) for end in [*causes, *(end for end in ends if end not in causes)])


def exit_code(ends: list[End]) -> int:
    """The launcher's exit code: that of the first cause, 128 + N for signal N."""
    code = _causes(ends)[0].code
    return code if code > 0 else 128 - code


def _worth_a_restart(ends: list[End]) -> bool:
    """Not after a signal to stop, nor after an error that the user has to mend."""
    causes = _causes(ends)
    return not all(end.stopped for end in causes) and all(end.code != ACLNetError.exit_code for end in causes)


class _Agent(LocalElasticAgent):
    def __init__(self, spec: WorkerSpec, grace: int) -> None:
        super().__init__(spec, DefaultLogsSpecs())
        self.ends: list[End] = []
        self._grace = grace

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        late = self._end_the_rest()
        result = super()._monitor_workers(worker_group)
        if result.state == WorkerState.FAILED:
            ranks = [worker_group.workers[local].global_rank for local in late]
            ends = [End(rank, failure.exitcode, rank in ranks) for rank, failure in sorted(result.failures.items())]
            self.ends = ends
            if not _worth_a_restart(ends):
                self._remaining_restarts = 0
            elif self._remaining_restarts > 0:
                number = worker_group.spec.max_restarts - self._remaining_restarts + 1
                _say(f'{report(ends)}; restart {number} of {worker_group.spec.max_restarts}')
        return result

    def _end_the_rest(self) -> set[int]:
        """Once a process has failed, wait for the others a little, and end them; their local ranks."""
        processes = {local: handler.proc for local, handler in self._pcontext.subprocess_handlers.items()}  # type: ignore[union-attr]  # noqa: E501  of PContext for commands
        if not any(process.poll() for process in processes.values()):
            return set()
        until = time.monotonic() + _REST
        while any(process.poll() is None for process in processes.values()) and time.monotonic() < until:
            time.sleep(0.05)
        late = {local for local, process in processes.items() if process.poll() is None}
        if late:
            self._pcontext.close(signal.SIGTERM, _REST)  # type: ignore[union-attr]
        return late

    def _shutdown(self, death_sig: signal.Signals = signal.SIGTERM, *args: Any, **kwargs: Any) -> None:
        if self._pcontext:
            self._pcontext.close(death_sig, self._grace)  # torch 2.4 gives them 30 seconds, later versions an option
        super()._shutdown(death_sig, *args, **kwargs)


def start(meeting: Meeting, processes: int, command: list[str], restarts: int) -> int:
    """Run a tool in several processes of this node until all have ended.

    Args:
        meeting: with the other nodes.
        processes: on this node.
        command: the tool's file and words.
        restarts: how often all processes are started again after a failure.

    Returns:
        exit code: 0, that of the process that failed, or 128 + the signal that stopped them.

    Raises:
        ACLNetError: more processes than GPUs, or the nodes did not meet.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < processes:
        raise ACLNetError(
            f'{processes} processes need as many GPUs, and this node has {gpus} visible; '
            'start fewer processes or change CUDA_VISIBLE_DEVICES'
        )
    logging.disable()  # torch repeats what is said here
    os.environ['TORCH_DISABLE_SHARE_RDZV_TCP_STORE'] = (
        '1'  # torch 2.13 would restart ranks with the last ones' addresses
    )
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there are processes to stop, nothing is lost
    if not meeting.elastic and meeting.rank > 0:
        distributed.reach(meeting.address, meeting.port, meeting.patience)
    agent = None
    try:
        spec = _spec(meeting, processes, command, restarts)
        agent = _Agent(spec, meeting.grace)
        result = agent.run()
        spec.rdzv_handler.shutdown()
    except SignalException as error:  # the rendezvous stays open for a node that comes back
        _say(f'stopped by {error.sigval.name}')
        return 128 + error.sigval
    except (RendezvousError, DistError) as error:
        if agent is not None and agent.ends:
            _say(f'error: {report(agent.ends)}; no restart, because the other nodes are gone')
            return exit_code(agent.ends)
        cause = error.__cause__ or error
        raise distributed.meeting_failure(meeting.place, cause) from error
    if result is None or not result.is_failed():
        return 0
    if all(end.stopped for end in _causes(agent.ends)):
        _say(report(agent.ends))
    else:
        _say(f'error: {report(agent.ends)}; what they said stands above')
    if _worth_a_restart(agent.ends):
        _say('the same command lets a training go on from its last checkpoint')
    return exit_code(agent.ends)


def _spec(meeting: Meeting, processes: int, command: list[str], restarts: int) -> WorkerSpec:
    alone = meeting.most == 1 and not meeting.elastic
    static = not alone and not meeting.elastic
    options: dict[str, Any] = dict(timeout=meeting.patience, join_timeout=meeting.patience)
    options.update(read_timeout=meeting.patience)
    if static:
        options.update(rank=meeting.rank)
    if alone:
        options.update(is_host=True)
    parameters = RendezvousParameters(
        backend='static' if static else 'c10d',
        endpoint=meeting.place,
        run_id=meeting.name,
        min_nodes=meeting.fewest,
        max_nodes=meeting.most,
        local_addr=meeting.address if alone else None,
        **options,
    )
    return WorkerSpec(
        role='default',
        local_world_size=processes,
        entrypoint=sys.executable,
        args=('-u', *command),
        rdzv_handler=get_rendezvous_handler(parameters),
        max_restarts=restarts,
        master_addr=meeting.address if static or alone else None,
        master_port=meeting.port if static else None,
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
