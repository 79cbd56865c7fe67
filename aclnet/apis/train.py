"""Training by a config."""

from __future__ import annotations

import copy
import logging
import os
import random
import warnings
from functools import partial
from typing import cast

import numpy as np
import torch
from mmcv import Config
from mmcv.runner import HOOKS, OPTIMIZERS, build_optimizer
from mmcv.utils import Registry
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from aclnet import distributed
from aclnet.apis.config import complete, required
from aclnet.apis.data import build_loader, build_subset, try_sample
from aclnet.apis.log import get_logger
from aclnet.apis.test import choose_kernels, evaluate_checkpoint, metric_options
from aclnet.datasets import Dataset, EpochBatchSampler
from aclnet.engine import (
    Archive,
    BatchProcessor,
    EpochHook,
    EpochRunner,
    EvaluationHook,
    SettleHook,
    load_checkpoint,
    load_weights,
    settings_of,
)
from aclnet.engine.checkpoint import read_checkpoint, unwrapped
from aclnet.errors import ACLNetError, nearest
from aclnet.evaluation import evaluate
from aclnet.models import compile_model, optimize_for_training, synchronized

__all__ = ['open_archive', 'set_random_seed', 'train_model']

_SHOWN = 12  # names in an error: mmcv's and torch's are many
# the optimizer has 40, custom hooks 50, checkpoints 60, loggers 90
_RUN_ORDER = dict(epoch=41, settle=42, evaluation=45)


