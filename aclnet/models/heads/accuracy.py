"""Training accuracy on the device, without a synchronisation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = ['top_k_hits']


def top_k_hits(cls_score: Tensor, label: Tensor, topk: Sequence[int] = (1, 5)) -> list[Tensor]:
    """Share of samples whose label is among the k highest scores, one scalar per k; k beyond the classes counts all.

    Args:
        cls_score: (N, classes).
        label: (N,).
    """
    best = cls_score.topk(min(max(topk), cls_score.shape[1]), dim=1).indices == label[:, None]
    return [best[:, :k].any(1).float().mean() for k in topk]
