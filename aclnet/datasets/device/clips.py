"""The samples of a batch together, as the batched forms of the transforms see them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aclnet.datasets.device.generators import Generators

__all__ = ['Clips', 'put']


def put(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """What lies in the host's memory, on a device; to a GPU by way of pinned memory, so that nobody waits for it."""
    tensor = torch.as_tensor(array)
    return tensor if device.type == 'cpu' else tensor.pin_memory().to(device, non_blocking=True)


class Clips:
    """N samples, whose frames lie back to back on a device: sample by sample, in it person by person, frame by frame.

    Args:
        fields: what transforms call ``keypoint``, (rows, V, C) with rows = Σ persons · frames, and perhaps
            ``keypoint_score`` (rows, V), and more that they make.
        persons, frames: (N,) int64, on the host, as everything that decides where things lie.
        draws: the generators of the samples.
        test_mode: whether samples are drawn as in validation and test.
        notes: what transforms have noted of each sample when it was packed, (N,) float64 each.
        whole: what there is once per sample, (N, …): ``label``, and ``keypoint`` once it has its final shape.

    Attributes:
        frame_inds: (N, n) the frames that were chosen for ``PoseDecode``, or None.
        num_clips: clips that the frames are made of.
    """

    def __init__(
        self,
        fields: dict[str, Tensor],
        persons: np.ndarray,
        frames: np.ndarray,
        draws: Generators,
        test_mode: bool,
        notes: dict[str, np.ndarray],
        whole: dict[str, Tensor],
    ) -> None:
        self.device = fields['keypoint'].device
        self.persons, self.frames = persons, frames
        self.draws, self.test_mode, self.notes = draws, test_mode, notes
        self.whole = whole
        self.num_clips = 1
        self.frame_inds: np.ndarray | None = None
        self._fields = fields
        self._chosen: np.ndarray | None = None  # rows of the fields that were chosen and not fetched yet
        self._samples: Tensor | None = None

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, name: str) -> Tensor:
        """A field."""
        if self._chosen is not None:
            chosen = self.put(self._chosen)
            self._fields = {key: field.index_select(0, chosen) for key, field in self._fields.items()}
            self._chosen = None
        return self._fields[name]

    def __setitem__(self, name: str, value: Tensor) -> None:
        self._fields[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def pop(self, name: str) -> Tensor:
        """A field, which is gone then."""
        value = self[name]
        del self._fields[name]
        return value

    def put(self, array: np.ndarray) -> Tensor:
        """``array`` on the device."""
        return put(array, self.device)

    def merge_score(self) -> None:
        """Make ``keypoint`` float32, with ``keypoint_score``, if there is one, as its last channel."""
        keypoint = self['keypoint'].float()
        if 'keypoint_score' in self:
            keypoint = torch.cat([keypoint, self.pop('keypoint_score').float()[..., None]], -1)
        self['keypoint'] = keypoint

    def starts(self) -> np.ndarray:
        """(N,) the first row of each sample."""
        rows = self.persons * self.frames
        return rows.cumsum() - rows

    def ends(self) -> np.ndarray:
        """(persons of all samples,) the last row of each."""
        return np.repeat(self.frames, self.persons).cumsum() - 1

    def rows_of(self, values: np.ndarray) -> Tensor:
        """(rows, …) on the device: for each row the value of its sample, of ``values`` (N, …)."""
        return self.spread(self.put(values))

    def spread(self, values: Tensor) -> Tensor:
        """``rows_of`` values that are on the device already."""
        if self._samples is None:
            self._samples = self.put(np.repeat(np.arange(len(self)), self.persons * self.frames))
        return values.index_select(0, self._samples)

    def take(self, frames: np.ndarray) -> None:
        """Have of each sample, instead of its frames, those numbered ``frames`` (N, n)."""
        before = np.repeat(self.frames, self.persons)  # of each person
        rows = np.repeat(frames, self.persons, axis=0) + (before.cumsum() - before)[:, None]
        self._chosen = rows.ravel() if self._chosen is None else self._chosen[rows.ravel()]
        self.frames = np.full(len(self), frames.shape[1])
        self._samples = None

    def arranged(self, name: str, clips: int, persons: int, loop: bool) -> Tensor:
        """A field (rows, …) as (N, clips, persons, frames / clips, …) float32, all samples having as many frames.

        Surplus persons are cut; those that lack are zeros, or with ``loop`` the first person.
        """
        frames = int(self.frames[0])
        place = np.arange(persons)
        lacking = place >= self.persons[:, None]  # N M
        first = self.starts()[:, None] + np.where(lacking, 0, place) * frames
        rows = first[:, None, :, None] + np.arange(frames).reshape(clips, 1, -1)  # N clips M L
        flat = rows.ravel() if self._chosen is None else self._chosen[rows.ravel()]
        field = self._fields[name]
        out = field.index_select(0, self.put(flat)).float().view(*rows.shape, *field.shape[1:])
        if lacking.any() and not loop:
            mask = self.put(lacking).view(len(self), 1, persons, *[1] * (out.ndim - 3))
            out.masked_fill_(mask, 0)
        return out
