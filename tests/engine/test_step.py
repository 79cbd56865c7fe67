"""A training step: what is computed in which precision, by which optimizer, and that nothing waits for the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aclnet.apis import load_config
from aclnet.apis.test import choose_kernels
from aclnet.engine import BatchProcessor
from aclnet.models import build_model, optimize_for_training
from tests.made import write_config
from tests.run import checkpoint, log_lines, tool
from tests.workers import watching

pytestmark = pytest.mark.usefixtures('one_thread')


class Precision(TorchDispatchMode):
    """Operation → dtypes of the floating tensors that it gives."""

    def __init__(self):
        super().__init__()
        self.given: dict[str, set[torch.dtype]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.name().partition('::')[2].partition('.')[0]
        tensors = out if isinstance(out, (tuple, list)) else [out]
        if 'batch_norm' in name:  # its first result is the activations
            tensors = tensors[1:]
        for value in tensors:
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                self.given.setdefault(name, set()).add(value.dtype)
        return out


EXACT = ('_softmax', '_log_softmax', '_log_softmax_backward_data', 'logsumexp', 'nll_loss_forward', 'exp', 'log',
         'native_batch_norm', 'native_batch_norm_backward')  # fmt: skip


@pytest.mark.parametrize('fast', [True, False])
def test_losses_softmax_and_statistics_keep_full_precision_in_bf16(tmp_path, fast):
    model = build_model(load_config(write_config(tmp_path)).model).train()
    model = optimize_for_training(model) if fast else model
    process = BatchProcessor(torch.device('cpu'), 'bf16')
    for epoch in range(1, 4):  # until both terms are on
        model.cls_head.inter_loss.set_epoch(epoch)
        batch = dict(keypoint=torch.randn(4, 1, 1, 8, 20, 3), label=torch.randint(3, (4,)))
        with Precision() as watch:
            outputs = process(model, batch, True)
            outputs['loss'].backward()
    assert {name: watch.given[name] for name in EXACT} == dict.fromkeys(EXACT, {torch.float32})
    low = {name for name, kinds in watch.given.items() if kinds == {torch.bfloat16}}
    assert 'threshold_backward' in low or not fast, low
    assert any(name.startswith(('convolution', 'mkldnn_convolution', 'bmm')) for name in low), low
    assert all(value.dtype == torch.float32 for value in [*outputs['values'].values(), outputs['loss']])
    assert outputs['values']['loss_inter'] > 0 and outputs['values']['loss_intra'] > 0
    for value in [*model.parameters(), *(buffer for buffer in model.buffers() if buffer.is_floating_point())]:
        assert value.dtype == torch.float32


WATCH = """
custom_imports = dict(imports=['tests.workers.watching'])
custom_hooks = [dict(type='WatchHook', priority=41)]
optimizer_config = dict(grad_clip={clip}, wait=False, cumulative_iters={many})
log_config = dict(interval=3, hooks=[dict(type='TextLoggerHook')])
"""


@pytest.mark.parametrize('clip,many', [(None, 1), (dict(max_norm=1.0), 2)])
@pytest.mark.parametrize('optimizer', ['SGD', 'AdamW'])
def test_no_iteration_waits_for_the_device(tmp_path, clip, many, optimizer):
    watching.SEEN.clear()
    extra = WATCH.format(clip=clip, many=many)
    extra += "optimizer = dict(type='AdamW', lr=0.001)\n" if optimizer == 'AdamW' else ''
    tool('train', write_config(tmp_path, epochs=3, extra=extra), '--amp', 'bf16', '--seed', 0)
    assert len(watching.SEEN) == 3 * 6 and min(watching.SEEN) > 100
    assert all(np.isfinite(line['loss']) for line in log_lines(tmp_path / 'work'))


@pytest.mark.parametrize('optimizer', ["dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.0005)",
                                       "dict(type='AdamW', lr=0.001, eps=0.01)"])  # fmt: skip
def test_fused_steps_are_the_others_to_rounding(tmp_path, optimizer):
    """Of a training whose terms, and so some of its parameters, begin late."""
    states = []
    for fused in (None, False):
        work = tmp_path / str(fused)
        extra = f'optimizer = {optimizer}\n' + ('' if fused is None else 'optimizer.update(fused=False)\n')
        tool('train', write_config(tmp_path, epochs=2, extra=extra, work_dir=str(work)), '--seed', 0)
        content = checkpoint(work / 'epoch_2.pth')
        assert content['optimizer']['param_groups'][0]['fused'] is (fused is None)
        states.append(content['state_dict'])
    for key, value in states[0].items():  # rounding decides on ReLUs, a wrong momentum or decay changes far more
        torch.testing.assert_close(value, states[1][key], rtol=1e-3, atol=1e-3, msg=lambda m, key=key: f'{key}: {m}')


@pytest.mark.parametrize('before,after', [(True, False), (False, True)])
def test_a_training_goes_on_with_another_choice(tmp_path, before, after):
    config = write_config(tmp_path, extra="optimizer = dict(type='Adam', lr=0.001)\n")
    tool('train', config, '--seed', 0, '--cfg-options', 'total_epochs=1', f'optimizer.fused={before}')
    tool('train', config, '--seed', 0, '--cfg-options', f'optimizer.fused={after}')
    content = checkpoint(tmp_path / 'work' / 'epoch_2.pth')['optimizer']
    assert content['param_groups'][0]['fused'] is after and content['state'][0]['step'] == 12


def test_a_dampened_momentum_is_not_fused(tmp_path):
    extra = "optimizer = dict(type='SGD', lr=0.01, momentum=0.9, dampening=0.5)\n"
    tool('train', write_config(tmp_path, epochs=1, extra=extra), '--seed', 0)
    assert not checkpoint(tmp_path / 'work' / 'epoch_1.pth')['optimizer']['param_groups'][0]['fused']


@pytest.mark.parametrize('wanted', [True, False])
def test_one_value_chooses_tf32(tmp_path, wanted):
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32
    try:
        cuda.allow_tf32 = not wanted
        choose_kernels(load_config(write_config(tmp_path), None if wanted else dict(tf32=False)))
        assert cuda.allow_tf32 is wanted and cudnn.allow_tf32 is wanted
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = before