def set_random_seed(seed: int, deterministic: bool = False) -> None:
    """Seed Python, numpy and torch; ``deterministic`` makes cuDNN and torch choose repeatable algorithms."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # what cuBLAS asks for
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)


def train_model(
    model: nn.Module,
    dataset: Dataset | list[Dataset],
    cfg: Config,
    validate: bool = False,
    test: dict | None = None,
    timestamp: str | None = None,
    meta: dict | None = None,
    compile: bool | dict = False,
    amp: str | None = None,
    archive: Archive | None = None,
) -> dict[str, dict[str, float]]:
    """Train a model as the config says.

    Args:
        model: from ``build_model``.
        dataset: the training set, or one data set for each entry of the workflow.
        cfg: from ``load_config`` or mmcv's ``Config.fromfile``; reads data, optimizer, optimizer_config, lr_config,
            total_epochs, checkpoint_config, evaluation, log_config, work_dir, seed, load_from, resume_from, workflow,
            custom_hooks, ...
        validate: score ``data.val`` every ``evaluation.interval`` epochs and keep the best checkpoint.
        test: dict(test_last=False, test_best=False): score ``data.test`` with the last and the best checkpoint.
        timestamp: names the log files.
        meta: goes into checkpoints.
        compile: run the model through torch.compile, see ``compile_model``; a dict holds its options.
        amp: 'bf16' or 'fp16'.
        archive: the checkpoints of work_dir, on rank 0; None opens them.

    Returns:
        metrics of the tests that were asked for, by 'last' and 'best'.

    Raises:
        Stopped: SIGINT or SIGTERM asked for it; work_dir holds what the next call goes on from.
        ACLNetError: something in config, data or checkpoints is wrong.
    """
    cfg = complete(cfg)
    device = distributed.local_device()
    logger = get_logger()
    choose_kernels(cfg)
    seed = cfg.get('seed') or 0
    datasets = dataset if isinstance(dataset, (list, tuple)) else [dataset]
    workflow = [tuple(step) for step in cfg.workflow]
    if len(datasets) != len(workflow):
        raise ACLNetError(f'workflow {workflow} needs {len(workflow)} data sets, got {len(datasets)}')
    loaders = [
        build_loader(cfg, mode, data, seed, shuffle=mode == 'train', equal_steps=True)
        for data, (mode, _) in zip(datasets, workflow)
    ]
    model = model.to(device)
    for data in datasets:
        try_sample(data, model)
    if cfg.sync_bn or any(isinstance(part, nn.SyncBatchNorm) for part in model.modules()):
        model = synchronized(model)
    if cfg.fast:
        model = optimize_for_training(model)
    rank = distributed.get_dist_info()[0]
    training = loaders[[mode for mode, _ in workflow].index('train')]
    if compile:
        rows = cast(EpochBatchSampler, training.batch_sampler).sizes(0)[rank]
        model = compile_model(model, rows, **(compile if isinstance(compile, dict) else {}))
    if rank == 0 and archive is None:
        archive = open_archive(cfg)
    processor = BatchProcessor(device, amp)
    distributed.broadcast_buffers(model)  # one start for all ranks, drawn prototypes included
    runner = EpochRunner(
        _parallel(model, cfg, device),
        processor,
        archive=archive,
        settings=settings_of({**cfg, 'amp': amp, 'compile': bool(compile) or None}),
        optimizer=_optimizer(model, cfg),
        work_dir=cfg.work_dir,
        logger=logger,
        meta={'seed': seed, **(meta or {})},
        max_epochs=required(cfg, 'total_epochs'),
    )
    runner.timestamp = timestamp or runner.timestamp
    _register_hooks(runner, cfg, amp)
    if validate:
        runner.register_hook(_evaluation_hook(cfg, seed, processor), priority=_RUN_ORDER['evaluation'])
    if rank:
        torch.manual_seed(seed + rank)  # dropout of different samples
    _start_from(runner, cfg, logger, training)
    _check_tests(runner, cfg, validate, test or {})
    # only now: what is refused above leaves an earlier training as it was
    distributed.on_rank_0(lambda: cast(Archive, archive).begin(seed, anew=_anew(cfg)))
    runner.run(loaders, workflow)
    return _final_tests(runner, cfg, test or {}, logger, compile, amp)


def open_archive(cfg: Config) -> Archive:
    """The checkpoints of ``work_dir``, locked for this process; called on rank 0.

    Raises:
        ACLNetError: work_dir cannot be written, or another training writes to it.
    """
    try:
        os.makedirs(cfg.work_dir, exist_ok=True)
    except OSError as error:
        raise ACLNetError(
            f'work_dir {cfg.work_dir} cannot be made: {error.strerror}; choose another with --work-dir'
        ) from None
    if not os.access(cfg.work_dir, os.W_OK):
        raise ACLNetError(f'work_dir {cfg.work_dir} cannot be written; choose another with --work-dir')
    archive = Archive(cfg.work_dir)
    archive.lock()
    return archive


def _anew(cfg: Config) -> bool:
    return not cfg.auto_resume and cfg.resume_from is None


def _parallel(model: nn.Module, cfg: Config, device: torch.device) -> nn.Module:
    if distributed.get_dist_info()[1] == 1:
        return model
    # of a convolution in torch's channels_last, whose gradient DDP copies into its own order
    warnings.filterwarnings('ignore', message='Grad strides do not match bucket view strides')
    # a contrastive term that is still 0 leaves its projection without gradient, which DDP must expect
    with warnings.catch_warnings():  # torch 2.13 announces another name for broadcast_buffers, which 2.4 has not
        warnings.filterwarnings('ignore', message='`broadcast_buffers` is deprecated')
        return DistributedDataParallel(
            model,
            device_ids=[device.index] if device.type == 'cuda' else None,
            broadcast_buffers=False,
            find_unused_parameters=True,
        )


def _optimizer(model: nn.Module, cfg: Config) -> torch.optim.Optimizer:
    optimizer = required(cfg, 'optimizer')
    _check_known(optimizer.get('type'), OPTIMIZERS, 'optimizer')
    try:
        return build_optimizer(model, {**copy.deepcopy(optimizer), **_fused(optimizer)})
    except (KeyError, TypeError, ValueError) as error:
        raise ACLNetError(f'optimizer {dict(cfg.optimizer)} of the config cannot be built: {error}') from None


def _fused(options: dict) -> dict[str, bool]:
    """The choice of torch's fused optimizer, one kernel for all parameters, where it has one and nobody has chosen."""
    chosen = any(name in options for name in ('fused', 'foreach', 'capturable', 'differentiable'))
    has = options.get('type') in ('SGD', 'Adam', 'AdamW') and not options.get('dampening')
    return {} if chosen or not has else dict(fused=True)


