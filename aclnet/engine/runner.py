"""mmcv's epoch-based runner with safe, whole checkpoints and without its waits."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from numbers import Integral
from typing import Any

import torch
from mmcv.runner import RUNNERS, EpochBasedRunner, get_host_info
from torch.utils.data import DataLoader

from aclnet.engine.batch import BatchProcessor
from aclnet.engine.checkpoint import load_checkpoint, load_weights, save_checkpoint, unwrapped
from aclnet.errors import ACLNetError

__all__ = ['EpochRunner']


@RUNNERS.register_module()
class EpochRunner(EpochBasedRunner):
    """Runs epochs of training and, if the workflow says so, of validation losses.

    Args:
        model: the model, possibly inside DistributedDataParallel.
        processor: called for each batch, see ``BatchProcessor``.
        **kwargs: mmcv's ``optimizer``, ``work_dir``, ``logger``, ``meta``, ``max_epochs``.
    """

    meta: dict | None

    def __init__(self, model: torch.nn.Module, processor: BatchProcessor, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='batch_processor is deprecated')
            super().__init__(model, batch_processor=processor, **kwargs)
        self._model_name = type(unwrapped(model)).__name__

    def train(self, data_loader: DataLoader, **kwargs: Any) -> None:
        """One epoch of training."""
        self.model.train()
        self.mode = 'train'
        self.data_loader = data_loader
        self._max_iters = self._max_epochs * len(data_loader)
        self._iter = self._epoch * len(data_loader)  # holds after a resume with another batch size too
        self.call_hook('before_train_epoch')
        for self._inner_iter, self.data_batch in enumerate(data_loader):
            self.call_hook('before_train_iter')
            self.run_iter(self.data_batch, train_mode=True, **kwargs)
            self.call_hook('after_train_iter')
            self._iter += 1
        self.data_batch = None
        self.call_hook('after_train_epoch')
        self._epoch += 1

    @torch.no_grad()
    def val(self, data_loader: DataLoader, **kwargs: Any) -> None:
        """Losses of the validation set, for the workflow [('train', n), ('val', 1)]."""
        self.model.eval()
        self.mode = 'val'
        self.data_loader = data_loader
        self.call_hook('before_val_epoch')
        for self._inner_iter, self.data_batch in enumerate(data_loader):
            self.call_hook('before_val_iter')
            self.run_iter(self.data_batch, train_mode=False)
            self.call_hook('after_val_iter')
        self.data_batch = None
        self.call_hook('after_val_epoch')

    def run(self, data_loaders: list[DataLoader], workflow: list[tuple[str, int]]) -> None:
        """Run the workflow until ``max_epochs`` epochs are trained."""
        self.logger.info(
            'training on %s, work_dir %s, %d of %d epochs done',
            get_host_info(),
            self.work_dir,
            self.epoch,
            self._max_epochs,
        )
        self._max_iters = self._max_epochs * len(data_loaders[[mode for mode, _ in workflow].index('train')])
        try:
            self.call_hook('before_run')
        except ImportError as error:  # logger hooks import what they log to
            raise ACLNetError(
                f'a hook of log_config or custom_hooks needs a package that is not installed: {error}'
            ) from None
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise ACLNetError(
                'a hook of the config (lr_config, optimizer_config, log_config or custom_hooks) cannot start: '
                f'{type(error).__name__}: {error}'
            ) from error
        while self.epoch < self._max_epochs:
            for loader, (mode, epochs) in zip(data_loaders, workflow):
                for _ in range(epochs):
                    if mode == 'val' or self.epoch < self._max_epochs:
                        getattr(self, mode)(loader)
        self.call_hook('after_run')

    def save_checkpoint(
        self,
        out_dir: str,
        filename_tmpl: str = 'epoch_{}.pth',
        save_optimizer: bool = True,
        meta: dict | None = None,
        create_symlink: bool = True,
    ) -> None:
        """Write a checkpoint of the epoch that is ending, and point ``latest.pth`` to it."""
        meta = {**(meta or {}), **(self.meta or {}), 'epoch': self.epoch + 1, 'iter': self.iter}
        name = filename_tmpl.format(self.epoch + 1)
        save_checkpoint(self.model, os.path.join(out_dir, name), self.optimizer if save_optimizer else None, meta)
        if create_symlink:
            _point(os.path.join(out_dir, 'latest.pth'), name)

    def load_checkpoint(self, filename: str, **kwargs: Any) -> dict:
        """Start from the weights of another training (``load_from``); see ``load_weights`` for what may differ."""
        checkpoint = load_checkpoint(filename)
        load_weights(unwrapped(self.model), checkpoint, filename, self.logger, purpose='finetune')
        return checkpoint

    def resume(self, checkpoint: str, **kwargs: Any) -> None:
        """Go on with a training: weights, contrastive state, optimizer, epoch and best score.

        Raises:
            ACLNetError: the checkpoint doesn't fit, or isn't one of a training.
        """
        content = load_checkpoint(checkpoint)
        meta = content['meta']
        if not isinstance(content.get('optimizer'), dict) or not isinstance(meta.get('epoch'), Integral):
            raise ACLNetError(
                f'{checkpoint} holds no optimizer and epoch to resume from; to start a new training from '
                'its weights, use load_from'
            )
        load_weights(unwrapped(self.model), content, checkpoint, self.logger, purpose='resume')
        try:
            self.optimizer.load_state_dict(content['optimizer'])
        except (ValueError, KeyError) as error:
            raise ACLNetError(f'the optimizer state in {checkpoint} does not fit this config: {error}') from None
        self._epoch, self._iter = int(meta['epoch']), int(meta.get('iter', 0))
        self.meta = {**(self.meta or {}), 'hook_msgs': dict(meta.get('hook_msgs', {}))}
        self.logger.info('resumed from %s: epoch %d, iteration %d', checkpoint, self._epoch, self._iter)


def _point(link: str, name: str) -> None:
    """Make ``link`` lead to the file ``name`` beside it at once; a copy where the file system has no links."""
    temporary = f'{link}.tmp'
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        os.symlink(name, temporary)
    except OSError:
        shutil.copyfile(os.path.join(os.path.dirname(link), name), temporary)
    os.replace(temporary, link)
