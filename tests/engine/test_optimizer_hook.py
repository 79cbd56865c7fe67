"""Updates: accumulation, clipping, warm-up, and nothing that is not finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aclnet.apis import load_config
from aclnet.apis.data import build_subset
from aclnet.datasets.samplers import EpochBatchSampler
from aclnet.errors import ACLNetError
from tests.made import write_config
from tests.run import checkpoint, log_lines, shell, tool

pytestmark = pytest.mark.usefixtures('one_thread')

POISON = """
custom_imports = dict(imports=['tests.workers.poison'])
custom_hooks = [dict(type='PoisonHook', epoch={epoch}, iterations={iterations})]
"""


def finite(state: dict) -> bool:
    return all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point())


WAITS = pytest.mark.parametrize('wait', [True, False], ids=['as on a CPU', 'as on a GPU'])
CHECKS = 'optimizer_config = dict(grad_clip={clip}, max_nonfinite={most}, wait={wait})\n'


def samples_of(config: str, epoch: int, iteration: int) -> list[str]:
    dataset = build_subset(load_config(config), 'train')
    sampler = EpochBatchSampler(dataset, 4, seed=5)
    sampler.set_epoch(epoch)
    return [dataset.identifiers[key.index] for key in sampler.step(iteration - 1)[0]]


@WAITS
@pytest.mark.parametrize('clip', [None, dict(max_norm=1.0)])
def test_a_loss_that_is_not_finite_ends_the_training_with_names(tmp_path, wait, clip):
    extra = POISON.format(epoch=2, iterations=[3]) + CHECKS.format(clip=clip, most=0, wait=wait)
    config = write_config(tmp_path, epochs=3, extra=extra)
    names = ', '.join(samples_of(config, 2, 3))
    with pytest.raises(ACLNetError, match=f'epoch 2, iteration 3: loss_cls nan, .*its samples are {names}. The update'):
        tool('train', config, '--seed', 5)
    work = tmp_path / 'work'
    assert not (work / 'epoch_2.pth').exists() and finite(checkpoint(work / 'latest.pth')['state_dict'])


def test_a_gradient_that_is_not_finite_ends_the_training(tmp_path):
    extra = POISON.replace('PoisonHook', 'PoisonGradient').format(epoch=1, iterations=[2])
    with pytest.raises(ACLNetError, match='epoch 1, iteration 2: gradient norm (nan|inf); its samples are'):
        tool('train', write_config(tmp_path, extra=extra), '--seed', 5)


@WAITS
def test_up_to_n_updates_that_are_not_finite_are_left_out(tmp_path, wait, capfd):
    extra = POISON.format(epoch=2, iterations=[1, 5]) + CHECKS.format(clip=None, most=2, wait=wait)
    config = write_config(tmp_path, epochs=3, extra=extra)
    tool('train', config, '--validate', '--seed', 5)
    said = capfd.readouterr().err
    assert said.count('update left out') == 2 and 'left out (2 of at most 2)' in said
    assert all(name in said for name in samples_of(config, 2, 5))
    content = checkpoint(tmp_path / 'work' / 'epoch_3.pth')
    assert finite(content['state_dict']) and content['training']['nonfinite'] == 2
    momentum = [state['momentum_buffer'] for state in content['optimizer']['state'].values()]
    assert all(torch.isfinite(buffer).all() for buffer in momentum)
    assert all(np.isfinite(line['loss']) for line in log_lines(tmp_path / 'work'))


@pytest.mark.parametrize('iteration', [1, 4])
@pytest.mark.parametrize('fused', [True, False])
def test_both_ways_leave_out_the_same_update(tmp_path, iteration, fused):
    """The update that is taken back on the device leaves what the one that is not made leaves."""
    states = []
    for wait in (True, False):
        extra = POISON.format(epoch=1, iterations=[iteration]) + CHECKS.format(clip=None, most=1, wait=wait)
        extra += f'optimizer.update(fused={fused})\n'
        tool('train', write_config(tmp_path, extra=extra, work_dir=str(tmp_path / str(wait))), '--seed', 5)
        states.append(checkpoint(tmp_path / str(wait) / 'epoch_2.pth'))
    for key, value in states[0]['state_dict'].items():
        assert torch.equal(value, states[1]['state_dict'][key]), key


def test_an_update_left_out_leaves_nothing_behind(tmp_path):
    """Weights, momentum and statistics after the left out iteration are those before it."""
    extra = POISON.format(epoch=1, iterations=[3]) + CHECKS.format(clip=None, most=1, wait=None)
    extra += 'checkpoint_config = dict(interval=1, by_epoch=False)\n'
    tool('train', write_config(tmp_path, epochs=1, extra=extra), '--seed', 5)
    before, after = (checkpoint(tmp_path / 'work' / f'iter_{i}.pth') for i in (2, 3))
    for key, value in before['state_dict'].items():
        assert torch.equal(value, after['state_dict'][key]) or key.endswith('memory_count'), key
    for one, two in zip(before['optimizer']['state'].values(), after['optimizer']['state'].values()):
        assert torch.equal(one['momentum_buffer'], two['momentum_buffer'])


def test_one_update_more_than_allowed_ends_the_training(tmp_path):
    extra = POISON.format(epoch=2, iterations=[1, 2, 3, 4]) + CHECKS.format(clip=None, most=3, wait=None)
    with pytest.raises(ACLNetError, match='epoch 2, iteration 4'):
        tool('train', write_config(tmp_path, epochs=3, extra=extra), '--seed', 5)


def test_all_ranks_stop_for_one_ranks_sample(tmp_path):
    extra = POISON.format(epoch=2, iterations=[2])
    done = shell('bash', 'tools/dist_train.sh', write_config(tmp_path, batch=2, epochs=3, extra=extra), 2, '--seed', 5)
    assert done.returncode == 2 and 'epoch 2, iteration 2: loss_cls nan' in done.stderr, done.stderr[-2000:]
    assert 'Traceback' not in done.stderr
    assert finite(checkpoint(tmp_path / 'work' / 'latest.pth')['state_dict'])


@pytest.mark.parametrize('batch,many', [(2, 2), (2, 3), (1, 4), (5, 2)])
def test_accumulated_iterations_are_one_batch(tmp_path, batch, many):
    """n iterations of b samples update as one of n·b, the short ones at the epoch's end too (no norms, no terms)."""
    states = []
    for size, config in ((batch * many, {}), (batch, dict(cumulative_iters=many))):
        extra = (
            f'optimizer_config = dict(grad_clip=None, **{config})\n'
            "model['cls_head'].update(inter_loss=None, intra_loss=None)\n"
            "lr_config = dict(policy='fixed')\n"
            "custom_imports = dict(imports=['tests.workers.poison'])\n"
            "custom_hooks = [dict(type='StillNorms')]\n"
        )
        work = tmp_path / f'{size}'
        tool('train', write_config(tmp_path, batch=size, extra=extra, work_dir=str(work)), '--seed', 5)
        states.append(checkpoint(work / 'epoch_2.pth')['state_dict'])
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], atol=2e-6, rtol=1e-4, msg=key)


def test_warm_up_and_autoscaled_learning_rates(tmp_path):
    extra = (
        "lr_config = dict(policy='fixed', warmup='linear', warmup_iters=4, warmup_ratio=0.25)\n"
        'auto_scale_lr = dict(base_batch_size=2)\n'
        "log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])\n"
    )
    config = write_config(tmp_path, epochs=1, extra=extra)
    tool('train', config, '--seed', 5, '--autoscale-lr', '--cfg-options', 'optimizer_config.cumulative_iters=3')
    lr = 0.05 * 4 * 3 / 2
    expected = [lr * (0.25 + 0.75 * min(i, 4) / 4) for i in range(6)]
    assert [line['lr'] for line in log_lines(tmp_path / 'work')] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize('option', ['cumulative_iters=0', 'max_nonfinite=-1', 'cumulative_iters=1.5'])
def test_wrong_numbers_are_named(tmp_path, option):
    with pytest.raises(ACLNetError, match=option.partition('=')[0]):
        tool('train', write_config(tmp_path), '--cfg-options', f'optimizer_config.{option}')
