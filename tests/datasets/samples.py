"""Random samples and annotation files of every kind, small."""

from __future__ import annotations

import pickle

import numpy as np


def sample_3d(rng, persons=2, frames=12, joints=25, dtype=np.float16, name='s3d', gaps=True):
    """A sample of 3D joints; with gaps, some persons, frames and joints are missing."""
    keypoint = rng.uniform(-1.5, 1.5, (persons, frames, joints, 3)).astype(dtype)
    if gaps:
        keypoint[rng.random((persons, frames)) < 0.3] = 0
        keypoint[rng.random((persons, frames, joints)) < 0.1] = 0
    return dict(frame_dir=name, label=3, total_frames=frames, keypoint=keypoint)


def sample_2d(rng, persons=2, frames=12, joints=17, dtype=np.float16, name='s2d'):
    """A sample of 2D joints with scores."""
    keypoint = (rng.random((persons, frames, joints, 2)) * (340, 256)).astype(dtype)
    keypoint[rng.random((persons, frames, joints)) < 0.1] = 0
    return dict(
        frame_dir=name,
        label=2,
        total_frames=frames,
        keypoint=keypoint,
        img_shape=(256, 340),
        original_shape=(256, 340),
        keypoint_score=rng.random((persons, frames, joints)).astype(dtype),
    )


def poses(rng, total=12, count=30, joints=17):
    """Compressed poses: dict(keypoint (n, V, 3), frame_inds (n,)). Scores are eighths, whose sums are exact."""
    keypoint = (rng.random((count, joints, 3)) * (340, 256, 1)).astype(np.float16)
    keypoint[..., 2] = rng.integers(0, 9, (count, joints)) / 8
    return dict(keypoint=keypoint, frame_inds=np.sort(rng.integers(0, total, count)).astype(np.int16))


def write(path, content):
    """Pickle ``content`` to ``path`` and return the path as a string."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=4))
    return str(path)


def annotation_file(path, count=12, classes=4, frames=8, joints=20, dtype=np.float32, seed=0):
    """A file of ``count`` one-person clips with splits train (even ones) and val (odd ones)."""
    rng = np.random.default_rng(seed)
    annotations = [
        dict(
            frame_dir=f'clip{i:03d}',
            label=i % classes,
            total_frames=frames,
            keypoint=rng.standard_normal((1, frames, joints, 3)).astype(dtype),
        )
        for i in range(count)
    ]
    names = [annotation['frame_dir'] for annotation in annotations]
    return write(path, dict(split=dict(train=names[::2], val=names[1::2]), annotations=annotations))


def kinetics_files(folder, count=4, classes=3, seed=0):
    """(annotation file, {frame_dir: poses}) in the compressed form, two clips to a raw file in ``folder``."""
    rng = np.random.default_rng(seed)
    annotations, all_poses = [], {}
    for i in range(count):
        name, raw_file = f'video{i}', f'kpfiles/raw{i // 2}.pkl'
        all_poses[name] = poses(rng, total=20, count=30 + i)
        score = rng.random(30 + i).astype(np.float16)
        score[:10] = 0.95
        annotations.append(
            dict(
                frame_dir=name,
                label=i % classes,
                total_frames=20,
                img_shape=(256, 340),
                original_shape=(256, 340),
                raw_file=raw_file,
                box_score=score,
                valid={0.5: 20 - i, 0.6: 10, 0.7: 10, 0.8: 5, 0.9: 5},
            )
        )
    for raw_file in {annotation['raw_file'] for annotation in annotations}:
        write(
            folder / raw_file,
            {
                annotation['frame_dir']: all_poses[annotation['frame_dir']]
                for annotation in annotations
                if annotation['raw_file'] == raw_file
            },
        )
    names = [annotation['frame_dir'] for annotation in annotations]
    content = dict(split=dict(train=names, val=names[:1]), annotations=annotations)
    return write(folder / 'kinetics.pkl', content), all_poses
