"""Training by a config."""

from __future__ import annotations

import copy
import logging
import os
import random
import warnings
from functools import partial

import numpy as np
import torch
from mmcv import Config
from mmcv.runner import HOOKS, OPTIMIZERS, build_optimizer
from mmcv.utils import Registry
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from aclnet import distributed
from aclnet.apis.config import complete, required
from aclnet.apis.data import build_loader, build_subset, try_sample
from aclnet.apis.log import get_logger
from aclnet.apis.test import evaluate_checkpoint, metric_options, set_benchmark
from aclnet.datasets import Dataset
from aclnet.engine import (
    AmpOptimizerHook,
    BatchProcessor,
    EpochHook,
    EpochRunner,
    EvaluationHook,
    load_checkpoint,
    load_weights,
)
from aclnet.engine.checkpoint import unwrapped
from aclnet.errors import ACLNetError, nearest
from aclnet.evaluation import evaluate

__all__ = ['set_random_seed', 'train_model']

_SHOWN = 12  # names in an error: mmcv's and torch's are many
_RUN_ORDER = dict(epoch=20, evaluation=45)  # mmcv's checkpoint hook has 50, loggers 90


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
    compile: bool = False,
    amp: str | None = None,
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
        compile: run the model through torch.compile.
        amp: 'bf16' or 'fp16'.

    Returns:
        metrics of the tests that were asked for, by 'last' and 'best'.

    Raises:
        ACLNetError: something in config, data or checkpoints is wrong.
    """
    cfg = complete(cfg)
    device = distributed.local_device()
    logger = get_logger()
    set_benchmark(cfg)
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
    if compile:
        model.compile()
    processor = BatchProcessor(device, amp)
    runner = EpochRunner(
        _parallel(model, cfg, device),
        processor,
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
    _start_from(runner, cfg, logger)
    _check_tests(runner, cfg, validate, test or {})
    distributed.broadcast_buffers(unwrapped(runner.model))  # one start for all ranks, drawn prototypes included
    runner.run(loaders, workflow)
    return _final_tests(runner, cfg, test or {}, logger, compile, amp)


def _parallel(model: nn.Module, cfg: Config, device: torch.device) -> nn.Module:
    if distributed.get_dist_info()[1] == 1:
        return model
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
        return build_optimizer(model, copy.deepcopy(optimizer))
    except (KeyError, TypeError, ValueError) as error:
        raise ACLNetError(f'optimizer {dict(cfg.optimizer)} of the config cannot be built: {error}') from None


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
            optimizer_config = AmpOptimizerHook(**{k: v for k, v in optimizer_config.items() if k != 'type'})
        runner.register_training_hooks(
            copy.deepcopy(cfg.lr_config),
            optimizer_config,
            copy.deepcopy(cfg.checkpoint_config),
            copy.deepcopy(cfg.log_config),
            copy.deepcopy(cfg.momentum_config),
            custom_hooks_config=copy.deepcopy(cfg.custom_hooks),
        )
    except (KeyError, TypeError, ValueError, AssertionError, ImportError) as error:
        raise ACLNetError(
            'a hook of the config (lr_config, optimizer_config, checkpoint_config, log_config or '
            f'custom_hooks) cannot be built: {error}'
        ) from None
    runner.register_hook(EpochHook(), priority=_RUN_ORDER['epoch'])


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


def _start_from(runner: EpochRunner, cfg: Config, logger: logging.Logger) -> None:
    """Resume, by order or because work_dir holds a checkpoint; else load weights to start from."""
    resume_from = cfg.resume_from
    latest = os.path.join(cfg.work_dir, 'latest.pth')
    found = distributed.broadcast_object(os.path.exists(latest))  # rank 0 decides for all
    if resume_from is None and cfg.auto_resume and found:
        logger.info('%s exists: going on from there (--no-auto-resume starts anew)', latest)
        resume_from = latest
    if resume_from is not None:
        runner.resume(resume_from)
    elif cfg.load_from is not None:
        runner.load_checkpoint(cfg.load_from)
    else:
        _load_backbone(unwrapped(runner.model).get_submodule('backbone'), logger)


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
    runner: EpochRunner, cfg: Config, test: dict, logger: logging.Logger, compile: bool, amp: str | None
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
