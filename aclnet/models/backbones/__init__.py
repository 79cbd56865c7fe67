"""Graph networks that turn skeleton clips into features."""

from aclnet.models.backbones.dynamic_gcn import DynamicGCN

__all__ = ['DynamicGCN']
