"""Backbone and head, joined."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from aclnet.errors import ACLNetError
from aclnet.registry import BACKBONES, HEADS, RECOGNIZERS, build

__all__ = ['SkeletonRecognizer']


@RECOGNIZERS.register_module(name=['SkeletonRecognizer', 'RecognizerGCN'])
class SkeletonRecognizer(nn.Module):
    """Recognizes actions in skeleton clips.

    Args:
        backbone: config of a backbone.
        cls_head: config of a head; it learns the size of the graph embedding from the backbone.
        train_cfg: kept for configs that have it; nothing is read from it.
        test_cfg: dict(average_clips='prob' | 'score' | None), see :meth:`forward`.

    Raises ``ACLNetError`` where the head's ``in_channels`` isn't what the backbone puts out.

    Example:
        >>> model = build_model(cfg.model)
        >>> losses = model(keypoint=clips, label=label, return_loss=True)  # clips (N, 1, M, T, V, C)
        >>> scores = model(keypoint=clips, return_loss=False)              # clips (N, 10, M, T, V, C) → (N, classes)
    """

    # prefixes of what only training needs, and of what depends on the number of classes, in the state dict
    training_state = ('cls_head.inter_loss.', 'cls_head.intra_loss.')
    class_specific = ('cls_head.fc_cls.',)

    def __init__(
        self, backbone: dict, cls_head: dict, train_cfg: dict | None = None, test_cfg: dict | None = None
    ) -> None:
        super().__init__()
        self.backbone = build(backbone, BACKBONES)
        self.cls_head = build(cls_head, HEADS, dict(graph_channels=self.backbone.graph_channels))
        if self.cls_head.in_channels != self.backbone.out_channels:
            raise ACLNetError(
                f'cls_head.in_channels is {self.cls_head.in_channels}, but the backbone puts out '
                f'{self.backbone.out_channels} channels'
            )
        self.test_cfg = {'average_clips': 'prob', **(test_cfg or {})}
        if self.test_cfg['average_clips'] not in ('prob', 'score', None):
            raise ACLNetError(
                f"test_cfg.average_clips must be 'prob', 'score' or None, got {self.test_cfg['average_clips']!r}"
            )

    def forward(
        self, keypoint: Tensor, label: Tensor | None = None, return_loss: bool = True, **kwargs: Any
    ) -> dict[str, Tensor] | np.ndarray:
        """Losses in training, scores in testing.

        Args:
            keypoint: (N, clips, M, T, V, C).
            label: (N,) or (N, 1); needed for losses only.
            return_loss: losses or scores.

        Returns:
            dict of scalars, see ``AffinityHead.loss``; or an array (N, classes): with ``average_clips`` 'prob' the mean
            of the clips' probabilities, with 'score' of their logits, with None the logits of all clips (N, clips,
            classes).
        """
        if return_loss:
            return self.forward_train(keypoint, label)
        return self.forward_test(keypoint).detach().float().cpu().numpy()

    def forward_train(self, keypoint: Tensor, label: Tensor | None) -> dict[str, Tensor]:
        if label is None:
            raise ACLNetError("losses need labels: add 'label' to the keys of Collect")
        if keypoint.dim() != 6 or keypoint.shape[1] != 1:
            raise ACLNetError(
                'training takes one clip per sample, (N, 1, M, T, V, C); got '
                f'{tuple(keypoint.shape)}: set num_clips=1 in the training pipeline'
            )
        logits, graph = self.network(keypoint[:, 0])
        return self.cls_head.loss(logits, graph, label)

    def forward_test(self, keypoint: Tensor) -> Tensor:
        if keypoint.dim() != 6:
            raise ACLNetError(f'clips must be (N, clips, M, T, V, C), got {tuple(keypoint.shape)}')
        N, clips = keypoint.shape[:2]
        logits, _ = self.network(keypoint.reshape(N * clips, *keypoint.shape[2:]))
        logits = logits.view(N, clips, -1)
        how = self.test_cfg['average_clips']
        if how is None:
            return logits
        return (self.cls_head.score(logits) if how == 'prob' else logits).mean(1)

    def network(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """(N, M, T, V, C) → logits (N, classes), graph embedding (N, V·V)."""
        feature, graph = self.backbone(clips)
        return self.cls_head(feature), graph
