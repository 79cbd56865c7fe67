"""Running: the epoch loop, checkpoints and hooks. Knows nothing of skeletons."""

from aclnet import compat  # noqa: F401  before anything imports mmcv
from aclnet.engine.batch import BatchProcessor
from aclnet.engine.checkpoint import load_checkpoint, load_weights
from aclnet.engine.hooks import AmpOptimizerHook, EpochHook, EvaluationHook
from aclnet.engine.runner import EpochRunner
from aclnet.engine.scoring import collect_scores

__all__ = [
    'AmpOptimizerHook',
    'BatchProcessor',
    'EpochHook',
    'EpochRunner',
    'EvaluationHook',
    'collect_scores',
    'load_checkpoint',
    'load_weights',
]
