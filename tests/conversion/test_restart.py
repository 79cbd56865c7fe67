"""A conversion that is killed goes on, leaves nothing behind, and comes out the same however many processes do it."""

from __future__ import annotations

import functools
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aclnet.conversion import convert
from aclnet.errors import ACLNetError
from tests.conversion.raw import ntu_set
from tests.run import ROOT, shell

TOOL = [sys.executable, str(ROOT / 'tools' / 'data' / 'convert.py')]


def start(folder, *options):
    """The tool in a process group of its own, as a terminal would have it."""
    return subprocess.Popen(
        [*TOOL, 'ntu60', 'raw', 'out.pkl', '--chunk', '1', *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        start_new_session=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's & would ignore it
    )


@pytest.fixture
def blocked(tmp_path):
    """Recordings of which one, a pipe, keeps its reader waiting; and what brings its file back."""
    paths = sorted(ntu_set(tmp_path / 'raw', 8))
    content = paths[5].read_bytes()
    paths[5].unlink()
    os.mkfifo(paths[5])

    def mend():
        paths[5].unlink()
        paths[5].write_bytes(content)

    return tmp_path, paths[5], mend


def plain(folder):
    """What a conversion without interruption gives."""
    convert('ntu60', str(folder / 'raw'), str(folder / 'plain.pkl'), workers=1, progress=False)
    return (folder / 'plain.pkl').read_bytes()


@pytest.mark.parametrize('workers', ['1', '2'])
def test_killed_in_the_middle_it_goes_on(blocked, workers):
    folder, pipe, mend = blocked
    run = start(folder, '--workers', workers)
    with open(pipe, 'wb') as stream:  # from here on a process is in the middle of that recording
        parts = list((folder / '.out.pkl.parts').glob('*.pkl'))
        assert len(parts) >= 4 and not (folder / 'out.pkl').exists()
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        poll = select.poll()
        poll.register(stream, 0)
        assert poll.poll(60_000)[0][1] & select.POLLERR  # nobody reads any more: workers end with their parent
    mend()
    again = start(folder, '--workers', workers)
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert 'recordings had been converted before the interruption' in out
    assert (folder / 'out.pkl').read_bytes() == plain(folder)
    assert [entry.name for entry in folder.iterdir() if entry.name[0] == '.'] == []


@pytest.mark.parametrize('workers', ['1', '2'])
def test_ctrl_c(blocked, workers):
    folder, pipe, mend = blocked
    run = start(folder, '--workers', workers)
    stream = open(pipe, 'wb')
    os.killpg(run.pid, signal.SIGINT)
    stream.close()
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130 and err.splitlines()[-1].endswith('interrupted') and 'Traceback' not in err
    assert not (folder / 'out.pkl').exists() and list((folder / '.out.pkl.parts').glob('*.pkl'))
    mend()
    run = start(folder)
    run.communicate()
    assert run.returncode == 0 and (folder / 'out.pkl').read_bytes() == plain(folder)


def test_a_worker_that_is_killed(blocked):
    folder, pipe, mend = blocked
    run = start(folder, '--workers', '2')
    with open(pipe, 'wb') as stream:
        children = Path(f'/proc/{run.pid}/task/{run.pid}/children').read_text().split()
        assert len(children) == 2
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        _, err = run.communicate(timeout=60)
        assert stream
    assert run.returncode == 2 and 'a process that converts was killed' in err and 'Traceback' not in err


def test_one_conversion_at_a_time(blocked):
    folder, pipe, _ = blocked
    run = start(folder)
    with open(pipe, 'wb'):
        second = shell(*TOOL, 'ntu60', 'raw', 'out.pkl', cwd=folder)
        run.kill()
        run.communicate()
    assert second.returncode == 2 and 'another conversion is writing out.pkl' in second.stderr


def test_parts_of_another_command_or_file_are_not_taken(tmp_path):
    paths = sorted(ntu_set(tmp_path / 'raw', 4))
    good = paths[3].read_bytes()
    paths[3].write_bytes(b'x')
    words = str(tmp_path / 'raw'), str(tmp_path / 'out.pkl')
    with pytest.raises(ACLNetError, match='leave out --strict'):
        convert('ntu60', *words, workers=1, chunk=1, strict=True, progress=False)
    assert len(list((tmp_path / '.out.pkl.parts').glob('*.pkl'))) == 3
    paths[3].write_bytes(good)
    os.utime(paths[0], ns=(1, 1))
    summary = convert('ntu60', *words, workers=1, chunk=1, progress=False)
    assert summary.resumed == 2 and summary.samples == 4  # the first file is another, the last was broken
    with pytest.raises(ACLNetError):
        paths[3].write_bytes(b'x')
        convert('ntu60', *words, workers=1, chunk=1, strict=True, progress=False)
    assert convert('ntu120', *words, workers=1, chunk=1, progress=False).resumed == 0


@pytest.mark.parametrize('chunk', [1, 3, 100])
def test_processes_and_chunks_change_nothing(tmp_path, chunk):
    ntu_set(tmp_path / 'raw', 7)
    for workers in (1, 2):
        out = tmp_path / f'out{workers}.pkl'
        convert('ntu60', str(tmp_path / 'raw'), str(out), workers=workers, chunk=chunk, progress=False)
        assert out.read_bytes() == plain(tmp_path)


def test_an_output_that_cannot_be_written(tmp_path):
    ntu_set(tmp_path / 'raw', 2)
    (tmp_path / 'file').write_text('')
    with pytest.raises(ACLNetError, match='file/.out.pkl.parts cannot be made'):
        convert('ntu60', str(tmp_path / 'raw'), str(tmp_path / 'file' / 'out.pkl'), progress=False)
    (tmp_path / 'out.pkl').mkdir()
    with pytest.raises(ACLNetError, match='out.pkl cannot be written: Is a directory'):
        convert('ntu60', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False)
