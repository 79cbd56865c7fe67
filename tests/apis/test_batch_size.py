"""--batch-size and the learning rate that follows it."""

from __future__ import annotations

import pytest

from aclnet.apis import load_config
from aclnet.errors import ACLNetError
from tests.made import write_config
from tests.run import log_lines, tool

LOGGED = """
lr_config = dict(policy='fixed')
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
auto_scale_lr = dict(base_batch_size=2)
"""


@pytest.mark.parametrize(
    'options,lr',
    [([], 0.05 * 8 / 4), (['--keep-lr'], 0.05), (['--autoscale-lr'], 0.05 * 8 / 2)],
    ids=['in proportion', 'kept', 'from the base'],
)
@pytest.mark.parametrize('own', [False, True], ids=['general', 'of training'])
def test_batch_and_learning_rate(tmp_path, options, lr, own):
    extra = LOGGED + ("data['train_dataloader'] = dict(videos_per_gpu=4, drop_last=True)\n" if own else '')
    config = write_config(tmp_path, epochs=1, extra=extra, batch=2 if own else 4)
    tool('train', config, '--seed', 0, '--batch-size', 8, *options)
    assert [line['lr'] for line in log_lines(tmp_path / 'work')] == [pytest.approx(lr)] * (2 if own else 3)
    kept = load_config(str(tmp_path / 'work' / 'tiny.py'))
    assert kept.data.videos_per_gpu == 8 and kept.optimizer.lr == pytest.approx(lr)


def test_a_resume_says_that_the_batch_is_another(tmp_path, capfd):
    config = write_config(tmp_path)
    tool('train', config, '--seed', 0, '--cfg-options', 'total_epochs=1')
    tool('train', config, '--seed', 0, '--batch-size', 7)
    said = capfd.readouterr().err
    for words in ('data.videos_per_gpu: 4 → 7', 'samples per iteration: 4 → 7', 'optimizer.lr: 0.05 → 0.0875'):
        assert words in said


@pytest.mark.parametrize(
    'words,message',
    [
        (['--batch-size', 0], '--batch-size must be a whole number from 1 up, got 0'),
        (['--batch-size', 8, '--cfg-options', 'data.videos_per_gpu=0'], '--batch-size scales optimizer.lr by data'),
    ],
)
def test_wrong_sizes_are_named(tmp_path, words, message):
    with pytest.raises(ACLNetError, match=message):
        tool('train', write_config(tmp_path), *words)
