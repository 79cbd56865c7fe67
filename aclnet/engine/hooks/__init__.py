"""Hooks of the runner, one each."""

from aclnet.engine.hooks.checkpoint_hook import CheckpointHook
from aclnet.engine.hooks.ema_hook import EMAHook
from aclnet.engine.hooks.epoch_hook import EpochHook
from aclnet.engine.hooks.evaluation_hook import EvaluationHook
from aclnet.engine.hooks.optimizer_hook import OptimizerHook
from aclnet.engine.hooks.settle_hook import SettleHook

__all__ = ['CheckpointHook', 'EMAHook', 'EpochHook', 'EvaluationHook', 'OptimizerHook', 'SettleHook']
