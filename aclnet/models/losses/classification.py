"""Classification losses: softmax cross-entropy and, for several labels per sample, binary cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aclnet.registry import LOSSES

__all__ = ['BCELossWithLogits', 'CrossEntropyLoss']


class _ClassificationLoss(nn.Module):
    class_weight: Tensor | None  # a buffer

    def __init__(self, loss_weight: float = 1.0, class_weight: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        weight = None if class_weight is None else torch.tensor(class_weight, dtype=torch.float32)
        self.register_buffer('class_weight', weight, persistent=False)


@LOSSES.register_module()
class CrossEntropyLoss(_ClassificationLoss):
    """Softmax cross-entropy.

    Args:
        loss_weight: factor of the result.
        class_weight: (classes,) weights; the mean over the batch is weighted by them (over each rank's own batch, where
            there are several).

    ``forward(cls_score, label, label_smoothing=0.)``: (n, classes) logits against (n,) class indices or (n, classes)
    probabilities, → scalar.
    """

    def forward(self, cls_score: Tensor, label: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return self.loss_weight * F.cross_entropy(cls_score, label, self.class_weight, label_smoothing=label_smoothing)


@LOSSES.register_module()
class BCELossWithLogits(_ClassificationLoss):
    """Binary cross-entropy of each class.

    Args:
        loss_weight: factor of the result.
        class_weight: (classes,) weights of the classes.

    ``forward(cls_score, label, label_smoothing=0.)``: (n, classes) logits against (n, classes) labels in [0, 1] →
    scalar.
    """

    def forward(self, cls_score: Tensor, label: Tensor, label_smoothing: float = 0.0) -> Tensor:
        label = (1 - label_smoothing) * label + label_smoothing / label.shape[1]
        return self.loss_weight * F.binary_cross_entropy_with_logits(cls_score, label.to(cls_score), self.class_weight)
