"""SIGTERM and Ctrl-C: the iteration is finished, a checkpoint written, and the next start goes on from it exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.engine.resuming import assert_same_training, config_of, train
from tests.run import ROOT, checkpoint

# iterations that take their time: what is signalled is surely in the middle of the training
SLOW = """
custom_imports['imports'].append('tests.workers.slow')
custom_hooks.append(dict(type='SlowHook'))
"""


def start(config, work, ranks=1, *options, **env):
    words = ['bash', 'tools/dist_train.sh', config, str(ranks), '--work-dir', str(work), '--seed', '7', *options]
    env = {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **env}
    return subprocess.Popen(
        words, cwd=ROOT, env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def wait_for(process, words: str) -> str:
    """What the process says up to a line with ``words``."""
    said = ''
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f'ended without saying {words!r}:\n{said}')


@pytest.mark.parametrize(
    'ranks,workers,signum,code', [(1, 0, signal.SIGTERM, 143), (1, 2, signal.SIGINT, 130), (2, 2, signal.SIGTERM, 143)]
)
def test_a_signal_to_all_processes_ends_a_training_with_a_checkpoint(tmp_path, ranks, workers, signum, code):
    config = config_of(tmp_path, workers=workers, extra=SLOW, batch=4 // ranks)
    process = start(config, tmp_path / 'cut', ranks, '--validate')
    wait_for(process, 'Epoch [2][2/6]')
    os.killpg(process.pid, signum)  # a terminal's Ctrl-C, or Slurm, to data workers too
    time.sleep(0.1)
    os.killpg(process.pid, signum)  # the launcher's, right after
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == code, rest
    assert 'stopped after epoch 2' in rest and 'Traceback' not in rest, rest
    assert not (tmp_path / 'cut' / 'epoch_2.pth').exists()
    training = checkpoint(tmp_path / 'cut' / 'latest.pth')['training']
    assert 2 <= training['step'] < 6
    for folder in ('whole', 'cut'):
        done = train(config, tmp_path / folder, ranks, ('--seed', 7, '--validate'))
        assert done.returncode == 0, done.stderr[-3000:]
    assert_same_training(tmp_path / 'whole', tmp_path / 'cut')
    assert not list((tmp_path / 'cut').glob('iter_*.pth')), 'superseded'


def test_a_signal_during_validation_keeps_the_epoch_and_repeats_the_validation(tmp_path):
    config = config_of(tmp_path, extra=SLOW.replace('SlowHook', 'SlowValidation'))
    process = start(config, tmp_path / 'cut', 1, '--validate', SLOW_VALIDATION='1')
    wait_for(process, 'Epoch [1][6/6]')
    time.sleep(0.3)  # of more than two seconds
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 143 and 'iteration 6 of 6' in rest, rest
    for folder in ('whole', 'cut'):
        done = train(config, tmp_path / folder, 1, ('--seed', 7, '--validate'))
        assert done.returncode == 0, done.stderr[-3000:]
    assert_same_training(tmp_path / 'whole', tmp_path / 'cut')


def test_a_later_second_signal_stops_at_once(tmp_path):
    process = start(config_of(tmp_path, extra=SLOW), tmp_path / 'work', 1, SLOW_SECONDS='60')
    wait_for(process, 'training on')
    time.sleep(1)  # it is in its first iteration for a minute
    process.send_signal(signal.SIGINT)
    wait_for(process, 'stopping after this iteration')
    time.sleep(2.2)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - began < 30
    assert not list((tmp_path / 'work').glob('*.pth'))
