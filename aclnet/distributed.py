"""Ranks, launchers, and gathering across ranks. With one process everything here is the identity."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from aclnet.errors import ACLNetError, LostRankError

__all__ = [
    'LAUNCHERS',
    'TIMEOUT',
    'barrier',
    'batch_rows',
    'broadcast_buffers',
    'broadcast_object',
    'close',
    'gather_objects',
    'gather_rows',
    'get_dist_info',
    'init',
    'known_rows',
    'local_device',
    'meeting_failure',
    'naming_lost_ranks',
    'on_rank_0',
    'reach',
    'row_counts',
]

T = TypeVar('T')

LAUNCHERS = ('none', 'pytorch', 'slurm')
TIMEOUT = 600.0  # seconds
_timeout = TIMEOUT  # that of the group
_known_rows: list[int] | None = None  # of the batch that is in work


def get_dist_info() -> tuple[int, int]:
    """(rank, number of ranks); (0, 1) where no process group was made."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def local_device() -> torch.device:
    """The GPU of this process (by LOCAL_RANK, among CUDA_VISIBLE_DEVICES), or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device('cpu')
    return torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0)))


def init(launcher: str = 'none', backend: str | None = None, timeout: float = TIMEOUT, port: int | None = None) -> None:
    """Join the process group that the launcher describes in the environment.

    Args:
        launcher: 'none' (one process), 'pytorch' (torchrun's variables) or 'slurm' (srun's).
        backend: 'nccl' or 'gloo'; None takes nccl where there are GPUs. Without a GPU it is always gloo. With nccl,
            what is on the CPU is exchanged by gloo.
        timeout: seconds that a rank waits for the others, at the start and in each exchange.
        port: of rank 0, where MASTER_PORT is not set.

    Raises:
        ACLNetError: unknown launcher or backend, the launcher's variables are missing, there are fewer GPUs than
            processes on this node, or the ranks don't find each other in time.
    """
    global _timeout
    if launcher not in LAUNCHERS:
        raise ACLNetError(f"there is no launcher '{launcher}' (known: {', '.join(LAUNCHERS)})")
    if backend not in (None, 'nccl', 'gloo'):
        raise ACLNetError(f"dist_params.backend must be 'nccl' or 'gloo', got {backend!r}")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < 1e9:
        raise ACLNetError(f'dist_params.timeout must be a number of seconds above 0, got {timeout!r}')
    if launcher == 'none':
        return
    if port is not None:
        os.environ.setdefault('MASTER_PORT', str(port))
    if launcher == 'slurm':
        _adopt_slurm()
    missing = [
        name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT') if name not in os.environ
    ]
    if missing:
        raise ACLNetError(
            f"launcher '{launcher}' needs the environment variables {', '.join(missing)}; "
            'start through tools/dist_train.sh or tools/dist_test.sh'
        )
    if torch.cuda.is_available():
        local, count = int(os.environ['LOCAL_RANK']), torch.cuda.device_count()
        if local >= count:
            raise ACLNetError(
                f'process {local} of this node has no GPU: {count} visible; '
                'start fewer processes or change CUDA_VISIBLE_DEVICES'
            )
        torch.cuda.set_device(local)
        backend = 'gloo' if backend == 'gloo' else 'cpu:gloo,cuda:nccl'
    else:
        backend = 'gloo'  # published configs ask for nccl
    _timeout = timeout
    address, at = os.environ['MASTER_ADDR'], os.environ['MASTER_PORT']
    if os.environ['RANK'] != '0':
        reach(address, at, timeout)
    patience = datetime.timedelta(seconds=timeout)
    try:
        store, rank, world = next(rendezvous('env://', timeout=patience))
        if os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True':  # it still holds what an earlier attempt put in
            store = dist.PrefixStore(f'attempt_{os.environ["TORCHELASTIC_RESTART_COUNT"]}', store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise meeting_failure(f'{address}:{at}', error) from error


def reach(address: str, port: str | int, seconds: float) -> None:
    """Wait until something listens at a port; torch's own wait fills the screen and cannot be interrupted.

    Raises:
        ACLNetError: the name is unknown.
        LostRankError: nothing listens there in time.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, int(port)), timeout=max(0.1, until - time.monotonic())).close()
            return
        except socket.gaierror as error:
            raise ACLNetError(f'MASTER_ADDR {address} is no host that this node knows: {error.strerror}') from None
        except (OSError, OverflowError, ValueError) as error:
            if time.monotonic() >= until or not isinstance(error, OSError):
                raise LostRankError(
                    f'nobody answered at {address}:{port} within {seconds:g} s ({error}); MASTER_ADDR and MASTER_PORT '
                    'must be those of the first node, which must have been started'
                ) from None
        time.sleep(0.2)


def meeting_failure(place: str, error: BaseException) -> ACLNetError:
    """What torch's error on processes that did not meet at ``place``, 'host:port', means."""
    said = str(error).partition('\n')[0]
    if 'EADDRINUSE' in said or 'address already in use' in said:
        return ACLNetError(f'{place} is already in use on this node; choose another port with MASTER_PORT')
    return LostRankError(f'the processes did not meet at {place}: {said}')


