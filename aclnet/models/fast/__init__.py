"""The backbone's units in forms that need several times less time and memory, for training and for inference.

They are made for the published options; a unit with others keeps its general form. The general forms add in the
published order, to the last bit; these do not.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from aclnet.models.backbones.dynamic_gcn import Block, DynamicGCN
from aclnet.models.backbones.spatial import SpatialUnit
from aclnet.models.backbones.temporal import TemporalUnit
from aclnet.models.fast.units import FastBlock, FastSpatialUnit, FastTemporalUnit

__all__ = ['optimize_for_training']

_FORMS: tuple[tuple[type, Any], ...] = (
    (SpatialUnit, FastSpatialUnit),
    (TemporalUnit, FastTemporalUnit),
    (Block, FastBlock),  # after its units
)


def optimize_for_training(model: nn.Module) -> nn.Module:
    """Give each unit of the model the fast form that does what it does, if there is one, in place.

    Parameters, buffers, their names and all values stay; results and gradients differ by rounding only. The gradient
    of a bias before a batch norm, which is zero but for rounding, is exactly zero.

    Args:
        model: a recognizer, a backbone, or anything that contains one.

    Returns:
        the same model.

    Example:
        >>> model = optimize_for_training(build_model(cfg.model))
    """
    for general, fast in _FORMS:
        for part in model.modules():
            if type(part) is general and fast.fits(part):
                part.__class__ = fast  # parameters, buffers and hooks stay where they are
    for net in model.modules():
        if isinstance(net, DynamicGCN):
            for unit in [block.gcn for block in net.gcn][:-1]:  # the embedding is made of the last one's graph
                unit.returns_graph = False  # type: ignore[assignment, union-attr]  # torch's stubs know no own attributes
    return model
