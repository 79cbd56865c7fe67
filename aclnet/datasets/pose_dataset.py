"""Skeleton clips of one annotation file, run through a pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from aclnet.datasets.annotations import MemcachedPoses, Packed, RawFiles, check_poses, namespace_of, open_annotations
from aclnet.datasets.base import Dataset
from aclnet.datasets.kept import KEEP_BYTES, KeptSamples, check_keep_bytes
from aclnet.datasets.transforms import Compose
from aclnet.errors import ACLNetError, names, shown
from aclnet.limits import MAX_CLASSES
from aclnet.registry import DATASETS

__all__ = ['PoseDataset']

_BOX_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_UNUSED = ('valid', 'box_score')  # serve to choose samples and poses, no transform reads them


@DATASETS.register_module()
class PoseDataset(Dataset):
    """The skeleton clips of an annotation file, or of one of its splits, in the file's order.

    Args:
        ann_file: pickle in PYSKL's format, see ``annotations/pickles.py``, or packed store, see docs/data_store.md.
        pipeline: transforms, a list of config dicts or callables.
        split: name of a split of the file; None takes all annotations.
        valid_ratio: where above 0, keep annotations with ``valid[box_thr] / total_frames`` of at least this much, and
            of their poses those with a box score of ``box_thr`` or more.
        box_thr: 0.5, 0.6, 0.7, 0.8 or 0.9.
        class_prob: how often an epoch shows the samples of each class on average: a number per class, as a list or as
            a dict, in which missing classes count 1.
        memcached: whether to read poses through a memcached server.
        mc_cfg: (host, port) of that server, or dict(host, port, memory_mb, item_mb), see docs/data_store.md.
        test_mode: whether samples are drawn as in validation and test.
        data_prefix: folder put before ``frame_dir`` and ``filename`` of the samples.
        multi_class: whether labels are lists of classes; samples then carry a multi-hot (num_classes,) float32 label.
        num_classes: number of classes; None takes the largest label + 1.
        strict: whether a broken sample is an error in training too; else another one stands in for it.
        pack: whether a pickle is packed into a store beside it, which is read instead; None packs those of 64 MB or
            more.
        keep_bytes: memory for what the pipeline's leading fixed transforms (such as ``PreNormalize3D``) made of
            samples, which then isn't computed again. Every process that loads, so each worker, fills as much of its
            own. 0 keeps nothing; samples are the same.

    Raises ``ACLNetError`` where the file, the split, a label or an argument is wrong, or where nothing is left; in test
    mode, or where ``strict``, also where the poses of a sample are unfit.
    Source: PYSKL's.

    Example:
        >>> dataset = PoseDataset('data/nturgbd/ntu60_3danno.pkl', pipeline=[], split='xsub_train')
        >>> dataset[0]['keypoint'].shape
        (1, 103, 25, 3)
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence,
        split: str | None = None,
        valid_ratio: float | None = None,
        box_thr: float | None = None,
        class_prob: Sequence[float] | Mapping[int, float] | None = None,
        memcached: bool = False,
        mc_cfg: Sequence | Mapping = ('localhost', 22077),
        test_mode: bool = False,
        data_prefix: str = '',
        multi_class: bool = False,
        num_classes: int | None = None,
        strict: bool = False,
        pack: bool | None = None,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        if not isinstance(ann_file, (str, os.PathLike)):
            raise ACLNetError(f'ann_file must be the path of an annotation file, got {ann_file!r}')
        if num_classes is not None and (isinstance(num_classes, bool) or not isinstance(num_classes, Integral)):
            raise ACLNetError(f'num_classes of {ann_file} must be a whole number, got {num_classes!r}')
        if not isinstance(strict, bool):
            raise ACLNetError(f'strict must be True or False, got {strict!r}')
        if pack not in (None, True, False):
            raise ACLNetError(f'pack must be None, True or False, got {pack!r}')
        self.ann_file = os.fspath(ann_file)
        self.split = split
        self.data_prefix = data_prefix
        self.test_mode = bool(test_mode)
        self.strict = strict
        self.multi_class = multi_class
        self.pipeline = Compose(pipeline)
        keep_bytes = check_keep_bytes(keep_bytes)
        self._kept = KeptSamples(keep_bytes if self.pipeline.fixed else 0)
        self._file = open_annotations(self.ann_file, pack)  # held, so that other datasets of this file share its arrays
        self.box_thr = _threshold(valid_ratio, box_thr)
        self._masks_boxes = bool(valid_ratio)
        self.annotations = self._valid(self._file.select(split), valid_ratio or 0)
        self._identifier = self._file.identifier
        self._fit = np.zeros(len(self.annotations), bool)  # whose poses in the annotation file were found fit for use
        self.identifiers = (
            self.annotations.names
            if isinstance(self.annotations, Packed)
            else [annotation[self._identifier] for annotation in self.annotations]
        )
        self._limit = _class_count(num_classes)  # labels are below it; None where they are counted
        self.labels = self._multi_hot() if multi_class else self._classes()
        self.class_prob = class_prob
        self.weights = None if class_prob is None else self._weights(class_prob)
        self._poses: RawFiles | MemcachedPoses = RawFiles(self.ann_file)
        if memcached:
            self._poses = MemcachedPoses(mc_cfg, self._poses, namespace_of(self._file))
        self.memcached = memcached
        if self.test_mode or strict:  # there a broken sample is an error: better now than in the middle
            self._check_all()

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_file': None}  # a worker needs this split only

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def shards(self) -> np.ndarray | None:
        return self.annotations.shards if isinstance(self.annotations, Packed) else None

    def __repr__(self) -> str:
        split = f', split {self.split}' if self.split else ''
        return f'PoseDataset({self.ann_file}{split}: {len(self)} samples of {self.num_classes} classes)'

    def get(self, index: int, rng: np.random.Generator) -> dict:
        """The sample at ``index``, its randomness drawn from ``rng``; its arrays may be the dataset's own.

        Raises:
            ACLNetError: its poses are missing or unfit, see ``check_poses``, or a transform cannot work with it.
        """
        sample = self._kept.get(index)
        if sample is None:
            annotation = self.annotations[index]
            sample = self.pipeline.begin(self._raw(index, annotation))
            self._kept.put(index, sample, {} if isinstance(self.annotations, Packed) else annotation)
        sample['rng'] = rng
        sample = self.pipeline.finish(sample)
        sample.pop('rng', None)
        return sample

    def raw(self, index: int) -> dict:
        """The sample at ``index`` before all transforms, with nothing random in it.

        Raises:
            ACLNetError: its poses are missing or unfit.
        """
        return self._raw(index, self.annotations[index])

    def _raw(self, index: int, annotation: dict) -> dict:
        sample = {key: value for key, value in annotation.items() if key not in _UNUSED}
        if 'keypoint' not in annotation:
            sample.update(self._read_poses(annotation))
        if not self._fit[index]:
            packed = isinstance(self.annotations, Packed) and self.annotations.is_fit(
                index
            )  # its numbers were looked at
            check_poses(sample, f'sample {annotation[self._identifier]} of {self.ann_file}', finite=not packed)
            self._fit[index] = 'keypoint' in annotation
        if self._masks_boxes:
            sample['anno_inds'] = np.asarray(annotation['box_score']) >= self.box_thr
        if self.data_prefix:
            sample.update(
                {key: os.path.join(self.data_prefix, sample[key]) for key in ('filename', 'frame_dir') if key in sample}
            )
        label = self.labels[index]
        sample.update(
            label=label.copy() if self.multi_class else int(label),
            test_mode=self.test_mode,
            modality='Pose',
            start_index=0,
        )
        return sample

    def _read_poses(self, annotation: dict) -> dict:
        self._check_source(annotation)
        return self._poses.read(annotation)

    def _check_source(self, annotation: dict) -> None:
        if not annotation.get('frame_dir') or not (self.memcached or annotation.get('raw_file')):
            raise ACLNetError(
                f'sample {annotation[self._identifier]} of {self.ann_file} has neither keypoint nor frame_dir with a '
                'raw_file'
            )

    def _check_all(self) -> None:
        """Raise ``ACLNetError`` for the first sample that is unfit, as far as the annotation file tells."""
        if isinstance(self.annotations, Packed) and self.annotations.sound:
            return  # as was found when they were packed
        kinds: dict[tuple[int, ...], str] = {}
        for index, annotation in enumerate(self.annotations):
            if 'keypoint' not in annotation:
                self._check_source(annotation)
                continue
            name = annotation[self._identifier]
            check_poses(annotation, f'sample {name} of {self.ann_file}')
            self._fit[index] = True
            kinds.setdefault(np.shape(annotation['keypoint'])[2:], name)
        if len(kinds) > 1:
            (kind, name), (other_kind, other) = list(kinds.items())[:2]
            raise ACLNetError(
                f'samples of {self.ann_file} must have the same joints and channels, but {name} has {kind} and '
                f'{other} has {other_kind}'
            )

    def _valid(self, annotations: list[dict] | Packed, ratio: float) -> list[dict] | Packed:
        """The annotations with enough valid frames."""
        threshold = self.box_thr
        if not ratio or threshold is None:  # one is not given without the other
            return annotations
        for annotation in annotations:
            lacking = [key for key in ('valid', 'box_score', 'total_frames') if annotation.get(key) is None]
            if lacking:
                raise ACLNetError(
                    f'valid_ratio={ratio}: annotation {annotation[self._file.identifier]} of '
                    f"{self.ann_file} has no '{lacking[0]}'; leave out valid_ratio"
                )
        kept = [
            position
            for position, annotation in enumerate(annotations)
            if self._valid_frames(annotation, threshold) >= ratio * annotation['total_frames']
        ]
        if not kept:
            raise ACLNetError(
                f'valid_ratio={ratio} with box_thr={self.box_thr} leaves none of the '
                f'{len(annotations)} annotations of {self.ann_file}; lower one of them'
            )
        return annotations.take(kept) if isinstance(annotations, Packed) else [annotations[i] for i in kept]

    def _valid_frames(self, annotation: dict, threshold: float) -> int:
        for key, frames in annotation['valid'].items():
            if abs(float(key) - threshold) < 1e-6:
                return frames
        raise ACLNetError(
            f'annotation {annotation[self._file.identifier]} of {self.ann_file} has no valid frames for '
            f'box_thr={threshold}; it has {names(annotation["valid"])}'
        )

    def _classes(self) -> np.ndarray:
        """(N,) int64 labels; sets ``num_classes``."""
        labels = self.annotations.labels if isinstance(self.annotations, Packed) else None
        limit = MAX_CLASSES if self._limit is None else self._limit
        if labels is None or labels.min() < 0 or labels.max() >= limit:
            for annotation in self.annotations:
                self._check_class(annotation, annotation['label'])
            labels = np.array([annotation['label'] for annotation in self.annotations], np.int64).reshape(-1)
        self.num_classes = int(labels.max()) + 1 if self._limit is None else self._limit
        return labels

    def _multi_hot(self) -> np.ndarray:
        """(N, classes) float32 labels; sets ``num_classes``."""
        if self._limit is None:
            raise ACLNetError('multi_class=True needs num_classes')
        self.num_classes = self._limit
        labels = np.zeros((len(self.annotations), self.num_classes), np.float32)
        for row, annotation in zip(labels, self.annotations):
            classes = annotation['label']
            classes = classes.ravel() if isinstance(classes, np.ndarray) else classes
            classes = classes if isinstance(classes, (list, tuple, np.ndarray)) else [classes]
            for label in classes:
                self._check_class(annotation, label)
                row[label] = 1
        return labels

    def _check_class(self, annotation: dict, label: Any) -> None:
        whole = isinstance(label, Integral) and not isinstance(label, bool)
        limit = MAX_CLASSES if self._limit is None else self._limit
        if not whole or not 0 <= label < limit:
            below = f' to {limit - 1}' if self._limit is not None or (whole and label >= limit) else ''
            hint = '; lists of classes need multi_class=True' if isinstance(label, (list, tuple)) else ''
            raise ACLNetError(
                f'label of sample {annotation[self._identifier]} of {self.ann_file} must be a class '
                f'from 0{below or " up"}, got {shown(label)}{hint}'
            )

    def _weights(self, prob: Sequence[float] | Mapping[int, float]) -> np.ndarray:
        """(N,) expected repeats per epoch."""
        if self.multi_class:
            raise ACLNetError('class_prob needs one class per sample, and goes not with multi_class=True')
        if not isinstance(prob, Mapping):
            if isinstance(prob, str) or not isinstance(prob, Sequence):
                raise ACLNetError(f'class_prob must be a list of a number per class, or a dict, got {prob!r}')
            if self._limit is None:  # a class that never occurs still has its number
                self.num_classes = max(self.num_classes, len(prob))
            if len(prob) != self.num_classes:
                raise ACLNetError(f'class_prob needs one number per class, {self.num_classes}, got {len(prob)}')
            prob = dict(enumerate(prob))
        table = np.ones(self.num_classes)
        for label, weight in prob.items():
            if not isinstance(label, Integral) or not 0 <= label < self.num_classes:
                raise ACLNetError(f'class_prob names class {label!r}; there are 0 to {self.num_classes - 1}')
            if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= weight < np.inf:
                raise ACLNetError(f'class_prob of class {label} must be a number from 0 up, got {weight!r}')
            table[label] = weight
        return table[self.labels]


def _class_count(value: int | None) -> int | None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if value is not None and not (whole and 1 <= value <= MAX_CLASSES):
        raise ACLNetError(f'num_classes of a data set must be a whole number from 1 to {MAX_CLASSES}, got {value!r}')
    return value


def _threshold(valid_ratio: float | None, box_thr: float | None) -> float | None:
    if box_thr is not None and box_thr not in _BOX_THRESHOLDS:
        raise ACLNetError(f'box_thr must be one of {", ".join(map(str, _BOX_THRESHOLDS))}, got {box_thr!r}')
    if valid_ratio is not None and not (isinstance(valid_ratio, Real) and 0 <= valid_ratio <= 1):
        raise ACLNetError(f'valid_ratio must be a share of the frames from 0 to 1, got {valid_ratio!r}')
    if valid_ratio and box_thr is None:
        raise ACLNetError(f'valid_ratio={valid_ratio} needs box_thr')
    return box_thr
