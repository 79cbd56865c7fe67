"""The head: classifier, classification loss and the two contrastive terms."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from aclnet.errors import ACLNetError, nearest
from aclnet.limits import MAX_CLASSES
from aclnet.models import losses as _losses  # noqa: F401  registers them
from aclnet.models.heads.accuracy import top_k_hits
from aclnet.registry import HEADS, LOSSES, build

__all__ = ['AffinityHead']

MEMORY_SIZES = {'ntu60': 512, 'ntu120': 1024, 'k400': 2048, 'finegym': 1024, 'pku_mmd': 512}
DEFAULT_MEMORY_SIZE = 512


@HEADS.register_module(name=['AffinityHead', 'SimpleHead'])
class AffinityHead(nn.Module):
    """Average pooling, a linear classifier, and L = CE + 0.1·L_inter + 0.1·L_intra.

    Args:
        num_classes: number of classes.
        in_channels: channels of the feature.
        graph_channels: size V·V of the graph embedding; the recognizer fills it in from the backbone.
        data_cfg: benchmark whose published memory size to take: 'ntu60', 'ntu120', 'k400', 'finegym' or 'pku_mmd'.
        loss_cls: the classification loss.
        inter_loss: arguments of ``InterClassAffinityLoss`` and its ``loss_weight``; None switches the term off.
        intra_loss: the same for ``IntraClassMarginLoss``; its ``memory_size`` is ``data_cfg``'s unless given.
        dropout: before the classifier.
        init_std: standard deviation of the classifier's initial weights.
        mode: 'GCN', the only one.
        multi_class: several labels per sample (multi-hot): sigmoid scores, and no contrastive terms, which need one
            label per sample.
        label_smooth_eps: label smoothing.
        topk: the k of the training accuracies.

    A term that is off ignores its keys in a checkpoint. Raises ``ACLNetError`` for an unknown ``data_cfg`` or ``mode``,
    and for contrastive terms that are asked for together with ``multi_class``. Source: arXiv 2601.16694.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        graph_channels: int | None = None,
        data_cfg: str | None = None,
        loss_cls: dict | None = None,
        inter_loss: dict | None | Literal['default'] = 'default',
        intra_loss: dict | None | Literal['default'] = 'default',
        dropout: float = 0.0,
        init_std: float = 0.01,
        mode: str = 'GCN',
        multi_class: bool = False,
        label_smooth_eps: float = 0.0,
        topk: tuple[int, ...] = (1, 5),
    ) -> None:
        super().__init__()
        if mode != 'GCN':
            raise ACLNetError(f"this head pools graph features: mode must be 'GCN', got {mode!r}")
        if data_cfg is not None and data_cfg not in MEMORY_SIZES:
            raise ACLNetError(
                f"there is no data_cfg '{data_cfg}'{nearest(data_cfg, MEMORY_SIZES)} (known: {', '.join(MEMORY_SIZES)})"
            )
        if not isinstance(num_classes, int) or not 1 <= num_classes <= MAX_CLASSES:
            raise ACLNetError(f'num_classes must be a whole number from 1 to {MAX_CLASSES}, got {num_classes!r}')
        if not isinstance(in_channels, int) or in_channels < 1:
            raise ACLNetError(f'in_channels of the head must be a whole number of at least 1, got {in_channels!r}')
        for name, value in (('loss_cls', loss_cls), ('inter_loss', inter_loss), ('intra_loss', intra_loss)):
            if not isinstance(value, (dict, type(None))) and value != 'default':
                raise ACLNetError(f'{name} must be a dict of arguments or None, got {value!r}')
        self.num_classes, self.multi_class = num_classes, multi_class
        self.in_channels = in_channels
        self.label_smooth_eps, self.topk = label_smooth_eps, tuple(topk)
        # before the terms, so that the same seed draws the same classifier whether they are on or off
        self.dropout = nn.Dropout(dropout)
        self.fc_cls = nn.Linear(in_channels, num_classes)
        nn.init.normal_(self.fc_cls.weight, 0, init_std)
        nn.init.zeros_(self.fc_cls.bias)
        kind = 'BCELossWithLogits' if multi_class else 'CrossEntropyLoss'
        self.loss_cls = build(dict(loss_cls or dict(type=kind)), LOSSES)
        weights = getattr(self.loss_cls, 'class_weight', None)
        if weights is not None and len(weights) != num_classes:
            raise ACLNetError(f'loss_cls.class_weight needs one weight per class, {num_classes}, got {len(weights)}')
        memory_size = DEFAULT_MEMORY_SIZE if data_cfg is None else MEMORY_SIZES[data_cfg]
        self.inter_weight, self.inter_loss = self._term(
            inter_loss, dict(type='InterClassAffinityLoss', num_classes=num_classes), graph_channels
        )
        self.intra_weight, self.intra_loss = self._term(
            intra_loss, dict(type='IntraClassMarginLoss', memory_size=memory_size), graph_channels
        )

    def _term(
        self, cfg: dict | None | Literal['default'], defaults: dict, graph_channels: int | None
    ) -> tuple[float, nn.Module | None]:
        if cfg == 'default':
            cfg = None if self.multi_class else {}
        if cfg is None:
            return 0.0, None
        if self.multi_class:
            raise ACLNetError(
                f'{defaults["type"]} needs one label per sample; set inter_loss and intra_loss to None '
                'where multi_class is on'
            )
        if graph_channels is None:
            raise ACLNetError("the head needs graph_channels, the backbone's V·V, for its contrastive terms")
        cfg = dict(cfg)
        weight = cfg.pop('loss_weight', 0.1)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise ACLNetError(f'loss_weight of {defaults["type"]} must be a number, got {weight!r}')
        return weight, build({**defaults, **cfg}, LOSSES, dict(in_channels=graph_channels))

    def forward(self, feature: Tensor) -> Tensor:
        """(N, M, C, T, V) → logits (N, classes): the mean over frames and joints, then over persons, classified."""
        pooled = feature.mean((3, 4)).mean(1)
        return self.fc_cls(self.dropout(pooled))

    def score(self, logits: Tensor) -> Tensor:
        """Logits → probabilities, the same shape."""
        return logits.sigmoid() if self.multi_class else logits.softmax(-1)

    def loss(self, cls_score: Tensor, graph: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The three terms, weights applied so that their sum is the loss, and the training accuracies.

        Args:
            cls_score: (N, classes) logits.
            graph: (N, V·V) graph embedding.
            label: (N,) or (N, 1) class indices; (N, classes) with ``multi_class``.

        Returns:
            scalars ``loss_cls``, ``loss_inter`` and ``loss_intra`` (where the term is on), ``top1_acc``, ``top5_acc``.
        """
        cls_score = cls_score.to(self.fc_cls.weight.dtype)  # losses keep full precision under autocast
        if self.multi_class:
            return dict(loss_cls=self.loss_cls(cls_score, label, label_smoothing=self.label_smooth_eps))
        label = label.reshape(-1)
        losses = dict(loss_cls=self.loss_cls(cls_score, label, label_smoothing=self.label_smooth_eps))
        if self.inter_loss is not None:
            losses['loss_inter'] = self.inter_weight * self.inter_loss(graph, cls_score, label)
        if self.intra_loss is not None:
            losses['loss_intra'] = self.intra_weight * self.intra_loss(graph, label)
        for k, hits in zip(self.topk, top_k_hits(cls_score.detach(), label, self.topk)):
            losses[f'top{k}_acc'] = hits
        return losses

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        off = tuple(f'{prefix}{name}.' for name in ('inter_loss', 'intra_loss') if getattr(self, name) is None)
        for key in [key for key in state_dict if off and key.startswith(off)]:
            del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
