"""A data set's frames in one place, back to back, from which batches are gathered: on a device if they fit there."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aclnet.datasets.annotations import Packed
from aclnet.datasets.annotations.packed import Store
from aclnet.datasets.base import Dataset
from aclnet.datasets.device.clips import Clips, put
from aclnet.datasets.device.generators import Generators
from aclnet.datasets.pose_dataset import PoseDataset
from aclnet.datasets.transforms.base import batched_form, numbers_of
from aclnet.datasets.wrappers import ConcatDataset, RepeatDataset
from aclnet.errors import ACLNetError

__all__ = ['Resident', 'Unable']

_SHARE = 0.5  # of a device's free memory: the rest is the training's
_FIELDS = ('keypoint', 'keypoint_score')


class Unable(Exception):
    """Why a data set cannot be loaded from a device, as the end of a sentence."""


class Resident:
    """The samples of a data set as the transforms that can only be applied one by one left them.

    Args:
        dataset: of ``PoseDataset``, ``RepeatDataset`` and ``ConcatDataset``.
        device: where batches are wanted.
        limit: bytes that it may take there; None takes half of what is free.

    Attributes:
        place: where it lies: ``device``, or the host's memory where it doesn't fit.
        broken: {slot: error} of the samples that a transform cannot work with.
        slots: (N,) where each sample of ``dataset`` lies; repeats of one lie in one place.
        labels: (N,) or (N, classes) on the device.
        steps: the batched forms of the transforms that are left to do.
        frames: (slots,) of every sample.

    Raises:
        Unable: a transform has no batched form, or the samples don't lie in one block.
        ACLNetError: a sample is broken, and the data set is strict or in test mode.
    """

    def __init__(self, dataset: Dataset, device: torch.device, limit: int | None = None) -> None:
        self.device = device
        self._parts, self.slots = _flattened(dataset)
        first: list[Any] = list(self._parts[0].pipeline.transforms)
        if any(not _alike(first, part.pipeline.transforms) for part in self._parts):
            raise Unable('its parts have several pipelines')
        count = _packing(first)
        self._packing, self.steps = first[:count], [_batched(step) for step in first[count:]]
        self._noting = [step for step in first if 'noted' in vars(type(step))]
        self._strict = dataset.strict or dataset.test_mode
        rows, self._kinds = _sizes(self._parts, exact=all(step.exact for step in self._packing))
        self.place = self._placed(rows, limit)
        self._pack(rows)
        self.labels = torch.from_numpy(np.array(dataset.labels)).to(device)

    def _placed(self, rows: int, limit: int | None) -> torch.device:
        """Where there is room, which is told."""
        size = rows * sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in self._kinds.values())
        host = torch.device('cpu')
        free = {place.type: _free(place) for place in (self.device, host)}
        room = int(free[self.device.type] * _SHARE) if limit is None else limit
        place = self.device if size <= room else host
        logging.getLogger('aclnet').info(
            '%s: %.1f MB of frames, room for %.1f MB on %s; they go to %s',
            ', '.join(map(repr, self._parts)),
            size / 1e6,
            room / 1e6,
            self.device,
            place if place == self.device else "the host's memory",
        )
        if size > free[place.type]:
            raise Unable(f'{size / 1e6:.1f} MB of frames fit neither on {self.device} nor in memory')
        return place

    def _pack(self, rows: int) -> None:
        total = sum(map(len, self._parts))
        host = {key: np.empty((rows, *shape), dtype) for key, (shape, dtype) in self._kinds.items()}
        self.persons, self.frames = np.ones(total, np.int64), np.ones(total, np.int64)
        self._offsets = np.zeros(total, np.int64)
        shifts = np.zeros((total, 3), np.float32)
        self._notes: dict[str, np.ndarray] = {}
        self.broken: dict[int, ACLNetError] = {}
        at, slot, shifted = 0, 0, False
        for part in self._parts:
            for index in range(len(part)):
                try:
                    sample, notes = self._packed(part, index)
                except ACLNetError as error:
                    if self._strict:
                        raise
                    self.broken[slot] = error.with_traceback(None)
                    slot += 1
                    continue
                keypoint = sample['keypoint']
                self.persons[slot], self.frames[slot] = keypoint.shape[:2]
                self._offsets[slot] = at
                size = keypoint.shape[0] * keypoint.shape[1]
                for key, field in host.items():
                    field[at : at + size] = sample[key].reshape(size, *field.shape[1:])
                if 'shift' in sample:
                    shifts[slot], shifted = sample['shift'], True
                for key, value in notes.items():
                    self._notes.setdefault(key, np.zeros(total))[slot] = value
                at += size
                slot += 1
        self._fields = {key: torch.from_numpy(field[:at]).to(self.place) for key, field in host.items()}
        self._shifts = torch.from_numpy(shifts).to(self.device) if shifted else None

    def _packed(self, part: PoseDataset, index: int) -> tuple[dict, dict[str, float]]:
        """A sample as it is packed, and what is noted of it; raises what the pipeline would, where it couldn't work
        with it."""
        sample = part.raw(index)
        if 'keypoint' in sample and 'offset' in sample:
            raise Unable('samples carry an offset')
        with np.errstate(all='ignore'):
            for step in self._packing:
                sample = step.packed(sample)
            notes = {key: value for step in self._noting for key, value in step.noted(sample).items()}
        for key in _FIELDS:
            kind = numbers_of(sample, key, self).shape if sample.get(key) is not None else None
            expected = self._kinds.get(key)
            if (kind and kind[2:]) != (expected and expected[0]):
                part.get(index, np.random.default_rng(0))  # which says what is wrong with it
                raise Unable(f'its samples have {key} of several shapes')
        return sample, notes

    def clips(self, places: np.ndarray, slots: np.ndarray, draws: Generators, test_mode: bool) -> Clips:
        """Samples together.

        Args:
            places: (n,) positions in the data set, whose labels are taken.
            slots: (n,) where the samples lie.
            draws: their n generators.
            test_mode: whether they are drawn as in validation and test.
        """
        persons, frames = self.persons[slots], self.frames[slots]
        size = persons * frames
        rows = np.arange(size.sum()) + np.repeat(self._offsets[slots] - (size.cumsum() - size), size)
        clips = Clips(
            self._gathered(rows),
            persons,
            frames,
            draws,
            test_mode,
            {key: values[slots] for key, values in self._notes.items()},
            {'label': self.labels.index_select(0, put(places, self.device))},
        )
        if self._shifts is not None:
            keypoint = clips['keypoint'].float()
            present = (keypoint != 0).any(-1, keepdim=True)
            shift = clips.spread(self._shifts.index_select(0, put(slots, self.device)))[:, None]
            clips['keypoint'] = torch.where(present, keypoint + shift, 0)
        return clips

    def _gathered(self, rows: np.ndarray) -> dict[str, Tensor]:
        index = put(rows, self.place)
        fields = {key: field.index_select(0, index) for key, field in self._fields.items()}
        if self.place == self.device:
            return fields
        return {key: put(field, self.device) for key, field in fields.items()}


def _flattened(dataset: Any) -> tuple[list[PoseDataset], np.ndarray]:
    """The data sets of poses that it is made of, and for each sample its place in the row of them."""
    if type(dataset) is PoseDataset:
        return [dataset], np.arange(len(dataset))
    if type(dataset) is RepeatDataset:
        parts, slots = _flattened(dataset.dataset)
        return parts, np.tile(slots, dataset.times)
    if type(dataset) is ConcatDataset:
        parts, all_slots, before = [], [], 0
        for one in dataset.datasets:
            found, slots = _flattened(one)
            parts += found
            all_slots.append(slots + before)
            before += sum(map(len, found))
        return parts, np.concatenate(all_slots)
    raise Unable(f'{type(dataset).__name__} has no batched form')


def _packing(transforms: list) -> int:
    """How many transforms at the beginning are applied once, when samples are packed."""
    return next((i for i, step in enumerate(transforms) if 'packed' not in vars(type(step))), len(transforms))


def _batched(step: Any) -> Any:
    form = batched_form(step)
    if form is None:
        kind = getattr(step, '__name__', type(step).__name__)
        with_arguments = ' with these arguments' if 'batched' in vars(type(step)) else ''
        raise Unable(f'{kind}{with_arguments} has no batched form')
    return form


def _alike(steps: list, others: list) -> bool:
    return len(steps) == len(others) and all(
        type(step) is type(other) and repr(vars(step)) == repr(vars(other)) for step, other in zip(steps, others)
    )


def _sizes(parts: list[PoseDataset], exact: bool) -> tuple[int, dict[str, tuple[tuple[int, ...], np.dtype]]]:
    """(frames of all persons of all samples, {field: (shape of a frame, dtype)}), before any pose is copied."""
    rows, kinds = 0, dict[str, tuple[tuple[int, ...], np.dtype]]()
    for part in parts:
        for count, key, shape, dtype in _arrays(part.annotations):
            rows += count
            kept = np.dtype(np.float16 if dtype == np.float16 and exact else np.float32)  # all arithmetic is in float32
            before = kinds.setdefault(key, (shape, kept))
            kinds[key] = before[0], max(before[1], kept)
    if not rows:
        raise Unable('its annotations hold no poses')
    return rows, kinds


def _arrays(annotations: list[dict] | Packed) -> Iterator[tuple[int, str, tuple[int, ...], np.dtype]]:
    """(frames of all persons, field, shape of a frame, dtype) of the arrays of annotations, or of many at once."""
    if isinstance(annotations, Packed) and annotations.sound:
        store, rows = annotations.store, annotations.rows
        persons, frames = store.column('keypoint', 1, rows), store.column('keypoint', 2, rows)
        for key, value in annotations[0].items():
            if key in _FIELDS and persons is not None and frames is not None:
                count = int(persons @ frames) if key == 'keypoint' else 0
                yield count, key, value.shape[2:], _dtype(store, key)
        return
    for annotation in annotations:
        for key in _FIELDS:
            value = annotation.get(key)
            if isinstance(value, np.ndarray) and value.ndim >= 3:
                count = value.shape[0] * value.shape[1] if key == 'keypoint' else 0
                yield count, key, value.shape[2:], value.dtype


def _dtype(store: Store, key: str) -> np.dtype:
    try:
        return store.arrays(key)[0].dtype
    except ACLNetError:  # several
        return np.dtype(np.float32)


def _free(device: torch.device) -> int:
    """Bytes of memory that nobody uses."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    with contextlib.suppress(OSError, ValueError), open('/proc/meminfo', encoding='ascii') as stream:
        for line in stream:
            if line.startswith('MemAvailable:'):  # what caches would give back too
                return int(line.split()[1]) * 1024
    return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
