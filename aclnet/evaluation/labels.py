"""Labels for score files that come without a side file."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

import numpy as np

from aclnet.errors import ACLNetError, names, nearest, shown
from aclnet.files import load_pickle

__all__ = ['read_labels', 'split_of_config']


def read_labels(ann_file: str | os.PathLike, split: str | None = None) -> tuple[list[str], list[int]]:
    """Identifiers and labels of a PYSKL annotation file, in its own order.

    Args:
        ann_file: pickle of dict(split, annotations), or of a bare list of annotations.
        split: name of the split to keep; all annotations if None and the file declares no splits.

    Raises:
        ACLNetError: no such file or split, or a file that holds no such annotations.
    """
    ann_file = os.fspath(ann_file)
    content = load_pickle(ann_file, 'annotation file')
    splits: dict = {}
    annotations = content
    if isinstance(content, dict):
        splits, annotations = content.get('split') or {}, content.get('annotations')
    if not isinstance(annotations, list) or not all(isinstance(a, dict) and 'label' in a for a in annotations):
        raise ACLNetError(f'{ann_file} is not an annotation file: it must hold a list of annotations with labels')
    if not isinstance(splits, dict) or not all(
        isinstance(listed, (list, tuple, np.ndarray)) for listed in splits.values()
    ):
        raise ACLNetError(f'{ann_file} is not an annotation file: its splits must be lists of identifiers')
    key = 'filename' if annotations and 'filename' in annotations[0] else 'frame_dir'
    if split is None and splits:
        raise ACLNetError(f'{ann_file} has the splits {names(splits)}: say which one was tested with --split')
    if split is not None:
        if split not in splits:
            known = f'it has {names(splits)}' if splits else 'it has no splits'
            raise ACLNetError(f"split '{split}' is not in {ann_file}{nearest(split, splits)}; {known}")
        wanted = {name for name in splits[split] if isinstance(name, str)}
        annotations = [a for a in annotations if isinstance(a.get(key), str) and a[key] in wanted]
    for a in annotations:
        if not isinstance(a['label'], Integral):
            raise ACLNetError(
                f'{ann_file}: annotation {shown(a.get(key))} needs one class as label, got {shown(a["label"])}'
            )
    return [str(a.get(key)) for a in annotations], [int(a['label']) for a in annotations]


def split_of_config(config: str | os.PathLike) -> tuple[str, str | None]:
    """Annotation file and split of a config's test set.

    Raises:
        ACLNetError: the config cannot be read or has no ``data.test`` with an annotation file.
    """
    from mmcv import Config

    from aclnet import compat  # noqa: F401  mmcv must be imported through it

    try:
        test = Config.fromfile(str(Path(config))).data.test
        return test.ann_file, test.get('split')
    except Exception as error:  # a config is Python, so reading one can raise anything
        raise ACLNetError(f'{config} names no test set ({type(error).__name__}: {error})') from None
