"""The benchmarks: how to recognise their annotation files, and what must be in them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from aclnet.errors import ACLNetError, nearest

__all__ = ['BENCHMARKS', 'Benchmark', 'Protocol', 'get', 'of_file', 'recognise', 'stem']

_ODD = frozenset(range(1, 1000, 2))
_SUBJECTS_60 = frozenset({1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38})
_SUBJECTS_120 = _SUBJECTS_60 | {
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94),
    *(95, 97, 98, 100, 103),
}
_NTU = re.compile(r'S(?P<setup>\d{3})C(?P<camera>\d{3})P(?P<subject>\d{3})R\d{3}A(?P<action>\d{3})')
_UTD = re.compile(r'a(?P<action>\d{1,2})_s(?P<subject>\d{1,2})_t\d{1,2}')
_MSR = re.compile(r'a(?P<action>\d{2})_s(?P<subject>\d{2})_e\d{2}')
_UCLA = re.compile(r'a(?P<action>\d{2})_s\d{2}_e\d{2}_v(?P<view>\d{2})')


@dataclass(frozen=True)
class Protocol:
    """How a benchmark divides its samples: training has those whose ``part`` of the identifier is in ``train``."""

    part: str
    train: frozenset[int]


@dataclass(frozen=True)
class Benchmark:
    """What is publicly known of a benchmark; None or empty where nothing is.

    Attributes:
        name: key in ``BENCHMARKS``.
        title: for reports.
        classes: how many.
        joints: of its annotation file.
        stem: name of its annotation file without ``.pkl``.
        names: the list of its classes' names, see :func:`aclnet.benchmarks.class_names`.
        samples: how many the published annotation file has.
        recorded: how many were recorded.
        splits: {name: samples}.
        frames: the shortest and the longest sample.
        identifier: of samples, with the parts that ``protocols`` name and the number of the action.
        actions: the actions' numbers in identifiers, in the order of the labels.
        protocols: {split without _train and _val: how it divides}.
    """

    name: str
    title: str
    classes: int
    joints: int
    stem: str
    names: str | None = None
    samples: int | None = None
    recorded: int | None = None
    splits: dict[str, int] = field(default_factory=dict)
    frames: tuple[int, int] | None = None
    identifier: re.Pattern | None = None
    actions: tuple[int, ...] = ()
    protocols: dict[str, Protocol] = field(default_factory=dict)


_ALL = (
    Benchmark(
        'ntu60',
        'NTU RGB+D 60',
        classes=60,
        joints=25,
        stem='ntu60_3danno',
        names='ntu120',
        samples=56578,
        recorded=56880,
        splits=dict(xsub_train=40091, xsub_val=16487, xview_train=37646, xview_val=18932),
        identifier=_NTU,
        actions=tuple(range(1, 61)),
        protocols=dict(xsub=Protocol('subject', _SUBJECTS_60), xview=Protocol('camera', frozenset({2, 3}))),
    ),
    Benchmark(
        'ntu120',
        'NTU RGB+D 120',
        classes=120,
        joints=25,
        stem='ntu120_3danno',
        names='ntu120',
        samples=113945,
        recorded=114480,
        splits=dict(xsub_train=63026, xsub_val=50919, xset_train=54468, xset_val=59477),
        identifier=_NTU,
        actions=tuple(range(1, 121)),
        protocols=dict(xsub=Protocol('subject', _SUBJECTS_120), xset=Protocol('setup', frozenset(range(2, 33, 2)))),
    ),
    Benchmark('pku_mmd', 'PKU-MMD', classes=51, joints=25, stem='pku_mmd', names='pku_mmd'),
    Benchmark('k400', 'Kinetics-400', classes=400, joints=17, stem='k400_hrnet', names='k400'),
    Benchmark('finegym', 'FineGYM', classes=99, joints=17, stem='gym_hrnet'),
    Benchmark('ucf101', 'UCF101', classes=101, joints=17, stem='ucf101_hrnet', names='ucf101'),
    Benchmark('hmdb51', 'HMDB51', classes=51, joints=17, stem='hmdb51_hrnet', names='hmdb51'),
    Benchmark('diving48', 'Diving48', classes=48, joints=17, stem='diving48_hrnet'),
    Benchmark(
        'nw_ucla',
        'NW-UCLA',
        classes=10,
        joints=20,
        stem='nw_ucla',
        names='nw_ucla',
        identifier=_UCLA,
        actions=(1, 2, 3, 4, 5, 6, 8, 9, 11, 12),
        protocols=dict(xview=Protocol('view', frozenset({1, 2}))),
    ),
    Benchmark(
        'utd_mhad',
        'UTD-MHAD',
        classes=27,
        joints=20,
        stem='utd_mhad',
        names='utd_mhad',
        samples=861,
        splits=dict(xsub_train=431, xsub_val=430),
        frames=(41, 125),
        identifier=_UTD,
        actions=tuple(range(1, 28)),
        protocols=dict(xsub=Protocol('subject', _ODD)),
    ),
    Benchmark(
        'msr_action3d',
        'MSRAction3D',
        classes=20,
        joints=20,
        stem='msr_action3d',
        names='msr_action3d',
        identifier=_MSR,
        actions=tuple(range(1, 21)),
        protocols=dict(xsub=Protocol('subject', _ODD)),
    ),
    Benchmark('sbu', 'SBU Kinect Interaction', classes=8, joints=15, stem='sbu', names='sbu'),
)
BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}


def get(name: str) -> Benchmark:
    """The benchmark called ``name``; raises ``ACLNetError`` and lists the known ones if there is none."""
    if name not in BENCHMARKS:
        raise ACLNetError(f"there is no benchmark '{name}'{nearest(name, BENCHMARKS)} (known: {', '.join(BENCHMARKS)})")
    return BENCHMARKS[name]


def of_file(path: str | os.PathLike) -> Benchmark | None:
    """The benchmark whose annotation file has the name of ``path``, a pickle or a store."""
    name = os.path.basename(stem(path))
    return next((benchmark for benchmark in _ALL if benchmark.stem == name), None)


def stem(path: str | os.PathLike) -> str:
    """The path of a pickle without ``.pkl``, or of the store that was packed from it, without ``.pkl.store``."""
    return os.path.normpath(path).removesuffix('.store').removesuffix('.pkl')


def recognise(path: str | os.PathLike, identifiers: Collection[str]) -> Benchmark | None:
    """The benchmark of an annotation file: by the file's name, else by the samples' identifiers.

    Identifiers decide where nearly as many samples are there as the benchmark has: parts of one, and made data that is
    named like one, are no benchmark.
    """
    named = of_file(path)
    if named is not None:
        return named
    for benchmark in _ALL:
        if benchmark.identifier is None or benchmark.samples is None:
            continue
        if not 0.99 * benchmark.samples <= len(identifiers) <= 1.01 * benchmark.samples:
            continue
        matches = Counter(bool(benchmark.identifier.fullmatch(name)) for name in identifiers)
        if matches[True] >= 0.99 * len(identifiers):
            return benchmark
    return None
