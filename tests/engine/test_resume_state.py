"""Everything that a training carries along is in its checkpoints, and what differs at a resume is said or refused."""

from __future__ import annotations

import shutil

import pytest
import torch

from aclnet.errors import ACLNetError
from tests.engine.resuming import difference
from tests.made import write_annotations, write_config
from tests.run import checkpoint, shell, tool

pytestmark = pytest.mark.usefixtures('one_thread')

# 6 iterations in an epoch; a checkpoint after 4 falls into a group of 3, and into the warm-up of the learning rate
EVERYTHING = """
checkpoint_config = dict(interval=4, by_epoch=False)
optimizer = dict(type='AdamW', lr=0.003, weight_decay=0.01)
optimizer_config = dict(grad_clip=dict(max_norm=1.0), cumulative_iters=3, max_nonfinite=2)
lr_config = dict(policy='step', step=[2], by_epoch=True, warmup='linear', warmup_iters=8, warmup_ratio=0.1)
custom_hooks = [dict(type='EMAHook', momentum=0.01, warm_up=5)]
model['cls_head']['dropout'] = 0.3
"""


def cut(folder, name, options=(), config=None):
    """Go on in a folder of its own from a checkpoint of ``folder``/work."""
    work = folder / f'from_{name}'
    work.mkdir()
    shutil.copy(folder / 'work' / name, work / 'latest.pth')
    tool('train', config or folder / 'tiny.py', '--validate', '--work-dir', work, *options)
    return work


@pytest.mark.parametrize('amp', [(), ('--amp', 'fp16'), ('--amp', 'bf16')])
@pytest.mark.parametrize('name', ['iter_4.pth', 'iter_8.pth', 'iter_12.pth'])
def test_scaler_average_accumulation_dropout_and_warm_up_resume(tmp_path, name, amp):
    config = write_config(tmp_path, epochs=3, extra=EVERYTHING)
    tool('train', config, '--validate', '--seed', 5, *amp)
    whole, again = (checkpoint(work / 'iter_18.pth') for work in (tmp_path / 'work', cut(tmp_path, name, amp)))
    for key in ('state_dict', 'optimizer', 'training'):
        assert not difference(whole[key], again[key]), difference(whole[key], again[key])
    assert whole['meta']['hook_msgs']['best_score'] == again['meta']['hook_msgs']['best_score']
    hooks = checkpoint(tmp_path / 'work' / 'iter_4.pth')['training']['hooks']
    (state,) = hooks.values()
    assert state['samples'] == 4 and state['gradients'], 'one iteration of the second group'
    assert bool(state['scaler']) == ('fp16' in amp)


def test_the_average_is_saved_validated_and_tested(tmp_path):
    extra = "custom_hooks = [dict(type='EMAHook', momentum=0.5, warm_up=0)]\n"
    results = tool('train', write_config(tmp_path, extra=extra), '--validate', '--test-last', '--seed', 5)
    content = checkpoint(tmp_path / 'work' / 'epoch_2.pth')
    trained, saved = content['training']['parameters'], content['state_dict']
    assert not torch.equal(trained['cls_head.fc_cls.weight'], saved['cls_head.fc_cls.weight'])
    assert results['last']['top1_acc'] >= 0
    # without the hook the training goes on from the parameters, not from their average
    config = write_config(tmp_path, name='bare.py', epochs=2)
    tool('train', config)
    tool('train', write_config(tmp_path, name='bare.py', epochs=2, work_dir=str(tmp_path / 'other')), '--resume-from',
         tmp_path / 'work' / 'epoch_2.pth')  # fmt: skip


def test_the_average_is_the_formula(tmp_path):
    """By hand from the parameters after each iteration."""
    extra = (
        "custom_hooks = [dict(type='EMAHook', momentum=0.1, warm_up=4)]\n"
        'checkpoint_config = dict(interval=1, by_epoch=False)\n'
    )
    tool('train', write_config(tmp_path, epochs=1, extra=extra), '--seed', 5)
    key = 'cls_head.fc_cls.weight'
    contents = [checkpoint(tmp_path / 'work' / f'iter_{i}.pth') for i in range(1, 7)]
    trained = [content['training']['parameters'][key].double() for content in contents]
    average = contents[0]['state_dict'][key].double()
    for t in range(2, 7):
        m = max(0.1, 1 - (1 + t) / (4 + t))
        average = (1 - m) * average + m * trained[t - 1]
        torch.testing.assert_close(contents[t - 1]['state_dict'][key].double(), average, atol=1e-6, rtol=0)


def test_the_same_epoch_goes_on_under_other_sizes(tmp_path, capfd):
    config = write_config(tmp_path, epochs=2, extra='checkpoint_config = dict(interval=4, by_epoch=False)\n')
    tool('train', config, '--seed', 5)
    for batch, words in (
        (8, 'samples per iteration: 4 → 8'),  # 16 samples are 2 iterations
        (5, '1 samples of epoch 1 are shown again'),  # 16 are 3 and one more
    ):
        work = tmp_path / f'batch{batch}'
        tool('train', config, '--resume-from', tmp_path / 'work' / 'iter_4.pth', '--work-dir', work, '--cfg-options',
             f'data.videos_per_gpu={batch}')  # fmt: skip
        said = capfd.readouterr().err
        assert words in said and 'data.videos_per_gpu: 4 → ' in said
        count = checkpoint(work / 'latest.pth')['state_dict']['cls_head.intra_loss.memory_count']
        assert count == 2 * 21 + (1 if batch == 5 else 0)


