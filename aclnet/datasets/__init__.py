"""Skeleton data: annotation readers, transforms, datasets, samplers and loaders."""

from aclnet.datasets.base import Dataset, SampleKey
from aclnet.datasets.device import DeviceLoader
from aclnet.datasets.loaders import build_dataloader
from aclnet.datasets.pose_dataset import PoseDataset
from aclnet.datasets.samplers import EpochBatchSampler, OnceBatchSampler
from aclnet.datasets.wrappers import ConcatDataset, RepeatDataset, build_dataset

__all__ = [
    'ConcatDataset',
    'Dataset',
    'DeviceLoader',
    'EpochBatchSampler',
    'OnceBatchSampler',
    'PoseDataset',
    'RepeatDataset',
    'SampleKey',
    'build_dataloader',
    'build_dataset',
]
