"""Datasets from config, and datasets made of datasets.

The outermost one makes a sample's randomness, from the index that it knows it by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aclnet.datasets.base import Dataset
from aclnet.errors import ACLNetError
from aclnet.limits import MAX_SAMPLES
from aclnet.registry import DATASETS, build

__all__ = ['ConcatDataset', 'RepeatDataset', 'build_dataset']


def build_dataset(cfg: dict | list[dict] | tuple[dict, ...], default_args: dict | None = None) -> Dataset:
    """Build a dataset.

    Args:
        cfg: its config dict; a list of them, or one with a list as ``ann_file`` or ``split``, makes a
            ``ConcatDataset``.
        default_args: arguments that the config may override, e.g. ``dict(test_mode=True)``.

    Raises:
        ACLNetError: an unknown name or argument, or whatever the dataset finds wrong.
    """
    if isinstance(cfg, (list, tuple)):
        return ConcatDataset([build_dataset(part, default_args) for part in cfg])
    if isinstance(cfg, dict):
        for key in ('ann_file', 'split'):
            if isinstance(cfg.get(key), (list, tuple)):
                return build_dataset([{**cfg, key: value} for value in cfg[key]], default_args)
    return build(cfg, DATASETS, default_args)


def _built(dataset: dict | Dataset, test_mode: bool | None) -> Dataset:
    if not isinstance(dataset, dict):
        return dataset
    return build_dataset(dataset, None if test_mode is None else {'test_mode': test_mode})


@DATASETS.register_module()
class ConcatDataset(Dataset):
    """Several datasets one after the other.

    Args:
        datasets: datasets or their config dicts.
        test_mode: passed on to config dicts that don't say; None leaves them their default.

    It is strict with broken samples where one of them is.

    Raises ``ACLNetError`` where there is none, or where they mix test mode or kinds of labels.
    """

    def __init__(self, datasets: Sequence[dict | Dataset], test_mode: bool | None = None) -> None:
        if isinstance(datasets, (dict, str)) or not datasets:
            raise ACLNetError(f'ConcatDataset: datasets must be a list of at least one dataset, got {datasets!r}')
        self.datasets = [_built(dataset, test_mode) for dataset in datasets]
        modes = {dataset.test_mode for dataset in self.datasets}
        if len(modes) > 1:
            raise ACLNetError('ConcatDataset: all its datasets must have the same test_mode')
        self.test_mode = modes.pop()
        self.strict = any(dataset.strict for dataset in self.datasets)
        self._ends = np.cumsum([len(dataset) for dataset in self.datasets])
        self.num_classes = max(dataset.num_classes for dataset in self.datasets)
        if len({(dataset.labels.ndim, dataset.labels.shape[1:]) for dataset in self.datasets}) > 1:
            raise ACLNetError(
                'ConcatDataset: all its datasets must have one class per sample, or multi-hot labels of '
                'the same num_classes'
            )
        self.labels = np.concatenate([dataset.labels for dataset in self.datasets])
        self.identifiers = [name for dataset in self.datasets for name in dataset.identifiers]
        if any(dataset.weights is not None for dataset in self.datasets):
            self.weights = np.concatenate(
                [np.ones(len(dataset)) if dataset.weights is None else dataset.weights for dataset in self.datasets]
            )

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def shards(self) -> np.ndarray | None:
        """Those of the datasets, one after the other; what is in memory counts as one."""
        if all(dataset.shards is None for dataset in self.datasets):
            return None
        parts: list[np.ndarray] = []
        for dataset in self.datasets:
            shards = np.zeros(len(dataset), np.int64) if dataset.shards is None else dataset.shards
            parts.append(shards + (1 + parts[-1].max() if parts else 0))
        return np.concatenate(parts)

    def __repr__(self) -> str:
        return f'ConcatDataset({", ".join(map(repr, self.datasets))})'

    def get(self, index: int, rng: np.random.Generator) -> dict:
        """The sample at ``index`` of the whole row, its randomness drawn from ``rng``."""
        part = int(np.searchsorted(self._ends, index, side='right'))
        return self.datasets[part].get(index - int(self._ends[part] - len(self.datasets[part])), rng)


@DATASETS.register_module()
class RepeatDataset(Dataset):
    """A dataset several times over, so that one epoch shows every sample ``times`` times, each drawn differently.

    Args:
        dataset: a dataset or its config dict.
        times: number of repeats.
        test_mode: passed on to a config dict that doesn't say; None leaves it its default.
    """

    def __init__(self, dataset: dict | Dataset, times: int, test_mode: bool | None = None) -> None:
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            raise ACLNetError(f'RepeatDataset: times must be a whole number from 1 up, got {times!r}')
        self.dataset = _built(dataset, test_mode)
        if times * len(self.dataset) > MAX_SAMPLES:
            raise ACLNetError(
                f'RepeatDataset: {times} times {len(self.dataset)} samples are more than {MAX_SAMPLES:,}; lower times'
            )
        self.times = times
        self.test_mode = self.dataset.test_mode
        self.strict = self.dataset.strict
        self.num_classes = self.dataset.num_classes
        self.labels = np.concatenate([self.dataset.labels] * times)
        self.identifiers = [*self.dataset.identifiers] * times
        if self.dataset.weights is not None:
            self.weights = np.tile(self.dataset.weights, times)

    def __len__(self) -> int:
        return self.times * len(self.dataset)

    @property
    def shards(self) -> np.ndarray | None:
        return None if self.dataset.shards is None else np.tile(self.dataset.shards, self.times)

    def __repr__(self) -> str:
        return f'RepeatDataset({self.times} times {self.dataset!r})'

    def get(self, index: int, rng: np.random.Generator) -> dict:
        """The sample at ``index`` modulo the dataset's length, its randomness drawn from ``rng``."""
        return self.dataset.get(index % len(self.dataset), rng)
