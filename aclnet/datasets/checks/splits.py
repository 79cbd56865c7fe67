"""Whether splits name samples that are there, and keep training and testing apart."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from aclnet.datasets.checks.data import Data
from aclnet.datasets.checks.findings import Finding

__all__ = ['protocol_of', 'split_coverage', 'split_form', 'split_members', 'split_overlap']

_ROLE = re.compile('train|val|test')


def protocol_of(split: str) -> str:
    """What splits have in common that divide the same samples: ``xsub_`` of ``xsub_train``."""
    return _ROLE.sub('', split)


def split_form(data: Data) -> Iterator[Finding]:
    """Splits are lists of identifiers, and not empty."""
    for name, found in data.bad_splits.items():
        yield Finding(
            'splits',
            f"split '{name}' must be a list of identifiers, and is {found}",
            'write dict(split={name: [identifier, ...]}, annotations=[...])',
        )
    empty = [name for name, members in (data.splits or {}).items() if not members]
    if empty:
        yield Finding('splits', f'{len(empty)} splits are empty', 'fill them or take them out', empty)


def split_members(data: Data) -> Iterator[Finding]:
    """Whatever a split lists is there, and listed once."""
    known = {sample.name for sample in data.samples if sample.named}
    for name, members in (data.splits or {}).items():
        unknown = [member for member in dict.fromkeys(members) if member not in known]
        if unknown:
            yield Finding(
                'splits',
                f"{len(unknown):,} of {len(set(members)):,} identifiers of split '{name}' have no annotation",
                'make or download the file again if samples are lost; else take them out of the split',
                unknown,
            )
        twice = [member for member, times in Counter(members).items() if times > 1]
        if twice:
            yield Finding(
                'splits',
                f"split '{name}' lists {len(twice):,} identifiers more than once",
                'they count once; list them once',
                twice,
                problem=False,
            )


def split_overlap(data: Data) -> Iterator[Finding]:
    """No sample is both trained on and tested with."""
    splits = data.splits or {}
    for one, other in itertools.combinations(splits, 2):
        roles, others = set(_ROLE.findall(one)), set(_ROLE.findall(other))
        if not roles or not others or roles & others or protocol_of(one) != protocol_of(other):
            continue
        second = set(splits[other])
        both = [name for name in dict.fromkeys(splits[one]) if name in second]
        if both:
            yield Finding(
                'splits',
                f"{len(both):,} samples are in both '{one}' and '{other}'",
                'take them out of one: accuracy on samples that were trained on says nothing',
                both,
            )


def split_coverage(data: Data) -> Iterator[Finding]:
    """Every sample is in a split."""
    if not data.splits:
        return
    listed = set(itertools.chain.from_iterable(data.splits.values()))
    unused = [sample.name for sample in data.samples if sample.named and sample.name not in listed]
    if unused:
        yield Finding(
            'splits',
            f'{len(unused):,} samples are in no split',
            'add them to a split if they should be used',
            unused,
            problem=False,
        )
