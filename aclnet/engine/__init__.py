"""Running: the epoch loop, checkpoints and hooks. Knows nothing of skeletons."""

from aclnet import compat  # noqa: F401  before anything imports mmcv
from aclnet.engine.archive import Archive
from aclnet.engine.batch import BatchProcessor
from aclnet.engine.checkpoint import load_checkpoint, load_weights
from aclnet.engine.hooks import CheckpointHook, EMAHook, EpochHook, EvaluationHook, OptimizerHook, SettleHook
from aclnet.engine.runner import EpochRunner
from aclnet.engine.scoring import collect_scores
from aclnet.engine.state import settings_of
from aclnet.engine.stopping import Stopped

__all__ = [
    'Archive',
    'BatchProcessor',
    'CheckpointHook',
    'EMAHook',
    'EpochHook',
    'EpochRunner',
    'EvaluationHook',
    'OptimizerHook',
    'SettleHook',
    'Stopped',
    'collect_scores',
    'load_checkpoint',
    'load_weights',
    'settings_of',
]
