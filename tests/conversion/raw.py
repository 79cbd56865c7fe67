"""Small raw files in the true formats of the benchmarks, written from known poses."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
from scipy import io as matlab


def body(frames: int = 20, joints: int = 25, seed: int = 0, move: float = 1.0) -> np.ndarray:
    """(T, V, 3) float64: upright and narrow, as the denoising wants people; with 3 decimals, as text holds them."""
    rng = np.random.default_rng(seed)
    at = rng.normal(0, 0.05, (frames, joints, 3))
    at[..., 1] += np.linspace(-0.9, 0.9, joints)
    at[..., 0] += move * np.linspace(0, 1, frames)[:, None]
    at[..., 2] += 3
    return at.round(3)


def ntu(path: Path, frames: list[dict[int, np.ndarray]], newline: str = '\r\n') -> str:
    """Write a ``.skeleton`` file: per frame {body id: (25, 3)}. Returns its text."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for number, joints in bodies.items():
            lines.append(f'{number} 0 1 1 0 1 0 0.016 -0.233 2')
            lines.append(str(len(joints)))
            lines += [' '.join(f'{v:.3f}' for v in joint) + ' 1.5 2.5 3.5 4.5 0.1 0.2 0.3 0.4 2' for joint in joints]
    text = newline.join(lines) + newline
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return text


def ntu_set(folder: Path, count: int = 6) -> list[Path]:
    """``count`` recordings of one person each, of the subjects and cameras 1, 2, 3, ..."""
    paths = []
    for i in range(count):
        name = f'S{i % 2 + 1:03d}C{i % 3 + 1:03d}P{i + 1:03d}R001A{i % 3 + 1:03d}.skeleton'
        paths.append(folder / name)
        ntu(paths[-1], [{72057594037931101: joints} for joints in body(seed=i)])
    return paths


def utd_mhad(folder: Path, name: str, joints: np.ndarray) -> None:
    """``joints`` (T, 20, 3) in the order of 'kinect20'; the file has the head first."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = np.empty((20, 3, len(joints)))
    for theirs, ours in enumerate([3, 2, 1, 0, *range(4, 20)]):
        raw[theirs] = joints[:, ours].T
    matlab.savemat(folder / f'{name}_skeleton.mat', {'d_skel': raw})


def nw_ucla(folder: Path, name: str, joints: np.ndarray, label: int | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {} if label is None else {'label': label}
    (folder / f'{name}.json').write_text(json.dumps({'file_name': name, 'skeletons': joints.tolist(), **told}))


MSR_ORDER = [
    'right shoulder', 'left shoulder', 'shoulder centre', 'spine', 'right hip', 'left hip', 'hip centre',
    'right elbow', 'left elbow', 'right wrist', 'left wrist', 'right hand', 'left hand', 'right knee', 'left knee',
    'right ankle', 'left ankle', 'right foot', 'left foot', 'head',
]  # fmt: skip
KINECT20 = [
    'hip centre', 'spine', 'shoulder centre', 'head', 'left shoulder', 'left elbow', 'left wrist', 'left hand',
    'right shoulder', 'right elbow', 'right wrist', 'right hand', 'left hip', 'left knee', 'left ankle', 'left foot',
    'right hip', 'right knee', 'right ankle', 'right foot',
]  # fmt: skip


def msr_action3d(folder: Path, name: str, joints: np.ndarray) -> None:
    """``joints`` (T, 20, 3) in the order of 'kinect20'."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        '  '.join(f'{value:.3f}' for value in frame[KINECT20.index(title)]) + ' 1.0'
        for frame in joints
        for title in MSR_ORDER
    ]
    (folder / f'{name}_skeleton3D.txt').write_text('\r\n'.join(lines) + '\r\n')


def sbu(folder: Path, place: str, persons: np.ndarray) -> None:
    """``persons`` (2, T, 15, 3)."""
    path = folder / place / 'skeleton_pos.txt'
    path.parent.mkdir(parents=True)
    rows = persons.transpose(1, 0, 2, 3).reshape(persons.shape[1], -1)
    path.write_text(''.join(f'{i},' + ','.join(f'{v:.3f}' for v in row) + '\n' for i, row in enumerate(rows, 1)))


