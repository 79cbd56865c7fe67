"""Poses that live outside the annotation file: pickles ``{frame_dir: dict(keypoint (n, V, 3), frame_inds (n,))}``."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from aclnet.datasets.annotations.sources import KINETICS_POSES
from aclnet.errors import ACLNetError
from aclnet.files import load_pickle

__all__ = ['RawFiles', 'are_poses']


class RawFiles:
    """Reads the poses of an annotation from its ``raw_file``.

    Args:
        ann_file: the annotation file; a ``raw_file`` is relative to the working directory, or else to its folder.
        keep: how many raw files stay in memory, the last used ones: one file holds several clips.
        folders: where to look first, by the path below ``kpfiles`` or else by the name alone.
    """

    def __init__(self, ann_file: str | os.PathLike, keep: int = 4, folders: Sequence[str] = ()) -> None:
        self.folders = tuple(folders)
        self.folder = os.path.dirname(os.fspath(ann_file))
        self.keep = keep
        self._recent: OrderedDict[str, dict] = OrderedDict()

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_recent': OrderedDict()}  # what is kept is a matter of each process

    def read(self, annotation: dict) -> dict[str, np.ndarray]:
        """``dict(keypoint (n, V, 3), frame_inds (n,))`` of an annotation.

        Raises:
            ACLNetError: the file is missing (says where to get it) or damaged, or lacks the poses of this clip.
        """
        name = annotation['frame_dir']
        path = self.find(annotation)
        content = self._load(path)
        if name not in content:
            raise ACLNetError(f'raw file {path} holds no poses of sample {name}; unpack kpfiles.zip anew')
        poses = content[name]
        if not are_poses(poses):
            raise ACLNetError(
                f'raw file {path} holds no poses of sample {name}: it needs '
                'dict(keypoint (n, joints, 3), frame_inds (n,))'
            )
        return {'keypoint': poses['keypoint'], 'frame_inds': poses['frame_inds']}

    def find(self, annotation: dict) -> str:
        """Path of an annotation's raw file.

        Raises:
            ACLNetError: the annotation names none, or it isn't there (says where to get it).
        """
        raw_file = annotation.get('raw_file')
        if not raw_file:
            raise ACLNetError(f'sample {annotation.get("frame_dir")} has neither keypoint nor raw_file')
        below = raw_file.rpartition('kpfiles/')[2]
        first = [os.path.join(folder, name) for folder in self.folders for name in (below, os.path.basename(raw_file))]
        for path in (*first, raw_file, os.path.join(self.folder, raw_file)):
            if os.path.isfile(path):
                return path
        where = f'in {", ".join(self.folders)}' if self.folders else 'in the working directory'
        raise ACLNetError(
            f'raw file {raw_file} of sample {annotation["frame_dir"]} is neither {where} nor in {self.folder or "."}; '
            f'unpack kpfiles.zip from {KINETICS_POSES} under data/k400'
        )

    def _load(self, path: str) -> dict:
        if path in self._recent:
            self._recent.move_to_end(path)
            return self._recent[path]
        content = load_pickle(path, 'raw file')
        if not isinstance(content, dict):
            raise ACLNetError(f'raw file {path} must hold a dict of poses, got {type(content).__name__}')
        self._recent[path] = content
        while len(self._recent) > self.keep:
            self._recent.popitem(last=False)
        return content


def are_poses(value: Any) -> bool:
    """Whether ``value`` is ``dict(keypoint (n, V, 3) of floats, frame_inds (n,) of integers)``."""
    if not isinstance(value, dict):
        return False
    keypoint, frames = value.get('keypoint'), value.get('frame_inds')
    if not isinstance(keypoint, np.ndarray) or not isinstance(frames, np.ndarray):
        return False
    if keypoint.ndim != 3 or keypoint.shape[2] != 3 or keypoint.dtype.kind != 'f':
        return False
    return frames.shape == keypoint.shape[:1] and frames.dtype.kind in 'iu'
