"""Build a model from its config."""

from __future__ import annotations

from torch import nn

from aclnet.registry import RECOGNIZERS, build

__all__ = ['build_model']


def build_model(cfg: dict) -> nn.Module:
    """Build the recognizer that ``cfg`` (the ``model`` of a config) describes.

    Raises:
        ACLNetError: an unknown name or argument anywhere in it.
    """
    return build(cfg, RECOGNIZERS)
