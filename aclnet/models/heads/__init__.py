"""Heads: from features to scores and losses."""

from aclnet.models.heads.affinity_head import AffinityHead

__all__ = ['AffinityHead']
