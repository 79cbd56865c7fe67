"""Joint layouts, one declaration each; bones, k-bones, mirrors, limbs and graphs derive from them.

Source of the numbers: the published configs of PYSKL, CTR-GCN and ACLNet (see docs of each data set).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aclnet.errors import ACLNetError, nearest

__all__ = ['GRAPH_MODES', 'LAYOUTS', 'Layout', 'get']


@dataclass(frozen=True)
class Layout:
    """A skeleton's joints. Joints are numbered from 0; the root is its own parent.

    Attributes:
        name: key in ``LAYOUTS``.
        parents: parent of every joint, (V,).
        swaps: pairs (left, right) of joints that a mirror exchanges.
        limbs: left arm, left leg, right arm, right leg, as tuples of joints.
        scored: whether channel 3 of a joint is a detection score (2D layouts) and not a coordinate.
        subtracts_scores: whether k-bones and motion subtract scores instead of averaging them (a quirk of the
            published ``_new`` layouts; bones average them in every layout).
        graph_edges: joints whose edge in the graph leads elsewhere than to the parent.
    """

    name: str
    parents: tuple[int, ...]
    swaps: tuple[tuple[int, int], ...]
    limbs: tuple[tuple[int, ...], ...]
    scored: bool = False
    subtracts_scores: bool = False
    graph_edges: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        joints = range(len(self.parents))
        if sum(joint == parent for joint, parent in enumerate(self.parents)) != 1 or not set(self.parents) <= set(
            joints
        ):
            raise ACLNetError(
                f"layout '{self.name}' must name a parent among its {len(self.parents)} joints for each of them, and "
                f'exactly one joint, the root, as its own; got {self.parents}'
            )

    @property
    def num_joints(self) -> int:
        return len(self.parents)

    @cached_property
    def root(self) -> int:
        return next(joint for joint, parent in enumerate(self.parents) if joint == parent)

    @cached_property
    def bone_partner(self) -> np.ndarray:
        """(V,) the joint that is subtracted to make the bone of each joint."""
        return np.array(self.parents)

    @cached_property
    def kbone_partner(self) -> np.ndarray:
        """(V,) the grandparent, or the joint itself where its parent is the root."""
        return np.array(
            [joint if parent == self.root else self.parents[parent] for joint, parent in enumerate(self.parents)]
        )

    @cached_property
    def mirror(self) -> np.ndarray:
        """(V,) permutation that exchanges left and right."""
        order = np.arange(self.num_joints)
        for left, right in self.swaps:
            order[[left, right]] = right, left
        return order

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(joint, joint nearer the root) for every joint but the root."""
        return tuple(
            (joint, self.graph_edges.get(joint, parent)) for joint, parent in enumerate(self.parents) if joint != parent
        )

    def graph(
        self,
        mode: str = 'random',
        max_hop: int = 1,
        nx_node: int = 1,
        num_filter: int = 8,
        init_std: float = 0.02,
        init_off: float = 0.04,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Adjacency of the layout, (K, V·nx_node, V·nx_node) float32.

        Args:
            mode: 'random' draws N(init_off, init_std²) for ``num_filter`` subsets (ACLNet's); 'spatial' is identity,
                inward and outward edges, column-normalised; 'stgcn_spatial' the distance partition of ST-GCN;
                'binary_adj' one matrix of zeros and ones.
            max_hop: distance up to which 'stgcn_spatial' connects joints.
            nx_node: copies of every joint ('random' only).
            rng: source of the draws; a fresh one if None.

        Raises:
            ACLNetError: an unknown mode, or ``nx_node`` above 1 for a mode with real edges.
        """
        if mode not in GRAPH_MODES:
            raise ACLNetError(
                f"there is no graph mode '{mode}'{nearest(mode, GRAPH_MODES)} (known: {', '.join(GRAPH_MODES)})"
            )
        if nx_node != 1 and mode != 'random':
            raise ACLNetError(f"nx_node={nx_node} needs graph mode 'random', got '{mode}'")
        if isinstance(num_filter, bool) or not isinstance(num_filter, int) or num_filter < 1:
            raise ACLNetError(f'num_filter must be a whole number from 1 up, got {num_filter!r}')
        if mode == 'random':
            rng = np.random.default_rng() if rng is None else rng
            size = self.num_joints * nx_node
            return (rng.standard_normal((num_filter, size, size)) * init_std + init_off).astype(np.float32)
        if mode == 'binary_adj':
            return (self._inward + self._inward.T)[None].astype(np.float32)
        if mode == 'spatial':
            return np.stack(
                [np.eye(self.num_joints), _column_normalised(self._inward), _column_normalised(self._inward.T)]
            ).astype(np.float32)
        return self._distance_partition(max_hop).astype(np.float32)

    @cached_property
    def _inward(self) -> np.ndarray:
        matrix = np.zeros((self.num_joints, self.num_joints))
        for joint, inner in self.edges:
            matrix[inner, joint] = 1
        return matrix

    def _hops(self, max_hop: int) -> np.ndarray:
        step = self._inward + self._inward.T + np.eye(self.num_joints)
        hops = np.full_like(step, np.inf)
        reach = np.eye(self.num_joints)
        for hop in range(max_hop + 1):
            hops[(reach > 0) & np.isinf(hops)] = hop
            reach = reach @ step
        return hops

    def _distance_partition(self, max_hop: int) -> np.ndarray:
        hops = self._hops(max_hop)
        weights = _column_normalised((hops <= max_hop).astype(float))
        from_root = hops[:, self.root]
        closer = from_root[:, None] >= from_root[None, :]  # [j, i]: j at least as far from the root as i
        parts = [np.where(hops == 0, weights, 0)]
        for hop in range(1, max_hop + 1):
            parts += [np.where((hops == hop) & closer, weights, 0), np.where((hops == hop) & ~closer, weights, 0)]
        return np.stack(parts)


def _column_normalised(matrix: np.ndarray) -> np.ndarray:
    total = matrix.sum(0)
    return matrix / np.where(total > 0, total, 1)


GRAPH_MODES = ('random', 'spatial', 'stgcn_spatial', 'binary_adj')

_COCO_SWAPS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
_COCO_LIMBS = ((5, 7, 9), (11, 13, 15), (6, 8, 10), (12, 14, 16))
_OPENPOSE_SWAPS = ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17))
_OPENPOSE_LIMBS = ((5, 6, 7), (11, 12, 13), (2, 3, 4), (8, 9, 10))
_KINECT_SWAPS = tuple((joint, joint + 4) for joint in (4, 5, 6, 7, 12, 13, 14, 15))

_ALL = (
    Layout(
        'nturgb+d',
        parents=(1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11),
        swaps=(*_KINECT_SWAPS, (21, 23), (22, 24)),
        limbs=((4, 5, 6, 7, 21, 22), (12, 13, 14, 15), (8, 9, 10, 11, 23, 24), (16, 17, 18, 19)),
        graph_edges={21: 7, 23: 11},
    ),
    Layout(
        'kinect20',
        parents=(1, 2, 2, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18),
        swaps=_KINECT_SWAPS,
        limbs=((4, 5, 6, 7), (12, 13, 14, 15), (8, 9, 10, 11), (16, 17, 18, 19)),
    ),
    Layout(
        'coco',
        parents=(0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 0, 0, 11, 12, 13, 14),
        swaps=_COCO_SWAPS,
        limbs=_COCO_LIMBS,
        scored=True,
        graph_edges={11: 5, 12: 6},
    ),
    Layout(
        'coco_new',
        parents=(19, 0, 0, 1, 2, 19, 19, 5, 6, 7, 8, 17, 17, 11, 12, 13, 14, 18, 19, 19),
        swaps=_COCO_SWAPS,
        limbs=_COCO_LIMBS,
        scored=True,
        subtracts_scores=True,
    ),
    Layout(
        'openpose',
        parents=(1, 1, 1, 2, 3, 1, 5, 6, 2, 8, 9, 5, 11, 12, 0, 0, 14, 15),
        swaps=_OPENPOSE_SWAPS,
        limbs=_OPENPOSE_LIMBS,
        scored=True,
    ),
    Layout(
        'openpose_new',
        parents=(1, 1, 1, 2, 3, 1, 5, 6, 18, 8, 9, 18, 11, 12, 0, 0, 14, 15, 19, 1),
        swaps=_OPENPOSE_SWAPS,
        limbs=_OPENPOSE_LIMBS,
        scored=True,
        subtracts_scores=True,
    ),
    Layout(  # SBU: head, neck, torso; shoulder, elbow, hand of the left and the right; hip, knee, foot likewise
        'sbu15',
        parents=(1, 2, 2, 1, 3, 4, 1, 6, 7, 2, 9, 10, 2, 12, 13),
        swaps=((3, 6), (4, 7), (5, 8), (9, 12), (10, 13), (11, 14)),
        limbs=((3, 4, 5), (9, 10, 11), (6, 7, 8), (12, 13, 14)),
    ),
    Layout(  # MediaPipe's world landmarks, rooted at the nose
        'mediapipe33',
        parents=(
            0,
            0,
            1,
            2,
            0,
            4,
            5,
            3,
            6,
            0,
            0,
            0,
            0,
            11,
            12,
            13,
            14,
            15,
            16,
            15,
            16,
            15,
            16,
            11,
            12,
            23,
            24,
            25,
            26,
            27,
            28,
            27,
            28,
        ),  # fmt: skip
        swaps=((1, 4), (2, 5), (3, 6), *((left, left + 1) for left in range(7, 33, 2))),
        limbs=((11, 13, 15, 17, 19, 21), (23, 25, 27, 29, 31), (12, 14, 16, 18, 20, 22), (24, 26, 28, 30, 32)),
    ),
)
LAYOUTS = {layout.name: layout for layout in _ALL}
LAYOUTS['nw_ucla'] = LAYOUTS['kinect20']  # the research release's name for its mirror


def get(name: str) -> Layout:
    """The layout called ``name``; raises ``ACLNetError`` and lists the known ones if there is none."""
    try:
        return LAYOUTS[name]
    except (KeyError, TypeError):
        raise ACLNetError(
            f"there is no joint layout '{name}'{nearest(name, LAYOUTS)} (known: {', '.join(LAYOUTS)})"
        ) from None