def _adopt_slurm() -> None:
    """Translate srun's variables into torchrun's; MASTER_ADDR and MASTER_PORT are kept where they are set."""
    try:
        env = {
            'RANK': os.environ['SLURM_PROCID'],
            'WORLD_SIZE': os.environ['SLURM_NTASKS'],
            'LOCAL_RANK': os.environ['SLURM_LOCALID'],
        }
        nodes = os.environ['SLURM_NODELIST']
    except KeyError as error:
        raise ACLNetError(
            f"launcher 'slurm' needs {error.args[0]}, which srun sets; start the tool through srun"
        ) from None
    if torch.cuda.device_count() == 1:  # srun gave each task a GPU of its own
        env['LOCAL_RANK'] = '0'
    os.environ.update(env)
    job = os.environ.get('SLURM_JOB_ID', '')
    os.environ.setdefault('MASTER_PORT', str(15000 + int(job) % 15000 if job.isdigit() else 29500))  # jobs share nodes
    if 'MASTER_ADDR' not in os.environ:
        try:
            names = subprocess.run(['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ACLNetError(f'scontrol did not name the nodes of {nodes} ({error}); set MASTER_ADDR') from None
        os.environ['MASTER_ADDR'] = names.stdout.split()[0]


@contextlib.contextmanager
def naming_lost_ranks() -> Iterator[None]:
    """Turn what an exchange raises when another rank died or hangs into a sentence; also a decorator.

    Raises:
        LostRankError: an exchange failed.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error)
        gloo = '/gloo/' in said or 'pair closure' in said  # which raises nothing more special
        if not gloo and not isinstance(error, dist.DistError):
            raise
        if 'imed out' in said or 'imeout' in said:
            raise LostRankError(
                f'no answer from the other ranks in {_timeout:g} s: one of them died or hangs, or needs longer than '
                'dist_params.timeout of the config allows'
            ) from error
        raise LostRankError('the connection to another rank broke: its process has ended') from error


def close() -> None:
    """Leave the process group, if there is one; not while an error is on its way: torch may wait for ever for it."""
    if dist.is_available() and dist.is_initialized() and sys.exc_info()[0] is None:
        dist.destroy_process_group()


def barrier() -> None:
    """Wait until every rank is here."""
    if get_dist_info()[1] > 1:
        dist.barrier()


def broadcast_object(value: Any) -> Any:
    """Rank 0's ``value``, on every rank."""
    if get_dist_info()[1] == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gather_objects(value: Any) -> list[Any]:
    """The ``value`` of every rank, in the order of ranks, on every rank."""
    world = get_dist_info()[1]
    if world == 1:
        return [value]
    out = [None] * world
    dist.all_gather_object(out, value)
    return out


def broadcast_buffers(module: torch.nn.Module, only: type | tuple[type, ...] | None = None) -> None:
    """Give every rank rank 0's buffers, of all submodules or of those of the types ``only``."""
    if get_dist_info()[1] == 1:
        return
    parts = [part for part in module.modules() if only is None or isinstance(part, only)]
    buffers = [buffer for part in parts for buffer in part.buffers(recurse=False)]
    for dtype in dict.fromkeys(buffer.dtype for buffer in buffers):
        alike = [buffer for buffer in buffers if buffer.dtype == dtype]
        packed = torch.cat([buffer.reshape(-1) for buffer in alike])  # one message instead of hundreds
        dist.broadcast(packed, src=0)
        for buffer, values in zip(alike, packed.split([buffer.numel() for buffer in alike])):
            buffer.copy_(values.view_as(buffer))


def row_counts(rows: int) -> list[int]:
    """How many rows every rank holds, in the order of ranks; asked over the CPU, so that nobody waits for a device."""
    world = get_dist_info()[1]
    if world == 1:
        return [rows]
    counts = torch.zeros(world, dtype=torch.int64)
    counts[dist.get_rank()] = rows
    dist.all_reduce(counts)
    return counts.tolist()


def batch_rows(rows: int) -> list[int]:
    """How many samples of the batch every rank holds; no exchange within :func:`known_rows`."""
    return row_counts(rows) if _known_rows is None or get_dist_info()[1] == 1 else _known_rows


@contextlib.contextmanager
def known_rows(counts: list[int] | None) -> Iterator[None]:
    """Meanwhile the batch has so many samples on every rank; None has the ranks ask each other."""
    global _known_rows
    before, _known_rows = _known_rows, counts
    try:
        yield
    finally:
        _known_rows = before


def gather_rows(x: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """Concatenate the rows of all ranks in the order of ranks; gradient flows back to the rank that holds a row.

    Args:
        x: (rows of this rank, ...) tensor.
        counts: rows of every rank, as :func:`row_counts` gives them.
    """
    return x if len(counts) == 1 else _GatherRows.apply(x, counts)


def on_rank_0(do: Callable[[], T]) -> T:
    """``do()`` on rank 0 only; its result, or its ``ACLNetError``, on every rank."""
    if get_dist_info()[1] == 1:
        return do()
    result: Any = None
    failure = None
    if get_dist_info()[0] == 0:
        try:
            result = do()
        except ACLNetError as error:
            failure = str(error)
    failure, result = broadcast_object((failure, result))
    if failure is not None:
        raise ACLNetError(failure)
    return result


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, counts: list[int]) -> torch.Tensor:
        ctx.counts = counts
        padded = x.new_zeros((max(counts), *x.shape[1:]))
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        gathered = torch.cat([part[:count] for part, count in zip(parts, counts)])
        if not x.is_floating_point():
            ctx.mark_non_differentiable(gathered)
        return gathered

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        grad = grad.contiguous()
        dist.all_reduce(grad)  # every rank's loss may depend on this rank's rows
        rank = dist.get_rank()
        start = sum(ctx.counts[:rank])
        return grad[start : start + ctx.counts[rank]], None
