"""A compiled recognizer: one graph for all full batches, none for others, and the same results."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from torch._dynamo.utils import counters

from aclnet.apis import load_config, optimize_for_training
from aclnet.errors import ACLNetError
from aclnet.models import build_model, compile_model
from tests.made import write_config
from tests.run import checkpoint, tool

FULL, SHORT = 4, 1
SMALL = "model['backbone'].update(num_stages=2, tcn_ms_cfg=[(3, 1), ('max', 3), '1x1'])\n"


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def graphs() -> int:
    return counters['stats']['unique_graphs']


def whole(model) -> bool:
    return model.network.whole and model.cls_head.loss.whole


@pytest.fixture
def pair(tmp_path):
    """A compiled model and one that is not, alike."""
    torch.manual_seed(0)
    plain = optimize_for_training(build_model(load_config(write_config(tmp_path, extra=SMALL)).model)).train()
    return compile_model(copy.deepcopy(plain), FULL, backend='eager'), plain


def step(model, epoch, x, label, amp):
    for part in model.modules():
        if hasattr(part, 'set_epoch'):
            part.set_epoch(epoch)
    model.zero_grad()
    with torch.autocast('cpu', torch.bfloat16, enabled=amp):
        losses = model(keypoint=x, label=label)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return losses


@pytest.mark.parametrize('amp', [False, True])
def test_steps_are_those_of_the_uncompiled_model(pair, amp):
    """Through all phases of the terms, with a short batch at the end of each epoch; whole, or it would be logged."""
    found = []
    for epoch in range(1, 2 if amp else 6):
        for n in (FULL, FULL, FULL, SHORT):
            x, label = torch.randn(n, 1, 1, 8, 20, 3), torch.randint(3, (n,))
            before = graphs()
            got, wanted = (step(model, epoch, x, label, amp) for model in pair)
            assert n == FULL or graphs() == before, 'a short batch compiles nothing'
            for name in wanted:
                torch.testing.assert_close(got[name], wanted[name], rtol=0.05 if amp else 1e-5, atol=1e-6)
            if not amp:
                for ours, theirs in zip(*(model.parameters() for model in pair)):
                    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
        found.append(graphs())
    assert whole(pair[0]) and found[-1] <= 6, found
    if not amp:
        assert found[-1] == found[1] and got['loss_inter'] > 0 and got['loss_intra'] > 0
        torch.testing.assert_close(pair[0].state_dict(), pair[1].state_dict())


def test_a_short_batch_is_exactly_the_uncompiled_step(pair):
    model, plain = pair
    x, label = torch.randn(SHORT, 1, 1, 8, 20, 3), torch.randint(3, (SHORT,))
    got, wanted = (step(model, 1, x, label, amp=True) for model in pair)
    assert got == wanted and not graphs()
    for ours, theirs in zip(model.parameters(), plain.parameters()):
        assert ours.grad is theirs.grad is None or torch.equal(ours.grad, theirs.grad)


def test_scores_are_compiled_for_the_first_batch(pair):
    model, plain = (part.eval() for part in pair)
    with torch.no_grad():
        for n in (3, 3, 2, 3, 1):
            clips = torch.randn(n, 5, 1, 8, 20, 3)
            got, wanted = (torch.as_tensor(part(keypoint=clips, return_loss=False)) for part in (model, plain))
            torch.testing.assert_close(got, wanted)
    assert graphs() == 1 and whole(model)


def test_what_breaks_the_graph_is_said_and_compiled_in_pieces(pair, caplog):
    model, plain = pair
    for part in pair:
        part.cls_head.dropout.register_forward_hook(lambda *_: torch._dynamo.graph_break())
    x, label = torch.randn(FULL, 1, 1, 8, 20, 3), torch.randint(3, (FULL,))
    with caplog.at_level(logging.WARNING, 'aclnet'):
        for _ in range(2):
            got, wanted = (step(part, 1, x, label, amp=False) for part in pair)
            torch.testing.assert_close(got, wanted)
    assert sum('not in one piece' in line for line in caplog.messages) == 1 and not whole(model)


def test_a_compiler_that_fails_ends_in_a_sentence(pair):
    def broken(module, inputs):
        raise RuntimeError('no compiler here')

    model = compile_model(copy.deepcopy(pair[1]), FULL, backend=broken)
    with pytest.raises(ACLNetError, match='--compile: torch cannot compile the model here .*no compiler.*leave it out'):
        model(keypoint=torch.randn(FULL, 1, 1, 8, 20, 3), label=torch.randint(3, (FULL,)))


class Other(torch.nn.Module):
    def forward(self, x):
        return x.sum()


def test_another_recognizer_is_compiled_as_torch_does_it():
    assert compile_model(Other(), FULL, backend='eager')(torch.ones(5, 3)) == 15 and graphs() == 1


def test_a_training_compiles_no_short_batch_and_resumes_to_the_bit(tmp_path, monkeypatch):
    """21 samples in batches of 4; the resume begins with the short one."""
    monkeypatch.setattr('aclnet.models.compiling._OPTIONS', dict(backend='eager'))
    extra = SMALL + 'checkpoint_config = dict(interval=5, by_epoch=False)\n'
    config = write_config(tmp_path, epochs=2, extra=extra)
    tool('train', config, '--compile', '--seed', 0, '--validate')
    whole = checkpoint(tmp_path / 'work' / 'iter_10.pth')
    counts = graphs()
    resume = ['--resume-from', tmp_path / 'work' / 'iter_5.pth', '--work-dir', tmp_path / 'again']
    tool('train', config, '--compile', '--seed', 0, '--validate', *resume)
    again = checkpoint(tmp_path / 'again' / 'iter_10.pth')
    for key, value in whole['state_dict'].items():
        assert torch.equal(value, again['state_dict'][key]), key
    assert counts <= 7
