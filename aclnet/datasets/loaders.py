"""Loading batches, in this process or in workers."""

from __future__ import annotations

import inspect
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate

from aclnet.datasets.base import Dataset, check_seed
from aclnet.datasets.broken import BrokenReport, NotingCollate
from aclnet.datasets.device import DeviceLoader, device_loader
from aclnet.datasets.samplers import EpochBatchSampler, OnceBatchSampler
from aclnet.distributed import get_dist_info
from aclnet.errors import ACLNetError, nearest, shown

__all__ = ['KINDS', 'Loader', 'build_dataloader', 'collate']

KINDS = ('device', 'workers')

_GIVEN = {'dataset', 'batch_size', 'sampler', 'batch_sampler', 'num_workers'}  # said by other arguments here
_WORKERS_ONLY = ('prefetch_factor', 'timeout', 'multiprocessing_context')


def collate(samples: list[dict]) -> dict[str, Any]:
    """Stack samples into a batch: tensors (N, ...), numbers into (N,); dicts such as ``img_metas`` stay a list.

    Raises:
        ACLNetError: the samples of a batch differ in shape or keys.
    """
    batch = {}
    for key in samples[0]:
        try:
            values = [sample[key] for sample in samples]
            batch[key] = values if isinstance(values[0], dict) else default_collate(values)
        except (RuntimeError, TypeError, KeyError) as error:
            shapes = sorted({str(tuple(getattr(sample.get(key), 'shape', ()))) for sample in samples})
            reason = f'shapes {" and ".join(shapes)}' if len(shapes) > 1 else str(error).splitlines()[0]
            raise ACLNetError(
                f"'{key}' of the samples of a batch does not stack: {reason}; "
                'the pipeline must end in one shape and Collect what the network reads'
            ) from None
    return batch


class Loader(DataLoader):
    """A ``DataLoader`` whose workers' ``ACLNetError`` reach the caller as the sentence that they are.

    Attributes:
        broken: the broken samples that were replaced; each was logged once.
    """

    batch_sampler: EpochBatchSampler | OnceBatchSampler
    generator: torch.Generator

    def __init__(self, dataset: Dataset, collate_fn: Callable[[list], Any] = collate, **kwargs: Any) -> None:
        super().__init__(cast(torch.utils.data.Dataset, dataset), collate_fn=NotingCollate(collate_fn), **kwargs)
        self.broken = BrokenReport()

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the training epoch, counted from 1, that the next iteration goes through, and its first batch."""
        self.batch_sampler.set_epoch(epoch, start)
        # what workers seed torch and numpy with, for transforms that draw from them instead of from the sample's rng
        words = np.random.SeedSequence((getattr(self.dataset, 'seed', 0), epoch, self.batch_sampler.rank, start))
        self.generator.manual_seed(int(words.generate_state(1)[0]))

    def __iter__(self) -> Iterator[dict]:  # type: ignore[override]  # a generator around torch's own iterator
        try:
            for batch, broken in super().__iter__():
                self.broken.add(broken)
                yield batch
            return
        except ACLNetError as error:
            sentence = _sentence(str(error))
            error.__traceback__ = None  # its frames would keep the workers alive until the next garbage collection
        raise ACLNetError(sentence)


def _leave_signals(worker: int) -> None:
    """Have a worker outlive Ctrl-C and Slurm's SIGTERM, which go to all processes: its trainer decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_for_parent, daemon=True).start()


def _end_for_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def _sentence(text: str) -> str:
    """The message of an ``ACLNetError`` without the traceback that torch puts around it."""
    return text.rpartition(f'{ACLNetError.__module__}.{ACLNetError.__qualname__}: ')[2].strip()


