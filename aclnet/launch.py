"""``python -m aclnet.launch PROCESSES TOOL WORDS``: start a tool in several processes on one node or more.

Where the processes meet stands in the environment; tools/dist_train.sh --help lists the variables.
"""

from __future__ import annotations

import os
import sys

from aclnet.errors import ACLNetError, run_tool
from aclnet.meeting import Meeting

__all__ = ['main', 'take_restarts']


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
