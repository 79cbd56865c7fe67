"""The terms of the training loss."""

from aclnet.models.losses.classification import BCELossWithLogits, CrossEntropyLoss
from aclnet.models.losses.inter_class import InterClassAffinityLoss
from aclnet.models.losses.intra_class import IntraClassMarginLoss

__all__ = ['BCELossWithLogits', 'CrossEntropyLoss', 'InterClassAffinityLoss', 'IntraClassMarginLoss']
