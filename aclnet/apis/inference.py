"""A trained model for use: loading it, folding it, asking it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from mmcv import Config
from torch import nn

from aclnet import distributed
from aclnet.apis.config import load_config
from aclnet.datasets.transforms import Compose
from aclnet.engine import load_checkpoint, load_weights
from aclnet.errors import ACLNetError
from aclnet.evaluation import average_clips
from aclnet.models import build_model, optimize_for_training

__all__ = ['inference_recognizer', 'init_recognizer', 'optimize_for_inference']


def optimize_for_inference(model: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """A copy of the model in eval mode, its units in their fast forms, with every batch norm that follows a convolution
    folded into it, and convolutions of the same input as one.

    Scores differ from the model's by rounding only. The copy can't be trained.

    Args:
        model: a recognizer or a backbone.
        dtype: keep the weights of convolutions in this precision, such as ``torch.bfloat16``, for use under autocast to
            it; None leaves them as they are.
    """
    folded = optimize_for_training(copy.deepcopy(model).eval().requires_grad_(False))
    for part in list(folded.modules()):
        fold = getattr(part, 'fold', None)
        if fold is not None:
            fold()
    for part in folded.modules():
        if isinstance(part, nn.Conv2d):
            part.to(dtype or part.weight.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded


def init_recognizer(
    config: str | Config, checkpoint: str | None = None, device: str | torch.device | None = None
) -> nn.Module:
    """Build a recognizer and load its weights, ready for :func:`inference_recognizer`.

    Args:
        config: a config file or a loaded config.
        checkpoint: file or address of the weights; None leaves them as initialised.
        device: where to put it; None takes a GPU if there is one.

    Returns:
        the model in eval mode with batch norms folded; its config as ``cfg``.

    Raises:
        ACLNetError: config or checkpoint cannot be read, or don't fit each other.
    """
    cfg = load_config(config) if isinstance(config, str) else config
    model = build_model(cfg.model)
    if checkpoint is not None:
        load_weights(model, load_checkpoint(checkpoint), checkpoint)
    model = optimize_for_inference(model).to(device or distributed.local_device())
    model.cfg = cfg
    return model


@torch.no_grad()
def inference_recognizer(model: nn.Module, sample: dict[str, Any], topk: int = 5) -> list[tuple[int, float]]:
    """The most probable classes of one sample.

    Args:
        model: from :func:`init_recognizer`.
        sample: one annotation: ``keypoint`` (M, T, V, C) and whatever else the config's test pipeline reads; a label
            isn't needed.
        topk: how many classes.

    Returns:
        (class, score) pairs, best first.

    Raises:
        ACLNetError: the sample doesn't fit the test pipeline.
    """
    if not isinstance(sample, dict):
        raise ACLNetError(f"a sample is a dict with at least 'keypoint' (M, T, V, C), got {type(sample).__name__}")
    sample = {'label': 0, 'test_mode': True, 'frame_dir': 'sample', **sample}
    if 'total_frames' not in sample and getattr(sample.get('keypoint'), 'ndim', 0) == 4:
        sample['total_frames'] = sample['keypoint'].shape[1]
    clips = Compose(_test_pipeline(model.cfg))(sample)['keypoint']
    device = next(model.parameters()).device
    scores = model(keypoint=torch.as_tensor(clips)[None].to(device), return_loss=False)[0]
    scores = average_clips([scores])[0]
    return [(int(i), float(scores[i])) for i in np.argsort(-scores, kind='stable')[:topk]]


def _test_pipeline(cfg: Config) -> list[dict]:
    """The pipeline of ``data.test``, whatever wraps its data set."""
    dataset = cfg.data.get('test')
    while isinstance(dataset, (dict, list, tuple)) and dataset:
        if isinstance(dataset, dict) and 'pipeline' in dataset:
            return dataset['pipeline']
        dataset = dataset[0] if not isinstance(dataset, dict) else dataset.get('dataset', dataset.get('datasets'))
    raise ACLNetError(f'config {cfg.filename} has no data.test with a pipeline, which says how to prepare a sample')
