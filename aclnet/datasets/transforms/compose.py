"""A pipeline: transforms one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aclnet.datasets.transforms.base import is_fixed
from aclnet.errors import ACLNetError
from aclnet.registry import TRANSFORMS, build

__all__ = ['Compose']


class Compose:
    """Apply transforms one after the other to a sample.

    Args:
        transforms: config dicts (``dict(type='Flip', flip_ratio=0.5)``) or callables that take and return a sample.

    Attributes:
        fixed: how many transforms at the beginning make the same of a sample in every epoch. ``begin`` applies these,
            ``finish`` the others.

    Raises:
        ACLNetError: an unknown name or argument, or an entry that is neither.
    """

    def __init__(self, transforms: Sequence[dict | Callable[[dict], dict]]) -> None:
        if isinstance(transforms, (dict, str)) or not isinstance(transforms, Sequence):
            raise ACLNetError(f'a pipeline must be a list of transforms, got {transforms!r}')
        self.transforms = [step if callable(step) else build(step, TRANSFORMS) for step in transforms]
        self.fixed = next((i for i, step in enumerate(self.transforms) if not is_fixed(step)), len(self.transforms))

    def __call__(self, sample: dict) -> dict:
        return self.finish(self.begin(sample))

    def begin(self, sample: dict) -> dict:
        """Apply the leading fixed transforms."""
        return _applied(self.transforms[: self.fixed], sample)

    def finish(self, sample: dict) -> dict:
        """Apply the transforms after the leading fixed ones."""
        return _applied(self.transforms[self.fixed :], sample)

    def __repr__(self) -> str:
        return f'Compose([{", ".join(type(step).__name__ for step in self.transforms)}])'


def _applied(transforms: Sequence[Callable[[dict], dict]], sample: dict) -> dict:
    with np.errstate(all='ignore'):  # what is not finite is for a loss to say, once
        for transform in transforms:
            sample = transform(sample)
    return sample