def _check_known(kind: object, registry: Registry, room: str, ending: str = '') -> None:
    """Raise ``ACLNetError``, with the nearest name, where ``kind`` is a name that mmcv's registry does not have."""
    known = sorted(name.removesuffix(ending) for name in registry.module_dict if name.endswith(ending))
    if isinstance(kind, str) and kind not in known:
        some = ', '.join(known[:_SHOWN]) + (', …' if len(known) > _SHOWN else '')
        raise ACLNetError(f"there is no {room} '{kind}'{nearest(kind, known)} (known: {some})")


def _register_hooks(runner: EpochRunner, cfg: Config, amp: str | None) -> None:
    policy = (required(cfg, 'lr_config') or {}).get('policy')
    if isinstance(policy, str):  # mmcv writes those in small letters with a capital
        _check_known(policy.title() if policy.islower() else policy, HOOKS, 'lr_config.policy', 'LrUpdaterHook')
    for hook in [*(cfg.log_config.get('hooks') or ()), *(cfg.custom_hooks or ())]:
        _check_known(hook.get('type') if isinstance(hook, dict) else None, HOOKS, 'hook')
    optimizer_config = copy.deepcopy(cfg.optimizer_config)
    try:
        if amp == 'fp16':
            optimizer_config.setdefault('scaler_scale', 2.0**16)
        runner.register_training_hooks(
            copy.deepcopy(cfg.lr_config),
            optimizer_config,
            copy.deepcopy(cfg.checkpoint_config),
            copy.deepcopy(cfg.log_config),
            copy.deepcopy(cfg.momentum_config),
            custom_hooks_config=[_placed(hook) for hook in cfg.custom_hooks or ()],
        )
    except (KeyError, TypeError, ValueError, AssertionError, ImportError) as error:
        raise ACLNetError(
            'a hook of the config (lr_config, optimizer_config, checkpoint_config, log_config or '
            f'custom_hooks) cannot be built: {error}'
        ) from None
    runner.register_hook(EpochHook(), priority=_RUN_ORDER['epoch'])
    runner.register_hook(SettleHook(), priority=_RUN_ORDER['settle'])


def _placed(hook: dict) -> dict:
    """An average is updated before anybody reads or saves it."""
    first = {'priority': 'ABOVE_NORMAL'} if isinstance(hook, dict) and hook.get('type') == 'EMAHook' else {}
    return {**first, **copy.deepcopy(hook)} if isinstance(hook, dict) else hook


def _evaluation_hook(cfg: Config, seed: int, processor: BatchProcessor) -> EvaluationHook:
    dataset = build_subset(cfg, 'val')
    try_sample(dataset)
    loader = build_loader(cfg, 'val', dataset, seed)
    options = metric_options(cfg)
    schedule = {key: value for key, value in cfg.evaluation.items() if key not in options}
    try:
        metric = partial(evaluate, labels=dataset.labels, **options)
        return EvaluationHook(loader, metric, processor, cfg.model.cls_head.num_classes, **schedule)
    except (TypeError, ValueError, KeyError, AssertionError) as error:
        raise ACLNetError(f'evaluation {dict(cfg.evaluation)} of the config is wrong: {error}') from None


def _start_from(runner: EpochRunner, cfg: Config, logger: logging.Logger, loader: DataLoader) -> None:
    """Resume, by order or because work_dir holds a checkpoint; else load weights to start from."""
    if cfg.resume_from is not None:
        distributed.on_rank_0(lambda: _check_whole(cfg.resume_from))
        runner.resume(cfg.resume_from, data_loader=loader)
        return
    found = distributed.on_rank_0(lambda: _newest_whole(runner.archive, logger)) if cfg.auto_resume else None
    if found is not None:
        logger.info('%s exists: going on from there (--no-auto-resume starts anew)', found[0])
        runner.resume(*found, data_loader=loader)
    elif cfg.load_from is not None:
        runner.load_checkpoint(cfg.load_from)
    else:
        _load_backbone(unwrapped(runner.model).get_submodule('backbone'), logger)


