"""Whatever a user hands in wrongly comes back as one sentence that names it, and leaves nothing half done."""

from __future__ import annotations

import re
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from aclnet.errors import ACLNetError, run_tool
from tests.made import annotations, write_annotations, write_config
from tests.run import ROOT, shell, tool
from tests.tools.bad_inputs import FINE, SAMPLES, change_samples, table

NAMES = list(table(Path()))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    tool('train', write_config(folder, epochs=1), '--seed', 0)
    return folder


def refused(name, *argv):
    with pytest.raises(ACLNetError) as error:
        tool(name, *argv)
    sentence = str(error.value)
    assert '\n' not in sentence and 20 < len(sentence) < 600, sentence
    return sentence


def results(folder: Path) -> list[Path]:
    """Checkpoints and scores under ``folder``, and what was not written to its end."""
    found = [path for path in folder.rglob('*') if path.suffix in ('.pth', '.pkl', '.tmp') or path.name[0] == '.']
    found = [path for path in found if path.name != '.lock']  # of a work_dir in use: empty
    return sorted(path for path in found if path.is_file())


@pytest.mark.parametrize('name', NAMES)
def test_bad_input(tmp_path, trained, name):
    case = table(trained)[name]
    argv = case.argv(tmp_path)
    before = results(tmp_path)
    sentence = refused(case.tool, *argv)
    assert all(word in sentence for word in case.words), sentence
    assert results(tmp_path) == before
    assert not [log for log in tmp_path.glob('work/*.log') if 'Epoch [' in log.read_text()]  # before, not in, the work
    assert not list((trained / 'work').glob('*pred*'))


def test_the_table_is_large():
    assert len(NAMES) >= 60


SHELL = [
    'lr=0.1', 'data.train.split=xsub_trian', 'optimizer.type=SDG', 'config: base not found', 'file: truncated',
    'annotation: label below 0', 'sample, all: NaN', 'sample, one of val: no frame', 'training: best of no validation',
    'training: work_dir is a file', 'checkpoint: truncated', 'test: other classes', 'scores: NaN',
]  # fmt: skip


@pytest.fixture(scope='module')
def through_shell(trained, tmp_path_factory):
    """name → (folder, what was there before, the finished process), two at a time."""

    def run(name):
        folder = tmp_path_factory.mktemp('shell')
        case = table(trained)[name]
        argv = case.argv(folder)
        before = results(folder)
        done = shell(sys.executable, ROOT / 'tools' / f'{case.tool}.py', *argv, cwd=folder)
        return folder, before, done

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SHELL, pool.map(run, SHELL)))


@pytest.mark.parametrize('name', SHELL)
def test_bad_input_through_the_shell(through_shell, trained, name):
    folder, before, done = through_shell[name]
    *_, last = done.stderr.splitlines()
    assert done.returncode == 2 and last.startswith('error: ') and 'Traceback' not in done.stderr, done.stderr
    assert all(word in last for word in table(trained)[name].words), last
    assert results(folder) == before


def test_the_traceback_is_there_for_those_who_ask(tmp_path):
    done = shell(sys.executable, ROOT / 'tools/train.py', 'none.py', cwd=tmp_path, ACLNET_TRACEBACK='1')
    assert done.returncode == 1 and 'Traceback' in done.stderr and 'none.py does not exist' in done.stderr


def test_wrong_words_of_a_command_end_in_its_usage(tmp_path, capsys):
    for words in (['--seed', 'x'], ['--amp', 'int8'], ['--launcher', 'mpi'], ['--bogus']):
        with pytest.raises(SystemExit) as stop:
            tool('train', tmp_path / 'tiny.py', *words)
        assert stop.value.code == 2
        assert re.search(f'error: .*{words[0]}', capsys.readouterr().err)


@pytest.mark.parametrize('gpus', ['0', 'two', '-1', '1.5'])
def test_gpus_that_are_no_number(tmp_path, gpus):
    done = shell('bash', ROOT / 'tools/dist_train.sh', write_config(tmp_path), gpus)
    assert done.returncode == 2
    assert done.stderr == f"error: GPUS must be a number of processes of at least 1, got '{gpus}'; see --help\n"


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = shell('bash', ROOT / 'tools/dist_train.sh', write_config(tmp_path), 2, MASTER_PORT=port)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith('error: ') and port in last and 'MASTER_PORT' in last


@pytest.mark.parametrize('change', FINE.values(), ids=FINE)
def test_unusual_samples_are_fine(tmp_path, change):
    content = change_samples(annotations(), change, slice(0, None, 4))
    config = write_config(tmp_path, ann_file=write_annotations(tmp_path / 'a.pkl', content), epochs=1)
    assert 0 <= tool('train', config, '--validate', '--test-last')['last']['top1_acc'] <= 1
    assert 'WARNING' not in next((tmp_path / 'work').glob('*.log')).read_text()


@pytest.mark.parametrize('workers', [0, 2])
def test_broken_samples_in_training_are_reported_and_replaced(tmp_path, workers):
    content = annotations()
    for position, (change, _) in enumerate(SAMPLES.values()):
        change_samples(content, change, slice(position, position + 1))
    ann = write_annotations(tmp_path / 'a.pkl', content)
    tool('train', write_config(tmp_path, ann_file=ann, epochs=2, workers=workers), '--validate', '--seed', 0)
    log = next((tmp_path / 'work').glob('*.log')).read_text()
    warnings = [line for line in log.splitlines() if ' - WARNING - ' in line]
    assert len(warnings) == len(SAMPLES) and 'Saving checkpoint at 2 epochs' in log
    for position, (_, words) in enumerate(SAMPLES.values()):
        (line,) = [line for line in warnings if f'WARNING - sample sample{position:03d} is broken' in line]
        assert all(word in line for word in words), line
    assert f'(broken samples so far: {len(SAMPLES)})' in warnings[-1]


def test_doubles_are_warned_of(tmp_path):
    content = annotations()
    content['annotations'][1]['frame_dir'] = 'sample000'
    ann = write_annotations(tmp_path / 'a.pkl', content)
    with pytest.warns(UserWarning, match="1 'frame_dir' occur more than once, the first is sample000 .2 annotations."):
        tool('train', write_config(tmp_path, ann_file=ann, epochs=1))


def test_resuming_from_weights_alone(tmp_path, trained):
    content = torch.load(trained / 'work' / 'epoch_1.pth', weights_only=True)
    torch.save(content['state_dict'], tmp_path / 'weights.pth')
    sentence = refused('train', write_config(tmp_path), '--resume-from', tmp_path / 'weights.pth')
    assert 'no optimizer' in sentence and 'load_from' in sentence


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if 'tensorboard' in name:
            raise ImportError(f'No module named {name!r}')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    extra = "log_config = dict(interval=1, hooks=[dict(type='TensorboardLoggerHook')])\n"
    assert 'tensorboard' in refused('train', write_config(tmp_path, extra=extra))


def test_tools_exit_with_2_and_a_sentence(capsys):
    def fails():
        raise ACLNetError('what, where, what would be right')

    with pytest.raises(SystemExit) as stop:
        run_tool(fails)
    assert stop.value.code == 2 and capsys.readouterr().err == 'error: what, where, what would be right\n'
