"""Hooks of the runner, one each."""

from aclnet.engine.hooks.epoch_hook import EpochHook
from aclnet.engine.hooks.evaluation_hook import EvaluationHook
from aclnet.engine.hooks.optimizer_hook import AmpOptimizerHook

__all__ = ['AmpOptimizerHook', 'EpochHook', 'EvaluationHook']
