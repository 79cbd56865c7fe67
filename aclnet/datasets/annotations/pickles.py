"""Annotation files in PYSKL's pickle format: ``dict(split={name: [identifier]}, annotations=[dict])``, or a list."""

from __future__ import annotations

import os
import warnings
import weakref
from collections import Counter
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from aclnet.datasets.annotations.sources import hint
from aclnet.errors import ACLNetError, names, shown
from aclnet.files import load_pickle
from aclnet.limits import MAX_FRAMES

__all__ = ['KEYS', 'AnnotationFile', 'check_annotation', 'load_annotations']


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_frames(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and value <= MAX_FRAMES


def _is_scores(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in 'fiu'
    return isinstance(value, (list, tuple)) and all(map(_is_number, value))


def _is_valid_frames(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value)) and all(map(_is_number, value.values()))


KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    'total_frames': (_is_frames, f'a whole number up to {MAX_FRAMES:,}'),
    'frame_dir': (lambda value: isinstance(value, str), 'a string'),
    'raw_file': (lambda value: isinstance(value, str), 'a string'),
    'box_score': (_is_scores, 'one number per pose'),
    'valid': (_is_valid_frames, 'a dict of box thresholds and numbers of frames'),
}  # what an annotation need not have, but must have right


def check_annotation(path: str, position: int, annotation: Any, identifier: str) -> None:
    """Raise ``ACLNetError`` where an annotation of the file ``path`` lacks what it needs or has it wrong."""
    if not isinstance(annotation, dict):
        raise ACLNetError(f'{path}: annotation {position} must be a dict, got {type(annotation).__name__}')
    if not isinstance(annotation.get(identifier), str):
        raise ACLNetError(
            f"{path}: annotation {position} needs a '{identifier}' string, got {shown(annotation.get(identifier))}"
        )
    if 'label' not in annotation:
        raise ACLNetError(f"{path}: annotation {annotation[identifier]} needs a 'label'")
    for key, (fits, wanted) in KEYS.items():
        value = annotation.get(key)
        if value is not None and not fits(value):
            raise ACLNetError(
                f'{path}: annotation {annotation[identifier]} needs {wanted} as {key}, got {shown(value)}'
            )


class AnnotationFile:
    """A loaded annotation file. Its annotations are shared by everyone who asks for them: never write into them.

    Args:
        path: how errors name the file.
        content: what it holds.

    Attributes:
        annotations: list of dicts, in the file's order.
        splits: {name: [identifier]}, or None for a bare list.
        identifier: key of the identifiers, ``filename`` if annotations have it, else ``frame_dir``.

    Raises:
        ACLNetError: the content is neither form, there are no annotations, or one lacks its identifier or a label.
    """

    def __init__(self, path: str, content: Any) -> None:
        self.path = path
        self.splits, self.annotations = None, content
        if isinstance(content, dict):
            if not {'split', 'annotations'} <= set(content):
                raise ACLNetError(
                    f"{path} is no annotation file: it needs the keys 'split' and 'annotations', "
                    f'it has {names(content)}'
                )
            self.splits, self.annotations = content['split'], content['annotations']
        if not isinstance(self.annotations, list) or not isinstance(self.splits, (dict, type(None))):
            raise ACLNetError(
                f'{path} is no annotation file: it holds neither a list of annotations nor '
                'dict(split={name: [identifier, ...]}, annotations=[...])'
            )
        if not self.annotations:
            raise ACLNetError(f'{path} holds no annotations')
        first = self.annotations[0]
        self.identifier = 'filename' if isinstance(first, dict) and 'filename' in first else 'frame_dir'
        for position, annotation in enumerate(self.annotations):
            check_annotation(path, position, annotation, self.identifier)
        self._warn_of_doubles()

    def _warn_of_doubles(self) -> None:
        """Clips of one name can be trained on, but neither a split nor a score file tells them apart."""
        count = Counter(annotation[self.identifier] for annotation in self.annotations)
        doubles = [name for name, times in count.items() if times > 1]
        if doubles:
            warnings.warn(
                f"{self.path}: {len(doubles)} '{self.identifier}' occur more than once, the first is {doubles[0]} "
                f'({count[doubles[0]]} annotations), and splits take all annotations of a name; give each its own',
                stacklevel=3,
            )

    def select(self, split: str | None = None) -> list[dict]:
        """The annotations of a split, or all of them, in the file's order.

        Raises:
            ACLNetError: there is no such split, or nothing in it has an annotation.
        """
        if split is None:
            return self.annotations
        if self.splits is None:
            raise ACLNetError(f"split '{split}' is not in {self.path}, a bare list without splits; leave out split")
        if split not in self.splits:
            raise ACLNetError(f"split '{split}' is not in {self.path}; it has {names(self.splits)}")
        listed = self.splits[split]
        listed = listed.tolist() if isinstance(listed, np.ndarray) else listed
        if not isinstance(listed, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in listed):
            raise ACLNetError(
                f"split '{split}' of {self.path} must be a list of identifiers, "
                f'got {type(listed).__name__} {shown(listed)}'
            )
        wanted = set(listed)
        chosen = [annotation for annotation in self.annotations if annotation[self.identifier] in wanted]
        if not chosen:
            raise ACLNetError(
                f"split '{split}' of {self.path} lists {len(wanted)} identifiers, "
                f"none of which is the '{self.identifier}' of an annotation"
            )
        lost = len(wanted) - len({annotation[self.identifier] for annotation in chosen})
        if lost:
            warnings.warn(
                f"split '{split}' of {self.path}: {lost} of {len(wanted)} identifiers have no annotation "
                'and are left out',
                stacklevel=2,
            )
        return chosen


_loaded: weakref.WeakValueDictionary[tuple, AnnotationFile] = weakref.WeakValueDictionary()


def load_annotations(path: str | os.PathLike) -> AnnotationFile:
    """Load an annotation file, once per process for as long as somebody holds it; a changed file is loaded anew.

    Raises:
        ACLNetError: the file is missing (says where to get it), damaged, or no annotation file.
    """
    path = os.fspath(path)
    try:
        status = os.stat(path)
    except OSError:
        raise ACLNetError(f'annotation file {path} does not exist{hint(path)}') from None
    key = (os.path.realpath(path), status.st_mtime_ns, status.st_size)
    found = _loaded.get(key)
    if found is None:
        found = _loaded[key] = AnnotationFile(path, load_pickle(path, 'annotation file'))
    return found
