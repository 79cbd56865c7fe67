"""Validation during training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sized
from typing import Any, cast

import numpy as np
from mmcv.runner import HOOKS, BaseRunner, EvalHook
from torch.utils.data import DataLoader

from aclnet import distributed
from aclnet.engine.batch import BatchProcessor
from aclnet.engine.scoring import collect_scores
from aclnet.errors import ACLNetError
from aclnet.evaluation import average_clips

__all__ = ['EvaluationHook']


@HOOKS.register_module()
class EvaluationHook(EvalHook):
    """Scores the validation set with all ranks and keeps the best checkpoint.

    Runs before the checkpoint of the same epoch is written, so that the checkpoint knows the best score so far.

    Args:
        dataloader: loader of the validation set; every rank holds its share.
        metric: (samples, classes) scores → dict of name to value; called on rank 0.
        processor: the device and precision to validate in.
        num_classes: number of classes of a score.
        **kwargs: mmcv's ``interval``, ``start``, ``save_best`` (default 'auto': the first metric), ``rule``, ...
    """

    def __init__(
        self,
        dataloader: DataLoader,
        metric: Callable[[np.ndarray], dict[str, float]],
        processor: BatchProcessor,
        num_classes: int,
        save_best: str | None = 'auto',
        **kwargs: Any,
    ) -> None:
        self.metric, self.processor = metric, processor
        # a trial shows what the metrics are called, and fails before the training and not after its first epoch
        names = list(metric(np.zeros((len(cast(Sized, dataloader.dataset)), num_classes), np.float32)))
        if save_best == 'auto':
            save_best = names[0]
        if save_best is not None and save_best not in names:
            raise ACLNetError(f"evaluation.save_best is '{save_best}', but the metrics give {', '.join(names)}")
        super().__init__(dataloader, save_best=save_best, test_fn=collect_scores, **kwargs)

    def _do_evaluate(self, runner: BaseRunner) -> None:
        scores = collect_scores(runner.model, self.dataloader, self.processor, title='validation')
        if distributed.get_dist_info()[0] == 0:
            values = self.metric(average_clips(scores))
            for name, value in values.items():
                runner.log_buffer.output[name] = value
            runner.log_buffer.output['eval_iter_num'] = len(self.dataloader)
            runner.log_buffer.ready = True
            if self.save_best is not None:
                self._save_ckpt(runner, float(values[self.key_indicator]))
        runner.model.train()

    def _save_ckpt(self, runner: BaseRunner, key_score: float) -> None:
        messages = runner.meta['hook_msgs']
        if not self.compare_func(key_score, messages.get('best_score', self.init_value_map[self.rule])):
            return
        name = f'best_{self.key_indicator}_epoch_{runner.epoch + 1}.pth'
        previous = messages.get('best_ckpt')
        messages.update(best_score=key_score, best_ckpt=os.path.join(self.out_dir, name))
        runner.save_checkpoint(self.out_dir, filename_tmpl=name, create_symlink=False)
        mine = previous and os.path.dirname(os.path.abspath(previous)) == os.path.abspath(self.out_dir)
        if mine and previous != messages['best_ckpt'] and os.path.isfile(previous):
            os.remove(previous)  # one of a training that this one was resumed from stays
        runner.logger.info(
            'best %s so far: %.4f at epoch %d, kept as %s', self.key_indicator, key_score, runner.epoch + 1, name
        )
