"""Data sets and loaders of a config's train, val and test."""

from __future__ import annotations

from typing import Any, cast

import torch
from mmcv import Config
from torch import nn
from torch.utils.data import DataLoader

from aclnet import distributed
from aclnet.datasets import Dataset, build_dataloader, build_dataset
from aclnet.errors import ACLNetError

__all__ = ['build_loader', 'build_subset', 'try_sample']


def build_subset(cfg: Config, name: str) -> Dataset:
    """The data set ``cfg.data[name]``, name being train, val or test; its labels are checked against the model."""
    if cfg.data.get(name) is None:
        raise ACLNetError(f'config {cfg.filename} has no data.{name}')
    dataset = build_dataset(cfg.data[name], dict(test_mode=name != 'train'))
    if not len(dataset):
        raise ACLNetError(f'data.{name} of config {cfg.filename} holds no sample')
    labels, head = dataset.labels, cfg.model.cls_head
    if (labels.ndim == 2) != bool(head.get('multi_class', False)):
        raise ACLNetError(
            f'data.{name} of config {cfg.filename} has {"several labels" if labels.ndim == 2 else "one label"} per '
            'sample: multi_class must be the same in data and in model.cls_head'
        )
    classes = head.num_classes
    top = labels.shape[1] - 1 if labels.ndim == 2 else labels.max()
    if top >= classes:
        raise ACLNetError(
            f'data.{name} of config {cfg.filename} has the label {top}, but model.cls_head.num_classes '
            f'is {classes}: labels go from 0 to {classes - 1}'
        )
    return dataset


def try_sample(dataset: Dataset, model: nn.Module | None = None) -> None:
    """Draw the first sample, so that a pipeline that cannot work fails now and not after an epoch of training.

    ``model`` is to take it too, which changes nothing in it: what the first batch would end is refused before.
    """
    sample = dataset[0]
    if model is not None and 'keypoint' in sample:
        training = model.training
        model.eval()
        with torch.no_grad():
            keypoint = torch.as_tensor(sample['keypoint'])[None].to(next(model.parameters()).device)
            cast(Any, model).forward_test(keypoint)
        model.train(training)


def build_loader(
    cfg: Config, name: str, dataset: Dataset, seed: int, shuffle: bool = False, equal_steps: bool = False
) -> DataLoader:
    """This rank's loader, from ``data``'s general keys and its ``{name}_dataloader``.

    Without one of its own, validation and test take as many samples at a time as training: a test sample is ten clips,
    but no graph is kept of it, and scores don't depend on the batch.

    Without ``data.loader``, batches are made on the GPU, or by workers where there is none: on CPUs that is no slower.

    ``equal_steps`` gives all ranks the same number of batches, which losses need and scoring doesn't.
    """
    data, device = cfg.data, distributed.local_device()
    options = dict(
        videos_per_gpu=data.get('videos_per_gpu', 16),
        workers_per_gpu=data.get('workers_per_gpu', 0),
        persistent_workers=data.get('persistent_workers', True),
        loader=data.get('loader') or ('workers' if device.type == 'cpu' else 'device'),
        device_bytes=data.get('device_bytes'),
        shuffle=shuffle,
        seed=seed,
    )
    options.update(data.get(f'{name}_dataloader') or {})
    return build_dataloader(dataset, equal_steps=equal_steps, device=device, **options)
