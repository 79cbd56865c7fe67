"""Whether a benchmark's file is what everyone's accuracies were measured on."""

from __future__ import annotations

from collections.abc import Iterator

from aclnet.datasets.checks.data import Data
from aclnet.datasets.checks.findings import Finding

__all__ = [
    'expected_frames',
    'expected_labels',
    'expected_names',
    'expected_samples',
    'expected_splits',
    'official_splits',
]

_INCOMPARABLE = 'accuracies on it cannot be compared with published ones; download or convert the file again'


def expected_samples(data: Data) -> Iterator[Finding]:
    """The file has as many samples as the published one."""
    known = data.benchmark
    if known is None or known.samples is None or len(data.samples) == known.samples:
        return
    count = len(data.samples)
    what = f'{known.title} has {known.samples:,} samples, this file has {count:,}'
    if known.recorded is not None:
        without = known.recorded - known.samples
        what += f'; {known.recorded:,} were recorded, {without} of them without skeletons'
        if count == known.recorded:
            yield Finding('expected', what, f'drop the {without} samples on the official list: they have no skeleton')
            return
    yield Finding('expected', what, _INCOMPARABLE)


def expected_splits(data: Data) -> Iterator[Finding]:
    """The benchmark's splits are there, and as large as published."""
    if data.benchmark is None or not data.benchmark.splits:
        return
    splits = data.splits or {}
    lacking = [name for name in data.benchmark.splits if name not in splits and name not in data.bad_splits]
    if lacking:
        yield Finding(
            'expected',
            f'{len(lacking)} splits of {data.benchmark.title} are not there',
            'convert or download the file again: the configs name them',
            lacking,
        )
    for name, size in data.benchmark.splits.items():
        if name in splits and splits[name] and len(set(splits[name])) != size:
            yield Finding(
                'expected',
                f"split '{name}' of {data.benchmark.title} has {size:,} samples, here {len(set(splits[name])):,}",
                _INCOMPARABLE,
            )


def expected_names(data: Data) -> Iterator[Finding]:
    """Identifiers are the benchmark's."""
    if data.benchmark is None or data.benchmark.identifier is None:
        return
    form = data.benchmark.identifier
    odd = [sample.name for sample in data.samples if sample.named and not form.fullmatch(sample.name)]
    if odd:
        yield Finding(
            'expected',
            f'{len(odd):,} identifiers are not like those of {data.benchmark.title}',
            "keep the recordings' names: splits and labels can be checked by them",
            odd,
            problem=False,
        )


def expected_labels(data: Data) -> Iterator[Finding]:
    """Labels are the actions that the identifiers name."""
    if data.benchmark is None or data.benchmark.identifier is None or not data.benchmark.actions:
        return
    label_of = {action: label for label, action in enumerate(data.benchmark.actions)}
    wrong = []
    for sample in data.samples:
        parts = data.benchmark.identifier.fullmatch(sample.name)
        if parts and sample.labels and sample.labels != (label_of.get(int(parts['action'])),):
            wrong.append(sample.name)
    if wrong:
        yield Finding(
            'expected',
            f'{len(wrong):,} labels are not the actions that the identifiers name',
            'convert or download the file again; labels count from 0, actions from 1',
            wrong,
        )


def official_splits(data: Data) -> Iterator[Finding]:
    """Splits have the official subjects, cameras, views or setups."""
    if data.benchmark is None or data.benchmark.identifier is None:
        return
    for protocol, division in data.benchmark.protocols.items():
        for role in ('train', 'val'):
            wrong = []
            for name in (data.splits or {}).get(f'{protocol}_{role}', ()):
                parts = data.benchmark.identifier.fullmatch(name)
                if parts and (int(parts[division.part]) in division.train) != (role == 'train'):
                    wrong.append(name)
            if wrong:
                yield Finding(
                    'expected',
                    f"{len(wrong):,} samples of '{protocol}_{role}' belong to the other side by their {division.part}",
                    _INCOMPARABLE,
                    wrong,
                )


def expected_frames(data: Data) -> Iterator[Finding]:
    """Samples are as long as the benchmark's."""
    if data.benchmark is None or data.benchmark.frames is None:
        return
    low, high = data.benchmark.frames
    odd = [s.name for s, p in data.with_poses() if len(p.shape) == 4 and p.shape[1] and not low <= p.shape[1] <= high]
    if odd:
        yield Finding(
            'expected',
            f'{len(odd):,} samples are shorter or longer than those of {data.benchmark.title}, {low} to {high} frames',
            _INCOMPARABLE,
            odd,
        )
