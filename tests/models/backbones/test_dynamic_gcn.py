from __future__ import annotations

import pytest
import torch

from aclnet import skeletons
from aclnet.errors import ACLNetError
from aclnet.models.backbones import DynamicGCN
from tests.oracles.backbone import backbone

CASES = [
    # layout, N, M, T, C, width, kwargs of the model, kwargs of the oracle
    ('nturgb+d', 2, 2, 12, 3, 16, {}, {}),
    ('kinect20', 3, 1, 13, 3, 16, {}, {}),  # odd length
    ('coco_new', 1, 2, 1, 3, 16, {}, {}),  # one frame, one sample
    ('coco', 2, 1, 7, 2, 24, dict(num_person=1, data_bn_type='MVC'), dict(data_bn='MVC')),
    ('openpose', 2, 3, 5, 3, 16, dict(data_bn_type='none'), dict(data_bn=None)),
    ('openpose_new', 2, 1, 9, 3, 16, dict(gcn_ctr='NA'), dict(ctr='NA')),
    ('nturgb+d', 2, 1, 6, 3, 16, dict(gcn_ada='NA', gcn_subset_wise=True), dict(ada='NA', subset_wise=True)),
    ('nturgb+d', 2, 1, 6, 3, 16, dict(gcn_ctr=None), dict(ctr=None)),
    (
        'kinect20',
        2,
        1,
        6,
        3,
        16,
        dict(gcn_ada=None, tcn_ms_cfg=[(5, 1), ('max', 3), '1x1']),
        dict(ada=None, ms_cfg=[(5, 1), ('max', 3), '1x1']),
    ),
    ('kinect20', 2, 1, 6, 3, 19, {}, {}),  # a width that neither 8 subsets nor 6 branches divide
]


