"""Splits: by what is known of the samples, from files of identifiers, by subject, or stratified by class."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from aclnet.benchmarks import BENCHMARKS
from aclnet.conversion.options import Options
from aclnet.errors import ACLNetError, names
from aclnet.files import read_text

__all__ = ['from_options', 'listed', 'natural', 'official', 'sections']

Facts = dict[str, dict[str, Any]]
_HEADING = re.compile(r'^\W*(train\w*|valid\w*|val|test\w*)\b[^,:\d]*:', re.I)


def official(benchmark: str, facts: Facts) -> dict[str, list[str]]:
    """The splits of the benchmark's protocols; ``facts`` have the parts of names that these go by."""
    splits: dict[str, list[str]] = {}
    for title, protocol in BENCHMARKS[benchmark].protocols.items():
        splits[f'{title}_train'] = [name for name, fact in facts.items() if fact[protocol.part] in protocol.train]
        splits[f'{title}_val'] = [name for name, fact in facts.items() if fact[protocol.part] not in protocol.train]
    return splits


def listed(path: str) -> set[str]:
    """The names in a file, between spaces, commas or new lines; an ending such as ``.skeleton`` is left out.

    Raises:
        ACLNetError: the file is missing, no text, or empty.
    """
    return set(_words(read_text(path, f'list {path}'), path))


def _words(text: str, path: str) -> list[str]:
    words = [word.strip('\'"[]') for word in re.split(r'[\s,]+', text)]
    words = [re.sub(r'\.(skeleton|txt|mat|json|npy|npz|csv|avi|mp4)$', '', word) for word in words if word]
    if not words:
        raise ACLNetError(f'list {path} holds no names; it should hold one a line')
    return words


def sections(path: str) -> dict[str, set[str]]:
    """The names under the headings of a file such as PKU-MMD's ``cross-subject.txt``, as 'train' and 'val'.

    Raises:
        ACLNetError: the file is missing, or lacks one of the two headings or names below it.
    """
    parts: dict[str, list[str]] = {'train': [], 'val': []}
    current = None
    for line in read_text(path, f'list {path}').splitlines():
        heading = _HEADING.match(line)
        if heading:
            current = parts['train' if heading[1].lower().startswith('train') else 'val']
            line = line[heading.end() :]
        if current is not None:
            current.append(line)
    lacking = [title for title, lines in parts.items() if not ' '.join(lines).strip()]
    if lacking:
        raise ACLNetError(
            f'list {path} must have names under the headings "Training videos:" and "Validation videos:", '
            f'but has none for {lacking[0]}'
        )
    return {title: set(_words('\n'.join(lines), path)) for title, lines in parts.items()}


def from_options(options: Options, facts: Facts) -> dict[str, list[str]] | None:
    """The splits that were asked for instead of the benchmark's own, or None.

    A list may name samples, or the recordings that they were cut from.

    Raises:
        ACLNetError: a list names no sample, or subjects aren't known.
    """
    if options.lists:
        return {title: _from_list(title, path, facts) for title, path in options.lists.items()}
    if options.by == 'subject':
        return _by_subject(options, facts)
    if options.by == 'stratified':
        return _stratified(options, facts)
    return None


def _from_list(title: str, path: str, facts: Facts) -> list[str]:
    wanted = listed(path)
    chosen = [name for name, fact in facts.items() if name in wanted or fact.get('recording') in wanted]
    if not chosen:
        raise ACLNetError(
            f"list {path} of split '{title}' names no sample; names look like {names(list(facts)[:3])}, "
            f'those of the list like {names(sorted(wanted)[:3])}'
        )
    return chosen


def _by_subject(options: Options, facts: Facts) -> dict[str, list[str]]:
    unknown = [name for name, fact in facts.items() if fact.get('subject') is None]
    if unknown:
        raise ACLNetError(f'--by subject needs the subject of every sample, but that of {unknown[0]} is not known')
    subjects = sorted({str(fact['subject']) for fact in facts.values()}, key=natural)
    val = set(options.val_subjects)
    strangers = val - set(subjects)
    if strangers:
        raise ACLNetError(f'--val-subjects names {names(sorted(strangers))}, but there are {names(subjects)}')
    if not val:
        if len(subjects) < 2:
            raise ACLNetError(f'--by subject needs at least two subjects, but there are {names(subjects)}')
        order = np.random.default_rng(options.seed).permutation(len(subjects))
        val = {subjects[place] for place in order[: _share(options, len(subjects))]}
    return _named(facts, {name for name, fact in facts.items() if str(fact['subject']) in val})


def _stratified(options: Options, facts: Facts) -> dict[str, list[str]]:
    """Of every class the same share; a class of one sample is for training."""
    rng = np.random.default_rng(options.seed)
    by_class: dict[int, list[str]] = {}
    for name in sorted(facts):
        by_class.setdefault(facts[name]['label'], []).append(name)
    val: set[str] = set()
    for label in sorted(by_class):
        members = by_class[label]
        if len(members) > 1:
            val.update(members[place] for place in rng.permutation(len(members))[: _share(options, len(members))])
    return _named(facts, val)


def _share(options: Options, count: int) -> int:
    return min(max(round(options.val_share * count), 1), count - 1)


def _named(facts: Facts, val: Iterable[str]) -> dict[str, list[str]]:
    chosen = set(val)
    return dict(train=[name for name in facts if name not in chosen], val=[name for name in facts if name in chosen])


def natural(text: str) -> tuple:
    """A key that sorts '2' before '10'."""
    return tuple((0, int(part), '') if part.isdigit() else (1, 0, part) for part in re.split(r'(\d+)', text) if part)
