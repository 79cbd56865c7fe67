"""Every command of README.md that needs no download, run as it is written, in a copy with less demo data."""

from __future__ import annotations

import re
import sys

import pytest

from tests.made import small_clone
from tests.run import ROOT, shell

README = (ROOT / 'README.md').read_text()
# lines that are not run here, and why
ELSEWHERE = {
    'bash tools/quickstart.sh': 'tests/tools/test_quickstart.py',
    'bash tools/run_tests.sh': 'these tests',
    'python3 -m venv .venv && source .venv/bin/activate': 'downloads; continuous integration installs so',
    'pip install --upgrade pip': 'likewise',
    'export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt': 'likewise',
    'pip install -e .': 'likewise',
    'conda env create -f aclnet.yaml; conda activate aclnet; pip install -e .': 'downloads, needs conda',
}


def blocks(kind):
    return re.findall(rf'^```{kind}\n(.*?)^```', README, re.MULTILINE | re.DOTALL)


def commands():
    lines = [line for block in blocks('bash') for line in block.splitlines()]
    return [line for line in lines if line.strip() and not line.startswith('#')]


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    return small_clone(tmp_path_factory.mktemp('readme'))


def test_what_is_not_run_is_still_there():
    assert set(ELSEWHERE) <= set(commands())


def test_commands_and_the_python_block_run_as_written(clone):
    ran = [line for line in commands() if line not in ELSEWHERE]
    assert len(ran) >= 9
    for line in ran:
        done = shell('bash', '-c', line, cwd=clone, PYTHONPATH=str(clone))
        assert done.returncode == 0, f'{line}\n{done.stdout}{done.stderr}'
        assert 'Traceback' not in done.stderr
    work = clone / 'work_dirs/demo'
    for found in (
        'j/best_pred.pkl',
        'b/last_pred.pkl',
        'fused.pkl',
        'j/confusion.png',
        'j/superclasses.png',
        'j/clips.png',
    ):
        assert (work / found).is_file(), f'no {found}'
    (block,) = blocks('python')
    done = shell(sys.executable, '-c', block, cwd=clone, PYTHONPATH=str(clone))
    assert done.returncode == 0, done.stderr
    pairs = eval(done.stdout, {'__builtins__': {}})
    assert pairs == sorted(pairs, key=lambda pair: -pair[1]) and all(0 <= value <= 1 for _, value in pairs)
