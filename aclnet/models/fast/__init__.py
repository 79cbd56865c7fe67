"""Fast forms."""

from __future__ import annotations

from torch import nn

from aclnet.models.backbones.dynamic_gcn import Block
from aclnet.models.backbones.spatial import SpatialUnit
from aclnet.models.backbones.temporal import TemporalUnit
from aclnet.models.fast.units import FastBlock, FastSpatialUnit, FastTemporalUnit
from aclnet.models.fast.norms import has_fast_norm

__all__ = ['optimize_for_training']


def optimize_for_training(model: nn.Module) -> nn.Module:
    for part in model.modules():
        if type(part) is SpatialUnit and FastSpatialUnit.fits(part):
            part.__class__ = FastSpatialUnit
        if type(part) is TemporalUnit and FastTemporalUnit.fits(part):
            part.__class__ = FastTemporalUnit
    for part in model.modules():
        if type(part) is Block and type(part.gcn) is FastSpatialUnit and type(part.tcn) is FastTemporalUnit:
            part.__class__ = FastBlock
    return model
