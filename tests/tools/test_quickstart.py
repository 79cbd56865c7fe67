"""The one-command first run: in a copy of the project with less data and fewer epochs, and its environment's making."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.made import small_clone
from tests.run import ROOT, checkpoint, log_lines, shell


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return small_clone(tmp_path_factory.mktemp('clone'))


def start(project, **env):
    return subprocess.Popen(
        [sys.executable, 'tools/quickstart.py'],
        cwd=project,
        env={**os.environ, 'PYTHONPATH': str(project), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def accuracies(said):
    return dict(re.findall(r'^  (\S.*?) +([\d.]+) %$', said, re.MULTILINE))


def wait_for(found, what, seconds=120):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, f'no {what} within {seconds} s'
        time.sleep(0.05)


def test_first_run_killed_goes_on_and_a_second_reuses_all(project):
    work = project / 'work_dirs/demo'
    first = start(project)
    recorded = work / 'j/run.json'  # which names a checkpoint once it is whole
    wait_for(lambda: recorded.exists() and 'epoch_1.pth' in recorded.read_text(), 'checkpoint')
    os.killpg(first.pid, signal.SIGSTOP)  # its trainings, too, so that they cannot be done before the next line
    os.kill(first.pid, signal.SIGKILL)
    said = start(project).communicate(timeout=60)[0]
    assert 'error: another quickstart, or a training that one started, is still at work in ' in said, said
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    done = start(project)
    said = done.communicate(timeout=280)[0]
    assert done.returncode == 0, said
    starts = sorted((work / 'j').glob('*.log.json'))
    lines = [json.loads(line) for line in starts[-1].read_text().splitlines()]
    trained = [line['epoch'] for line in lines if line.get('mode') == 'train']
    assert len(starts) == 2 and trained[0] >= 2  # it went on; a validation that the kill cut off is made first
    assert checkpoint(work / 'j/latest.pth')['meta']['epoch'] == 8
    for picture in ('confusion.png', 'superclasses.png'):
        assert str(Path('work_dirs/demo', picture)) in said and (work / picture).read_bytes().startswith(b'\x89PNG')
    table = accuracies(said)
    assert list(table) == ['joints', 'bones', 'joints + bones'] and all(0 <= float(v) <= 100 for v in table.values())
    assert 'What to try next' in said and len(log_lines(work / 'j', 'val')) >= 1

    stamps = {path: path.stat().st_mtime_ns for path in work.rglob('*.pth')}
    again = start(project)
    said = again.communicate(timeout=120)[0]
    assert again.returncode == 0 and 'both streams are trained and tested' in said and 'demo.pkl is there' in said, said
    assert stamps == {path: path.stat().st_mtime_ns for path in work.rglob('*.pth')}
    assert accuracies(said) == table


def test_a_training_that_fails_is_told_in_one_sentence(project, tmp_path):
    copy = tmp_path / 'clone'
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns('work_dirs', 'data'))
    config = copy / 'configs/demo/b.py'
    config.write_text(config.read_text() + "\noptimizer = dict(type='SDG')\n")
    done = start(copy)
    said = done.communicate(timeout=120)[0]
    assert done.returncode == 2 and 'Traceback' not in said, said
    last = said.strip().splitlines()[-1]
    assert last.startswith('error: training stream b failed; it said "') and 'SDG' in last, last
    assert last.endswith(f'all of it is in {Path("./work_dirs/demo/b/output.txt")}') or 'b/output.txt' in last
    left = subprocess.run(['pgrep', '-f', f'{copy}/'], capture_output=True, text=True).stdout.split()
    assert not [pid for pid in left if Path(f'/proc/{pid}').exists()]  # stream j's training has ended with it


def bare(tmp_path, *programs, **env):
    """tools/env.sh in an environment that has nothing but coreutils and these stand-ins for Python."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name, script in programs:
        (folder / name).write_text(f'#!/bin/sh\n{script}\n')
        (folder / name).chmod(0o755)
    for name in ('bash', 'dirname', 'cat', 'env'):
        (folder / name).symlink_to(shutil.which(name))
    variables = dict(PATH=str(folder), HOME=str(tmp_path), ACLNET_VENV=str(tmp_path / 'venv'), **env)
    for name in ('quickstart.sh', 'run_tests.sh'):
        yield subprocess.run(
            [shutil.which('bash'), str(ROOT / 'tools' / name)],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )


def test_without_a_python_it_says_which_to_install(tmp_path):
    for done in bare(tmp_path, ('python3', 'exit 1')):
        assert done.returncode == 1 and not (tmp_path / 'venv').exists()
        assert done.stderr.startswith('error: there is no Python 3.10, 3.11 or 3.12') and 'apt install' in done.stderr


def test_a_wrong_interpreter_is_named(tmp_path):
    for done in bare(tmp_path, ACLNET_PYTHON='/no/such/python3'):
        assert done.returncode == 1
        assert 'ACLNET_PYTHON=/no/such/python3 is no Python 3.10, 3.11 or 3.12' in done.stderr


def test_a_python_without_venv_says_which_package_has_it(tmp_path):
    lacks = f'case "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"'
    version = '{}.{}'.format(*sys.version_info)
    for done in bare(tmp_path, ('python3', lacks)):
        assert done.returncode == 1 and not (tmp_path / 'venv').exists()
        assert f'error: python{version} lacks venv or ensurepip' in done.stderr
        assert f'apt install python{version}-venv' in done.stderr


def test_an_interpreter_with_venv_is_preferred(tmp_path):
    lacks = f'case "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"'
    made = f'case "$1" in -m) echo "made with python3.11" >&2; exit 3;; esac\nexec {sys.executable} "$@"'
    for done in bare(tmp_path, ('python3', lacks), ('python3.11', made)):
        assert done.returncode == 3 and 'made with python3.11' in done.stderr


def test_quickstart_takes_no_arguments():
    done = shell('bash', 'tools/quickstart.sh', '--epochs', '3')
    assert done.returncode == 2 and done.stderr.startswith('usage: bash tools/quickstart.sh')


def test_torch_comes_without_cuda_where_there_is_no_gpu_and_the_index_answers(tmp_path):
    (tmp_path / 'whl/torch').mkdir(parents=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f'http://127.0.0.1:{server.server_port}/whl'
        gpu = Path('/proc/driver/nvidia/version').exists() or shutil.which('nvidia-smi') is not None
        for given, expected in ((index, '' if gpu else index), (f'{index}/cu999', ''), ('', '')):
            script = f'source tools/env.sh; torch_index {sys.executable}'
            done = shell('bash', '-euc', script, ACLNET_TORCH_INDEX=given, no_proxy='127.0.0.1')
            assert (done.stdout.strip(), done.stderr) == (expected, '')
        server.shutdown()
