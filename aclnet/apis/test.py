"""Scoring a data set with a checkpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np
import torch
from mmcv import Config

from aclnet import distributed
from aclnet.apis.config import complete
from aclnet.apis.data import build_loader, build_subset
from aclnet.apis.inference import optimize_for_inference
from aclnet.apis.log import get_logger
from aclnet.engine import BatchProcessor, collect_scores, load_checkpoint, load_weights
from aclnet.engine.batch import AMP_DTYPES
from aclnet.errors import ACLNetError
from aclnet.evaluation import average_clips, evaluate, save_scores
from aclnet.models import build_model, compile_model

__all__ = ['choose_kernels', 'evaluate_checkpoint', 'metric_options']


def metric_options(cfg: Config) -> dict:
    """The part of ``evaluation`` that says what to measure: metrics, topk and their options."""
    keys = ('metrics', 'topk', 'metric_options')
    return {key: cfg.evaluation[key] for key in keys if cfg.evaluation.get(key) is not None}


def choose_kernels(cfg: Config) -> None:
    """What a GPU multiplies with: TF32 for float32 unless the config says ``tf32=False``, and algorithms that cuDNN
    tries out where it says ``cudnn_benchmark=True``, but not in a deterministic run."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = bool(cfg.tf32)
    torch.backends.cudnn.benchmark = bool(cfg.cudnn_benchmark) and not torch.are_deterministic_algorithms_enabled()


def _warn_of_another_stream(cfg: Config, content: dict, checkpoint: str) -> None:
    """The weights of all streams fit each other's configs; what a checkpoint's own config said tells them apart."""
    own = set(re.findall(r"feats=\[\s*'(\w+)'\s*\]", str(content['meta'].get('config', ''))))
    test = cfg.data.get('test')
    steps = test.get('pipeline') if isinstance(test, dict) else None
    here = {feat for step in steps or () if isinstance(step, dict) for feat in step.get('feats', ())}
    if own and here and not own & here:
        get_logger().warning(
            'checkpoint %s was trained on stream %s, but this config tests stream %s: the scores will be poor',
            checkpoint,
            ', '.join(sorted(own)),
            ', '.join(sorted(here)),
        )


def evaluate_checkpoint(
    cfg: Config,
    checkpoint: str,
    out: str | None = None,
    metrics: Sequence[str] | None = None,
    compile: bool | dict = False,
    amp: str | None = None,
    title: str = 'test',
) -> dict[str, float]:
    """Score the test set of a config with all ranks.

    Args:
        cfg: from ``load_config`` or mmcv's ``Config.fromfile``.
        checkpoint: file or address of the weights.
        out: score file to write (.pkl, .json, .yaml), with its side file of identifiers and labels; None writes none.
        metrics: what to measure; None takes the config's ``evaluation.metrics``.
        compile: run the model through torch.compile, see ``compile_model``; a dict holds its options.
        amp: 'bf16' or 'fp16' autocast.
        title: label of the progress bar.

    Returns:
        metric → value, the same on every rank.

    Raises:
        ACLNetError: data or checkpoint cannot be read or don't fit.
    """
    cfg = complete(cfg)
    device = distributed.local_device()
    choose_kernels(cfg)
    model = build_model(cfg.model)
    content = load_checkpoint(checkpoint)
    load_weights(model, content, checkpoint)
    _warn_of_another_stream(cfg, content, checkpoint)
    dataset = build_subset(cfg, 'test')
    options = {**metric_options(cfg), **({'metrics': list(metrics)} if metrics else {})}
    classes = cfg.model.cls_head.num_classes
    evaluate(np.zeros((len(dataset), classes)), dataset.labels, **options)  # a wrong metric fails before the work
    model = optimize_for_inference(model, AMP_DTYPES.get(amp or '')).to(device)
    if compile:
        model = compile_model(model, **(compile if isinstance(compile, dict) else {}))
    loader = build_loader(cfg, 'test', dataset, seed=cfg.get('seed') or 0)
    scores = collect_scores(model, loader, BatchProcessor(device, amp), title=title)
    bad = np.flatnonzero([not np.isfinite(score).all() for score in scores])
    if len(bad):
        raise ACLNetError(
            f'checkpoint {checkpoint} gives {len(bad)} of {len(scores)} samples scores that are not finite, the first '
            f'is {dataset.identifiers[bad[0]]}; take an earlier checkpoint'
        )
    if out is not None and distributed.get_dist_info()[0] == 0:
        about = dict(
            identifiers=list(dataset.identifiers),
            labels=np.asarray(dataset.labels).tolist(),
            config=cfg.filename and os.fspath(cfg.filename),
            checkpoint=checkpoint,
        )
        save_scores(out, scores, about)
    distributed.barrier()
    return dict(evaluate(average_clips(scores), dataset.labels, **options))