def _check_whole(path: str) -> None:
    if os.path.isfile(path) and not Archive(os.path.dirname(path) or '.').is_whole(path):
        raise ACLNetError(f'{path} is damaged: its checksum is not that of run.json; resume from another checkpoint')


def _newest_whole(archive: Archive | None, logger: logging.Logger) -> tuple[str, dict] | None:
    """(path, content) of the checkpoint to go on from, None where there is none; damaged ones are passed over."""
    candidates = archive.candidates() if archive is not None else []
    for path in candidates:
        try:
            if archive is not None and not archive.is_whole(path):
                raise ACLNetError(f'{path} is damaged: its checksum is not that of run.json')
            content = read_checkpoint(path)
            if archive is not None and os.path.basename(path) not in ('latest.pth', archive.latest()):
                archive.point(os.path.basename(path))  # latest.pth leads to a damaged one, or to none
            return path, content
        except ACLNetError as error:
            logger.warning('%s; trying the checkpoint before it', error)
    if candidates:
        raise ACLNetError(
            f'none of the {len(candidates)} checkpoints in {os.path.dirname(candidates[0])} can be read; '
            '--no-auto-resume starts anew'
        )
    return None


def _check_tests(runner: EpochRunner, cfg: Config, validate: bool, test: dict) -> None:
    """What would keep the final tests from running is said before the training."""
    if test.get('test_best') and not validate and _best(runner) is None:
        raise ACLNetError(
            '--test-best tests the checkpoint that validation found best, and no validation is asked for; '
            'add --validate, or take --test-last'
        )
    if any(test.values()):
        try_sample(build_subset(cfg, 'test'))


def _best(runner: EpochRunner) -> str | None:
    return ((runner.meta or {}).get('hook_msgs') or {}).get('best_ckpt')


def _load_backbone(backbone: nn.Module, logger: logging.Logger) -> None:
    """Load the checkpoint ``backbone.pretrained``, if any: of a backbone, or of a recognizer without its head."""
    pretrained = getattr(backbone, 'pretrained', None)
    if pretrained is None:
        return
    checkpoint = load_checkpoint(pretrained)
    state = checkpoint['state_dict']
    of_backbone = {key.removeprefix('backbone.'): value for key, value in state.items() if key.startswith('backbone.')}
    load_weights(backbone, {**checkpoint, 'state_dict': of_backbone or state}, pretrained, logger)


def _final_tests(
    runner: EpochRunner, cfg: Config, test: dict, logger: logging.Logger, compile: bool | dict, amp: str | None
) -> dict[str, dict[str, float]]:
    found = {}
    distributed.barrier()  # rank 0 may still be writing the last checkpoint
    if test.get('test_last'):
        found['last'] = os.path.join(cfg.work_dir, 'latest.pth')
    if test.get('test_best'):
        best = distributed.broadcast_object(_best(runner))
        if best is None:
            logger.warning('--test-best: no validation was due, so there is no best checkpoint (evaluation.interval)')
        else:
            moved = os.path.join(cfg.work_dir, os.path.basename(best))  # with its work_dir, since it was written
            found['best'] = best if os.path.exists(best) else moved
    results = {}
    for name, checkpoint in found.items():
        out = os.path.join(cfg.work_dir, f'{name}_pred.pkl')
        results[name] = evaluate_checkpoint(cfg, checkpoint, out, compile=compile, amp=amp, title=f'testing {name}')
        values = ', '.join(f'{key} {value:.4f}' for key, value in results[name].items())
        logger.info('test of the %s checkpoint (%s): %s; scores in %s', name, os.path.basename(checkpoint), values, out)
    return results
