"""What the commands say when they are asked for help, or called wrongly."""

from __future__ import annotations

import importlib.util
import re
import shlex

import pytest

from aclnet.launch import take_restarts
from tests.run import ROOT, shell

PYTHON = ['data/convert.py', 'data/make_demo.py', 'data/pack.py', 'draw.py', 'ensemble.py', 'test.py', 'train.py']
PYTHON += ['data/check.py', 'data/download.py']
SHELL = ['dist_test.sh', 'dist_train.sh', 'lint.sh', 'quickstart.sh', 'run_tests.sh']


def program(tool):
    return 'python' if tool.endswith('.py') else 'bash'


def examples(text):
    """The commands below 'examples:', as words, without variables before and comments behind them."""
    lines = [line.strip() for line in text.partition('examples:\n')[2].splitlines() if line.strip()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [[word for word in line if not re.match(r'[A-Z_]+=', word)] for line in words]


@pytest.mark.parametrize('option', ['--help', '-h'])
@pytest.mark.parametrize('tool', PYTHON + SHELL)
def test_help_shows_usage_and_examples(tool, option, tmp_path):
    # no virtual environment is made, and no Python is needed to read what a script does
    done = shell(program(tool), ROOT / 'tools' / tool, option, cwd=tmp_path, ACLNET_VENV=str(tmp_path / 'venv'))
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith('usage:') and tool.split('/')[-1] in done.stdout.splitlines()[0]
    found = examples(done.stdout)
    assert len(found) >= 2 and any(line[:2] == [program(tool), f'tools/{tool}'] for line in found), found
    for line in found:
        assert (ROOT / line[1]).is_file(), line
        for word in line:
            if word.startswith(('configs/', 'tests/')):
                assert (ROOT / word).exists(), f'{word} of an example does not exist'
    assert all(len(line) <= 120 for line in done.stdout.splitlines())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('tool', [*PYTHON, 'dist_test.sh', 'dist_train.sh'])
def test_examples_are_accepted(tool):
    for _, script, *words in examples(shell(program(tool), f'tools/{tool}', '--help').stdout):
        if script == 'tools/dist_train.sh':
            config, gpus, *words = words
            assert gpus.isdigit()
            _, words = take_restarts(words)
            script, words = 'tools/train.py', [config, *words]
        elif script == 'tools/dist_test.sh':
            config, checkpoint, gpus, *words = words
            assert gpus.isdigit()
            script, words = 'tools/test.py', [config, '-C', checkpoint, *words]
        spec = importlib.util.spec_from_file_location('tool', ROOT / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.parse(words)


@pytest.mark.parametrize('tool', ['dist_test.sh', 'dist_train.sh'])
def test_the_launchers_find_help_among_the_options(tool):
    done = shell('bash', f'tools/{tool}', 'configs/utd_mhad/j.py', '2', '--help')
    assert done.returncode == 0 and done.stdout.startswith('usage:') and 'MASTER_ADDR' in done.stdout


@pytest.mark.parametrize(
    'words',
    [
        ['dist_train.sh'],
        ['dist_train.sh', 'configs/utd_mhad/j.py'],
        ['dist_test.sh', 'configs/utd_mhad/j.py', '2'],
        ['lint.sh', '--mend'],
        ['lint.sh', '--fix', 'aclnet'],
    ],
)
def test_wrong_usage_shows_the_right_one(words, tmp_path):
    done = shell('bash', ROOT / 'tools' / words[0], *words[1:], cwd=tmp_path, ACLNET_VENV=str(tmp_path / 'venv'))
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.startswith(f'usage: bash tools/{words[0]}') and 'examples:' in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('tool', PYTHON)
def test_an_unknown_option_is_named(tool):
    words = {'draw.py': ['confusion', 'configs/demo/j.py'], 'data/convert.py': ['ntu60', 'in', 'out.pkl']}
    words = words.get(tool, ['configs/utd_mhad'])
    done = shell('python', f'tools/{tool}', *words, '--nope')
    assert done.returncode == 2 and done.stderr.startswith('usage:') and '--nope' in done.stderr
