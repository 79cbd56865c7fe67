"""mmcv's epoch-based runner with checkpoints from which a training goes on exactly, and without its waits."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from mmcv.runner import HOOKS, RUNNERS, EpochBasedRunner, Hook, get_host_info
from mmcv.utils import build_from_cfg
from torch import Tensor
from torch.utils.data import DataLoader

from aclnet import distributed
from aclnet.engine.archive import Archive
from aclnet.engine.batch import BatchProcessor
from aclnet.engine.checkpoint import load_checkpoint, load_weights, save_checkpoint, unwrapped
from aclnet.engine.journal import Entry, Journal
from aclnet.engine.resume import resume
from aclnet.engine.state import capture
from aclnet.engine.stopping import Stopped, StopSignals
from aclnet.errors import ACLNetError

__all__ = ['EpochRunner']


@RUNNERS.register_module()
class EpochRunner(EpochBasedRunner):
    """Runs epochs of training and, if the workflow says so, of validation losses.

    SIGINT and SIGTERM end it after the running iteration with a checkpoint, by a ``Stopped``. A checkpoint holds
    whatever a hook gives as its ``state_dict()``; a resume hands it to the hook's ``load_state_dict``.

    Args:
        model: the model, possibly inside DistributedDataParallel.
        processor: called for each batch, see ``BatchProcessor``.
        archive: the checkpoints of ``work_dir``; None makes one. Used by rank 0.
        settings: what decides the training, from ``settings_of``; a resume says what has changed.
        **kwargs: mmcv's ``optimizer``, ``work_dir``, ``logger``, ``meta``, ``max_epochs``.

    Attributes:
        max_nonfinite: how many updates that are not finite may be left out before the training ends; a hook sets it.
        nonfinite: how many were.
        average: name → averaged parameter, where a hook keeps them; they are what is validated and saved.
    """

    meta: dict | None

    def __init__(
        self,
        model: torch.nn.Module,
        processor: BatchProcessor,
        archive: Archive | None = None,
        settings: str | None = None,
        **kwargs: Any,
    ) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='batch_processor is deprecated')
            super().__init__(model, batch_processor=processor, **kwargs)
        self._model_name = type(unwrapped(model)).__name__
        self.archive = Archive(self.work_dir) if archive is None and self.rank == 0 else archive
        self.settings = settings
        self.journal = Journal()
        self.stop_signals = StopSignals()
        self.average: dict[str, Tensor] = {}
        self.max_nonfinite = self.nonfinite = 0
        self.start_step = 0  # iterations of the epoch that were done before the resume
        self._in_iteration = False

    def train(self, data_loader: DataLoader, **kwargs: Any) -> None:
        """One epoch of training, or the rest of one."""
        self.model.train()
        self.mode = 'train'
        self.data_loader = data_loader
        steps = len(data_loader)
        self._max_iters = self._max_epochs * steps
        self._iter = self._epoch * steps + self.start_step  # holds after a resume with another batch size too
        self._inner_iter = self.start_step - 1
        self.call_hook('before_train_epoch')  # the epoch hook has the sampler begin at start_step
        start, self.start_step = self.start_step, 0
        self._in_iteration = True
        for self._inner_iter, self.data_batch in enumerate(data_loader, start):
            self.call_hook('before_train_iter')
            self.run_iter(self.data_batch, train_mode=True, **kwargs)
            self.call_hook('after_train_iter')
            self._iter += 1
            self._leave_if_asked(self.stop_signals.agree(), self._iter, self._inner_iter + 1)
        self._in_iteration = False
        self.data_batch = None
        try:
            self.call_hook('after_train_epoch')
        except Stopped as stop:  # in the middle of a validation, which is repeated
            self._leave_if_asked(stop.signum, self._iter, steps)
        self._epoch += 1

    def run_iter(self, data_batch: Any, train_mode: bool, **kwargs: Any) -> None:
        sampler: Any = getattr(self.data_loader, 'batch_sampler', None)
        with distributed.known_rows(sampler.sizes(self.inner_iter) if hasattr(sampler, 'sizes') else None):
            self.outputs = self.batch_processor(self.model, data_batch, train_mode=train_mode, **kwargs)
        self.journal.add(self.epoch + 1, self.inner_iter, self.outputs['num_samples'], self.outputs['values'])
        if not train_mode:
            self.settle()

    def settle(self) -> None:
        """Take the measurements of the last iterations into the log; all ranks see the same ones.

        Raises:
            ACLNetError: one was not finite; names its epoch, iteration and samples.
        """
        for entry in self.journal.fetch():
            if self.mode != 'train' or all(abs(value) < float('inf') for value in entry.values.values()):
                shown = {name: value for name, value in entry.values.items() if not name.startswith('_')}
                self.log_buffer.update(shown, entry.samples)
            else:
                self._note_nonfinite(entry)

    def _note_nonfinite(self, entry: Entry) -> None:
        self.nonfinite += 1
        loader: Any = self.data_loader
        keys = [key for rank in loader.batch_sampler.step(entry.step) for key in rank]
        found = [loader.dataset.identifiers[key.index] for key in keys]
        bad = ', '.join(
            f'{name.strip("_")} {value}' for name, value in entry.values.items() if not abs(value) < float('inf')
        )
        where = f'epoch {entry.epoch}, iteration {entry.step + 1}: {bad}; its samples are'
        if self.nonfinite > self.max_nonfinite:
            if self.rank == 0:
                self.logger.error('%s %s', where, ', '.join(found))
            shown = ', '.join(found[:8]) + (f' and {len(found) - 8} more (see the log)' if len(found) > 8 else '')
            raise ACLNetError(
                f'{where} {shown}. The update was not made and the last checkpoint stays; lower optimizer.lr, set '
                'optimizer_config.grad_clip, or leave out up to n such updates by optimizer_config.max_nonfinite=n'
            )
        if self.rank == 0:  # all ranks know
            line = '%s %s; update left out (%d of at most %d)'
            self.logger.warning(line, where, ', '.join(found), self.nonfinite, self.max_nonfinite)

    @torch.no_grad()
    def val(self, data_loader: DataLoader, **kwargs: Any) -> None:
        """Losses of the validation set, for the workflow [('train', n), ('val', 1)]."""
        self.model.eval()
        self.mode = 'val'
        self.data_loader = data_loader
        self.call_hook('before_val_epoch')
        with self.averaged():
            for self._inner_iter, self.data_batch in enumerate(data_loader):
                self.call_hook('before_val_iter')
                self.run_iter(self.data_batch, train_mode=False)
                self.call_hook('after_val_iter')
        self.data_batch = None
        self.call_hook('after_val_epoch')

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Have the averaged parameters in the model meanwhile, if a hook keeps them."""
        parameters = dict(unwrapped(self.model).named_parameters())
        own = {name: parameters[name].detach().clone() for name in self.average}
        with torch.no_grad():
            for name, value in self.average.items():
                parameters[name].copy_(value)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in own.items():
                    parameters[name].copy_(value)

    def run(self, data_loaders: list[DataLoader], workflow: list[tuple[str, int]]) -> None:
        """Run the workflow until ``max_epochs`` epochs are trained.

        Raises:
            Stopped: a signal asked for it; a checkpoint was written.
            ACLNetError: a file could not be written, or an update was not finite.
        """
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
        cycle = [(mode, loader) for loader, (mode, epochs) in zip(data_loaders, workflow) for _ in range(epochs)]
        skip = self._done_of_cycle([mode for mode, _ in cycle])
        try:
            with self.stop_signals:
                while self.epoch < self._max_epochs:
                    for mode, loader in cycle[skip:]:
                        if mode == 'val' or self.epoch < self._max_epochs:
                            getattr(self, mode)(loader)
                    skip = 0
                self.call_hook('after_run')
                asked = max(distributed.gather_objects(self.stop_signals.asked))
        except OSError as error:  # of hooks that write logs
            raise ACLNetError(
                f'{error.filename or self.work_dir} cannot be written: {error.strerror or error}'
            ) from error
        if asked:
            raise Stopped(asked, 'stopped after the last epoch')

    def _done_of_cycle(self, modes: list[str]) -> int:
        """How many steps of the workflow's cycle come before the one that a resume goes on with."""
        trained = [place for place, mode in enumerate(modes) if mode == 'train']
        if self.start_step:
            return trained[self.epoch % len(trained)]
        return trained[(self.epoch - 1) % len(trained)] + 1 if self.epoch else 0  # its validation is repeated

    def _leave_if_asked(self, signum: int, iteration: int, step: int) -> None:
        """Write a checkpoint of this place and end the training, if ``signum`` is not 0."""
        if not signum:
            return
        self._in_iteration = False
        name = self._save(self.work_dir, f'iter_{iteration}.pth', (self.epoch, iteration, step), kind='stopped')
        place = f'epoch {self.epoch + 1}, iteration {step} of {len(self.data_loader)}'
        raise Stopped(signum, f'stopped after {place}; {name} is written, and the same command goes on from there')

    def save_checkpoint(
        self,
        out_dir: str,
        filename_tmpl: str = 'epoch_{}.pth',
        save_optimizer: bool = True,
        meta: dict | None = None,
        create_symlink: bool = True,
    ) -> None:
        """Write a checkpoint of this moment, on rank 0, and point ``latest.pth`` to it; to be called on all ranks.

        Args:
            out_dir: the work_dir.
            filename_tmpl: its name; {} is the number of epochs done, or within an epoch that of iterations.
            save_optimizer: whether a training can go on from it.
            meta: goes under 'meta'.
            create_symlink: False for a checkpoint that is kept for its score.
        """
        if self._in_iteration:
            place = (self.epoch, self.iter + 1, self.inner_iter + 1)
            number = self.iter + 1
        else:
            place = (self.epoch + 1, self.iter, 0)
            number = self.epoch + 1 if 'iter' not in filename_tmpl else self.iter
        kind = 'regular' if create_symlink else 'best'
        self._save(out_dir, filename_tmpl.format(number), place, kind, save_optimizer, meta)

    def _save(
        self,
        out_dir: str,
        name: str,
        place: tuple[int, int, int],
        kind: str,
        save_optimizer: bool = True,
        meta: dict | None = None,
    ) -> str:
        self.settle()  # weights that are not finite are never saved
        epoch, iteration, step = place
        loader: Any = self.data_loader
        ranks = distributed.gather_objects(capture(unwrapped(self.model)))
        training = dict(
            step=step,
            steps=len(loader),
            total_batch=loader.batch_sampler.total_batch,
            samples=len(loader.dataset),
            settings=self.settings,
            nonfinite=self.nonfinite,
            ranks=ranks,
            hooks={name: hook.state_dict() for name, hook in self.stateful_hooks()},
        )
        parameters = dict(unwrapped(self.model).named_parameters())
        if self.average:
            training['parameters'] = {key: parameters[key].detach().cpu() for key in self.average}
        meta = {**(meta or {}), **(self.meta or {}), 'epoch': epoch, 'iter': iteration}

        def write() -> None:
            optimizer = self.optimizer if save_optimizer else None
            save_checkpoint(self.model, os.path.join(out_dir, name), optimizer, meta, self.average, training)
            assert self.archive is not None  # rank 0 has one
            self.archive.add(name, epoch, iteration, kind)
            if kind != 'best':
                self.archive.point(name)

        distributed.on_rank_0(write)
        return name

    def stateful_hooks(self) -> list[tuple[str, Any]]:
        """(name, hook) of the hooks that have a state for checkpoints."""
        found = [hook for hook in self.hooks if hasattr(hook, 'state_dict')]
        return [(f'{type(hook).__name__}.{place}', hook) for place, hook in enumerate(found)]

    def register_checkpoint_hook(self, checkpoint_config: dict | Hook | None) -> None:
        """Register it behind custom hooks, whose part in an iteration a checkpoint holds too."""
        if isinstance(checkpoint_config, dict):
            checkpoint_config = build_from_cfg(checkpoint_config, HOOKS, dict(type='CheckpointHook'))
        if checkpoint_config is not None:
            self.register_hook(checkpoint_config, priority='BELOW_NORMAL')

    def load_checkpoint(self, filename: str, **kwargs: Any) -> dict:
        """Start from the weights of another training (``load_from``); see ``load_weights`` for what may differ."""
        checkpoint = load_checkpoint(filename)
        load_weights(unwrapped(self.model), checkpoint, filename, self.logger, purpose='finetune')
        return checkpoint

    def resume(self, checkpoint: str, content: dict | None = None, data_loader: DataLoader | None = None) -> None:
        """Go on with a training, see ``engine/resume.py``; ``content`` is what the file ``checkpoint`` holds."""
        resume(self, checkpoint, content or load_checkpoint(checkpoint), data_loader)
