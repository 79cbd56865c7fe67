"""A tensor's way: recognizer → backbone → head → losses."""

from aclnet import compat  # noqa: F401  before anything imports mmcv
from aclnet.models.backbones import DynamicGCN
from aclnet.models.builder import build_model
from aclnet.models.compiling import compile_model
from aclnet.models.fast import optimize_for_training
from aclnet.models.heads import AffinityHead
from aclnet.models.recognizers import SkeletonRecognizer
from aclnet.models.sync_batch_norm import SyncBatchNorm, synchronized

__all__ = [
    'AffinityHead',
    'DynamicGCN',
    'SkeletonRecognizer',
    'SyncBatchNorm',
    'build_model',
    'compile_model',
    'optimize_for_training',
    'synchronized',
]
