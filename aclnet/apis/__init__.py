"""What joins data sets, models and engine: train, test, infer."""

from aclnet import compat  # noqa: F401  before anything imports mmcv
from aclnet.apis.config import load_config
from aclnet.apis.inference import inference_recognizer, init_recognizer, optimize_for_inference
from aclnet.apis.test import evaluate_checkpoint
from aclnet.apis.train import train_model
from aclnet.models import optimize_for_training

__all__ = [
    'evaluate_checkpoint',
    'inference_recognizer',
    'init_recognizer',
    'load_config',
    'optimize_for_inference',
    'optimize_for_training',
    'train_model',
]
