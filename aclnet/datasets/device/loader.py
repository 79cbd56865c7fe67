"""Batches of a data set that lies on the device, made there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from aclnet.datasets.base import Dataset, SampleKey
from aclnet.datasets.broken import Broken, BrokenReport
from aclnet.datasets.device.generators import Generators
from aclnet.datasets.device.resident import Resident, Unable
from aclnet.datasets.samplers import EpochBatchSampler, OnceBatchSampler
from aclnet.errors import ACLNetError

__all__ = ['DeviceLoader', 'device_loader']

_AT_ONCE = 256  # samples that are made together on a GPU, where a small batch would leave it waiting for launches
_TRIED = 8  # samples whose batched form is compared with the per-sample one before it is trusted
_TOLERANCE = 1e-4  # of the largest number; float32 leaves about 1e-6


class DeviceLoader(DataLoader):
    """Gives the batches of ``Loader``, from the frames and by the batched transforms of a ``Resident``.

    A sample's draws are those of ``Dataset``: of ``numpy.random.default_rng((seed, epoch, draw))``.

    Args:
        resident: the data set's frames.
        dataset: the data set.
        batch_sampler: which samples a batch holds.

    Attributes:
        together: batches that are made at a time.
        broken: the broken samples that were replaced; each was logged once.
    """

    batch_sampler: EpochBatchSampler | OnceBatchSampler

    def __init__(
        self, resident: Resident, dataset: Dataset, batch_sampler: EpochBatchSampler | OnceBatchSampler
    ) -> None:
        super().__init__(cast(torch.utils.data.Dataset, dataset), batch_sampler=batch_sampler)
        self.resident = resident
        cpu = resident.device.type == 'cpu'  # where nothing is gained by more work at a time
        self.together = 1 if cpu else max(1, _AT_ONCE // batch_sampler.batch_size)
        self.broken = BrokenReport()

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the training epoch, counted from 1, that the next iteration goes through, and its first batch."""
        self.batch_sampler.set_epoch(epoch, start)

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # no torch iterator: there is no worker
        waiting: list[list[SampleKey]] = []
        for keys in self.batch_sampler:
            waiting.append(keys)
            if len(waiting) == self.together:
                yield from self._batches(waiting)
                waiting = []
        yield from self._batches(waiting)

    def _batches(self, many: list[list[SampleKey]]) -> Iterator[dict[str, Tensor]]:
        if not many:
            return
        whole = self.batch([key for keys in many for key in keys])
        sizes = [len(keys) for keys in many]
        parts = {key: value.split(sizes) for key, value in whole.items()}
        for place in range(len(many)):
            yield {key: part[place] for key, part in parts.items()}

    def batch(self, keys: list[SampleKey]) -> dict[str, Tensor]:
        """The batch of these samples, of one epoch."""
        dataset: Any = self.dataset
        epoch = 0 if dataset.test_mode else keys[0].epoch
        places = np.array([key.index for key in keys])
        draws = np.array([key.draw for key in keys])
        slots = self.resident.slots[places]
        if self.resident.broken:
            for at in np.flatnonzero(np.isin(slots, list(self.resident.broken))):
                places[at] = self._stand_in(int(places[at]), (dataset.seed, epoch, int(draws[at])))
            slots = self.resident.slots[places]
        clips = self.resident.clips(places, slots, Generators((dataset.seed, epoch), draws), dataset.test_mode)
        for step in self.resident.steps:
            step(clips)
        return clips.whole

    def _stand_in(self, place: int, seed: tuple[int, ...]) -> int:
        """The sample that stands in for a broken one, see ``Dataset``."""
        dataset, resident = cast(Any, self.dataset), self.resident
        broken = [(dataset.identifiers[place], str(resident.broken[resident.slots[place]]))]
        for other in dataset.substitutes(place, seed):
            error = resident.broken.get(resident.slots[other])
            if error is None:
                self.broken.add(Broken(*note, dataset.identifiers[other]) for note in broken)
                return other
            broken.append((dataset.identifiers[other], str(error)))
        raise ACLNetError(broken[0][1])


def device_loader(
    dataset: Dataset,
    batch_sampler: EpochBatchSampler | OnceBatchSampler,
    device: torch.device,
    limit: int | None = None,
) -> DeviceLoader | None:
    """The loader of a data set on a device; None, and a line in the log that says why, where that cannot be.

    Args:
        limit: bytes that the data set may take on the device, see ``Resident``.

    Raises:
        ACLNetError: a sample is broken, and the data set is strict or in test mode.
    """
    try:
        loader = DeviceLoader(Resident(dataset, device, limit), dataset, batch_sampler)
        _try(loader)
    except Unable as reason:
        logging.getLogger('aclnet').warning('%r is loaded by workers, not on %s: %s', dataset, device, reason)
        return None
    return loader


def _try(loader: DeviceLoader) -> None:
    """Compare a few samples, short and long ones, with what their transforms make of them one by one."""
    resident, dataset = loader.resident, cast(Any, loader.dataset)
    if dataset.seed >= 2**63 or len(dataset) * (1 if dataset.weights is None else dataset.weights.max() + 1) >= 2**32:
        raise Unable('its draws are numbered beyond 32 bits')
    order = np.argsort(resident.frames[resident.slots], kind='stable')
    sound = order[~np.isin(resident.slots[order], list(resident.broken))]
    places = sound[np.unique(np.linspace(0, len(sound) - 1, _TRIED).astype(int))] if len(sound) else sound
    if not len(places):
        return
    keys = [SampleKey(1, place, place) for place in places.tolist()]
    one_by_one = [dataset[key] for key in keys]
    try:
        together = loader.batch(keys)
    except Exception as error:  # whatever a batched form that fits others may raise
        raise Unable(f'its batch cannot be made: {type(error).__name__}: {error}') from error
    for at, (key, alone) in enumerate(zip(keys, one_by_one)):
        if set(alone) != set(together):
            raise Unable(f'the pipeline collects {", ".join(map(str, alone))}')
        for name, value in together.items():
            expected = torch.as_tensor(np.asarray(alone[name])).to(value.device)
            scale = float(expected.abs().max()) if expected.numel() else 0.0
            if expected.shape != value[at].shape or float((expected - value[at]).abs().max()) > _TOLERANCE * scale:
                raise Unable(f'{name} of sample {dataset.identifiers[key.index]} differs from what its transforms make')