def pku_mmd(folder: Path, name: str, persons: np.ndarray, clips: list[tuple[int, int, int]]) -> None:
    """``persons`` (2, T, 25, 3); ``clips`` of class, start and end."""
    for part in ('skeleton', 'label'):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = persons.transpose(1, 0, 2, 3).reshape(persons.shape[1], -1)
    (folder / 'skeleton' / f'{name}.txt').write_text(
        ''.join(' '.join(f'{v:.3f}' for v in row) + ' \r\n' for row in rows)
    )
    (folder / 'label' / f'{name}.txt').write_text(''.join(f'{c},{s},{e},2\r\n' for c, s, e in clips))


def openpose(folder: Path, part: str, recordings: dict[str, tuple[int, list[list[np.ndarray]]]]) -> None:
    """ST-GCN's files: {name: (label, per frame the people (18, 3) x y score)}."""
    (folder / f'kinetics_{part}').mkdir(parents=True)
    labels = {}
    for name, (label, frames) in recordings.items():
        data = [
            {
                'frame_index': index,
                'skeleton': [{'pose': p[:, :2].ravel().tolist(), 'score': p[:, 2].tolist()} for p in people],
            }
            for index, people in enumerate(frames, 1)
        ]
        title = f'class {label}'
        content = {'data': data, 'label': title, 'label_index': label}
        (folder / f'kinetics_{part}' / f'{name}.json').write_text(json.dumps(content))
        labels[name] = {'has_skeleton': any(frames), 'label': title, 'label_index': label}
    (folder / f'kinetics_{part}_label.json').write_text(json.dumps(labels))


def kinetics(folder: Path, clips: int = 6) -> tuple[Path, list[dict]]:
    """A light pickle and two raw files below ``folder``. Returns its path and the poses of every clip."""
    rng = np.random.default_rng(0)
    (folder / 'kpfiles').mkdir(parents=True)
    annotations, raw, poses = [], [{}, {}], []
    for i in range(clips):
        n = 5 + i
        keypoint = rng.random((n, 17, 3)).astype(np.float16)
        poses.append(dict(keypoint=keypoint, frame_inds=np.arange(n, dtype=np.int16)))
        raw[i % 2][f'clip{i}'] = poses[-1]
        annotations.append(
            dict(
                frame_dir=f'clip{i}',
                label=i % 3,
                total_frames=n + 2,
                img_shape=(256, 340),
                original_shape=(256, 340),
                raw_file=f'kpfiles/{i % 2}.pkl',
                box_score=rng.random(n).astype(np.float16),
                valid={0.5: n},
            )  # fmt: skip
        )
    for number, content in enumerate(raw):
        (folder / 'kpfiles' / f'{number}.pkl').write_bytes(pickle.dumps(content))
    names = [annotation['frame_dir'] for annotation in annotations]
    content = dict(split=dict(train=names[: clips // 2], val=names[clips // 2 :]), annotations=annotations)
    (folder / 'light.pkl').write_bytes(pickle.dumps(content))
    return folder / 'light.pkl', poses


def hrnet(path: Path, clips: int = 4) -> dict:
    """A pickle of 2D poses with the splits train, val and test."""
    rng = np.random.default_rng(0)
    annotations = [
        dict(
            frame_dir=f'clip{i}', label=i % 2, total_frames=6, img_shape=(256, 340), original_shape=(256, 340),
            keypoint=rng.random((1, 6, 17, 2)).astype(np.float16), keypoint_score=rng.random((1, 6, 17)).astype('f2'),
        )
        for i in range(clips)
    ]  # fmt: skip
    content = dict(split=dict(train=['clip0', 'clip1'], val=['clip2'], test=['clip3']), annotations=annotations)
    path.write_bytes(pickle.dumps(content))
    return content
