"""What the commands tools/train.py and tools/test.py do with their options."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import time
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv import Config, DictAction

import aclnet
from aclnet import distributed
from aclnet.allocator import keep_freed_memory
from aclnet.apis.config import load_config, required
from aclnet.apis.data import build_subset
from aclnet.apis.log import start_log
from aclnet.apis.poses import pose_server
from aclnet.apis.test import evaluate_checkpoint
from aclnet.apis.train import open_archive, set_random_seed, train_model
from aclnet.engine import Archive
from aclnet.engine.checkpoint import read_checkpoint
from aclnet.errors import ACLNetError
from aclnet.files import atomic_write
from aclnet.models import build_model

__all__ = ['parse_options', 'test', 'train']


def parse_options(words: list[str]) -> dict[str, Any]:
    """``['optimizer.lr=0.1', 'a=[1,2]']`` → dict, with mmcv's reading of values."""
    options = {}
    for word in words:
        key, sign, value = word.partition('=')
        if not sign or not key:
            raise ACLNetError(f"--cfg-options takes KEY=VALUE pairs such as optimizer.lr=0.1, got '{word}'")
        try:
            options[key] = DictAction._parse_iterable(value)
        except AssertionError:
            raise ACLNetError(f"--cfg-options: the brackets of '{word}' don't match") from None
    return options


def _config(args: argparse.Namespace) -> Config:
    cfg = load_config(args.config, parse_options(args.cfg_options))
    if args.loader is not None:
        cfg.data.loader = args.loader
    return cfg


def _start(args: argparse.Namespace, cfg: Config) -> None:
    distributed.init(args.launcher, **cfg.dist_params)
    if distributed.local_device().type == 'cpu':
        keep_freed_memory()


@distributed.naming_lost_ranks()
def train(args: argparse.Namespace) -> dict:
    """Train as tools/train.py's options say; see there. Returns the metrics of the final tests."""
    cfg = _config(args)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    if args.resume_from is not None:
        cfg.resume_from = args.resume_from
    if args.no_auto_resume:
        cfg.auto_resume = False
    _start(args, cfg)
    try:
        return _train(args, cfg)
    finally:
        distributed.close()


def _train(args: argparse.Namespace, cfg: Config) -> dict:
    rank, world = distributed.get_dist_info()
    opened: list[Archive] = []  # on rank 0

    def begin() -> tuple[str, int]:
        opened.append(open_archive(cfg))
        return time.strftime('%Y%m%d_%H%M%S'), _seed(args, cfg, opened[0])

    timestamp, cfg.seed = distributed.on_rank_0(begin)
    logger = start_log(os.path.join(cfg.work_dir, f'{timestamp}.log'), cfg.log_level)
    set_random_seed(cfg.seed, args.deterministic)
    cfg.deterministic = args.deterministic or cfg.get('deterministic', False)
    if args.batch_size is not None:
        _set_batch_size(cfg, args.batch_size, scale=not (args.keep_lr or args.autoscale_lr), logger=logger)
    if args.autoscale_lr:
        _autoscale_lr(cfg, logger)
    text = _text(cfg)
    if rank == 0:
        with atomic_write(os.path.join(cfg.work_dir, os.path.basename(args.config)), 'w') as stream:
            stream.write(text)
    logger.info(
        'aclnet %s, torch %s, mmcv %s, numpy %s; %d process%s on %s; seed %d%s',
        aclnet.__version__,
        torch.__version__,
        mmcv.__version__,
        np.__version__,
        world,
        '' if world == 1 else 'es',
        _device_name(),
        cfg.seed,
        ', deterministic' if args.deterministic else '',
    )
    logger.info('config: %s', os.path.join(cfg.work_dir, os.path.basename(args.config)))
    model = build_model(cfg.model)
    datasets = [build_subset(cfg, mode) for mode, _ in cfg.workflow]
    logger.info(
        'training set: %d samples; %.2f million parameters',
        len(datasets[0]),
        sum(p.numel() for p in model.parameters()) / 1e6,
    )
    meta = dict(config=text, exp_name=os.path.basename(args.config), seed=cfg.seed, world_size=world)
    tests = args.test_last or args.test_best
    read = [mode for mode, _ in cfg.workflow] + ['val'] * args.validate + ['test'] * tests
    with pose_server(cfg, read):
        return train_model(
            model,
            datasets,
            cfg,
            validate=args.validate,
            test=dict(test_last=args.test_last, test_best=args.test_best),
            timestamp=timestamp,
            meta=meta,
            compile=args.compile,
            amp=args.amp or cfg.get('amp'),
            archive=opened[0] if opened else None,
        )


