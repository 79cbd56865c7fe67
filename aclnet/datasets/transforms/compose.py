"""A pipeline: transforms one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aclnet.errors import ACLNetError
from aclnet.registry import TRANSFORMS, build

__all__ = ['Compose']


class Compose:
    """Apply transforms one after the other to a sample.

    Args:
        transforms: config dicts (``dict(type='Flip', flip_ratio=0.5)``) or callables that take and return a sample.

    Raises:
        ACLNetError: an unknown name or argument, or an entry that is neither.
    """

    def __init__(self, transforms: Sequence[dict | Callable[[dict], dict]]) -> None:
        if isinstance(transforms, (dict, str)) or not isinstance(transforms, Sequence):
            raise ACLNetError(f'a pipeline must be a list of transforms, got {transforms!r}')
        self.transforms = [step if callable(step) else build(step, TRANSFORMS) for step in transforms]

    def __call__(self, sample: dict) -> dict:
        with np.errstate(all='ignore'):  # what is not finite is for a loss to say, once
            for transform in self.transforms:
                sample = transform(sample)
        return sample

    def __repr__(self) -> str:
        return f'Compose([{", ".join(type(step).__name__ for step in self.transforms)}])'