def build_dataloader(
    dataset: Dataset,
    videos_per_gpu: int,
    workers_per_gpu: int,
    shuffle: bool = True,
    seed: int | None = None,
    drop_last: bool = False,
    pin_memory: bool | None = None,
    persistent_workers: bool = False,
    equal_steps: bool = False,
    num_replicas: int | None = None,
    rank: int | None = None,
    shards_at_once: int | None = None,
    loader: str = 'workers',
    device: torch.device | None = None,
    device_bytes: int | None = None,
    **kwargs: Any,
) -> Loader | DeviceLoader:
    """Make the loader of a dataset.

    Args:
        dataset: what is loaded. A dataset in test mode that is not shuffled is loaded for evaluation: every sample once
            over all ranks (``OnceBatchSampler``). Any other is loaded for training (``EpochBatchSampler``).
        videos_per_gpu: batch size of a rank.
        workers_per_gpu: worker processes of a rank; 0 loads in this process.
        shuffle: whether each epoch has an order of its own.
        seed: of the order and of every sample's randomness; None keeps the dataset's.
        drop_last: whether training leaves out a short last batch.
        pin_memory: None pins where there is a GPU.
        persistent_workers: whether workers live on between epochs; without workers it is passed over.
        equal_steps: whether all ranks take the same number of batches in test mode too, as losses over ranks need.
        num_replicas, rank: None takes those of the process group.
        shards_at_once: in training, how many shards of a packed store are read at a time, see ``EpochBatchSampler``.
        loader: 'workers' makes samples one by one, 'device' whole batches where the network is, see
            ``DeviceLoader``; where it cannot, workers do, and a line in the log says why. The batches are the same.
        device: of loader 'device'; None is the CPU.
        device_bytes: most that the frames of a data set may take on the device; they stay in the host's memory where
            they take more. None is half of what is free.
        kwargs: further arguments of ``torch.utils.data.DataLoader``.

    Returns:
        A loader of dicts: ``keypoint`` (N, clips, M, T, V, C) float32, ``label`` (N,) int64 or (N, classes) float32,
        and what else the pipeline collects.

    Raises:
        ACLNetError: an argument is wrong or unknown.
    """
    if isinstance(workers_per_gpu, bool) or not isinstance(workers_per_gpu, int) or workers_per_gpu < 0:
        raise ACLNetError(f'workers_per_gpu must be a whole number from 0 up, got {workers_per_gpu!r}')
    if loader not in KINDS:
        raise ACLNetError(f'loader must be one of {", ".join(KINDS)}, got {shown(loader)}{nearest(str(loader), KINDS)}')
    if device_bytes is not None and (
        isinstance(device_bytes, bool) or not isinstance(device_bytes, int) or device_bytes < 0
    ):
        raise ACLNetError(f'device_bytes must be a number of bytes from 0 up, got {shown(device_bytes)}')
    known = set(inspect.signature(DataLoader).parameters) - _GIVEN
    for name in set(kwargs) - known:
        raise ACLNetError(f"there is no dataloader argument '{name}'{nearest(name, known)}")
    here = get_dist_info()
    rank = here[0] if rank is None else rank
    num_replicas = here[1] if num_replicas is None else num_replicas
    if seed is not None:
        dataset.seed = check_seed(seed)
    if not (shuffle or equal_steps) and getattr(dataset, 'test_mode', True):
        sampler: EpochBatchSampler | OnceBatchSampler = OnceBatchSampler(dataset, videos_per_gpu, num_replicas, rank)
    else:
        sampler = EpochBatchSampler(
            dataset, videos_per_gpu, shuffle, seed, drop_last, num_replicas, rank, shards_at_once
        )
    if loader == 'device':
        made = device_loader(dataset, sampler, device or torch.device('cpu'), device_bytes)
        if made is not None:
            return made
    if workers_per_gpu == 0:
        kwargs = {name: value for name, value in kwargs.items() if name not in _WORKERS_ONLY}
    else:
        kwargs.setdefault('worker_init_fn', _leave_signals)
    kwargs.setdefault('generator', torch.Generator().manual_seed(getattr(dataset, 'seed', 0) + rank))  # not torch's own
    return Loader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers_per_gpu,
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        persistent_workers=persistent_workers and workers_per_gpu > 0,
        **kwargs,
    )
