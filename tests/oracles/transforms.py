"""The transforms as slow, literal loops in float64: persons, frames and joints one by one."""

from __future__ import annotations

import math

import numpy as np

PARENTS = {
    'nturgb+d': [1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11],
    'coco': [0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 0, 0, 11, 12, 13, 14],
    'coco_new': [19, 0, 0, 1, 2, 19, 19, 5, 6, 7, 8, 17, 17, 11, 12, 13, 14, 18, 19, 19],
    'openpose': [1, 1, 1, 2, 3, 1, 5, 6, 2, 8, 9, 5, 11, 12, 0, 0, 14, 15],
    'openpose_new': [1, 1, 1, 2, 3, 1, 5, 6, 18, 8, 9, 18, 11, 12, 0, 0, 14, 15, 19, 1],
    'kinect20': [1, 2, 2, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18],
}

SWAPS = {  # joints that a mirror exchanges
    'nturgb+d': [(4, 8), (5, 9), (6, 10), (7, 11), (12, 16), (13, 17), (14, 18), (15, 19), (21, 23), (22, 24)],
    'kinect20': [(4, 8), (5, 9), (6, 10), (7, 11), (12, 16), (13, 17), (14, 18), (15, 19)],
}
LIMBS = {
    'nturgb+d': [[4, 5, 6, 7, 21, 22], [12, 13, 14, 15], [8, 9, 10, 11, 23, 24], [16, 17, 18, 19]],
    'kinect20': [[4, 5, 6, 7], [12, 13, 14, 15], [8, 9, 10, 11], [16, 17, 18, 19]],
}