@pytest.mark.parametrize(
    'change,words',
    [
        (dict(seed='6'), 'trained with seed 5, and seed 6 is asked for'),
        (dict(extra="optimizer = dict(type='AdamW', lr=0.01)\n"), 'cannot be resumed with another optimizer'),
        (dict(options=['data.train.split=xsub_val']), 'that epoch is another one now'),
        (dict(options=['data.train.class_prob=[1,2,1]']), 'that epoch is another one now'),
        (dict(options=['model.cls_head.intra_loss.memory_size=9']), 'memory'),
        (dict(options=['model.cls_head.num_classes=4']), 'fc_cls'),
    ],
)
def test_what_cannot_go_on_is_refused(tmp_path, change, words):
    config = write_config(tmp_path, extra='checkpoint_config = dict(interval=4, by_epoch=False)\n')
    tool('train', config, '--seed', 5)
    before = sorted(path.name for path in (tmp_path / 'work').glob('*.pth'))
    options = ['--cfg-options', *change['options']] if 'options' in change else ['--seed', change.get('seed', 5)]
    config = write_config(tmp_path, extra=change.get('extra', ''))
    with pytest.raises(ACLNetError, match=words):
        tool('train', config, '--resume-from', tmp_path / 'work' / 'iter_4.pth', *options)
    assert sorted(path.name for path in (tmp_path / 'work').glob('*.pth')) == before


def test_a_changed_config_is_used_and_said(tmp_path, capfd):
    config = write_config(tmp_path)
    tool('train', config, '--seed', 5)
    capfd.readouterr()
    tool('train', config, '--cfg-options', 'optimizer.lr=0.02', 'optimizer.weight_decay=0.1', 'total_epochs=3',
         'model.cls_head.inter_loss.momentum=0.5', 'data.workers_per_gpu=1', 'log_config.interval=3')  # fmt: skip
    said = capfd.readouterr().err
    for line in ('optimizer.lr: 0.05 → 0.02', 'optimizer.weight_decay: 0.0005 → 0.1', 'total_epochs: 2 → 3',
                 'model.cls_head.inter_loss.momentum: None → 0.5'):  # fmt: skip
        assert said.count(line) == 1, said
    assert said.count('not as in') == 4, said
    group = checkpoint(tmp_path / 'work' / 'epoch_3.pth')['optimizer']['param_groups'][0]
    assert (group['initial_lr'], group['weight_decay']) == (0.02, 0.1)


def test_another_number_of_ranks_goes_on(tmp_path):
    write_annotations(tmp_path / 'made.pkl', train=23)
    config = write_config(tmp_path, extra='checkpoint_config = dict(interval=4, by_epoch=False)\n')
    tool('train', config, '--seed', 5)
    work = tmp_path / 'two'
    done = shell('bash', 'tools/dist_train.sh', config, 2, '--resume-from', tmp_path / 'work' / 'iter_4.pth',
                 '--work-dir', work, '--cfg-options', 'data.videos_per_gpu=2')  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'number of processes: 1 → 2' in done.stderr
    one, two = (checkpoint(folder / 'latest.pth')['state_dict'] for folder in (tmp_path / 'work', work))
    for key in ('memory_label', 'memory_count'):
        assert torch.equal(one[f'cls_head.intra_loss.{key}'], two[f'cls_head.intra_loss.{key}']), 'order of samples'


def test_memories_of_each_rank_need_the_same_ranks(tmp_path):
    extra = "for term in ('inter_loss', 'intra_loss'):\n    model['cls_head'][term]['sync_memory'] = False\ndel term\n"
    config = write_config(tmp_path, batch=2, epochs=3, extra=extra)
    words = ('bash', 'tools/dist_train.sh', config, 2, '--seed', 5)
    assert shell(*words).returncode == 0
    ranks = checkpoint(tmp_path / 'work' / 'epoch_2.pth')['training']['ranks']
    labels = [rank['buffers']['cls_head.intra_loss.memory_label'] for rank in ranks]
    assert not torch.equal(*labels), 'each rank has its own memory'
    work = tmp_path / 'cut'
    done = shell(*words, '--resume-from', tmp_path / 'work' / 'epoch_2.pth', '--work-dir', work)
    assert done.returncode == 0, done.stderr[-3000:]
    contents = [checkpoint(folder / 'epoch_3.pth') for folder in (tmp_path / 'work', work)]
    assert not difference(contents[0]['training'], contents[1]['training'])
    assert not difference(contents[0]['state_dict'], contents[1]['state_dict'])
    with pytest.raises(ACLNetError, match='was trained by 2 processes and there are 1'):
        tool('train', config, '--resume-from', tmp_path / 'work' / 'epoch_2.pth', '--work-dir', tmp_path / 'one')


def test_a_drawn_seed_is_kept_from_the_start(tmp_path):
    import json

    config = write_config(
        tmp_path,
        extra="custom_imports = dict(imports=['tests.workers.killer'])\ncustom_hooks = [dict(type='KillHook')]\n",
    )
    done = shell('python', 'tools/train.py', config, KILL_AT='1:2:before_train_iter')
    assert done.returncode == -9 and not list((tmp_path / 'work').glob('*.pth'))
    seed = json.loads((tmp_path / 'work' / 'run.json').read_text())['seed']
    tool('train', config)
    assert checkpoint(tmp_path / 'work' / 'latest.pth')['meta']['seed'] == seed
