"""The fast forms against the formulas written out, and against the general forms in what formulas leave open."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from aclnet import skeletons
from aclnet.apis import optimize_for_inference
from aclnet.models import optimize_for_training, synchronized
from aclnet.models.fast import joints, products
from aclnet.models.fast.units import FastBlock, FastSpatialUnit, FastTemporalUnit
from tests.models.backbones.test_dynamic_gcn import CASES, make
from tests.oracles.backbone import backbone


def both_sides(net, x, **oracle_kwargs):
    """(name, ours, wanted) of outputs and gradients; the formulas are computed in double precision."""
    mirror = {
        name: value.double().clone().requires_grad_('running' not in name) if value.is_floating_point() else value
        for name, value in net.state_dict().items()
    }
    ours = net(x)
    wanted = backbone(mirror, x.double(), net.training, strides=[1, 2, 1, 2], **oracle_kwargs)
    weights = [torch.randn_like(value) for value in wanted]
    sum((value * weight).sum() for value, weight in zip(wanted, weights)).backward()
    sum((value * weight).sum() for value, weight in zip(ours, weights)).backward()
    yield from zip(('feature', 'graph'), ours, wanted)
    for name, parameter in net.named_parameters():
        none = torch.zeros_like(mirror[name])
        yield (
            name,
            none if parameter.grad is None else parameter.grad,
            none if mirror[name].grad is None else mirror[name].grad,
        )


def clips(N, M, T, V, C, dtype=torch.float64):
    x = torch.randn(N, M, T, V, C, dtype=dtype)
    x[0, 1:] = 0  # an absent person
    return x


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('layout,N,M,T,C,width,kwargs,oracle_kwargs', CASES)
def test_equals_the_formulas_with_gradients(layout, N, M, T, C, width, kwargs, oracle_kwargs, training):
    net = optimize_for_training(make(layout, C, width, kwargs)).train(training)
    x = clips(N, M, T, skeletons.get(layout).num_joints, C)
    for name, ours, wanted in both_sides(net, x, **oracle_kwargs):
        torch.testing.assert_close(ours, wanted, rtol=1e-6, atol=1e-8, msg=lambda m, name=name: f'{name}: {m}')


BRANCHES = st.sampled_from([(3, 1), (3, 2), (5, 1), (3, 4), ('max', 3), '1x1'])


@settings(max_examples=12, deadline=None)
@given(
    layout=st.sampled_from(sorted(skeletons.LAYOUTS)),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 9), st.integers(2, 4), st.integers(8, 20)),
    ms_cfg=st.lists(BRANCHES, min_size=1, max_size=6),
    subset_wise=st.booleans(),
    training=st.booleans(),
)
def test_equals_the_formulas_at_any_size(layout, sizes, ms_cfg, subset_wise, training):
    N, M, T, C, width = sizes
    assume(N * M * T > 1 or not training)  # batch norms refuse a single value
    net = make(layout, C, width, dict(tcn_ms_cfg=ms_cfg, gcn_subset_wise=subset_wise, num_person=M))
    net = optimize_for_training(net).train(training)
    for name, ours, wanted in both_sides(
        net, clips(N, M, T, net.num_joints, C), ms_cfg=ms_cfg, subset_wise=subset_wise
    ):
        scale = wanted.abs().max()
        assert (ours - wanted).abs().max() <= 1e-6 * scale + 1e-7, name


@settings(max_examples=20, deadline=None)
@given(
    layout=st.sampled_from(sorted(skeletons.LAYOUTS)),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 9), st.integers(2, 4), st.integers(8, 20)),
    ms_cfg=st.lists(BRANCHES, min_size=1, max_size=6),
    options=st.fixed_dictionaries({}, optional=dict(subset_wise=st.booleans(), ctr=st.none(), ada=st.none())),
)
def test_inference_equals_the_formulas_at_any_size(layout, sizes, ms_cfg, options):
    N, M, T, C, width = sizes
    kwargs = {f'gcn_{name}': value for name, value in options.items()}
    net = make(layout, C, width, dict(tcn_ms_cfg=ms_cfg, num_person=M, **kwargs)).eval()
    x = clips(N, M, T, net.num_joints, C)
    folded = optimize_for_inference(net)
    assert all(isinstance(block, FastBlock) for block in folded.gcn)
    wanted = backbone(net.state_dict(), x, False, strides=[1, 2, 1, 2], ms_cfg=ms_cfg, **options)
    for no_gradient in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with no_gradient():
            ours = folded(x)
        for one, other in zip(ours, wanted):
            assert (one - other).abs().max() <= 1e-6 * other.abs().max() + 1e-7


def test_gradients_of_the_input_pass_through_a_folded_network():
    net = make('coco', 3, 16, {}).eval()
    x = torch.randn(2, 1, 8, 17, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(net(x)[0])
    found, wanted = (torch.autograd.grad((f(x)[0] * weight).sum(), x)[0] for f in (optimize_for_inference(net), net))
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize('ctr_act', ['tanh', 'relu', 'sigmoid', 'softmax'])
@pytest.mark.parametrize('training', [True, False])
def test_functions_of_the_graph(ctr_act, training):
    general = make('coco', 3, 16, dict(gcn_ctr_act=ctr_act)).train(training)
    fast = optimize_for_training(copy.deepcopy(general))
    x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
    for net in (general, fast):
        feature, graph = net(x)
        (feature.square().sum() + graph.square().sum()).backward()
    torch.testing.assert_close(fast(x), general(x), rtol=1e-9, atol=1e-9)
    for one, other in zip(fast.parameters(), general.parameters()):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-7, atol=1e-9)


def worst(net, x):
    """The largest error of an output or a gradient, relative to its largest value.

    Some gradients are zero but for rounding: of biases before batch norms, and of weights whose scale the next batch
    norm takes away. So no scale is smaller than a hundredth of the largest.
    """
    with torch.random.fork_rng():
        torch.manual_seed(1)
        sides = [(ours.detach(), wanted.detach()) for _, ours, wanted in both_sides(net, x)]
    scales = [wanted.abs().max() for _, wanted in sides]
    return max(
        float((ours - wanted).abs().max() / max(scale, max(scales) / 100))
        for (ours, wanted), scale in zip(sides, scales)
    )


def test_single_precision_is_enough():
    net = optimize_for_training(make('nturgb+d', 3, 24, {}).float()).eval()
    assert worst(net, clips(4, 2, 16, 25, 3, torch.float32)) < 1e-4


def test_single_precision_in_training_is_that_of_the_published_order():
    """Rounding decides on ReLUs whose argument is nearly 0, so no order of sums gives all gradients to 1e-4."""
    general = make('nturgb+d', 3, 24, {}).float().train()
    fast = optimize_for_training(copy.deepcopy(general))
    x = clips(4, 2, 16, 25, 3, torch.float32)
    assert worst(fast, x) < max(1e-4, 3 * worst(general, x))


@pytest.mark.parametrize('momentum', [0.1, 0.3, None])
def test_running_statistics(momentum):
    general = make('coco', 3, 16, {}).train()
    for part in general.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = momentum
    fast = optimize_for_training(copy.deepcopy(general))
    for _ in range(3):
        x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
        general(x), fast(x)
    torch.testing.assert_close(fast.state_dict(), general.state_dict(), rtol=1e-9, atol=1e-9)


def test_norms_that_differ_are_computed_apart():
    general = make('coco', 3, 16, {}).train()
    general.gcn[0].tcn.branches[1][1].eval()  # frozen
    general.gcn[1].tcn.branches[0][1].momentum = 0.5
    general.gcn[2].tcn.branches[2][1].eps = 0.1
    fast = optimize_for_training(copy.deepcopy(general))
    x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
    torch.testing.assert_close(fast(x), general(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fast.state_dict(), general.state_dict(), rtol=1e-9, atol=1e-9)


def test_dropout_is_kept():
    general = make('coco', 3, 16, dict(tcn_dropout=1.0)).train()  # drops all, so chance has no part in it
    fast = optimize_for_training(copy.deepcopy(general))
    x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
    torch.testing.assert_close(fast(x), general(x))


def test_a_bias_before_a_batch_norm_has_a_gradient_of_zero():
    net = optimize_for_training(make('coco', 3, 16, {})).train()
    net(torch.randn(2, 1, 8, 17, 3, dtype=torch.float64))[0].sum().backward()
    unit = net.gcn[1]
    for bias in (unit.gcn.pre[0].bias, unit.gcn.post.bias, unit.tcn.branches[0][0].bias, unit.tcn.transform[2].bias):
        assert torch.equal(bias.grad, torch.zeros_like(bias)), 'None would keep weight decay away'
    assert unit.tcn.branches[0][3].conv.bias.grad.any()


def test_each_unit_is_judged_alone():
    net = make('coco', 3, 16, dict(gcn_ctr=('T', 'NA', 'T', 'T'), tcn_act=('ReLU', 'ReLU', 'LeakyReLU', 'ReLU')))
    keys = list(net.state_dict())
    assert optimize_for_training(net) is net and list(net.state_dict()) == keys
    assert [isinstance(block.gcn, FastSpatialUnit) for block in net.gcn] == [True, False, True, True]
    assert [isinstance(block.tcn, FastTemporalUnit) for block in net.gcn] == [True, True, False, True]
    assert [isinstance(block, FastBlock) for block in net.gcn] == [True, False, False, True]
    other = optimize_for_training(make('coco', 3, 16, dict(gcn_norm='IN', tcn_norm='IN')))
    assert not any(isinstance(part, (FastSpatialUnit, FastTemporalUnit, FastBlock)) for part in other.modules())


@pytest.mark.parametrize('training', [True, False])
def test_mixed_forms_agree(training):
    general = make('coco', 3, 16, dict(gcn_ctr=('T', 'NA', 'T', 'T'), tcn_act=('ReLU', 'ReLU', 'LeakyReLU', 'ReLU')))
    general.train(training)
    fast = optimize_for_training(copy.deepcopy(general))
    x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
    torch.testing.assert_close(fast(x), general(x), rtol=1e-9, atol=1e-9)


def test_synchronized_norms_agree():
    general = make('coco', 3, 16, {}).train()
    fast = optimize_for_training(synchronized(copy.deepcopy(general)))
    assert all(isinstance(block, FastBlock) for block in fast.gcn)
    x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
    torch.testing.assert_close(fast(x), general(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fast.state_dict(), general.state_dict(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('fast', [True, False])
def test_compiles_without_a_graph_break(fast, training):
    net = make('coco', 3, 16, dict(num_stages=2, inflate_stages=[2], down_stages=[2])).train(training)
    net = optimize_for_training(net) if fast else net
    twin = copy.deepcopy(net)
    torch._dynamo.reset()
    x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
    got, wanted = torch.compile(twin, fullgraph=True, backend='eager')(x), net(x)
    torch.testing.assert_close(got, wanted)
    for outputs in (got, wanted):
        (outputs[0].square().sum() + outputs[1].sum()).backward()
    for one, two in zip(twin.parameters(), net.parameters()):
        torch.testing.assert_close(one.grad, two.grad)
    torch.testing.assert_close(twin.state_dict(), net.state_dict())


def test_inference_compiles_without_a_graph_break():
    net = optimize_for_inference(make('coco', 3, 16, dict(num_stages=2, inflate_stages=[2], down_stages=[2])))
    torch._dynamo.reset()
    x = torch.randn(2, 2, 7, 17, 3, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(net, fullgraph=True, backend='eager')(x), net(x))


def test_functional_gradients():
    net = optimize_for_training(make('coco', 3, 16, {})).eval()
    x = torch.randn(1, 2, 7, 17, 3, dtype=torch.float64)
    parameters = {name: value.detach() for name, value in net.named_parameters()}
    found = torch.func.grad(lambda p: torch.func.functional_call(net, p, (x,))[0].square().sum())(parameters)
    net(x)[0].square().sum().backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(
            found[name], torch.zeros_like(found[name]) if parameter.grad is None else parameter.grad
        )


@pytest.mark.parametrize('training', [True, False])
def test_mixed_precision(training):
    net = optimize_for_training(make('coco', 3, 24, {})).float().train(training)
    x = torch.randn(4, 2, 16, 17, 3)
    exact = net(x)[0]
    with torch.autocast('cpu', torch.bfloat16):
        feature, graph = net(x)
    assert (feature.float() - exact).abs().mean() < 0.1 * exact.abs().mean()
    (feature.float().square().mean() + graph.float().sum()).backward()
    assert all(p.grad is None or (p.grad.dtype == p.dtype and p.grad.isfinite().all()) for p in net.parameters())


def test_gradients_of_the_functions():
    def made(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    x, weight = made(2, 3, 4, 5), made(6, 3, 1, 1)
    assert torch.autograd.gradcheck(products.rows_to_planes, (x, weight, made(6)))
    assert torch.autograd.gradcheck(products.planes_to_rows, (x, weight, made(6)))
    assert torch.autograd.gradcheck(joints.append_virtual, (x,))
    assert torch.autograd.gradcheck(joints.relu_append_virtual, (x, made(2, 3, 4, 5)))
    assert torch.autograd.gradcheck(lambda c, *p: joints.add_virtual(list(p), c), (made(4), x, made(2, 1, 4, 5)))
