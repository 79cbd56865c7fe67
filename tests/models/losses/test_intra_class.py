from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aclnet.errors import ACLNetError
from aclnet.models.losses import IntraClassMarginLoss, intra_class
from tests.oracles import losses as oracle


@pytest.mark.parametrize(
    'seed,size,sizes,classes,kwargs',
    [
        (0, 16, [8], 4, {}),
        (1, 10, [4, 3, 1], 3, {}),  # batches that don't divide the memory, a batch of one
        (2, 6, [15, 2, 6, 7], 3, {}),  # batches larger than the memory
        (3, 5, [5], 1, dict(margin=0.0)),  # no negatives at all
        (4, 9, [4], 40, dict(temperature=0.5, margin=0.3)),  # hardly a positive
        (5, 1, [2, 1], 2, {}),
    ],
)
def test_equals_the_loops_with_gradients(seed, size, sizes, classes, kwargs):
    torch.manual_seed(seed)
    loss = IntraClassMarginLoss(7, size, embed_channels=5, **kwargs).double().train()
    literal = oracle.IntraClass(size, **kwargs)
    pushed = 0
    for step in range(12):
        n = sizes[step % len(sizes)]
        x, label = torch.randn(n, 7, dtype=torch.float64), torch.randint(classes, (n,))
        value, expected = loss(x, label), literal.step(loss.cl_fc(x), label)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
        pushed += n
        if pushed < size:
            assert not value.requires_grad and value == 0
        elif expected.requires_grad:
            got = torch.autograd.grad(value, list(loss.cl_fc.parameters()))
            wanted = torch.autograd.grad(expected, list(loss.cl_fc.parameters()))
            for a, b in zip(got, wanted):
                torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)
        filled = loss.memory_label >= 0
        oldest = (loss.memory_count.item() % size) if pushed >= size else 0
        torch.testing.assert_close(
            loss.memory[filled].roll(-oldest, 0), torch.stack([row for row, _ in literal.entries])
        )
        assert loss.memory_label[filled].roll(-oldest).tolist() == [y for _, y in literal.entries]
    assert loss.memory_count == pushed


@settings(deadline=None, max_examples=40)
@given(
    size=st.integers(1, 12),
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    classes=st.integers(1, 5),
    embed=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
def test_any_batches_equal_the_loops_with_gradients(size, sizes, classes, embed, seed):
    torch.manual_seed(seed)
    loss = IntraClassMarginLoss(3, size, embed_channels=embed).double().train()
    literal = oracle.IntraClass(size)
    for n in sizes:
        x = torch.randn(n, 3, dtype=torch.float64, requires_grad=True)
        label = torch.randint(classes, (n,))
        value, expected = loss(x, label), literal.step(loss.cl_fc(x), label)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
        assert value.requires_grad or not expected.requires_grad
        if expected.requires_grad:
            got, wanted = torch.autograd.grad(value, x)[0], torch.autograd.grad(expected, x)[0]
            torch.testing.assert_close(got, wanted, rtol=1e-7, atol=1e-9)


def test_blocks_of_samples_change_nothing(monkeypatch):
    torch.manual_seed(0)
    one = IntraClassMarginLoss(7, 10).double().train()
    two = copy.deepcopy(one)
    for n in (4, 9, 13):
        x, label = torch.randn(n, 7, dtype=torch.float64, requires_grad=True), torch.randint(3, (n,))
        wanted = one(x, label)
        monkeypatch.setattr(intra_class, '_BLOCK', 30)
        got = two(x, label)
        monkeypatch.undo()
        torch.testing.assert_close(got, wanted)
        if wanted.requires_grad:
            torch.testing.assert_close(torch.autograd.grad(got, x), torch.autograd.grad(wanted, x))


def test_resuming_goes_on_where_it_was():
    torch.manual_seed(0)
    one = IntraClassMarginLoss(7, 10).train()
    stream = [(torch.randn(4, 7), torch.randint(3, (4,))) for _ in range(8)]
    for batch in stream[:4]:
        one(*batch)
    two = IntraClassMarginLoss(7, 10).train()
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for batch in stream[4:]:
        value = two(*batch)
        assert torch.equal(one(*batch), value) and value > 0
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def test_eval_mode_keeps_nothing():
    loss = IntraClassMarginLoss(7, 4).train()
    loss(torch.randn(5, 7), torch.tensor([0, 1, 0, 1, 0]))
    state = copy.deepcopy(loss.state_dict())
    loss.eval()
    assert loss(torch.randn(3, 7), torch.tensor([0, 1, 0])) > 0
    for name, value in loss.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_published_checkpoint_has_no_memory_and_loads():
    loss = IntraClassMarginLoss(7, 4)
    loss.load_state_dict({name: value for name, value in loss.state_dict().items() if 'cl_fc' in name}, strict=True)


def test_same_value_under_autocast():
    torch.manual_seed(0)
    loss = IntraClassMarginLoss(7, 4).train()
    x, label = torch.randn(6, 7), torch.tensor([0, 1, 0, 1, 0, 1])
    expected = copy.deepcopy(loss)(x, label)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(x, label)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize('kwargs', [dict(memory_size=0), dict(memory_size=4, temperature=0)])
def test_wrong_numbers_are_named(kwargs):
    with pytest.raises(ACLNetError, match='got'):
        IntraClassMarginLoss(5, **kwargs)
