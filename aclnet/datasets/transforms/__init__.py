"""Transforms: one concept per file, each registered under its published name and, where that differs, a clear one."""

from aclnet.datasets.transforms.augment import Flip, PartDrop, RandomRot, SpatialFlip
from aclnet.datasets.transforms.base import rng_of
from aclnet.datasets.transforms.compose import Compose
from aclnet.datasets.transforms.decompress import DecompressPose
from aclnet.datasets.transforms.formatting import Collect, FormatGCNInput, ToTensor
from aclnet.datasets.transforms.kinetics import KineticsTransform
from aclnet.datasets.transforms.normalize import PreNormalize3D
from aclnet.datasets.transforms.sampling import PoseDecode, UniformSampleDecode, UniformSampleFrames
from aclnet.datasets.transforms.streams import (
    STREAMS,
    GenSkeFeat,
    JointToBone,
    JointToKB,
    MergeSkeFeat,
    Rename,
    ToMotion,
)

__all__ = [
    'STREAMS',
    'Collect',
    'Compose',
    'DecompressPose',
    'Flip',
    'FormatGCNInput',
    'GenSkeFeat',
    'JointToBone',
    'JointToKB',
    'KineticsTransform',
    'MergeSkeFeat',
    'PartDrop',
    'PoseDecode',
    'PreNormalize3D',
    'RandomRot',
    'Rename',
    'SpatialFlip',
    'ToMotion',
    'ToTensor',
    'UniformSampleDecode',
    'UniformSampleFrames',
    'rng_of',
]
