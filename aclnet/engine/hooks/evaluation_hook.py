"""Validation during training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sized
from typing import Any, cast

import numpy as np
from mmcv.runner import HOOKS, EvalHook
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

    def before_train_epoch(self, runner: Any) -> None:
        """Evaluates before the first epoch, where ``start`` says so; a resume has no first epoch."""
        if runner.iter == 0:
            super().before_train_epoch(runner)

    def _do_evaluate(self, runner: Any) -> None:
        with runner.averaged():
            signals = runner.stop_signals if self.by_epoch else None  # an iteration's is finished first
            scores = collect_scores(runner.model, self.dataloader, self.processor, 'validation', signals)
        values = distributed.on_rank_0(lambda: self.metric(average_clips(scores)))
        runner.log_buffer.output.update(values)
        runner.log_buffer.output['eval_iter_num'] = len(self.dataloader)
        runner.log_buffer.ready = True
        if self.save_best is not None:
            self._save_ckpt(runner, float(values[self.key_indicator]))
        runner.model.train()

    def _save_ckpt(self, runner: Any, key_score: float) -> None:
        messages = runner.meta['hook_msgs']
        if not self.compare_func(key_score, messages.get('best_score', self.init_value_map[self.rule])):
            return
        when = f'epoch_{runner.epoch + 1}' if self.by_epoch else f'iter_{runner.iter + 1}'
        name = f'best_{self.key_indicator}_{when}.pth'
        previous = messages.get('best_ckpt')
        messages.update(best_score=key_score, best_ckpt=os.path.join(self.out_dir, name))
        runner.save_checkpoint(self.out_dir, filename_tmpl=name, create_symlink=False)
        mine = previous and os.path.dirname(os.path.abspath(previous)) == os.path.abspath(self.out_dir)
        if mine and previous != messages['best_ckpt']:  # one of a training that this one was resumed from stays
            distributed.on_rank_0(lambda: runner.archive.remove(os.path.basename(previous)))
        runner.logger.info('best %s so far: %.4f at %s, kept as %s', self.key_indicator, key_score, when, name)
