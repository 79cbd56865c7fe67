"""Checkpoints as training goes."""

from __future__ import annotations

from typing import Any

from mmcv.runner import HOOKS, Hook

from aclnet import distributed

__all__ = ['CheckpointHook']


@HOOKS.register_module(force=True)  # in the place of mmcv's, with its arguments
class CheckpointHook(Hook):
    """Writes a checkpoint every ``interval`` epochs or iterations, and at the end.

    Args:
        interval: number of epochs or iterations; below 1 is never.
        by_epoch: which of them.
        save_optimizer: whether a training can go on from it.
        max_keep_ckpts: how many of them stay, the newest; below 1 is all. The best one stays beside them.
        save_last: whether the end of the training writes one too.
        filename_tmpl: their name with {} for the number; by default epoch_{}.pth or iter_{}.pth.
        sync_buffer: without effect, as ranks share their buffers.
        meta: goes under 'meta'.
    """

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        filename_tmpl: str | None = None,
        sync_buffer: bool = False,
        meta: dict | None = None,
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.filename_tmpl = filename_tmpl or ('epoch_{}.pth' if by_epoch else 'iter_{}.pth')
        self.meta = meta

    def after_train_iter(self, runner: Any) -> None:
        if not self.by_epoch and self.every_n_iters(runner, self.interval):
            self._save(runner, f'{runner.iter + 1} iterations')

    def after_train_epoch(self, runner: Any) -> None:
        if (self.by_epoch and self.every_n_epochs(runner, self.interval)) or (
            self.save_last and self.is_last_epoch(runner)
        ):
            self._save(runner, f'{runner.epoch + 1} epochs')

    def _save(self, runner: Any, when: str) -> None:
        runner.logger.info('Saving checkpoint at %s', when)
        runner.save_checkpoint(runner.work_dir, self.filename_tmpl, self.save_optimizer, self.meta)
        distributed.on_rank_0(lambda: runner.archive.prune(self.max_keep_ckpts))