def _batch_size(cfg: Config) -> int:
    """Samples of a process and step in training."""
    return (cfg.data.get('train_dataloader') or {}).get('videos_per_gpu', cfg.data.get('videos_per_gpu', 16))


def _set_batch_size(cfg: Config, size: int, scale: bool, logger: logging.Logger) -> None:
    """Take another batch size, and by the linear rule the learning rate that goes with it."""
    before, lr = _batch_size(cfg), required(cfg, 'optimizer').get('lr')
    if size < 1:
        raise ACLNetError(f'--batch-size must be a whole number from 1 up, got {size}')
    if scale and not (lr and before):
        raise ACLNetError(
            f'--batch-size scales optimizer.lr by data.videos_per_gpu, and config {cfg.filename} has {lr!r} and '
            f'{before!r} there; set them, or add --keep-lr'
        )
    cfg.data.videos_per_gpu = size
    (cfg.data.get('train_dataloader') or {}).pop('videos_per_gpu', None)
    if scale:
        cfg.optimizer.lr = lr * size / before
    logger.info('--batch-size: %s → %d per process; learning rate %s', before, size, cfg.optimizer.get('lr'))


def _autoscale_lr(cfg: Config, logger: logging.Logger) -> None:
    """Scale the learning rate with the number of samples that make an update."""
    per_gpu = _batch_size(cfg)
    real = distributed.get_dist_info()[1] * per_gpu * cfg.optimizer_config.get('cumulative_iters', 1)
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size', per_gpu)
    lr = required(cfg, 'optimizer').lr
    cfg.optimizer.lr = lr * real / base
    logger.info('--autoscale-lr: learning rate %g for %d samples → %g for %d', lr, base, cfg.optimizer.lr, real)


@distributed.naming_lost_ranks()
def test(args: argparse.Namespace) -> dict[str, float]:
    """Score as tools/test.py's options say; see there. Returns the metrics."""
    cfg = _config(args)
    if args.average_clips is not None:
        cfg.model.test_cfg = {**(cfg.model.get('test_cfg') or {}), 'average_clips': args.average_clips}
    checkpoint = args.checkpoint or os.path.join(cfg.work_dir, 'latest.pth')
    out = args.out or os.path.join(cfg.work_dir, 'result.pkl')
    if not out.endswith(('.pkl', '.json', '.yaml', '.yml')):
        raise ACLNetError(f'--out takes a name that ends in .pkl, .json or .yaml, got {out}')
    _start(args, cfg)
    try:
        with pose_server(cfg, ['test']):
            values = evaluate_checkpoint(cfg, checkpoint, out, args.eval, args.compile, args.amp or cfg.get('amp'))
        if distributed.get_dist_info()[0] == 0:
            print(f'{out}: scores of data.test by {checkpoint}')
            for name, value in values.items():
                print(f'{name}: {value:.4f}')
        return values
    finally:
        distributed.close()


def _seed(args: argparse.Namespace, cfg: Config, archive: Archive) -> int:
    """The seed that was asked for, or that of the training that is gone on with, or a drawn one; on rank 0."""
    asked = args.seed if args.seed is not None else cfg.get('seed')
    if asked is not None:
        if not isinstance(asked, int) or not 0 <= asked < 2**63:
            raise ACLNetError(f'the seed must be a whole number from 0 to 2**63 - 1, got {asked!r}')
        return asked
    seed = None
    if cfg.resume_from:
        seed = read_checkpoint(cfg.resume_from)['meta'].get('seed')
    elif cfg.auto_resume:
        seed = archive.seed
        for path in archive.candidates() if seed is None else ():
            with contextlib.suppress(ACLNetError):  # damaged ones are named when the training begins
                seed = read_checkpoint(path)['meta'].get('seed')
                break
    return int(seed) if isinstance(seed, (int, np.integer)) else int(np.random.default_rng().integers(2**31))


def _text(cfg: Config) -> str:
    try:
        return cfg.pretty_text
    except Exception as error:  # yapf's own, on what is no Python literal
        raise ACLNetError(
            f'config {cfg.filename} cannot be written down ({type(error).__name__}: {error}): its values must be '
            'numbers, strings, lists and dicts'
        ) from None


def _device_name() -> str:
    device = distributed.local_device()
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else f'CPU ({torch.get_num_threads()} threads)'
