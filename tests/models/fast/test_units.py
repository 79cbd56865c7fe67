"""The fast forms against the formulas."""

from __future__ import annotations

import pytest
import torch

from aclnet import skeletons
from aclnet.models.fast import optimize_for_training
from tests.models.backbones.test_dynamic_gcn import CASES, make
from tests.oracles.backbone import backbone


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('layout,N,M,T,C,width,kwargs,oracle_kwargs', CASES)
def test_equals_the_formulas_with_gradients(layout, N, M, T, C, width, kwargs, oracle_kwargs, training):
    net = optimize_for_training(make(layout, C, width, kwargs)).train(training)
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
