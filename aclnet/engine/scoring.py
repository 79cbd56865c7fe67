"""Scores of a whole data set, from all ranks, in its order."""

from __future__ import annotations

import sys
from collections.abc import Sized
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from aclnet import distributed
from aclnet.engine.batch import BatchProcessor, to_device
from aclnet.engine.checkpoint import unwrapped
from aclnet.engine.stopping import Stopped, StopSignals

__all__ = ['collect_scores']


@torch.no_grad()
def collect_scores(
    model: nn.Module,
    dataloader: DataLoader,
    processor: BatchProcessor,
    title: str | None = None,
    stop_signals: StopSignals | None = None,
) -> list[np.ndarray]:
    """Score every sample once; leaves the model in eval mode.

    Args:
        model: called as ``model(**batch, return_loss=False)`` → array (n, classes).
        dataloader: this rank's share of the data set, without shuffling; its batch sampler's ``indices(rank)`` are the
            samples that a rank scores.
        processor: device and precision.
        title: label of a progress bar, or None for no bar.
        stop_signals: asked after each batch whether to stop.

    Returns:
        one array (classes,) per sample of the data set in its order, the same list on every rank.

    Raises:
        Stopped: on all ranks, when a signal asked one of them for it.
    """
    rank, world = distributed.get_dist_info()
    sampler: Any = dataloader.batch_sampler
    model = unwrapped(model).eval()
    mine: list[np.ndarray] = []
    hidden = title is None or rank != 0 or not sys.stderr.isatty()
    with processor.autocast():
        for batch in tqdm(dataloader, desc=title, disable=hidden, unit='batch', leave=False):
            batch = to_device(batch, processor.device)
            batch.pop('label', None)
            mine.extend(model(**batch, return_loss=False))
            _stop_if_asked(stop_signals)
    if world > 1:
        for _ in range(len(dataloader), max(-(-len(sampler.indices(r)) // sampler.batch_size) for r in range(world))):
            _stop_if_asked(stop_signals)  # in step with the ranks that have a batch more
    parts = distributed.gather_objects(mine)
    if world == 1:
        return parts[0]
    scores: list = [None] * len(cast(Sized, dataloader.dataset))
    for other, part in enumerate(parts):
        for index, score in zip(sampler.indices(other), part):
            scores[index] = score
    return scores


def _stop_if_asked(stop_signals: StopSignals | None) -> None:
    signum = stop_signals.agree() if stop_signals is not None else 0
    if signum:
        raise Stopped(signum)
