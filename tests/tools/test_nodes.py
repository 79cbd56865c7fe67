"""Real processes on one machine: as two nodes, under Slurm's variables, and with one that dies, hangs or is stopped."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.made import write_annotations, write_config
from tests.run import ROOT, log_lines, shell, tool


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def started(*words: object, **env: str):
    """A command that runs on, its output in one stream; it and its children are gone afterwards."""
    variables = {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **env}
    process = subprocess.Popen(
        [str(word) for word in words],
        cwd=ROOT,
        env=variables,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        for pid in [*ranks(process).values(), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def ranks(launcher: subprocess.Popen) -> dict[int, int]:
    """rank → process, of a launcher that runs."""
    try:
        pids = Path(f'/proc/{launcher.pid}/task/{launcher.pid}/children').read_text().split()
        words = {pid: Path(f'/proc/{pid}/environ').read_bytes().split(b'\0') for pid in pids}
    except OSError:
        return {}
    return {int(word[5:]): int(pid) for pid, found in words.items() for word in found if word.startswith(b'RANK=')}


def read_until(process: subprocess.Popen, text: str) -> str:
    said = ''
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f'it ended without saying {text!r}:\n{said}')


def endless(folder: Path, timeout: int = 60) -> str:
    return write_config(folder, epochs=100000, extra=f'\ndist_params = dict(timeout={timeout})\n')


@pytest.mark.parametrize('elastic', [False, True], ids=['static', 'elastic'])
def test_two_nodes_of_one_process_train_together(tmp_path, elastic):
    config, port = write_config(tmp_path, epochs=1), free_port()
    where = dict(RDZV_ENDPOINT=f'127.0.0.1:{port}') if elastic else dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    words = ('bash', 'tools/dist_train.sh', config, 1, '--seed', 1)
    with (
        started(*words, NNODES='2', NODE_RANK='0', **where) as first,
        started(*words, NNODES='2', NODE_RANK='1', **where) as second,
    ):
        said = first.communicate(timeout=120)[0] + second.communicate(timeout=120)[0]
        assert (first.returncode, second.returncode) == (0, 0), said
    assert '2 processes on' in said and 'Traceback' not in said
    assert len(list((tmp_path / 'work').glob('*.log'))) == 1, 'only rank 0 writes'


def test_slurm_processes_train_together(tmp_path):
    config = write_config(tmp_path, epochs=1, extra='\nsync_bn = True\n')
    env = dict(SLURM_NTASKS='2', SLURM_NODELIST='node', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()))
    words = (sys.executable, 'tools/train.py', config, '--launcher', 'slurm', '--seed', 1)
    with (
        started(*words, SLURM_PROCID='0', SLURM_LOCALID='0', **env) as first,
        started(*words, SLURM_PROCID='1', SLURM_LOCALID='1', **env) as second,
    ):
        said = first.communicate(timeout=120)[0] + second.communicate(timeout=120)[0]
        assert (first.returncode, second.returncode) == (0, 0), said
    assert '2 processes on' in said and len(log_lines(tmp_path / 'work')) == 1


def test_a_killed_rank_is_named_and_the_job_brought_back(tmp_path):
    with started('bash', 'tools/dist_train.sh', endless(tmp_path), 2, '--max-restarts', 1, '--seed', 1) as launcher:
        read_until(launcher, 'Epoch [2]')  # the first checkpoint is whole
        os.kill(ranks(launcher)[1], signal.SIGKILL)
        read_until(launcher, 'rank 1 was killed by signal 9 (SIGKILL')
        read_until(launcher, 'resumed from')
        read_until(launcher, 'Epoch [')
        os.kill(ranks(launcher)[0], signal.SIGKILL)
        said = launcher.communicate(timeout=60)[0]
        assert launcher.returncode == 137
    assert 'error (rank 1): the connection to another rank broke' in said and 'Traceback' not in said
    assert 'error: rank 0 was killed by signal 9 (SIGKILL' in said and 'rank 1 lost the others' in said
    assert 'the same command lets a training go on' in said
    newest = sorted((tmp_path / 'work').glob('*.log'))[-1].read_text()
    assert 'ERROR - rank 1: the connection to another rank broke' in newest


@pytest.mark.slow  # 2 s for the timeout, then 10 until the process that hangs is killed
def test_a_rank_that_hangs_is_noticed_and_ended(tmp_path):
    with started('bash', 'tools/dist_train.sh', endless(tmp_path, timeout=2), 2) as launcher:
        read_until(launcher, 'Saving checkpoint')
        os.kill(ranks(launcher)[1], signal.SIGSTOP)
        said = launcher.communicate(timeout=60)[0]
        assert launcher.returncode == 3, said
    assert 'error: no answer from the other ranks in 2 s' in said and 'Traceback' not in said
    assert 'error: rank 0 lost the others; rank 1 still ran and was ended' in said


def test_a_signal_to_the_launcher_stops_all(tmp_path):
    with started('bash', 'tools/dist_train.sh', endless(tmp_path), 2, '--max-restarts', 1) as launcher:
        read_until(launcher, 'Saving checkpoint')
        processes = ranks(launcher)
        launcher.send_signal(signal.SIGTERM)
        said = launcher.communicate(timeout=60)[0]
        assert launcher.returncode == 143
    assert 'stopped by SIGTERM' in said and 'Traceback' not in said and 'restart' not in said
    assert not any(Path(f'/proc/{pid}').exists() for pid in processes.values())


@pytest.mark.parametrize(
    'env',
    [dict(), dict(NNODES='2', MASTER_ADDR='127.0.0.1')],
    ids=['one node', 'first of two'],
)
def test_a_port_that_is_taken(env):
    with socket.socket() as holder:
        holder.bind(('127.0.0.1', 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = shell('bash', 'tools/dist_train.sh', 'configs/demo/j.py', 2, MASTER_PORT=str(port), **env)
    assert done.returncode == 2
    assert done.stderr == (
        f'error: 127.0.0.1:{port} is already in use on this node; choose another port with MASTER_PORT\n'
    )


def test_a_first_node_that_does_not_answer():
    port = str(free_port())
    env = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='127.0.0.1', MASTER_PORT=port, RDZV_TIMEOUT='1')
    done = shell('bash', 'tools/dist_train.sh', 'configs/demo/j.py', 1, **env)
    assert done.returncode == 3 and done.stderr.startswith(f'error: nobody answered at 127.0.0.1:{port} within 1 s')
    assert len(done.stderr.splitlines()) == 1


def test_what_a_user_has_to_mend_is_not_restarted(tmp_path):
    done = shell('bash', 'tools/dist_train.sh', tmp_path / 'none.py', 2, '--max-restarts', 3)
    assert done.returncode == 2 and 'restart' not in done.stderr and 'none.py does not exist' in done.stderr


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('trained')
    tool('train', write_config(folder, epochs=1), '--seed', 1)
    return folder


@pytest.mark.parametrize('samples', [1, 2, 3])
def test_few_samples_are_scored_once_in_order(trained, tmp_path, samples):
    data = write_annotations(tmp_path / 'few.pkl', train=3, val=samples, seed=5)
    options = ('--tmpdir', tmp_path / 'unused', '--cfg-options', f'data.test.ann_file={data}')
    config, latest = trained / 'tiny.py', trained / 'work' / 'latest.pth'
    tool('test', config, '-C', latest, '--out', tmp_path / 'one.pkl', *options)
    done = shell('bash', 'tools/dist_test.sh', config, latest, 2, '--out', tmp_path / 'two.pkl', *options)
    assert done.returncode == 0, done.stderr
    one, two = (pickle.loads((tmp_path / f'{name}.pkl').read_bytes()) for name in ('one', 'two'))
    assert len(one) == len(two) == samples
    np.testing.assert_allclose(two, one, atol=1e-6)
    assert not (tmp_path / 'unused').exists()
