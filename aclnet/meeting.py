"""Where the processes of a training meet, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from aclnet.errors import ACLNetError

__all__ = ['Meeting']


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
