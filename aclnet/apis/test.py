"""Scoring a data set with a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from mmcv import Config

from aclnet import distributed
from aclnet.apis.config import complete
from aclnet.apis.data import build_loader, build_subset
from aclnet.apis.inference import optimize_for_inference
from aclnet.engine import BatchProcessor, collect_scores, load_checkpoint, load_weights
from aclnet.evaluation import average_clips, evaluate, save_scores
from aclnet.models import build_model

__all__ = ['evaluate_checkpoint', 'metric_options', 'set_benchmark']


def metric_options(cfg: Config) -> dict:
    """The part of ``evaluation`` that says what to measure: metrics, topk and their options."""
    keys = ('metrics', 'topk', 'metric_options')
    return {key: cfg.evaluation[key] for key in keys if cfg.evaluation.get(key) is not None}


def set_benchmark(cfg: Config) -> None:
    """Let cuDNN try algorithms out where the config says so, but not in a deterministic run."""
    torch.backends.cudnn.benchmark = bool(cfg.cudnn_benchmark) and not torch.are_deterministic_algorithms_enabled()


def evaluate_checkpoint(
    cfg: Config,
    checkpoint: str,
    out: str | None = None,
    metrics: Sequence[str] | None = None,
    compile: bool = False,
    amp: str | None = None,
    title: str = 'test',
) -> dict[str, float]:
    """Score the test set of a config with all ranks.

    Args:
        cfg: from ``load_config`` or mmcv's ``Config.fromfile``.
        checkpoint: file or address of the weights.
        out: score file to write (.pkl, .json, .yaml), with its side file of identifiers and labels; None writes none.
        metrics: what to measure; None takes the config's ``evaluation.metrics``.
        compile: run the model through torch.compile.
        amp: 'bf16' or 'fp16' autocast.
        title: label of the progress bar.

    Returns:
        metric → value, the same on every rank.

    Raises:
        ACLNetError: data or checkpoint cannot be read or don't fit.
    """
    cfg = complete(cfg)
    device = distributed.local_device()
    set_benchmark(cfg)
    model = build_model(cfg.model)
    load_weights(model, load_checkpoint(checkpoint), checkpoint)
    dataset = build_subset(cfg, 'test')
    options = {**metric_options(cfg), **({'metrics': list(metrics)} if metrics else {})}
    classes = cfg.model.cls_head.num_classes
    evaluate(np.zeros((len(dataset), classes)), dataset.labels, **options)  # a wrong metric fails before the work
    model = optimize_for_inference(model).to(device)
    if compile:
        model.compile()
    loader = build_loader(cfg, 'test', dataset, seed=cfg.get('seed') or 0)
    scores = collect_scores(model, loader, BatchProcessor(device, amp), title=title)
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
