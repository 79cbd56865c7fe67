"""Every layout: bones, mirror, limbs and graphs, against the published tables and their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet import skeletons
from aclnet.errors import ACLNetError
from tests.oracles.transforms import PARENTS

# ST-GCN's and PYSKL's inward edges of NTU RGB+D, numbered from 1
NTU_EDGES = [
    (1, 2),
    (2, 21),
    (3, 21),
    (4, 3),
    (5, 21),
    (6, 5),
    (7, 6),
    (8, 7),
    (9, 21),
    (10, 9),
    (11, 10),
    (12, 11),
    (13, 1),
    (14, 13),
    (15, 14),
    (16, 15),
    (17, 1),
    (18, 17),
    (19, 18),
    (20, 19),
    (22, 8),
    (23, 8),
    (24, 12),
    (25, 12),
]


@pytest.fixture(params=sorted(PARENTS))
def layout(request):
    return skeletons.get(request.param)


def test_parents_are_the_published_ones(layout):
    assert list(layout.parents) == PARENTS[layout.name] == layout.bone_partner.tolist()
    assert [j for j, parent in enumerate(layout.parents) if j == parent] == [layout.root]


def test_every_joint_leads_to_the_root(layout):
    for joint in range(layout.num_joints):
        for _ in range(layout.num_joints):
            joint = layout.parents[joint]
        assert joint == layout.root


def test_kbones(layout):
    for joint, partner in enumerate(layout.kbone_partner):
        parent = layout.parents[joint]
        assert partner == (joint if parent == layout.root else layout.parents[parent])


def test_the_mirror_is_an_involution_that_maps_bones_to_bones(layout):
    mirror = layout.mirror
    assert (mirror[mirror] == np.arange(layout.num_joints)).all()
    for joint, parent in enumerate(layout.parents):
        assert layout.parents[mirror[joint]] == mirror[parent]


@pytest.mark.parametrize(
    'name, pairs',
    [
        ('nturgb+d', [(4, 8), (5, 9), (6, 10), (7, 11), (12, 16), (13, 17), (14, 18), (15, 19), (21, 23), (22, 24)]),
        ('kinect20', [(4, 8), (5, 9), (6, 10), (7, 11), (12, 16), (13, 17), (14, 18), (15, 19)]),
        ('coco', [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]),
        ('coco_new', [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]),
        ('openpose', [(2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17)]),
    ],
)
def test_mirror_pairs(name, pairs):
    assert {(a, int(b)) for a, b in enumerate(skeletons.get(name).mirror) if a < b} == set(pairs)


def test_limbs_mirror_each_other(layout):
    left_arm, left_leg, right_arm, right_leg = (set(limb) for limb in layout.limbs)
    assert {int(layout.mirror[j]) for j in left_arm} == right_arm
    assert {int(layout.mirror[j]) for j in left_leg} == right_leg
    assert sum(len(limb) for limb in layout.limbs) == len(left_arm | left_leg | right_arm | right_leg)


def test_the_graph_of_ntu_is_the_published_one():
    assert set(skeletons.get('nturgb+d').edges) == {(joint - 1, inner - 1) for joint, inner in NTU_EDGES}


def test_special_edges():
    assert {(21, 7), (23, 11)} <= set(skeletons.get('nturgb+d').edges)
    assert {(11, 5), (12, 6)} <= set(skeletons.get('coco').edges)


def test_spatial_graph(layout):
    identity, inward, outward = layout.graph('spatial')
    assert (identity == np.eye(layout.num_joints)).all() and not np.diag(inward).any() and not np.diag(outward).any()
    for matrix, pairs in ((inward, [(b, a) for a, b in layout.edges]), (outward, layout.edges)):
        assert {tuple(int(i) for i in pair) for pair in np.argwhere(matrix)} == set(pairs)
        sums = matrix.sum(0)
        np.testing.assert_allclose(sums[sums > 0], 1, rtol=1e-6)


def test_stgcn_partition_sums_to_the_normalised_adjacency(layout):
    parts = layout.graph('stgcn_spatial')
    near = layout.graph('binary_adj')[0] + np.eye(layout.num_joints)
    assert parts.shape[0] == 3
    np.testing.assert_allclose(parts.sum(0), near / near.sum(0), rtol=1e-6)
    assert (parts[0] > 0).tolist() == np.eye(layout.num_joints, dtype=bool).tolist()


def test_random_graph(layout):
    graph = layout.graph('random', num_filter=8, rng=np.random.default_rng(0))
    assert graph.shape == (8, layout.num_joints, layout.num_joints) and graph.dtype == np.float32
    assert abs(graph.mean() - 0.04) < 0.003 and abs(graph.std() - 0.02) < 0.003
    assert layout.graph('random', nx_node=2).shape[1] == 2 * layout.num_joints


def test_binary_graph_is_symmetric_with_one_edge_a_bone(layout):
    graph = layout.graph('binary_adj')
    assert (graph == graph.swapaxes(1, 2)).all() and graph.sum() == 2 * (layout.num_joints - 1)


def test_the_release_calls_kinect20_nw_ucla():
    assert skeletons.get('nw_ucla') is skeletons.get('kinect20')


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: skeletons.get('ntu_rgb+d'), "there is no joint layout 'ntu_rgb+d'; did you mean 'nturgb+d'?"),
        (lambda: skeletons.get(None), "there is no joint layout 'None'"),
        (lambda: skeletons.get('coco').graph('spatail'), "there is no graph mode 'spatail'; did you mean 'spatial'?"),
        (
            lambda: skeletons.get('coco').graph('spatial', nx_node=2),
            "nx_node=2 needs graph mode 'random', got 'spatial'",
        ),
    ],
)
def test_errors(call, words):
    with pytest.raises(ACLNetError) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize('parents', [(1, 2, 0), (0, 1), (0, 5), ()])
def test_a_layout_has_one_root_and_its_own_joints(parents):
    with pytest.raises(ACLNetError, match="layout 'mine' must name a parent .* exactly one joint, the root"):
        skeletons.Layout('mine', parents, swaps=(), limbs=())


@pytest.mark.parametrize('name', ['sbu15', 'mediapipe33'])
def test_layouts_of_single_sources(name):
    layout = skeletons.get(name)
    assert layout.num_joints == int(name[-2:])
    for joint in range(layout.num_joints):
        assert layout.mirror[layout.parents[joint]] == layout.parents[layout.mirror[joint]]  # left is as right
        for _ in range(layout.num_joints):
            joint = layout.parents[joint]
        assert joint == layout.root
    left_arm, left_leg, right_arm, right_leg = layout.limbs
    assert set(layout.mirror[list(left_arm)]) == set(right_arm) and set(layout.mirror[list(left_leg)]) == set(right_leg)
