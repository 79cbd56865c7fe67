"""Names of the benchmarks' classes: ``classes/*.txt``, one name per line, line 1 being class 0.

Where they are from, and how sure it is that labels count in this order:

- ntu120 (its first 60 are NTU RGB+D 60's), pku_mmd, utd_mhad, msr_action3d, nw_ucla: the authors' lists of actions,
  whose numbers are in the names or label files of the recordings. Sure.
- k400: Kinetics' own labels in alphabetical order, as everyone numbers them. Sure.
- sbu: the authors' folders 01 to 08. Rather sure.
- hmdb51, ucf101: alphabetical, as the official lists of splits count them. Sure for the names; an annotation file may
  count otherwise.
- FineGYM (gym99) and Diving48 aren't here: download the authors' list of categories, and save it with one name per line
  as ``<annotation file without .pkl>_classes.txt``, where all reports look first.
"""

from __future__ import annotations

import os
from importlib.resources import files

from aclnet.benchmarks.table import get, of_file, stem
from aclnet.errors import ACLNetError
from aclnet.files import read_text

__all__ = ['class_names', 'names_for']


def class_names(benchmark: str) -> list[str] | None:
    """The names of a benchmark's classes, in the order of the labels; None where this project has no list.

    Raises:
        ACLNetError: there is no such benchmark; the nearest is suggested.
    """
    known = get(benchmark)
    if known.names is None:
        return None
    text = (files('aclnet.benchmarks') / 'classes' / f'{known.names}.txt').read_text(encoding='utf-8')
    return text.splitlines()[: known.classes]


def names_for(ann_file: str | os.PathLike, classes: int | None = None, path: str | None = None) -> list[str] | None:
    """The class names of a data set: those of a file that the user names, of one beside the data, of the benchmark.

    Args:
        ann_file: annotation file or store; the file beside it is ``<ann_file without .pkl>_classes.txt``.
        classes: how many there must be, if that is known.
        path: text file with a name per line.

    Returns:
        the names, or None where there are none. Names that were not asked for by ``path`` and are of another number
        than ``classes`` don't count.

    Raises:
        ACLNetError: ``path`` cannot be read, or has another number of names than ``classes``.
    """
    if path is not None:
        found = read_text(path, f'file of class names {path}').splitlines()
        if classes is not None and len(found) != classes:
            raise ACLNetError(f'there are {classes} classes but {len(found)} names in {path}')
        return found
    beside = f'{stem(ann_file)}_classes.txt'
    if os.path.exists(beside):
        found = read_text(beside, f'file of class names {beside}').splitlines()
        if classes is None or len(found) == classes:
            return found
    benchmark = of_file(ann_file)
    names = None if benchmark is None else class_names(benchmark.name)
    return names if names is not None and classes in (None, len(names)) else None
