"""``python -m aclnet.launch PROCESSES TOOL WORDS``: start a tool in several processes on one node or more.

Where the processes meet stands in the environment; tools/dist_train.sh --help lists the variables.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from aclnet.errors import ACLNetError, run_tool

__all__ = ['Meeting', 'main', 'take_restarts']


@dataclass
class Meeting:
    """Which nodes take part, and where they meet.

    Args:
        fewest, most: nodes; they differ where nodes may join and leave.
        rank: this node's number; without meaning where ``elastic``.
        address, port: where the nodes meet; the port 0 stands for a free one, on a single node.
        elastic: ranks are given out by torch's c10d rendezvous, as nodes come.
        name: of the job, for several that meet at one place.
        patience: seconds that nodes wait for each other.
        grace: seconds that processes have to end after a signal.
    """

    fewest: int
    most: int
    rank: int
    address: str
    port: int
    elastic: bool
    name: str
    patience: int
    grace: int

    @property
    def place(self) -> str:
        """'host:port'."""
        return f'{self.address}:{self.port}'

    @classmethod
    def from_environment(cls) -> Meeting:
        """Read NNODES, NODE_RANK, MASTER_ADDR, MASTER_PORT, RDZV_ENDPOINT, RDZV_ID, RDZV_TIMEOUT and STOP_TIMEOUT.

        Raises:
            ACLNetError: a variable that is missing or senseless.
        """
        nodes = os.environ.get('NNODES') or '1'
        fewest, colon, most = nodes.partition(':')
        if not fewest.isdigit() or not 0 < int(fewest) <= int((most if most.isdigit() else 0) if colon else fewest):
            raise ACLNetError(f"NNODES must be a number of nodes such as 2, or a range such as 1:4, got '{nodes}'")
        endpoint = os.environ.get('RDZV_ENDPOINT', '')
        several = colon == ':' or int(fewest) > 1 or bool(endpoint)
        address = os.environ.get('MASTER_ADDR', '')
        port = _number('MASTER_PORT', 29500 if several else 0, below=65536)
        if endpoint:
            address, _, digits = endpoint.rpartition(':')
            if not address or not digits.isdigit():
                raise ACLNetError(f"RDZV_ENDPOINT must be HOST:PORT of one of the nodes, got '{endpoint}'")
            port = int(digits)
        elastic = bool(colon or endpoint)
        rank = 0 if elastic else _number('NODE_RANK', 0)
        if rank >= int(fewest):
            raise ACLNetError(f'NODE_RANK must be below NNODES={nodes}, got {rank}')
        if not address and (rank > 0 or elastic):
            raise ACLNetError('several nodes need MASTER_ADDR, the address of the first, the same on all of them')
        return cls(
            fewest=int(fewest),
            most=int(most or fewest),
            rank=rank,
            address=address or '127.0.0.1',
            port=port,
            elastic=elastic,
            name=os.environ.get('RDZV_ID') or 'aclnet',
            patience=_number('RDZV_TIMEOUT', 600, least=1),
            grace=_number('STOP_TIMEOUT', 60, least=1),
        )


def _number(name: str, default: int, least: int = 0, below: int = 10**9) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or not least <= int(text) < below:
        raise ACLNetError(f"{name} must be a whole number from {least} to {below - 1}, got '{text}'")
    return int(text)


def take_restarts(words: list[str]) -> tuple[int, list[str]]:
    """Take ``--max-restarts N`` out of a tool's words: N, 0 where it isn't there, and the other words.

    Raises:
        ACLNetError: N is no number.
    """
    restarts, rest = '0', []
    remaining = iter(words)
    for word in remaining:
        option, sign, value = word.partition('=')
        if option in ('--max-restarts', '--max_restarts'):
            restarts = value if sign else next(remaining, '')
        else:
            rest.append(word)
    if not restarts.isdigit():
        raise ACLNetError(f"--max-restarts must be a whole number from 0 up, got '{restarts}'")
    return int(restarts), rest


def main(argv: list[str] | None = None) -> None:
    """Start a tool; a single process without restarts takes the place of this one.

    Args:
        argv: number of processes on this node, the tool's file, its words, among them perhaps ``--max-restarts N``.

    Raises:
        ACLNetError: the processes cannot be started or cannot meet.
        SystemExit: with the code of the process that failed first, or 128 + the signal that stopped them.
    """
    processes, tool, *words = sys.argv[1:] if argv is None else argv
    if not processes.isdigit() or int(processes) < 1:
        raise ACLNetError(f"GPUS must be a number of processes of at least 1, got '{processes}'; see --help")
    restarts, words = take_restarts(words)
    meeting = Meeting.from_environment()
    if int(processes) == meeting.most == 1 and not restarts and not meeting.elastic:
        os.execv(sys.executable, [sys.executable, tool, *words, '--launcher', 'none'])
    shares = len(os.sched_getaffinity(0)) // int(processes)  # processes on one machine share its cores
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, shares)))
    level = os.environ.get('TORCH_CPP_LOG_LEVEL')
    os.environ['TORCH_CPP_LOG_LEVEL'] = level or 'FATAL'  # torch, when imported here, would show each try to connect
    from aclnet.agent import start

    os.environ['TORCH_CPP_LOG_LEVEL'] = level or 'ERROR'  # DDP notes each time that a projection is or isn't idle
    sys.exit(start(meeting, int(processes), [tool, *words, '--launcher', 'pytorch'], restarts))


if __name__ == '__main__':
    run_tool(main)
