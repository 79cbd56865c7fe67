"""Small data sets and configs that the tests make for themselves."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np

CONFIG = """
layout = 'kinect20'
model = dict(
    type='SkeletonRecognizer',
    backbone=dict(type='DynamicGCN', base_channels=16, num_stages=3, inflate_stages=[2], down_stages=[2],
                  gcn_ratio=.125,
                  graph_cfg=dict(layout=layout, mode='random', num_filter=8, init_off=.04, init_std=.02)),
    cls_head=dict(type='AffinityHead', num_classes={classes}, in_channels=32,
                  inter_loss=dict(start_epoch=1, num_neighbors=2, min_overlap=1),
                  intra_loss=dict(memory_size={memory})))
train_pipeline = [
    dict(type='PreNormalize3D', align_spine=False), dict(type='RandomRot', theta=0.2),
    dict(type='GenSkeFeat', dataset=layout, feats=['j']), dict(type='UniformSampleDecode', clip_len=8),
    dict(type='FormatGCNInput', num_person=1), dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
    dict(type='ToTensor', keys=['keypoint'])]
val_pipeline = [step for step in train_pipeline if step['type'] != 'RandomRot']
test_pipeline = [dict(step, num_clips=3) if step['type'] == 'UniformSampleDecode' else step for step in val_pipeline]
data = dict(
    videos_per_gpu={batch}, workers_per_gpu={workers},
    train=dict(type='PoseDataset', ann_file={ann_file!r}, split='xsub_train', pipeline=train_pipeline),
    val=dict(type='PoseDataset', ann_file={ann_file!r}, split='xsub_val', pipeline=val_pipeline),
    test=dict(type='PoseDataset', ann_file={ann_file!r}, split='xsub_val', pipeline=test_pipeline))
optimizer = dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=0.0005, nesterov=True)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='CosineAnnealing', min_lr=0, by_epoch=False)
total_epochs = {epochs}
checkpoint_config = dict(interval=1)
evaluation = dict(interval=1, metrics=['top_k_accuracy'], topk=(1, 5))
log_config = dict(interval=2, hooks=[dict(type='TextLoggerHook')])
work_dir = {work_dir!r}
"""


def annotations(train: int = 21, val: int = 9, classes: int = 3, seed: int = 0, joints: int = 20) -> dict:
    """PYSKL annotations whose classes wave their left hand at their own pace."""
    rng = np.random.default_rng(seed)
    items = []
    for i in range(train + val):
        label, frames = i % classes, int(rng.integers(5, 14))
        body = rng.normal(0, 0.3, (1, 1, joints, 3)) + rng.normal(0, 0.01, (1, frames, joints, 3))
        body[0, :, 7, 0] += np.sin(np.arange(frames) * (label + 1))
        items.append(
            dict(frame_dir=f'sample{i:03d}', label=label, total_frames=frames, keypoint=body.astype(np.float16))
        )
    names = [item['frame_dir'] for item in items]
    return dict(split=dict(xsub_train=names[:train], xsub_val=names[train:]), annotations=items)


def write_annotations(path: Path, content=None, **kwargs) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(annotations(**kwargs) if content is None else content))
    return str(path)


def write_config(folder: Path, name: str = 'tiny.py', extra: str = '', **kwargs) -> str:
    """A config of a tiny training on made data under ``folder``; ``extra`` is appended to its text."""
    values = dict(classes=3, memory=8, batch=4, workers=0, epochs=2, work_dir=str(folder / 'work'))
    values.update(kwargs)
    if 'ann_file' not in values:
        values['ann_file'] = str(folder / 'made.pkl')
        if not (folder / 'made.pkl').exists():
            write_annotations(folder / 'made.pkl')
    path = folder / name
    path.write_text(CONFIG.format(**values) + extra)
    return str(path)


def small_clone(folder: Path) -> Path:
    """A copy of the project in ``folder`` whose demo is small: 84 clips of 2 subjects, a narrow network, 8 epochs."""
    root = Path(__file__).resolve().parents[1]
    for name in ('aclnet', 'configs', 'tools'):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
    small = {
        'configs/_base_/schedules/sgd_demo.py': {'total_epochs = 28': 'total_epochs = 8'},
        'configs/_base_/demo.py': {'interval=7': 'interval=1'},
        'configs/_base_/models/aclnet_demo.py': {
            'base_channels=24': 'base_channels=8',
            'in_channels=96': 'in_channels=32',
        },
        'aclnet/datasets/demo/make.py': {'subjects=16, repetitions=1': 'subjects=2, repetitions=1'},
    }
    for name, changes in small.items():
        text = (folder / name).read_text()
        for old, new in changes.items():
            assert old in text, f'{name} has no {old} any more'
            text = text.replace(old, new)
        (folder / name).write_text(text)
    return folder
