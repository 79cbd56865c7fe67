"""The poses of a recording of one's own, whatever kind of file they are in."""

from __future__ import annotations

import math
import os
import zipfile
from typing import Any

import numpy as np

from aclnet.conversion.base import Recording, broken
from aclnet.conversion.declaration import INPUT_JOINTS, Declaration
from aclnet.conversion.people import arrange, flat
from aclnet.conversion.splits import natural
from aclnet.conversion.text import json_of, lines_of, table
from aclnet.errors import names
from aclnet.limits import MAX_FRAMES, MAX_PERSONS, MAX_VALUES

__all__ = ['poses_of']

_NEEDED = ('frame', 'joint', 'x', 'y')


def poses_of(recording: Recording, declared: Declaration, persons: int) -> tuple[np.ndarray, np.ndarray | None]:
    """``keypoint`` (M, T, V, 2 or 3) float32, and for 2D poses ``keypoint_score`` (M, T, V), else None.

    Raises:
        Dropped: the files are damaged, or not as declared.
    """
    if declared.per_frame:
        people = [_people(recording, path, declared.kind) for path in _frames(recording)]
        shapes = {pose.shape for frame in people for pose in frame}
        if len(shapes) > 1:
            raise broken(recording, 'wrong number of joints', f'poses have {names(sorted(shapes))} joints and values')
        keypoint, score = arrange(people, persons)
        poses = np.concatenate([keypoint, score[..., None]], -1)
    elif declared.kind == 'csv':
        poses = _csv(recording)
    else:
        poses = _array(recording, declared)
    if not poses.size:
        return np.zeros((1, 1, declared.joint_count, 3), np.float32), None
    poses = _ordered(recording, declared, poses)
    dimensions = 2 if declared.is_2d else 3
    fitting = (len(declared.channels),) if declared.channels else (dimensions, dimensions + 1)
    if poses.shape[-1] not in fitting:
        wanted = declared.channels or f'{dimensions} coordinates per joint and perhaps a score'
        wrong = f'needs {wanted}, has {poses.shape[-1]} values per joint'
        raise broken(recording, 'wrong number of channels', wrong)
    with np.errstate(over='ignore', invalid='ignore'):
        poses = (poses * _factors(declared, poses.shape[-1])).astype(np.float32)
    keypoint = poses[..., :dimensions]
    if not declared.is_2d:
        return keypoint, None
    if poses.shape[-1] == 2:
        return keypoint, keypoint.any(-1).astype(np.float32)
    return keypoint, poses[..., 2]


def _factors(declared: Declaration, channels: int) -> np.ndarray:
    factors = np.ones(channels)
    factors[: 2 if declared.is_2d else 3] = declared.scale
    if declared.normalised and declared.size:
        factors[:2] *= declared.size[::-1]
    return factors


def _ordered(recording: Recording, declared: Declaration, poses: np.ndarray) -> np.ndarray:
    """The joints of the layout, in its order."""
    chosen = declared.selection
    if chosen is None and declared.kind == 'openpose' and declared.layout == 'openpose' and poses.shape[2] == 25:
        chosen = INPUT_JOINTS['body25'][1]
    if chosen is not None:
        if max(chosen) >= poses.shape[2]:
            wrong = f'joint {max(chosen)} is chosen, but there are {poses.shape[2]}'
            raise broken(recording, 'wrong number of joints', wrong)
        return poses[:, :, list(chosen)]
    if poses.shape[2] != declared.joint_count:
        wrong = f"layout '{declared.layout}' has {declared.joint_count} joints, the file {poses.shape[2]}"
        raise broken(recording, 'wrong number of joints', wrong)
    return poses


# ---- arrays
def _array(recording: Recording, declared: Declaration) -> np.ndarray:
    """(M, T, V, C) of an npy or npz file."""
    try:
        if declared.kind == 'npz':
            array = _of_npz(recording, declared.key)
        else:
            array = np.load(recording.path, mmap_mode='r', allow_pickle=False)  # mapped: the header may promise much
    except OSError as error:
        raise broken(recording, 'cannot be read', error.strerror or str(error)) from None
    except (ValueError, zipfile.BadZipFile, EOFError, SyntaxError, MemoryError, KeyError, TypeError):
        raise broken(recording, 'no whole array', f'the file is no whole .{declared.kind} file of numbers') from None
    axes = declared.axes or {3: 'TVC', 4: 'MTVC'}.get(array.ndim, '')
    if array.ndim != len(axes) or array.dtype.kind not in 'fiu' or array.size > MAX_VALUES:
        wrong = f'must be an array of numbers with the axes {axes or "TVC or MTVC"}, got {array.dtype} {array.shape}'
        raise broken(recording, 'wrong shape', wrong)
    if 'M' not in axes:
        array, axes = array[None], f'M{axes}'
    array = array.transpose([axes.index(letter) for letter in 'MTVC'])
    if array.shape[0] > MAX_PERSONS or array.shape[1] > MAX_FRAMES:
        wrong = f'{array.shape[0]} persons and {array.shape[1]} frames are more than any recording has; check axes'
        raise broken(recording, 'wrong shape', wrong)
    return np.array(array, np.float64)


