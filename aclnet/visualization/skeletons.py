"""Clips as rows of stick figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aclnet import skeletons
from aclnet.errors import ACLNetError
from aclnet.visualization.canvas import INK, LEFT, MUTED, RIGHT, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['draw_clips']


def draw_clips(
    clips: Sequence[np.ndarray], titles: Sequence[str], layout: str = 'nturgb+d', poses: int = 8, image: bool = False
) -> Figure:
    """A row of ``poses`` stick figures per clip, evenly spread over it, seen by the camera.

    Args:
        clips: keypoints (M, T, V, C), C at least 2; joints that are all 0 were not seen.
        titles: one per clip, written before its row.
        layout: key of ``skeletons.LAYOUTS``.
        poses: how many of each clip's frames.
        image: y grows downward, as in 2D poses.

    Raises:
        ACLNetError: no clips, an unknown layout, or other joints than it has.
    """
    body = skeletons.get(layout)
    if not clips or poses < 1:
        raise ACLNetError('there is nothing to draw: give at least one clip and one pose')
    figure = new_figure(1.1 * poses + 1.6, 1.75 * len(clips))
    grid = figure.subplots(len(clips), poses, squeeze=False)
    for row, clip, title in zip(grid, clips, titles):
        clip = np.asarray(clip, np.float32)
        if clip.ndim != 4 or clip.shape[2] != body.num_joints or clip.shape[3] < 2 or not clip.shape[1]:
            raise ACLNetError(
                f"a clip of layout '{layout}' has the shape (persons, frames, {body.num_joints}, 2 or more), "
                f'got {clip.shape}'
            )
        seen = clip[clip.any(axis=-1)][:, :2]
        low, high = (seen.min(axis=0), seen.max(axis=0)) if len(seen) else (np.zeros(2), np.ones(2))
        margin = 0.04 * (high - low).max() + 1e-6
        for axes, frame in zip(row, np.linspace(0, clip.shape[1] - 1, poses).round().astype(int)):
            for person in clip[:, frame]:
                _draw_pose(axes, person, body)
            axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
            axes.set_aspect('equal')
            if image:
                axes.invert_yaxis()
            axes.axis('off')
        row[0].text(-0.08, 0.5, title, transform=row[0].transAxes, ha='right', va='center', fontsize=10, color=INK)
    return figure


def _draw_pose(axes: Axes, pose: np.ndarray, body: skeletons.Layout) -> None:
    left = {joint for pair in body.swaps for joint in pair[:1]}
    right = {joint for pair in body.swaps for joint in pair[1:]}
    for joint, parent in enumerate(body.parents):
        if joint == parent or not pose[joint].any() or not pose[parent].any():
            continue
        colour = LEFT if joint in left else RIGHT if joint in right else MUTED
        axes.plot(*pose[[joint, parent], :2].T, color=colour, linewidth=1.6, solid_capstyle='round')
