from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aclnet.errors import ACLNetError
from aclnet.models.losses import InterClassAffinityLoss
from tests.oracles import losses as oracle


def batches(seed, steps, classes, channels, sizes, skill=1.5):
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        n = sizes[step % len(sizes)]
        label = torch.randint(classes, (n,), generator=generator)
        logits = torch.randn(n, classes, generator=generator, dtype=torch.float64)
        logits[torch.arange(n), label] += skill
        yield torch.randn(n, channels, generator=generator, dtype=torch.float64), logits, label


@pytest.mark.parametrize(
    'seed,classes,sizes,kwargs',
    [
        (0, 25, [16], {}),
        (1, 7, [5, 1, 12], {}),  # fewer classes than neighbours, a batch of one
        (2, 40, [3, 64, 1], dict(num_neighbors=5, min_overlap=1, momentum=0.5)),
        (3, 30, [8], dict(temperatures=((10, 0.1), (20, 0.125), (25, 0.25), (30, 0.5), (None, 1.0)))),
        (4, 1, [4], {}),
        (5, 12, [9], dict(temperatures=((None, 0.07),), min_overlap=0)),
    ],
)
def test_equals_the_loops_with_gradients(seed, classes, sizes, kwargs):
    torch.manual_seed(seed)
    loss = InterClassAffinityLoss(classes, 9, embed_channels=6, start_epoch=3, **kwargs).double().train()
    literal = oracle.InterClass(loss.prototypes, start_epoch=3, **kwargs)
    active = 0
    for step, (x, logits, label) in enumerate(batches(seed, 24, classes, 9, sizes)):
        epoch = 2 + step // 6
        loss.set_epoch(epoch)
        value = loss(x, logits, label)
        expected = literal.step(epoch, loss.cl_fc(x), logits, label)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
        assert loss.confusion.tolist() == literal.B
        torch.testing.assert_close(loss.prototypes, torch.stack(literal.P), rtol=1e-9, atol=1e-9)
        if epoch > 3:
            assert [set(torch.nonzero(row).flatten().tolist()) for row in loss.superclasses] == literal.supers
            got = torch.autograd.grad(value, list(loss.cl_fc.parameters()))
            wanted = torch.autograd.grad(expected, list(loss.cl_fc.parameters()))
            for a, b in zip(got, wanted):
                torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)
            active += 1
        else:
            assert not value.requires_grad and value == 0 and loss.superclasses is None
    assert active == 12


@settings(deadline=None, max_examples=60)
@given(
    classes=st.integers(1, 30),
    high=st.integers(1, 40),
    num_neighbors=st.integers(1, 12),
    min_overlap=st.integers(-1, 12),
    seed=st.integers(0, 2**31),
)
def test_superclasses_of_any_counts_equal_the_loops(classes, high, num_neighbors, min_overlap, seed):
    loss = InterClassAffinityLoss(
        classes, 3, start_epoch=0, num_neighbors=num_neighbors, min_overlap=min_overlap, embed_channels=2
    ).train()
    torch.manual_seed(seed)
    loss.confusion.random_(high)  # with many ties
    loss.confusion[torch.rand(classes) < 0.3] = 0
    label = torch.randint(classes, (5,))
    counts = loss.confusion.tolist()
    loss.set_epoch(1)
    loss(torch.randn(5, 3), torch.eye(classes)[label], label)  # all correct: nothing is counted
    wanted = oracle.superclasses(counts, num_neighbors, min_overlap)
    assert [set(torch.nonzero(row).flatten().tolist()) for row in loss.superclasses] == wanted


def test_a_class_that_never_occurs_keeps_its_prototype():
    loss = InterClassAffinityLoss(4, 5, start_epoch=0).train()
    before = loss.prototypes.clone()
    loss.set_epoch(1)
    logits = torch.eye(4)[[0, 0, 1]]
    value = loss(torch.randn(3, 5), logits, torch.tensor([0, 0, 1]))
    assert torch.isfinite(value)
    assert torch.equal(loss.prototypes[2:], before[2:]) and not torch.equal(loss.prototypes[0], before[0])


def test_epochs_may_jump_and_repeat():
    loss = InterClassAffinityLoss(12, 5, start_epoch=2).train()
    for x, logits, label in batches(0, 3, 12, 5, [20], skill=0):
        loss.set_epoch(7)
        loss.set_epoch(7)
        loss(x.float(), logits.float(), label)
        assert loss.superclass_epoch == 7
    first = loss.superclasses.clone()
    x, logits, label = next(batches(9, 1, 12, 5, [40], skill=0))
    loss(x.float(), logits.float(), label)
    assert torch.equal(loss.superclasses, first), 'rebuilt twice in one epoch'
    loss.set_epoch(5)
    loss(x.float(), logits.float(), label)
    assert loss.superclass_epoch == 5


def test_resuming_in_mid_epoch_does_not_rebuild():
    stream = list(batches(1, 8, 12, 5, [20], skill=0))
    one = InterClassAffinityLoss(12, 5, start_epoch=2).double().train()
    one.set_epoch(3)
    for batch in stream[:4]:
        one(*batch)
    two = InterClassAffinityLoss(12, 5, start_epoch=2).double().train()
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    two.set_epoch(3)
    for batch in stream[4:]:
        assert torch.equal(one(*batch), two(*batch))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name
    assert not torch.equal(one.confusion, torch.zeros_like(one.confusion))


def test_eval_mode_keeps_nothing():
    loss = InterClassAffinityLoss(6, 5, start_epoch=0).train()
    x, logits, label = (t.float() if t.is_floating_point() else t for t in next(batches(0, 1, 6, 5, [30])))
    loss.set_epoch(1)
    loss(x, logits, label)
    state = copy.deepcopy(loss.state_dict())
    loss.eval()
    loss.set_epoch(2)
    assert loss(x, logits, label) > 0
    for name, value in loss.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_published_checkpoint_has_no_buffers_and_loads():
    loss = InterClassAffinityLoss(6, 5)
    drawn = loss.prototypes.clone()
    published = {name: torch.zeros_like(value) for name, value in loss.state_dict().items() if 'cl_fc' in name}
    missing, unexpected = loss.load_state_dict(published, strict=True)
    assert not missing and not unexpected and torch.equal(loss.prototypes, drawn)
    assert not loss.cl_fc.weight.any()


def test_zero_features_give_finite_gradients():
    loss = InterClassAffinityLoss(6, 5, start_epoch=0).train()
    loss.set_epoch(1)
    with torch.no_grad():
        loss.cl_fc.bias.zero_()
    x = torch.zeros(4, 5, requires_grad=True)
    value = loss(x, torch.eye(6)[:4], torch.arange(4))
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(temperatures=((10, 0.1),)),
        dict(temperatures=((20, 0.1), (10, 0.5), (None, 1.0))),
        dict(temperatures=()),
        dict(temperatures=((None, 0.0),)),
        dict(temperatures=3),
        dict(num_classes=0),
        dict(momentum=2),
        dict(num_neighbors=0),
    ],
)
def test_wrong_numbers_are_named(kwargs):
    with pytest.raises(ACLNetError, match='got'):
        InterClassAffinityLoss(**{'num_classes': 5, 'in_channels': 4, **kwargs})
