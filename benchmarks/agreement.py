"""What stands before a measurement on a device: that the fast path gives there what the formulas give in fp64."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from aclnet.apis import optimize_for_training
from aclnet.models import DynamicGCN
from aclnet.models.losses import InterClassAffinityLoss, IntraClassMarginLoss
from benchmarks.measure import Row
from tests.oracles import losses as oracle
from tests.oracles.backbone import backbone

__all__ = ['agreement']

STRIDES = [1, 2]
_OUTPUTS = {'feature', 'graph'}
SHAPE = (3, 2, 13, 25, 3)  # persons, frames and batch odd where they may be


def agreement(device: torch.device, compile_options: dict) -> list[Row]:
    """Distances of outputs and gradients on fresh random inputs from those of tests/oracles in fp64 on the CPU.

    A distance is relative to the length of what is wanted, of all gradients together: rounding decides on ReLUs whose
    argument is nearly 0, so that single elements may differ by much more. TF32 is off meanwhile.

    Args:
        device: where the fast path runs.
        compile_options: of ``torch.compile``; empty takes inductor.
    """
    torch.seed()  # fresh
    graph = dict(layout='nturgb+d', mode='random', num_filter=8, init_off=0.04, init_std=0.02)
    sizes = dict(base_channels=24, num_stages=2, inflate_stages=[2], down_stages=[2])
    net = DynamicGCN(graph, gcn_ratio=0.125, **sizes).double()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(('alpha', 'beta', 'add_coeff')):
                parameter.normal_()  # else some formulas are multiplied by 0
    x = torch.randn(SHAPE, dtype=torch.float64)
    wanted = _literal(net, x)
    exact = optimize_for_training(copy.deepcopy(net)).to(device).train()
    fast = optimize_for_training(copy.deepcopy(net)).to(device, torch.float32).train()
    compiled = torch.compile(fast, fullgraph=True, **compile_options)
    rows = []
    with _full_precision():
        for name, half, module, call, reach in (
            ('fp64', False, exact, exact, (1e-9, 1e-9)),
            ('fp32', False, fast, fast, (1e-4, 0.05)),
            ('fp32, compiled', False, fast, compiled, (1e-4, 0.05)),
            ('bf16', True, fast, fast, (0.05, 0.5)),
            ('bf16, compiled', True, fast, compiled, (0.05, 0.5)),
        ):
            kind = next(module.parameters()).dtype
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                found = _ours(module, call, x.to(device, kind), wanted)
            for what, own, limit in zip(('outputs', 'gradients'), (_OUTPUTS, wanted.keys() - _OUTPUTS), reach):
                rows.append(_row(f'{what}, {name}', _distance(found, wanted, own), limit))
    return [*rows, _terms(device)]


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    kinds: Any = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [kind.allow_tf32 for kind in kinds]
    for kind in kinds:
        kind.allow_tf32 = False
    try:
        yield
    finally:
        for kind, value in zip(kinds, before):
            kind.allow_tf32 = value


def _row(name: str, error: float, reach: float) -> Row:
    return Row(f'agreement: {name}', error, reach=reach, unit='', lower=True)


def _literal(net: DynamicGCN, x: Tensor) -> dict[str, Tensor]:
    state = {name: value.detach().clone() for name, value in net.state_dict().items()}
    for name, _ in net.named_parameters():
        state[name].requires_grad_()
    outputs = backbone(state, x, True, STRIDES)
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(value.shape, generator=generator, dtype=value.dtype) for value in outputs]
    torch.stack([(value * weight).sum() for value, weight in zip(outputs, weights)]).sum().backward()
    grads = {name: state[name].grad for name, _ in net.named_parameters()}
    found = {name: torch.zeros_like(state[name]) if grad is None else grad for name, grad in grads.items()}
    return dict(feature=outputs[0].detach(), graph=outputs[1].detach(), **found)


def _ours(net: DynamicGCN, call: Callable, x: Tensor, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    net.zero_grad()
    outputs = call(x)
    generator = torch.Generator().manual_seed(0)
    terms = []
    for name, value in zip(('feature', 'graph'), outputs):
        weight = torch.randn(wanted[name].shape, generator=generator, dtype=torch.float64)
        terms.append((value * weight.to(value.device, value.dtype)).sum().double())
    torch.stack(terms).sum().backward()
    found = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in net.named_parameters()
    }
    named = dict(feature=outputs[0].detach(), graph=outputs[1].detach(), **found)
    return {name: value.cpu().double().clone() for name, value in named.items()}


def _distance(found: dict[str, Tensor], wanted: dict[str, Tensor], names: Iterable[str]) -> float:
    one, two = (torch.cat([side[name].flatten() for name in sorted(names)]) for side in (found, wanted))
    return float((one - two).norm() / two.norm())


def _terms(device: torch.device) -> Row:
    """Both contrastive terms and their gradients, in fp64, against loops."""
    classes, size = 7, 12
    inter = InterClassAffinityLoss(classes, 9, 16, start_epoch=0, num_neighbors=3, min_overlap=1).double()
    intra = IntraClassMarginLoss(9, size, 16).double()
    literal = oracle.InterClass(inter.prototypes, start_epoch=0, num_neighbors=3, min_overlap=1)
    memory = oracle.IntraClass(size)
    own = copy.deepcopy((inter, intra))
    own[0].to(device).train(), own[1].to(device).train()
    error = 0.0
    for epoch in (1, 2, 3):
        own[0].set_epoch(epoch)
        x, label = torch.randn(8, 9, dtype=torch.float64), torch.randint(classes, (8,))
        logits = torch.randn(8, classes, dtype=torch.float64)
        sides = []
        for kind in (torch.device('cpu'), device):
            at = x.to(kind).requires_grad_()
            if kind is device:
                value = own[0](at, logits.to(kind), label.to(kind)) + own[1](at, label.to(kind))
            else:
                value = literal.step(epoch, inter.cl_fc(at), logits, label) + memory.step(intra.cl_fc(at), label)
            sides.append((value.detach().cpu(), torch.autograd.grad(value, at)[0].cpu()))
        (one, slope), (two, other) = sides
        error = max(error, float((one - two).abs()), float((slope - other).abs().max() / slope.abs().max()))
    return _row('contrastive terms and their gradients, fp64', error, 1e-9)
