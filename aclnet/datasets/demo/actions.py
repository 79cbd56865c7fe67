"""What the people of the demo data do: actions declared as data, several pairs of them deliberately alike.

An action is a pose that is taken up, held and left again, a to and fro while it is held, and paths. Angles are in
degrees, told for right-handed people; time runs from 0 to 1 over the action.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from aclnet.datasets.demo.body import HANDED, Person
from aclnet.errors import ACLNetError

__all__ = ['ACTIONS', 'VARIANTS', 'Action', 'class_names', 'perform', 'recipe']

FRAME_RATE = 20.0  # per second
Path = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Action:
    """One class.

    Attributes:
        name: what people call it.
        seconds: how long it takes at tempo 1.
        pose: degrees that are held.
        swing: (degrees, times to and fro, phase in turns) around the held pose.
        path: (time, degrees) points instead of a pose.
        rise: (time, metres) points of the feet above the floor.
    """

    name: str
    seconds: float
    pose: dict[str, float] = field(default_factory=dict)
    swing: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    path: dict[str, Path] = field(default_factory=dict)
    rise: Path = ()


def _both(**values: Any) -> dict[str, Any]:
    return {f'{side}_{name}': value for name, value in values.items() for side in ('left', 'right')}


def _legs(hip: Path, knee: Path) -> dict[str, Path]:
    """Both legs bend, the feet stay flat."""
    ankle = tuple((time, thigh - shin) for (time, thigh), (_, shin) in zip(hip, knee))
    return _both(hip=hip, knee=knee, ankle=ankle)


# the first and second, the third and fourth, ... are the pairs that are alike
ACTIONS: tuple[Action, ...] = (
    Action(
        'drink',
        2.6,
        pose=dict(right_lift=66, right_twist=38, right_elbow=118, nod=-16),
        swing=dict(right_elbow=(5, 1, 0)),
    ),
    Action(
        'eat',
        2.8,
        pose=dict(right_lift=48, right_twist=40, right_elbow=102, nod=10, lean=9),
        swing=dict(right_elbow=(26, 3, 0), right_lift=(9, 3, 0)),
    ),
    Action(
        'read',
        2.8,
        pose={**_both(lift=42, elbow=88, twist=20), 'nod': 8},
        swing=dict(shake=(10, 2, 0)),
    ),
    Action(
        'write',
        2.8,
        pose={**_both(lift=22, elbow=80, twist=24), 'nod': 26, 'lean': 13},
        swing=dict(right_twist=(12, 4, 0), right_wrist=(16, 4, 0.25)),
    ),
    Action(
        'clap',
        2.2,
        pose=_both(lift=50, elbow=62, twist=28),
        swing=_both(twist=(25, 4, 0)),
    ),
    Action(
        'rub the hands',
        2.4,
        pose={**_both(lift=26, elbow=80, twist=42), 'nod': 6},
        swing=dict(left_elbow=(18, 4, 0), right_elbow=(18, 4, 0.5)),
    ),
    Action(
        'wave',
        2.4,
        pose=dict(right_lift=16, right_spread=70, right_elbow=108, right_twist=-44),
        swing=dict(right_spread=(9, 3, 0), right_hand=(30, 3, 0.1), right_twist=(14, 3, 0)),
    ),
    Action(
        'wipe a window',
        2.6,
        pose=dict(right_lift=84, right_spread=34, right_elbow=52, right_twist=-30),
        swing=dict(right_spread=(28, 3, 0), right_lift=(9, 3, 0.25)),
    ),
    Action(
        'punch',
        1.9,
        pose=_both(twist=14),
        path=dict(
            right_lift=((0, 0), (0.3, 26), (0.52, 84), (0.75, 28), (1, 0)),
            right_elbow=((0, 8), (0.3, 118), (0.52, 10), (0.75, 104), (1, 8)),
            left_elbow=((0, 8), (0.3, 92), (0.75, 92), (1, 8)),
            turn=((0, 0), (0.3, -10), (0.52, 22), (0.75, -4), (1, 0)),
        ),
    ),
    Action(
        'push',
        2.1,
        pose=_both(twist=10),
        path={
            **_both(
                lift=((0, 0), (0.3, 30), (0.56, 80), (0.75, 60), (1, 0)),
                elbow=((0, 8), (0.3, 106), (0.56, 16), (0.75, 34), (1, 8)),
            ),
            'lean': ((0, 0), (0.3, -2), (0.56, 11), (1, 0)),
        },
    ),
    Action(
        'kick',
        1.9,
        path=dict(
            right_hip=((0, 0), (0.3, -14), (0.52, 72), (0.8, 8), (1, 0)),
            right_knee=((0, 0), (0.3, 46), (0.52, 12), (0.8, 22), (1, 0)),
            lean=((0, 0), (0.52, -9), (1, 0)),
            left_lift=((0, 0), (0.52, 22), (1, 0)),
        ),
    ),
    Action(
        'lift a knee',
        2.0,
        path=dict(
            right_hip=((0, 0), (0.28, 0), (0.52, 80), (0.75, 20), (1, 0)),
            right_knee=((0, 0), (0.28, 16), (0.52, 72), (0.75, 34), (1, 0)),
            lean=((0, 0), (0.52, -5), (1, 0)),
            left_lift=((0, 0), (0.52, 14), (1, 0)),
        ),
    ),
    Action(
        'sit down',
        2.4,
        path={
            **_legs(
                hip=((0, 0), (0.2, 4), (0.6, 92), (1, 88)),
                knee=((0, 0), (0.2, 4), (0.6, 94), (1, 90)),
            ),
            'lean': ((0, 0), (0.35, 36), (0.7, 8), (1, 2)),
            **_both(lift=((0, 0), (0.35, 26), (0.7, 30), (1, 26)), elbow=((0, 8), (0.4, 36), (1, 44))),
        },
    ),
    Action(
        'squat',
        2.4,
        path={
            **_legs(
                hip=((0, 0), (0.15, 4), (0.5, 96), (0.65, 94), (1, 4)),
                knee=((0, 0), (0.15, 4), (0.5, 104), (0.65, 102), (1, 4)),
            ),
            'lean': ((0, 0), (0.35, 32), (0.6, 22), (1, 0)),
            **_both(lift=((0, 0), (0.4, 40), (0.7, 44), (1, 0)), elbow=((0, 8), (0.4, 30), (1, 8))),
        },
    ),
    Action(
        'make a phone call',
        2.8,
        pose=dict(right_lift=30, right_spread=30, right_elbow=138, tilt=-13),
        swing=dict(right_elbow=(3, 2, 0)),
    ),
    Action(
        'comb the hair',
        2.6,
        pose=dict(right_lift=74, right_spread=40, right_elbow=128, tilt=-6),
        swing=dict(right_lift=(18, 3, 0), right_elbow=(14, 3, 0.5)),
    ),
)


def _with(action: Action, pose: dict | None = None, swing: dict | None = None, path: dict | None = None) -> Action:
    """The action with more pose, swing and path; what it does already stays as it is."""
    return replace(
        action,
        pose={**(pose or {}), **action.pose},
        swing={**(swing or {}), **action.swing},
        path={**(path or {}), **action.path},
    )


# further classes are the sixteen actions done in another way
VARIANTS = (
    ('', lambda action: action),
    ('seated', lambda action: _with(action, pose=_both(hip=88, knee=90))),
    ('slowly', lambda action: replace(action, seconds=action.seconds * 1.6)),
    (
        'walking on the spot',
        lambda action: _with(
            action,
            swing=dict(left_hip=(18, 2, 0), right_hip=(18, 2, 0.5)),
            pose=_both(hip=18, knee=26),
        ),
    ),
    ('bent forward', lambda action: _with(action, pose=dict(lean=38))),
    ('turning round', lambda action: _with(action, path=dict(yaw=((0, 0), (0.2, 0), (0.8, 160), (1, 160))))),
    ('leaning aside', lambda action: _with(action, pose=dict(sway=20))),
    ('jumping', lambda action: replace(action, rise=((0, 0), (0.4, 0), (0.5, 0.22), (0.6, 0), (1, 0)))),
)


def recipe(label: int) -> Action:
    """What people do in class ``label``, counted from 0.

    Raises:
        ACLNetError: there are not so many classes.
    """
    if not 0 <= label < len(ACTIONS) * len(VARIANTS):
        raise ACLNetError(
            f'the demo data has up to {len(ACTIONS) * len(VARIANTS)} classes, asked for number {label + 1}'
        )
    name, vary = VARIANTS[label // len(ACTIONS)]
    action = vary(ACTIONS[label % len(ACTIONS)])
    return replace(action, name=f'{action.name}, {name}') if name else action


def class_names(classes: int) -> list[str]:
    """Names of the first ``classes`` classes."""
    return [recipe(label).name for label in range(classes)]


def perform(action: Action, person: Person, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One performance, no two alike.

    Returns:
        (T,) degrees per degree of freedom, and the place (T, 3) in metres; see :func:`body.forward_kinematics`.
    """
    tempo = person.tempo * np.exp(rng.normal(0, 0.1))
    frames = max(int(round(action.seconds * FRAME_RATE / tempo)), 8)
    begin, end = rng.uniform(0.0, 0.14), 1 - rng.uniform(0.0, 0.14)  # the recording starts earlier and ends later
    time = np.clip((np.linspace(0, 1, frames) - begin) / (end - begin), 0, 1)
    attack = rng.uniform(0.16, 0.28)
    held = _smooth(time / attack) * _smooth((1 - time) / attack)
    angles = {name: held * degrees * rng.normal(1, 0.07) for name, degrees in action.pose.items()}
    drift = rng.normal(0, 0.12)  # hands don't keep time with each other exactly
    for name, (degrees, cycles, phase) in action.swing.items():
        turns = cycles * np.exp(drift) * time + phase + rng.normal(0, 0.04)
        angles[name] = angles.get(name, 0.0) + held * degrees * rng.normal(1, 0.12) * np.sin(2 * np.pi * turns)
    for name, points in action.path.items():
        angles[name] = angles.get(name, 0.0) + _follow(points, time) * rng.normal(1, 0.08)
    angles = {name: values * person.manner[name] for name, values in angles.items()}
    if person.left_handed:
        angles = {HANDED[name][0]: values * HANDED[name][1] for name, values in angles.items()}
    for name, degrees in person.posture.items():
        angles[name] = angles.get(name, 0.0) + degrees + _idle(frames, 2.2, rng)
    angles['yaw'] = angles.get('yaw', 0.0) + rng.normal(0, 9) + _idle(frames, 2.0, rng)
    place = np.zeros((frames, 3))
    place[:, 0], place[:, 2] = _idle(frames, 0.02, rng), _idle(frames, 0.02, rng)
    if action.rise:
        place[:, 1] = _follow(action.rise, time)
    return angles, place


def _smooth(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def _follow(points: Path, time: np.ndarray) -> np.ndarray:
    times, values = zip(*points)
    return PchipInterpolator(times, values)(time)


def _idle(frames: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """(T,) slow swaying: nobody stands quite still."""
    time = np.arange(frames) / FRAME_RATE
    waves = [np.sin(2 * np.pi * (rng.uniform(0.15, 0.9) * time + rng.random())) for _ in range(2)]
    return size * rng.normal() * np.sum(waves, axis=0) / 2
