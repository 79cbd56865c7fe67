"""Write the demo data: an annotation pickle like that of NTU RGB+D, and the names of its classes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from aclnet.datasets.demo.actions import ACTIONS, VARIANTS, Action, class_names, perform, recipe
from aclnet.datasets.demo.body import Person, forward_kinematics
from aclnet.datasets.demo.sensor import Camera, sense
from aclnet.errors import ACLNetError
from aclnet.files import atomic_write

__all__ = ['SIZES', 'DemoSize', 'make_demo', 'record']

_AZIMUTHS = (0.0, 45.0, -45.0)  # cameras 1, 2 and 3
_BYSTANDER = Action('stand', 2.0)


@dataclass(frozen=True)
class DemoSize:
    """How much to make: every subject does every action ``repetitions`` times, before ``views`` cameras."""

    classes: int
    subjects: int
    repetitions: int
    views: int = 3

    def __post_init__(self) -> None:
        limits = dict(
            classes=(2, len(ACTIONS) * len(VARIANTS)),
            subjects=(2, 999),
            repetitions=(1, 999),
            views=(1, len(_AZIMUTHS)),
        )
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ACLNetError(f'the demo data takes {low} to {high} {name}, got {getattr(self, name)}')

    @property
    def samples(self) -> int:
        return self.classes * self.subjects * self.repetitions * self.views


#: presets: the demo of the quickstart, and as many samples as NTU RGB+D 60 has (57,600), for benchmarks
SIZES = dict(
    demo=DemoSize(classes=14, subjects=16, repetitions=1), ntu60=DemoSize(classes=60, subjects=40, repetitions=8)
)


def make_demo(
    out: str, size: DemoSize = SIZES['demo'], noise: float = 1.0, seed: int = 0, progress: bool = True
) -> dict:
    """Make and write the data. The same arguments give the same file; more subjects, classes or repetitions leave the
    samples of a smaller set as they are.

    Odd subjects are xsub_train; cameras 2 and 3 are xview_train.

    Args:
        out: the ``.pkl`` to write; the names of the classes go into ``<out without .pkl>_classes.txt``.
        size: how much of everything.
        noise: factor of the sensor's noise; 0 for a perfect one.
        seed: any number of at least 0.
        progress: show a progress bar.

    Returns:
        what was written: dict(split, annotations).

    Raises:
        ACLNetError: a knob is out of range, or the file cannot be written.
    """
    if not out.endswith('.pkl'):
        raise ACLNetError(f'the demo data is written to a name that ends in .pkl, got {out}')
    if noise < 0 or not np.isfinite(noise) or seed < 0:
        raise ACLNetError(f'noise and seed of the demo data must be at least 0, got noise {noise} and seed {seed}')
    samples = tqdm(_samples(size, noise, seed), total=size.samples, desc='demo data', disable=not progress, leave=False)
    annotations = list(samples)
    split: dict[str, list[str]] = dict(xsub_train=[], xsub_val=[], xview_train=[], xview_val=[])
    for sample in annotations:
        name = sample['frame_dir']
        split[f'xsub_{"train" if int(name[9:12]) % 2 else "val"}'].append(name)
        split[f'xview_{"val" if name[5:8] == "001" else "train"}'].append(name)
    data = dict(split=split, annotations=annotations)
    with atomic_write(out) as stream:
        pickle.dump(data, stream, protocol=4)
    with atomic_write(f'{out.removesuffix(".pkl")}_classes.txt', 'w') as stream:
        stream.write('\n'.join(class_names(size.classes)) + '\n')
    return data


def _samples(size: DemoSize, noise: float, seed: int) -> Iterator[dict]:
    for subject in range(1, size.subjects + 1):
        rng = np.random.default_rng((seed, 0, subject))
        person = Person.draw(rng)
        setup = (subject - 1) // 8 + 1
        distance, height = np.random.default_rng((seed, 1, setup)).uniform((2.4, 0.7), (3.6, 1.3))
        for repetition in range(1, size.repetitions + 1):
            for label in range(size.classes):
                rng = np.random.default_rng((seed, 2, subject, repetition, label))
                for view, keypoint in enumerate(
                    record(recipe(label), person, (distance, height), noise, rng, size.views), 1
                ):
                    yield dict(
                        frame_dir=f'S{setup:03}C{view:03}P{subject:03}R{repetition:03}A{label + 1:03}',
                        label=label,
                        total_frames=keypoint.shape[1],
                        keypoint=keypoint.astype(np.float16),
                    )


def record(
    action: Action, person: Person, place: tuple[float, float], noise: float, rng: np.random.Generator, views: int = 3
) -> list[np.ndarray]:
    """One performance before ``views`` cameras: a (M, T, 25, 3) array each, M being 1 or 2.

    Now and then somebody else stands beside (one time in eight), or the tracker takes the person for a new one in the
    middle of the clip (one time in twelve).
    """
    joints = forward_kinematics(person.offsets, *perform(action, person, rng))
    frames = len(joints)
    other = _bystander(frames, rng) if rng.random() < 1 / 8 else None
    clips = []
    for azimuth in _AZIMUTHS[:views]:
        camera = Camera(azimuth + rng.normal(0, 4), place[0] + rng.normal(0, 0.1), place[1], noise)
        clip = sense(joints, camera, rng)[None]
        if other is not None:
            clip = np.stack([clip[0], sense(other, camera, rng)])
            start, stop = np.sort(rng.integers(0, frames + 1, 2))  # there for a part of the clip
            clip[1, :start] = clip[1, stop:] = 0
            if clip[1].any():
                clip = clip[:: rng.choice([1, -1])]
            else:
                clip = clip[:1]
        elif rng.random() < 1 / 12:
            change = rng.integers(1, frames)
            clip = np.stack([clip[0], clip[0]])
            clip[0, change:] = clip[1, :change] = 0
        clips.append(clip)
    return clips


def _bystander(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T, 25, 3) somebody who stands or strolls a metre or so aside."""
    person = Person.draw(rng)
    angles, place = perform(_BYSTANDER, person, rng)
    chosen = np.minimum(np.arange(frames), len(place) - 1)
    joints = forward_kinematics(person.offsets, {k: v[chosen] for k, v in angles.items()}, place[chosen])
    stroll = np.linspace(0, rng.uniform(-0.6, 0.6), frames)
    joints[..., 0] += (rng.choice([-1, 1]) * rng.uniform(0.8, 1.3) + stroll)[:, None]
    joints[..., 2] -= rng.uniform(0, 0.8)
    return joints
