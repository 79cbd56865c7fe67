"""A depth camera that watches: its view, its noise, the frames that it loses and whom it takes for whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

__all__ = ['Camera', 'sense']

# metres of noise (standard deviation) at 3 m, by joint: hands and feet are found worse than the trunk
_NOISE = np.full(25, 0.008)
_NOISE[[5, 9, 13, 17]] = 0.011
_NOISE[[6, 10, 14, 18]] = 0.013
_NOISE[[7, 11, 15, 19]] = 0.015
_NOISE[[21, 22, 23, 24]] = 0.020
_TRUNK = [0, 1, 20]
_MEMORY = 0.6  # noise of one frame that lasts into the next


@dataclass(frozen=True)
class Camera:
    """Where a camera stands.

    Attributes:
        azimuth: degrees around the person, 0 in front of them, positive on their left.
        distance, height: metres.
        noise: factor of the sensor's errors; 0 is a perfect sensor.
    """

    azimuth: float
    distance: float
    height: float
    noise: float = 1.0

    def view(self, joints: np.ndarray) -> np.ndarray:
        """(T, 25, 3) in body axes → the camera's: x to its right, y up, z away from it."""
        angle = np.deg2rad(self.azimuth)
        cos, sin = np.cos(angle), np.sin(angle)
        x, y, z = np.moveaxis(joints, -1, 0)
        # seen from the front, the person's left is on the camera's right
        return np.stack([cos * x - sin * z, y - self.height, self.distance - sin * x - cos * z], axis=-1)


def sense(joints: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """What the camera says of one person, (T, 25, 3) in its own axes; frames in which it lost them are all 0."""
    seen = camera.view(joints)
    frames = len(seen)
    trunk = seen[:, _TRUNK].mean(axis=1, keepdims=True)
    behind = (seen[..., 2] > trunk[..., 2] + 0.06) & (np.abs(seen[..., 0] - trunk[..., 0]) < 0.2)
    spread = _NOISE * (seen[..., 2] / 3) ** 2 * np.where(behind, 2.5, 1.0)
    white = rng.standard_normal((frames, 25, 3)) * np.sqrt(1 - _MEMORY**2)
    seen = seen + camera.noise * spread[..., None] * lfilter([1], [1, -_MEMORY], white, axis=0)
    if rng.random() < 0.35 * min(camera.noise, 1.0):
        start = rng.integers(frames)
        seen[start : start + rng.integers(1, 4)] = 0
    return seen
