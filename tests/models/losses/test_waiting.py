"""A training step neither waits for the device nor is compiled anew."""

from __future__ import annotations

import copy

import pytest
import torch
from torch._dynamo.utils import counters

from aclnet.models import build_model
from aclnet.models.losses import InterClassAffinityLoss, IntraClassMarginLoss
from tests.run import shell
from tests.test_distributed import free_port, model_config
from tests.waiting import NoWaiting

SIZES = (8, 8, 8, 5)  # of the batches of an epoch
CLASSES = 12


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def recognizer():
    torch.manual_seed(0)
    model = build_model(model_config(True))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(('alpha', 'beta')):
                parameter.normal_()  # else the embedding is 0 and the terms are blind
    return model


def lost(model, clips, label):
    return model(keypoint=clips, label=label)


def inter(model, x, logits, label):
    return dict(loss=model(x, logits, label))


def intra(model, x, label):
    return dict(loss=model(x, label))


def draw(kind, n):
    if kind is lost:
        return torch.randn(n, 1, 1, 6, 20, 3), torch.randint(4, (n,))
    label = torch.randint(CLASSES, (n,))
    logits = [torch.randn(n, CLASSES)] if kind is inter else []
    return (torch.randn(n, 7, requires_grad=True), *logits, label)


def make(kind):
    if kind is lost:
        return recognizer()
    return InterClassAffinityLoss(CLASSES, 7, start_epoch=2) if kind is inter else IntraClassMarginLoss(7, 30)


def set_epoch(model, epoch):
    for part in model.modules():
        if hasattr(part, 'set_epoch'):
            part.set_epoch(epoch)


@pytest.mark.parametrize('kind', [lost, inter, intra])
def test_compiles_whole_and_no_more_once_every_phase_was_met(kind):
    plain = make(kind).train()
    model = copy.deepcopy(plain)
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    for epoch in range(1, 8):
        with torch._dynamo.config.patch(error_on_recompile=epoch > 4):  # affinity began in epoch 3, the memory is full
            for n in SIZES:
                batch = draw(kind, n)
                for part in (model, plain):
                    set_epoch(part, epoch)
                    part.zero_grad()
                got, wanted = kind(compiled, *batch), kind(plain, *batch)
                for name in wanted:
                    torch.testing.assert_close(got[name], wanted[name])
                for losses in (got, wanted):
                    total = sum(value for name, value in losses.items() if 'loss' in name)
                    if total.requires_grad:
                        total.backward()
                for ours, theirs in zip(model.parameters(), plain.parameters()):
                    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
        if kind is lost:
            clips = torch.randn(SIZES[epoch % 4], 2, 1, 6, 20, 3)
            with torch.no_grad():
                scores = [m.eval()(keypoint=clips, return_loss=False) for m in (compiled, plain)]
            torch.testing.assert_close(*map(torch.as_tensor, scores))
            model.train(), plain.train()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)
    # one graph for each phase and shape of the first batches, and not one for each step
    assert counters['stats']['unique_graphs'] <= (7 if kind is lost else 5)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('kind', [lost, inter, intra])
def test_no_operation_waits_for_the_device(kind, training):
    model = make(kind).train()
    active = 0
    for epoch in range(1, 5):
        set_epoch(model, epoch)
        for n in SIZES:
            model.train(training or epoch < 4)
            batch = draw(kind, n)
            with NoWaiting() as watch:
                losses = kind(model, *batch)
                loss = losses['loss'] if 'loss' in losses else losses['loss_inter'] + losses['loss_intra']
                if loss.requires_grad:
                    loss.backward()
            active += bool(loss > 0)
            assert watch.seen > 5
    assert active >= len(SIZES)


def test_no_operation_of_two_ranks_waits():
    done = shell('python', 'tests/workers/waiting_ranks.py', free_port())
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count('rank 0') == done.stdout.count('rank 1') == 5


@pytest.mark.parametrize(
    'wait',
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.where(x > 0),
        lambda x: x.unique(),
        lambda x: x.masked_select(x > 0),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        lambda x: x.index_put_((x > 0,), torch.zeros(())),
    ],
)
def test_waiting_is_seen(wait):
    x = torch.randn(5)
    with pytest.raises(AssertionError, match='waits for the device'), NoWaiting():
        wait(x)
