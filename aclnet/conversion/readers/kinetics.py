"""Kinetics-Skeleton: the light pickle with its raw files, and the OpenPose files of ST-GCN; and pickles of 2D poses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from aclnet.conversion.base import Dropped, Reader, Recording, Sample, broken, files_below, sample, stamp, stem
from aclnet.conversion.options import Options
from aclnet.conversion.people import arrange, flat
from aclnet.conversion.text import json_of
from aclnet.errors import ACLNetError, names, shown
from aclnet.limits import MAX_CLASSES, MAX_FRAMES, MAX_PERSONS

__all__ = ['HRNet', 'Kinetics', 'KineticsOpenPose']


class _Pickle(Reader):
    """An annotation pickle that exists already; its annotations stay as they are."""

    layout = 'coco'

    def __init__(self, source: str, path: str, options: Options) -> None:
        from aclnet.datasets.annotations import load_annotations  # here: it brings torch, which no other source needs

        super().__init__(source, path, options)
        self.file = load_annotations(path)
        self.identifier = self.file.identifier
        splits = self.file.splits or {}
        strangers = [title for title in options.keep_splits if title not in splits]
        if strangers:
            raise ACLNetError(f"split '{strangers[0]}' is not in {path}; it has {names(splits)}")
        self.kept = {
            title: [str(name) for name in members]
            for title, members in splits.items()
            if not options.keep_splits or title in options.keep_splits
        }

    def recordings(self) -> list[Recording]:
        wanted = set().union(*self.kept.values()) if self.options.keep_splits else None
        mark = stamp(self.path)
        return [
            Recording(annotation[self.identifier], self.path, payload=annotation, stamp=mark)
            for annotation in self.file.annotations
            if wanted is None or annotation[self.identifier] in wanted
        ]

    def splits(self, facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
        return {title: [name for name in members if name in facts] for title, members in self.kept.items()}

    def _label(self, recording: Recording) -> int:
        label = recording.payload['label']
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)) or not 0 <= label < MAX_CLASSES:
            raise broken(recording, 'wrong label', f'sample {recording.name} has the label {shown(label)}')
        return int(label)

    def _complete(self, recording: Recording, annotation: dict) -> Sample:
        from aclnet.datasets.annotations import check_poses

        label = self._label(recording)
        try:
            check_poses(annotation, f'sample {recording.name}')
        except ACLNetError as error:
            raise broken(recording, 'unfit poses', str(error)) from None
        return Sample(annotation, dict(label=label))


class HRNet(_Pickle):
    """FineGYM, UCF101, HMDB51, Diving48, ... : 2D poses (M, T, 17, 2) with scores; checked and passed on."""

    parallel = False  # reading the pickle is all of the work

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        annotation = recording.payload
        for key in ('keypoint', 'keypoint_score'):
            if not isinstance(annotation.get(key), np.ndarray):
                raise broken(recording, f'no {key}', f'sample {recording.name} needs an array {key}')
        shape = annotation['keypoint'].shape
        if len(shape) != 4 or shape[2:] != (17, 2):
            wrong = f'keypoint of sample {recording.name} must be (M, T, 17, 2), got {shape}'
            raise broken(recording, 'wrong shape', wrong)
        sizes = annotation.get('img_shape')
        if not isinstance(sizes, (tuple, list)) or len(sizes) != 2:
            wrong = f'sample {recording.name} needs (height, width) as img_shape, got {shown(sizes)}'
            raise broken(recording, 'no img_shape', wrong)
        if 0 in shape:
            raise Dropped(recording.name, 'no body in any frame')
        yield self._complete(recording, {**annotation, 'total_frames': annotation.get('total_frames', shape[1])})


class Kinetics(_Pickle):
    """The light pickle: the poses of every annotation are in its ``raw_file``, ``kpfiles/...``."""

    def __init__(self, source: str, path: str, options: Options) -> None:
        from aclnet.datasets.annotations import RawFiles

        super().__init__(source, path, options)
        self.raw_files = RawFiles(path, keep=16)

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        annotation = recording.payload
        try:
            poses = self.raw_files.read(annotation) if annotation.get('raw_file') else None
        except ACLNetError as error:
            raise Dropped(recording.name, 'poses missing or damaged', str(error), broken=True) from None
        if poses is None:
            raise broken(recording, 'no raw_file', f'sample {recording.name} needs a raw_file')
        frames, total = poses['frame_inds'], annotation.get('total_frames')
        if not len(frames):
            raise Dropped(recording.name, 'no body in any frame')
        scores = annotation.get('box_score')
        if scores is not None and len(scores) != len(frames):
            wrong = f'sample {recording.name} has {len(scores)} box scores for {len(frames)} poses'
            raise broken(recording, 'other poses than announced', wrong)
        if frames.min() < 0 or not isinstance(total, (int, np.integer)) or frames.max() >= total:
            wrong = f'sample {recording.name} has poses in frames beyond its {shown(total)}'
            raise broken(recording, 'frames beyond the recording', wrong)
        yield self._complete(recording, {**annotation, **poses})


class KineticsOpenPose(Reader):
    """``kinetics_train/NAME.json`` and ``kinetics_val/NAME.json`` with ``kinetics_{train,val}_label.json``.

    Coordinates in the files are shares of pictures of 340 × 256, and become pixels of these, float32. Frames without a
    body are left out; persons are ordered frame by frame, by the sum of their scores.
    """

    layout = 'openpose'
    joints, size = 18, (256, 340)
    chunk = 512

    def recordings(self) -> list[Recording]:
        folder = self.options.labels or self.path
        found, classes = [], {}
        for part in ('train', 'val'):
            place = os.path.join(self.path, f'kinetics_{part}')
            if not os.path.isdir(place):
                continue
            labels = self._labels(os.path.join(folder, f'kinetics_{part}_label.json'))
            for path, mark in files_below(place, '.json', 'the JSON files of Kinetics-Skeleton'):
                told = labels.get(stem(path))
                facts: dict[str, Any] = dict(split=part)
                if isinstance(told, dict):
                    facts.update(label=told.get('label_index'), empty=told.get('has_skeleton') is False)
                    if isinstance(told.get('label'), str) and isinstance(told.get('label_index'), int):
                        classes[told['label_index']] = told['label']
                found.append(Recording(stem(path), path, facts, stamp=(*mark, repr(sorted(facts.items())))))
        if not found:
            raise ACLNetError(f'{self.path} has neither the folder kinetics_train nor kinetics_val')
        if sorted(classes) == list(range(len(classes))):
            self.classes = [classes[label] for label in sorted(classes)]
        return found

    def _labels(self, path: str) -> dict:
        try:
            content = json_of(Recording(path, path, stamp=stamp(path)))
        except Dropped as drop:
            raise ACLNetError(drop.detail) from None
        if not isinstance(content, dict):
            raise ACLNetError(f'{path} must be a dict {{name: dict(label_index, has_skeleton)}}')
        return content

    def read(self, recording: Recording) -> Iterator[Sample | Dropped]:
        label = recording.facts.get('label')
        if recording.facts.get('empty'):
            raise Dropped(recording.name, 'no body in any frame')
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < MAX_CLASSES:
            raise broken(recording, 'no label', f'the label file has no label_index for {recording.name}')
        content = json_of(recording)
        frames = content.get('data') if isinstance(content, dict) else None
        if not isinstance(frames, list) or len(frames) > MAX_FRAMES:
            raise broken(recording, 'no frames', "the file must be a dict with a list 'data'")
        keypoint, score = arrange([self._people(recording, frame) for frame in frames], self.options.persons)
        if not keypoint.any():
            raise Dropped(recording.name, 'no body in any frame')
        keypoint = keypoint * np.array(self.size[::-1], np.float32)
        yield sample(recording, keypoint, label, keypoint_score=score, img_shape=self.size, original_shape=self.size)

    def _people(self, recording: Recording, frame: Any) -> list[np.ndarray]:
        skeletons = frame.get('skeleton') if isinstance(frame, dict) else None
        if not isinstance(skeletons, list) or len(skeletons) > MAX_PERSONS:
            raise broken(recording, 'wrong frame', "a frame must be a dict with a list 'skeleton'")
        people = []
        for skeleton in skeletons:
            told = skeleton if isinstance(skeleton, dict) else {}
            pose, score = flat(told.get('pose'), 2), flat(told.get('score'), 1)
            if pose is None or score is None or not len(pose) == len(score) == self.joints:
                wrong = (
                    f'frame {shown(frame.get("frame_index"))}: a skeleton needs {self.joints} × x y and a score each'
                )
                raise broken(recording, 'wrong number of joints', wrong)
            people.append(np.concatenate([pose, score], 1))
        return people

    def splits(self, facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
        parts = {part: [name for name, fact in facts.items() if fact['split'] == part] for part in ('train', 'val')}
        return {title: members for title, members in parts.items() if members}
