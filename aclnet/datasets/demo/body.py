"""A person of 25 joints: bone lengths, and where the joints are when their angles are known.

Metres and degrees. Body axes: x to the person's left, y up, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

__all__ = ['DOFS', 'HANDED', 'Person', 'forward_kinematics']

# joint: (joint that carries it, offset in the rest pose: upright, arms hanging), of a person 1.7 m tall
_REST: dict[int, tuple[int, tuple[float, float, float]]] = {
    1: (0, (0.0, 0.29, 0.0)),
    20: (1, (0.0, 0.22, 0.0)),
    2: (20, (0.0, 0.08, 0.0)),
    3: (2, (0.0, 0.14, 0.02)),
    4: (20, (0.17, -0.03, 0.0)),
    5: (4, (0.02, -0.27, 0.0)),
    6: (5, (0.0, -0.24, 0.0)),
    7: (6, (0.0, -0.07, 0.01)),
    21: (7, (0.0, -0.08, 0.01)),
    22: (7, (-0.02, -0.02, 0.05)),
    12: (0, (0.08, -0.03, 0.0)),
    13: (12, (0.01, -0.39, 0.0)),
    14: (13, (0.0, -0.38, 0.0)),
    15: (14, (0.02, -0.06, 0.12)),
}
_MIRROR = {4: 8, 5: 9, 6: 10, 7: 11, 21: 23, 22: 24, 12: 16, 13: 17, 14: 18, 15: 19}
_REST.update(
    {
        _MIRROR[j]: (_MIRROR.get(carrier, carrier), (-x, y, z))
        for j, (carrier, (x, y, z)) in _REST.items()
        if j in _MIRROR
    }
)

# degree of freedom: (joint that turns, axis 0 = sideways about z, 1 = fore and aft about x, 2 = twist about y, sign)
DOFS: dict[str, tuple[int, int, int]] = {
    'yaw': (0, 2, 1),
    'lean': (1, 1, 1),
    'sway': (1, 0, 1),
    'turn': (1, 2, 1),
    'chest_lean': (20, 1, 1),
    'nod': (2, 1, 1),
    'tilt': (2, 0, 1),
    'shake': (2, 2, 1),
}
for _side, _sign, _shift in (('left', 1, 0), ('right', -1, 4)):
    DOFS[f'{_side}_lift'] = (4 + _shift, 1, -1)  # the arm forward and up
    DOFS[f'{_side}_spread'] = (4 + _shift, 0, _sign)  # the arm away from the trunk
    DOFS[f'{_side}_twist'] = (4 + _shift, 2, -_sign)  # the forearm towards the middle
    DOFS[f'{_side}_elbow'] = (5 + _shift, 1, -1)
    DOFS[f'{_side}_wrist'] = (6 + _shift, 1, -1)
    DOFS[f'{_side}_hand'] = (6 + _shift, 0, _sign)
    DOFS[f'{_side}_hip'] = (12 + _shift, 1, -1)  # the thigh forward and up
    DOFS[f'{_side}_leg'] = (12 + _shift, 0, _sign)  # the leg sideways
    DOFS[f'{_side}_knee'] = (13 + _shift, 1, 1)
    DOFS[f'{_side}_ankle'] = (14 + _shift, 1, 1)

#: the same degree of freedom for someone who does it with the other hand or foot: (name, sign)
HANDED: dict[str, tuple[str, int]] = {
    name: (name.replace('left', 'right') if name.startswith('left') else name.replace('right', 'left'), 1)
    for name in DOFS
}
HANDED.update({name: (name, -1) for name in ('yaw', 'sway', 'turn', 'tilt', 'shake')})


@dataclass(frozen=True)
class Person:
    """Someone with a body and a manner of moving.

    Attributes:
        offsets: (25, 3) metres from the joint that carries each joint, in the rest pose.
        tempo: 1 is average, 2 twice as fast.
        manner: factor per degree of freedom by which this person exaggerates or understates it.
        posture: degrees that are added to it always.
        left_handed: does with the left what others do with the right.
    """

    offsets: np.ndarray
    tempo: float
    manner: dict[str, float]
    posture: dict[str, float]
    left_handed: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Person:
        """Someone at random: 1.5 to 1.95 m tall, limbs longer or shorter than average by some per cent."""
        left_handed = bool(rng.random() < 0.1)
        stature = np.clip(rng.normal(1.0, 0.06), 0.88, 1.15)
        offsets = np.zeros((25, 3))
        for joint, (_, offset) in _REST.items():
            offsets[joint] = offset
        for bones in ((1, 20), (2, 3), (4, 8), (5, 9), (6, 10), (7, 11, 21, 22, 23, 24), (12, 16), (13, 17), (14, 18)):
            offsets[list(bones)] *= stature * rng.normal(1.0, 0.05)
        offsets[[15, 19]] *= stature
        return cls(
            offsets=offsets,
            tempo=float(np.exp(rng.normal(0.0, 0.16))),
            manner={name: float(rng.normal(1.0, 0.08)) for name in DOFS},
            posture={name: float(rng.normal(0.0, 3.0)) for name in DOFS if name != 'yaw'},
            left_handed=left_handed,
        )


def forward_kinematics(offsets: np.ndarray, angles: dict[str, np.ndarray], place: np.ndarray) -> np.ndarray:
    """Where the joints are.

    Args:
        offsets: (25, 3) of a :class:`Person`.
        angles: (T,) degrees per degree of freedom; those left out are 0.
        place: (T, 3) metres: where on the floor, and y how far above it the lowest joint is.

    Returns:
        (T, 25, 3) metres in body axes, y 0 being the floor.
    """
    frames = len(place)
    turning = sorted({joint for joint, _, _ in DOFS.values()})
    euler = np.zeros((len(turning), frames, 3))
    for name, values in angles.items():
        joint, axis, sign = DOFS[name]
        euler[turning.index(joint), :, axis] += sign * values
    own = Rotation.from_euler('ZXY', euler.reshape(-1, 3), degrees=True).as_matrix()
    own = dict(zip(turning, own.reshape(len(turning), frames, 3, 3)))
    frame = {0: own[0]}
    joints = np.zeros((frames, 25, 3))
    for joint, (carrier, _) in _REST.items():
        joints[:, joint] = joints[:, carrier] + frame[carrier] @ offsets[joint]
        frame[joint] = frame[carrier] @ own[joint] if joint in own else frame[carrier]
    joints[..., 1] -= joints[..., 1].min(axis=1, keepdims=True)
    return joints + place[:, None]