def _of_npz(recording: Recording, key: str | None) -> np.ndarray:
    with zipfile.ZipFile(recording.path) as archive:
        sizes = {entry.filename.removesuffix('.npy'): entry.file_size for entry in archive.infolist()}
    if key is None and len(sizes) != 1:
        raise broken(recording, 'no key', f'the file holds {names(sizes)}; say which by key=...')
    key = next(iter(sizes)) if key is None else key
    if key not in sizes or sizes[key] > 8 * MAX_VALUES:
        raise broken(recording, 'no such key', f"the file has no array '{key}' of a usual size; it has {names(sizes)}")
    with np.load(recording.path, allow_pickle=False) as content:
        return content[key]


# ---- text
def _csv(recording: Recording) -> np.ndarray:
    """(M, T, V, C) of lines ``frame, joint, x, y`` and perhaps ``z``, ``score``, ``person``, in any order."""
    lines = lines_of(recording)
    columns = [column.strip().strip('"').lower() for column in lines[0].decode('utf-8-sig', 'replace').split(',')]
    allowed = {*_NEEDED, 'z', 'score', 'person'}
    if not set(_NEEDED) <= set(columns) or not set(columns) <= allowed or len(set(columns)) != len(columns):
        wrong = f'the first line must name the columns frame, joint, x, y (and z, score, person), got {names(columns)}'
        raise broken(recording, 'no columns', wrong, 1)
    rows = table(recording, lines[1:], len(columns), range(2, len(lines) + 1))
    if not len(rows):
        return np.zeros((0, 0, 0, 3))
    whole = {}
    for column, most in (('frame', 2**53), ('joint', 10_000), ('person', MAX_PERSONS)):
        values = rows[:, columns.index(column)] if column in columns else np.zeros(len(rows))
        wrong_rows = np.flatnonzero(~((values >= 0) & (values <= most) & (values % 1 == 0)))
        if len(wrong_rows):
            wrong = f'{column} must be a whole number from 0 up'
            raise broken(recording, f'no number of a {column}', wrong, int(wrong_rows[0]) + 2)
        whole[column] = values.astype(np.int64)
    frames, at = np.unique(whole['frame'], return_inverse=True)
    people, who = np.unique(whole['person'], return_inverse=True)
    channels = [column for column in ('x', 'y', 'z', 'score') if column in columns]
    shape = (len(people), len(frames), int(whole['joint'].max()) + 1, len(channels))
    if math.prod(shape) > MAX_VALUES or len(frames) > MAX_FRAMES:
        raise broken(recording, 'too long', f'{shape} persons, frames, joints and values are more than any has')
    poses = np.zeros(shape)
    poses[who, at, whole['joint']] = rows[:, [columns.index(column) for column in channels]]
    return poses


# ---- JSON, a file per frame
def _frames(recording: Recording) -> list[str]:
    found = [entry.path for entry in os.scandir(recording.path) if entry.name.endswith('.json')]
    if not found:
        raise broken(recording, 'no frames', 'the folder has no .json file')
    if len(found) > MAX_FRAMES:
        raise broken(recording, 'too long', f'{len(found)} frames are more than any recording has')
    return sorted(found, key=natural)


def _people(recording: Recording, path: str, kind: str) -> list[np.ndarray]:
    """The people of a frame, each (V, 3) x y score."""
    content = json_of(recording, path)
    lists = ('people',) if kind == 'openpose' else ('annotations', 'instances', 'people')
    if isinstance(content, dict):
        content = next((content[key] for key in lists if key in content), None)
    if not isinstance(content, list) or len(content) > MAX_PERSONS:
        raise broken(recording, 'no people', f'{os.path.basename(path)} must have a list {" or ".join(lists)}')
    poses = [_pose(person) for person in content]
    if any(pose is None for pose in poses):
        wrong = f'{os.path.basename(path)}: a person needs x, y and score of every joint'
        raise broken(recording, 'wrong number of values', wrong)
    return [pose for pose in poses if pose is not None]


def _pose(person: Any) -> np.ndarray | None:
    """(V, 3) of a person of OpenPose, COCO or MMPose; None where it is none."""
    if not isinstance(person, dict):
        return None
    for key in ('pose_keypoints_2d', 'pose_keypoints', 'keypoints'):
        if key in person:
            if 'keypoint_scores' in person:
                pose, score = flat(person[key], 2), flat(person['keypoint_scores'], 1)
                fits = pose is not None and score is not None and len(pose) == len(score)
                return np.concatenate([pose, score], 1) if fits and pose is not None and score is not None else None
            return flat(person[key], 3)
    return None