def make(layout, channels, width, kwargs):
    torch.manual_seed(0)
    net = DynamicGCN(
        dict(layout=layout, mode='random', num_filter=8),
        in_channels=channels,
        base_channels=width,
        **{'num_stages': 4, 'inflate_stages': [3], 'down_stages': [2, 4], 'gcn_ratio': 0.125, **kwargs},
    )
    with torch.no_grad():  # zeros would hide the learned graph and the virtual joint
        for name, parameter in net.named_parameters():
            if name.endswith(('alpha', 'beta', 'add_coeff')):
                parameter.normal_(0, 0.5)
        for name, buffer in net.named_buffers():
            if name.endswith('running_mean'):
                buffer.normal_(0, 0.1)
            if name.endswith('running_var'):
                buffer.uniform_(0.5, 2)
    return net.double()


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('layout,N,M,T,C,width,kwargs,oracle_kwargs', CASES)
def test_equals_the_formulas_with_gradients(layout, N, M, T, C, width, kwargs, oracle_kwargs, training):
    net = make(layout, C, width, kwargs).train(training)
    V = skeletons.get(layout).num_joints
    x = torch.randn(N, M, T, V, C, dtype=torch.float64)
    if M > 1:
        x[0, 1:] = 0  # an absent person
    state = {name: value.clone() for name, value in net.state_dict().items()}
    mirror = {
        name: value.requires_grad_() if value.is_floating_point() and 'running' not in name else value
        for name, value in state.items()
    }
    feature, graph = net(x)
    expected, expected_graph = backbone(mirror, x, training, strides=[1, 2, 1, 2], **oracle_kwargs)
    assert feature.shape == expected.shape == (N, M, 2 * width, -(-T // 4), V)
    torch.testing.assert_close(feature, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(graph, expected_graph, rtol=1e-9, atol=1e-9)
    weight, weight_graph = torch.randn_like(feature), torch.randn_like(graph)
    ((feature * weight).sum() + (graph * weight_graph).sum()).backward()
    ((expected * weight).sum() + (expected_graph * weight_graph).sum()).backward()
    for name, parameter in net.named_parameters():
        wanted = mirror[name].grad
        if wanted is None or parameter.grad is None:
            assert (parameter.grad is None or not parameter.grad.any()) and (wanted is None or not wanted.any()), name
        else:
            torch.testing.assert_close(
                parameter.grad, wanted, rtol=1e-6, atol=1e-8, msg=lambda m, name=name: f'{name}: {m}'
            )


def test_size_as_published():
    net = DynamicGCN(
        dict(layout='nturgb+d', mode='random', num_filter=8, init_off=0.04, init_std=0.02), gcn_ratio=0.125
    )
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == 3.71
    widths = [block.gcn.post.out_channels for block in net.gcn]
    assert widths == [96] * 4 + [192] * 3 + [384] * 3
    assert [block.tcn.branches[5].stride[0] for block in net.gcn] == [1] * 4 + [2] + [1] * 2 + [2] + [1] * 2
    assert net.gcn[0].residual is None and isinstance(net.gcn[1].residual, torch.nn.Identity)
    first = net.gcn[0].gcn.A
    assert all(torch.equal(block.gcn.A, first) for block in net.gcn)
    assert abs(first.mean() - 0.04) < 0.002 and abs(first.std() - 0.02) < 0.002
    assert not first.data_ptr() == net.gcn[1].gcn.A.data_ptr()
    assert all(
        not block.gcn.alpha.any() and not block.gcn.beta.any() and not block.tcn.add_coeff.any() for block in net.gcn
    )


def test_torch_seed_fixes_the_graph():
    torch.manual_seed(3)
    one = make('coco', 3, 16, {}).gcn[0].gcn.A
    two = make('coco', 3, 16, {}).gcn[0].gcn.A
    assert torch.equal(one, two)


def test_a_tuple_gives_each_stage_its_own_value():
    net = make('kinect20', 3, 16, dict(gcn_ctr=('T', 'NA', None, 'T'), tcn_dropout=0.5))
    assert [block.gcn.ctr for block in net.gcn] == ['T', 'NA', None, 'T']
    assert all(block.tcn.drop.p == 0.5 for block in net.gcn)


def test_real_graphs_set_the_number_of_subsets():
    net = DynamicGCN(dict(layout='coco', mode='spatial'), base_channels=12, num_stages=2)
    assert net.gcn[0].gcn.A.shape == (3, 17, 17) and net.gcn[0].gcn.mid_channels == 4
    net(torch.randn(1, 1, 4, 17, 3))


@pytest.mark.parametrize(
    'kwargs,words',
    [
        (dict(gcn_ratoi=1), "did you mean 'gcn_ratio'"),
        (dict(gcn_ctr='time'), "'T', 'NA' or None"),
        (dict(tcn_ms_cfg=['3x1']), '(kernel, dilation)'),
        (dict(gcn_ctr_act='gelu'), 'softmax, tanh, relu, sigmoid'),
        (dict(data_bn_type='V'), "'VC', 'MVC' or None"),
        (dict(base_channels=4, gcn_ratio=0.5), 'raise base_channels'),
        (dict(gcn_norm='BM'), 'norm'),
    ],
)
def test_wrong_arguments_are_named(kwargs, words):
    with pytest.raises(ACLNetError, match='.*') as error:
        DynamicGCN(
            dict(layout='coco', mode='random'), **{'num_stages': 2, 'gcn_ratio': 0.125, 'base_channels': 16, **kwargs}
        )
    assert words in str(error.value)


@pytest.mark.parametrize(
    'graph_cfg,words',
    [
        (dict(layout='ntu'), 'nturgb+d'),
        (dict(), 'layout'),
        (dict(layout='coco', mode='rnadom'), "did you mean 'random'"),
        (dict(layout='coco', hops=2), 'max_hop'),
        (dict(layout='coco', mode='spatial', nx_node=2), 'nx_node'),
    ],
)
def test_wrong_graphs_are_named(graph_cfg, words):
    with pytest.raises(ACLNetError) as error:
        DynamicGCN(graph_cfg)
    assert words in str(error.value)


@pytest.mark.parametrize('shape', [(2, 1, 4, 25, 3), (2, 1, 4, 17, 2), (2, 4, 17, 3)])
def test_input_of_another_skeleton_is_refused(shape):
    net = DynamicGCN(dict(layout='coco', mode='random'), base_channels=16, num_stages=1, gcn_ratio=0.125)
    with pytest.raises(ACLNetError, match='17, 3'):
        net(torch.randn(shape))