def rotation_onto(source, target):
    """Rodrigues' rotation of one vector onto another, entry by entry."""
    sx, sy, sz = source
    tx, ty, tz = target
    x, y, z = sy * tz - sz * ty, sz * tx - sx * tz, sx * ty - sy * tx
    if abs(x) + abs(y) + abs(z) < 1e-6:
        return np.eye(3)
    length = math.sqrt(sx**2 + sy**2 + sz**2) * math.sqrt(tx**2 + ty**2 + tz**2)
    angle = math.acos(max(-1.0, min(1.0, (sx * tx + sy * ty + sz * tz) / length)))
    if angle < 1e-6:
        return np.eye(3)
    norm = math.sqrt(x**2 + y**2 + z**2)
    x, y, z = x / norm, y / norm, z / norm
    c, s = math.cos(angle), math.sin(angle)
    return np.array(
        [
            [c + x * x * (1 - c), x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
            [y * x * (1 - c) + z * s, c + y * y * (1 - c), y * z * (1 - c) - x * s],
            [z * x * (1 - c) - y * s, z * y * (1 - c) + x * s, c + z * z * (1 - c)],
        ]
    )


def turn(keypoint, matrix):
    """Every joint multiplied by the matrix."""
    out = np.zeros_like(keypoint)
    for m, t, v in np.ndindex(keypoint.shape[:3]):
        for row in range(len(matrix)):
            out[m, t, v, row] = sum(matrix[row][column] * keypoint[m, t, v, column] for column in range(len(matrix)))
    return out


def pre_normalize(keypoint, zaxis=(0, 1), xaxis=(8, 4), align_spine=True, align_center=True, center_joint=None):
    keypoint = np.array(keypoint, np.float64)
    if not keypoint.any():
        return keypoint
    filled = [[t for t in range(keypoint.shape[1]) if keypoint[m, t].any()] for m in range(len(keypoint))]
    leader = 0
    for m in range(1, len(keypoint)):
        if len(filled[m]) > len(filled[leader]):
            leader = m
    order = [leader] + [m for m in range(len(keypoint)) if m != leader]
    keypoint = np.array([[keypoint[m, t] for t in filled[leader]] for m in order])
    if align_center:
        joint = center_joint if center_joint is not None else 1 if keypoint.shape[2] == 25 else keypoint.shape[2] - 1
        center = keypoint[0, 0, joint].copy()
        for m, t, v in np.ndindex(keypoint.shape[:3]):
            if keypoint[m, t, v].any():
                keypoint[m, t, v] -= center
    if align_spine:
        spine = keypoint[0, 0, zaxis[1]] - keypoint[0, 0, zaxis[0]]
        keypoint = turn(keypoint, rotation_onto(spine, (0, 0, 1)))
        shoulders = keypoint[0, 0, xaxis[0]] - keypoint[0, 0, xaxis[1]]
        keypoint = turn(keypoint, rotation_onto(shoulders, (1, 0, 0)))
    return keypoint


def rotate(keypoint, angles):
    keypoint = np.array(keypoint, np.float64)
    c, s = [math.cos(a) for a in angles], [math.sin(a) for a in angles]
    if len(angles) == 1:
        return turn(keypoint, [[c[0], -s[0]], [s[0], c[0]]])
    for matrix in (
        [[1, 0, 0], [0, c[0], s[0]], [0, -s[0], c[0]]],
        [[c[1], 0, -s[1]], [0, 1, 0], [s[1], 0, c[1]]],
        [[c[2], s[2], 0], [-s[2], c[2], 0], [0, 0, 1]],
    ):
        keypoint = turn(keypoint, matrix)
    return keypoint


def mirror(keypoint, layout):
    """The joints of left and right exchanged, coordinates as they are."""
    out = np.array(keypoint, np.float64)
    for m, t in np.ndindex(out.shape[:2]):
        for a, b in SWAPS[layout]:
            out[m, t, a], out[m, t, b] = keypoint[m, t, b], keypoint[m, t, a]
    return out


def drop(keypoint, joints):
    """The joints zeroed in every frame of every person."""
    out = np.array(keypoint, np.float64)
    for m, t in np.ndindex(out.shape[:2]):
        for v in joints:
            out[m, t, v] = 0
    return out


def flip(keypoint, width, left, right):
    """Of keypoints (M, T, V, C) or, with a width of None, scores (M, T, V)."""
    out = np.array(keypoint, np.float64)
    for a, b in list(zip(left, right)) + list(zip(right, left)):
        out[:, :, a] = keypoint[:, :, b]
    if width is not None:
        for m, t, v in np.ndindex(out.shape[:3]):
            if out[m, t, v, 0] != 0:
                out[m, t, v, 0] = width - out[m, t, v, 0]
    return out


def kinetics(keypoint, score):
    out = np.zeros((*score.shape[:2], 20, 3))
    for m, t in np.ndindex(score.shape[:2]):
        for v in range(17):
            out[m, t, v] = [*keypoint[m, t, v], score[m, t, v]]
        out[m, t, 17] = (out[m, t, 11] + out[m, t, 12]) / 2
        out[m, t, 19] = (out[m, t, 5] + out[m, t, 6]) / 2
        out[m, t, 18] = (out[m, t, 17] + out[m, t, 19]) / 2
    return out


def bones(keypoint, layout, grand=False):
    """Bones, or k-bones with ``grand``."""
    keypoint = np.array(keypoint, np.float64)
    parents = PARENTS[layout]
    scored = keypoint.shape[3] == 3 and layout not in ('nturgb+d', 'kinect20')
    out = np.zeros_like(keypoint)
    for m, t, v in np.ndindex(keypoint.shape[:3]):
        other = parents[v]
        if grand:
            root = [j for j, parent in enumerate(parents) if j == parent][0]
            other = v if parents[v] == root else parents[parents[v]]
        for channel in range(keypoint.shape[3]):
            a, b = keypoint[m, t, v, channel], keypoint[m, t, other, channel]
            averaged = scored and channel == 2 and not (grand and layout.endswith('_new'))
            out[m, t, v, channel] = (a + b) / 2 if averaged else a - b
    return out


def motion(data, layout):
    data = np.array(data, np.float64)
    out = np.zeros_like(data)
    for m, t, v in np.ndindex(data.shape[0], data.shape[1] - 1, data.shape[2]):
        for channel in range(data.shape[3]):
            now, then = data[m, t, v, channel], data[m, t + 1, v, channel]
            averaged = channel == 2 and layout in ('coco', 'openpose')
            out[m, t, v, channel] = (now + then) / 2 if averaged else then - now
    return out


def stream(keypoint, layout, feat):
    out = np.array(keypoint, np.float64)
    if feat[0] != 'j':
        out = bones(out, layout, grand=feat[0] == 'k')
    return motion(out, layout) if feat.endswith('m') else out


def sample_indices(total, length, clips, p_interval=(1, 1), seed=255, decode=True):
    """Frames of the published test clips, from numpy's global generator as published.

    ``decode`` gives those of UniformSampleDecode, else those of UniformSampleFrames.
    """
    state = np.random.get_state()
    np.random.seed(seed)
    draws = np.random.rand, np.random.randint, np.random.choice
    chosen = drawn_indices(draws, total, length, clips, p_interval, decode, test_mode=True)
    np.random.set_state(state)
    return chosen


def training_indices(rng, total, length, clips=1, p_interval=(1, 1), decode=True):
    """Frames of training clips, from the sample's generator."""
    return drawn_indices((rng.random, rng.integers, rng.choice), total, length, clips, p_interval, decode, False)


def drawn_indices(draws, total, length, clips, p_interval, decode, test_mode):
    rand, randint, choice = draws
    chosen = []
    for clip in range(clips):
        u = rand()
        n = max(1, int((u * (p_interval[1] - p_interval[0]) + p_interval[0]) * total))
        off = randint(total - n + 1)
        if n < length:
            if decode:
                start = randint(0, n)
                frames = [(start + i) % n for i in range(length)]
            elif not test_mode:
                start = randint(0, n)
                frames = [start + i for i in range(length)]
            else:
                start = clip if n < clips else clip * n // clips
                frames = [start + i for i in range(length)]
        elif n < 2 * length:
            slots = set(choice(length + 1, n - length, replace=False).tolist())
            frames = [i + sum(slot <= i for slot in slots) for i in range(length)]
        else:
            bounds = [i * n // length for i in range(length + 1)]
            step = randint(np.array([bounds[i + 1] - bounds[i] for i in range(length)]))
            frames = [bounds[i] + int(step[i]) for i in range(length)]
        chosen += [int(frame + off) if decode else int((frame + off) % total) for frame in frames]
    return chosen


def gather(keypoint, frames):
    """The chosen frames of every person, one by one."""
    return np.array([[person[frame] for frame in frames] for person in keypoint], np.float64)


def decompress(keypoint, frame_inds, anno_inds=None, total_frames=None, squeeze=True, max_person=10):
    """(M, T, V, 3) from poses (n, V, 3)."""
    keypoint = np.array(keypoint, np.float64)
    rows = [
        (int(frame), pose)
        for i, (frame, pose) in enumerate(zip(frame_inds, keypoint))
        if anno_inds is None or anno_inds[i]
    ]
    numbers = sorted({frame for frame, _ in rows}) if squeeze else list(range(total_frames))
    frames = [[pose for frame, pose in rows if frame == number] for number in numbers]
    most = max(len(poses) for poses in frames)
    if most > max_person:
        frames = [sorted(poses, key=lambda pose: -np.float32(pose[:, 2]).sum())[:max_person] for poses in frames]
    out = np.zeros((min(most, max_person), len(frames), *keypoint.shape[1:]))
    for t, poses in enumerate(frames):
        for m, pose in enumerate(poses):
            out[m, t] = pose
    return out


def format_input(keypoint, clips, num_person, mode):
    length = keypoint.shape[1] // clips
    out = np.zeros((clips, num_person, length, *keypoint.shape[2:]))
    for clip, m, t in np.ndindex(clips, num_person, length):
        if m < len(keypoint):
            out[clip, m, t] = keypoint[m, clip * length + t]
        elif mode == 'loop':
            out[clip, m, t] = keypoint[0, clip * length + t]
    return out
