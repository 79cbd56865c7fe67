"""Whether the same poses occur under several names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from aclnet.datasets.checks.data import Data, Sample
from aclnet.datasets.checks.findings import Finding
from aclnet.datasets.checks.splits import protocol_of

__all__ = ['copies', 'copies_across_splits', 'copies_of_other_class']

Group = list[Sample]  # whose poses are the same to the last bit


def _groups(data: Data) -> list[Group]:
    """The samples that are copies, those without a pose apart."""
    found: dict[bytes, Group] = {}
    for sample, poses in data.with_poses():
        if not poses.all_zero and not poses.empty:
            found.setdefault(poses.digest, []).append(sample)
    return [group for group in found.values() if len(group) > 1]


def _told(groups: list[Group]) -> list[str]:
    return [' = '.join(sample.name for sample in group) for group in groups]


def _has_several_labels(group: Group) -> bool:
    return len({sample.labels for sample in group}) > 1


def _across(data: Data, groups: list[Group]) -> dict[tuple[str, str], list[Group]]:
    """{(split of training, split of testing): groups of which each has a part}."""
    splits = {name: set(members) for name, members in (data.splits or {}).items()}
    found = {}
    for train, test in itertools.permutations(splits, 2):
        if 'train' not in train or 'train' in test or protocol_of(train) != protocol_of(test):
            continue
        shared = []
        for group in groups:
            trained = {sample.name for sample in group if sample.name in splits[train]}
            tested = {sample.name for sample in group if sample.name in splits[test]}
            if trained and tested and len(trained | tested) > 1:
                shared.append(group)
        if shared:
            found[train, test] = shared
    return found


def copies(data: Data) -> Iterator[Finding]:
    """No sample is a copy of another, in one split and of one class."""
    groups = [group for group in _groups(data) if not _has_several_labels(group)]
    told = {id(group) for shared in _across(data, groups).values() for group in shared}
    groups = [group for group in groups if id(group) not in told]
    if groups:
        yield Finding(
            'duplicates',
            f'{sum(map(len, groups)):,} samples are copies of one another, of {len(groups):,} different clips',
            'keep one of each: copies weigh more than other samples',
            _told(groups),
            problem=False,
        )


def copies_of_other_class(data: Data) -> Iterator[Finding]:
    """Copies have the same label."""
    groups = [group for group in _groups(data) if _has_several_labels(group)]
    if groups:
        yield Finding(
            'duplicates',
            f'{len(groups):,} clips occur under several labels',
            'find out which label is right, and drop the others',
            _told(groups),
        )


def copies_across_splits(data: Data) -> Iterator[Finding]:
    """No copy of a training sample is tested."""
    for (train, test), groups in _across(data, _groups(data)).items():
        yield Finding(
            'duplicates',
            f"{len(groups):,} clips of '{test}' are also in '{train}' under another name",
            'drop one of them: accuracy on clips that were trained on says nothing',
            _told(groups),
        )
