"""Packing an annotation file whose poses lie in raw files, as Kinetics-Skeleton is published, into one store."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import NamedTuple

from tqdm import tqdm

from aclnet.datasets.annotations.opening import source_of, store_of
from aclnet.datasets.annotations.packing import StoreWriter
from aclnet.datasets.annotations.pickles import load_annotations
from aclnet.datasets.annotations.raw_files import RawFiles
from aclnet.errors import ACLNetError

__all__ = ['PackSummary', 'pack_kinetics']

_FLUSH = 4096  # samples between two places from where an interrupted packing goes on
_KEEP = 16  # raw files in memory


class PackSummary(NamedTuple):
    """What ``pack_kinetics`` did.

    Attributes:
        path: of the store.
        samples: how many it holds.
        dropped: (identifier, why) of those that it doesn't.
        resumed: after how many samples an interrupted packing was gone on with.
    """

    path: str
    samples: int
    dropped: list[tuple[str, str]]
    resumed: int


def pack_kinetics(
    light: str | os.PathLike,
    kpfiles: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    drop_broken: bool = False,
    progress: bool = True,
) -> PackSummary:
    """Pack annotations together with the poses of their raw files. A packing that was interrupted is gone on with.

    Memory holds the annotation file, 16 raw files and 500 bytes for each split's identifier, whatever the number of
    poses.

    Args:
        light: the annotation pickle; annotations that have their ``keypoint`` in it are packed as they are.
        kpfiles: the unpacked folder of raw files; None looks for them where training would.
        out: the store; None puts it beside the pickle, where every config that names the pickle finds it.
        drop_broken: whether to leave out samples whose poses are missing or damaged; else the first is an error.
        progress: whether to show a bar.

    Raises:
        ACLNetError: a file is missing or damaged, or the store cannot be written.
    """
    light = os.fspath(light)
    path = store_of(light) if out is None else os.fspath(out)
    file = load_annotations(light)
    raw_files = RawFiles(light, _KEEP, folders=() if kpfiles is None else (os.fspath(kpfiles),))
    if not drop_broken:
        for annotation in _first_of_each_file(file.annotations):
            raw_files.find(annotation)  # better now than after an hour
    about = dict(source=source_of(light), poses='raw files')
    with StoreWriter(path, about, resume=True) as writer:
        begin, dropped = writer.note or (0, [])
        dropped = [(name, reason) for name, reason in dropped]
        resumed = len(writer)
        if begin:
            logging.getLogger('aclnet').info('%s: going on after %d samples', path, begin)
        bar = tqdm(
            file.annotations[begin:], 'packing', len(file.annotations), initial=begin, disable=not progress, leave=False
        )
        for position, annotation in enumerate(bar, begin):
            try:
                poses = {} if 'keypoint' in annotation else raw_files.read(annotation)
            except ACLNetError as error:
                if not drop_broken:
                    raise
                dropped.append((annotation[file.identifier], str(error)))
                continue
            writer.add({**annotation, **poses})
            if position % _FLUSH == _FLUSH - 1:
                writer.flush((position + 1, dropped))
        writer.close(file.splits)
        return PackSummary(path, len(writer), dropped, resumed)


def _first_of_each_file(annotations: list[dict]) -> Iterator[dict]:
    seen = set()
    for annotation in annotations:
        raw_file = annotation.get('raw_file')
        if 'keypoint' not in annotation and raw_file not in seen:
            seen.add(raw_file)
            yield annotation
