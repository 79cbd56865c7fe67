"""What a conversion may be asked for beside its source, input and output."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from aclnet.errors import ACLNetError
from aclnet.limits import MAX_PERSONS

__all__ = ['SPLIT_RULES', 'Options']

SPLIT_RULES = ('subject', 'stratified')


@dataclass(frozen=True)
class Options:
    """The options that readers look at; each belongs to the sources that its comment names.

    Attributes:
        missing: file of names to leave out (NTU).
        denoise: drop tracks that are no body (NTU).
        labels: where the labels are (PKU-MMD: a folder, Kinetics by OpenPose: a folder, custom: a CSV file).
        keep_splits: the splits to keep, all where none is named (hrnet, kinetics).
        persons: how many to keep per frame, by score (kinetics_openpose, custom).
        custom: how the files of 'custom' look.
        lists: name of a split → file of its identifiers, instead of the benchmark's own splits (all).
        by: one of ``SPLIT_RULES`` instead of the benchmark's own splits (all).
        val_share: share of the subjects or samples that ``by`` puts into 'val'.
        val_subjects: these instead of a share of the subjects.
        seed: of the draw of ``by``.
    """

    missing: str | None = None
    denoise: bool = True
    labels: str | None = None
    keep_splits: tuple[str, ...] = ()
    persons: int = 2
    custom: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    by: str | None = None
    val_share: float = 0.2
    val_subjects: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.val_share) and 0 < self.val_share < 1):
            raise ACLNetError(f'--val-share must be between 0 and 1, got {self.val_share}')
        if not 1 <= self.persons <= MAX_PERSONS:
            raise ACLNetError(f'--persons must be from 1 to {MAX_PERSONS}, got {self.persons}')
        if self.seed < 0:
            raise ACLNetError(f'--seed must be at least 0, got {self.seed}')
        if self.by is not None and self.lists:
            raise ACLNetError('splits come from --split or from --by, not from both; leave out one')
        if self.val_subjects and self.by != 'subject':
            raise ACLNetError('--val-subjects needs --by subject')
