"""Checkpoints on disk: whole or passed over, never too few; full disks and second trainings."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading

import pytest
import torch

from aclnet.engine.archive import Archive, digest
from aclnet.errors import ACLNetError
from tests.engine.resuming import assert_same_training, config_of, train
from tests.made import write_config
from tests.run import ROOT, checkpoint, shell, tool

pytestmark = pytest.mark.usefixtures('one_thread')


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix == '.pth'}


def flip(path, place: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(bytes(data))


DAMAGES = {
    'truncated': lambda path: path.write_bytes(path.read_bytes()[:-5000]),
    'empty': lambda path: path.write_bytes(b''),
    'missing': lambda path: path.unlink(),
    'a bit': lambda path: flip(path, random.random() * 0.999),
    'the first bit': lambda path: flip(path, 0),
}


@pytest.mark.parametrize('links', [True, False])
@pytest.mark.parametrize('damage', list(DAMAGES))
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_used(tmp_path, monkeypatch, capfd, damage, links):
    if not links:  # as on file systems that have none
        monkeypatch.setattr(os, 'symlink', lambda *_: (_ for _ in ()).throw(OSError(1, 'Operation not permitted')))
    config = write_config(tmp_path, epochs=3)
    tool('train', config, '--validate', '--seed', 5)
    work = tmp_path / 'work'
    assert os.path.islink(work / 'latest.pth') == links
    shutil.copytree(work, tmp_path / 'whole', symlinks=True)
    DAMAGES[damage](work / 'epoch_3.pth')
    if not links:
        DAMAGES[damage](work / 'latest.pth')
    capfd.readouterr()
    tool('train', config, '--validate')
    said = capfd.readouterr().err
    if damage != 'missing':
        assert 'WARNING' in said and ('epoch_3.pth' if links else 'latest.pth') in said, said
    assert 'trying the checkpoint before it' in said or damage == 'missing'
    # what the end of the training leads to is whole, were it made anew or the best one, of the same place
    one, two = (checkpoint(folder / 'latest.pth') for folder in (work, tmp_path / 'whole'))
    assert one['meta']['epoch'] == 3
    assert all(torch.equal(one['state_dict'][key], two['state_dict'][key]) for key in two['state_dict'])


def test_without_a_whole_checkpoint_nothing_is_begun_anew_by_itself(tmp_path):
    config = write_config(tmp_path)
    tool('train', config, '--seed', 5)
    for path in (tmp_path / 'work').glob('epoch_*.pth'):
        flip(path)
    with pytest.raises(ACLNetError, match='none of the 2 checkpoints .* --no-auto-resume'):
        tool('train', config)
    with pytest.raises(ACLNetError, match='epoch_1.pth .*damaged'):
        tool('train', config, '--resume-from', tmp_path / 'work' / 'epoch_1.pth')
    tool('train', config, '--no-auto-resume', '--seed', 6)
    assert checkpoint(tmp_path / 'work' / 'latest.pth')['meta']['seed'] == 6


def test_a_flipped_bit_of_a_lone_checkpoint_is_noticed_in_testing(tmp_path):
    config = write_config(tmp_path, epochs=1)
    tool('train', config, '--seed', 5)
    path = shutil.copy(tmp_path / 'work' / 'epoch_1.pth', tmp_path / 'sent.pth')
    flip(tmp_path / 'sent.pth')
    with pytest.raises(ACLNetError, match='sent.pth was not loaded: it is damaged'):
        tool('test', config, '-C', path)


def test_only_as_many_checkpoints_stay_as_asked_and_the_best(tmp_path):
    config = write_config(tmp_path, epochs=5, extra='checkpoint_config = dict(interval=1, max_keep_ckpts=2)\n')
    tool('train', config, '--validate', '--seed', 5)
    work = tmp_path / 'work'
    best = os.path.basename(checkpoint(work / 'latest.pth')['meta']['hook_msgs']['best_ckpt'])
    assert names(work) == {'epoch_4.pth', 'epoch_5.pth', 'latest.pth', best}
    listed = json.loads((work / 'run.json').read_text())['checkpoints']
    assert {entry['file'] for entry in listed} == names(work) - {'latest.pth'}
    assert all(digest(str(work / entry['file'])) == entry['sha256'] for entry in listed)


def test_a_new_checkpoint_that_is_not_whole_does_not_cost_the_one_before(tmp_path):
    archive = Archive(str(tmp_path))
    archive.begin(0, anew=True)
    for number in (1, 2, 3):
        (tmp_path / f'epoch_{number}.pth').write_bytes(bytes([number]) * 100)
        archive.add(f'epoch_{number}.pth', number, number * 6, 'regular')
    flip(tmp_path / 'epoch_3.pth')
    archive.prune(1)
    assert names(tmp_path) == {'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'}
    (tmp_path / 'epoch_3.pth').write_bytes(bytes([3]) * 100)
    archive.prune(1)
    assert names(tmp_path) == {'epoch_3.pth'}


def test_after_going_back_the_future_is_not_kept_in_place_of_the_present(tmp_path):
    config = write_config(tmp_path, epochs=4, extra='checkpoint_config = dict(interval=1, max_keep_ckpts=3)\n')
    tool('train', config, '--seed', 5)
    tool('train', config, '--resume-from', tmp_path / 'work' / 'epoch_2.pth', '--cfg-options', 'total_epochs=3')
    listed = json.loads((tmp_path / 'work' / 'run.json').read_text())['checkpoints']
    assert [entry['file'] for entry in listed] == ['epoch_2.pth', 'epoch_3.pth']


def test_a_work_dir_of_another_program_is_gone_on_with(tmp_path):
    config = write_config(tmp_path, epochs=3)
    tool('train', config, '--seed', 5)
    work = tmp_path / 'work'
    (work / 'run.json').unlink()
    (work / 'latest.pth').unlink()  # as if the link had not been copied
    (work / 'epoch_3.pth').unlink()
    tool('train', config)
    assert checkpoint(work / 'latest.pth')['meta']['epoch'] == 3


@pytest.mark.parametrize('place', ['1:3:saving', '2:6:saving'])
def test_killed_in_the_middle_of_writing(tmp_path, place):
    config = config_of(tmp_path, epochs=3)
    assert train(config, tmp_path / 'cut', kill_at=place).returncode == -9
    half = list((tmp_path / 'cut').glob('.epoch_*'))
    assert len(half) == 1, 'it was killed while it wrote'
    seed = json.loads((tmp_path / 'cut' / 'run.json').read_text())['seed']
    for folder in ('cut', 'whole'):
        tool('train', config, '--work-dir', tmp_path / folder, '--seed', seed)
    assert_same_training(tmp_path / 'whole', tmp_path / 'cut')


def test_a_second_training_in_the_same_folder_is_refused(tmp_path):
    config = write_config(tmp_path)
    hold = 'import sys; from aclnet.engine import Archive; a = Archive(sys.argv[1]); a.lock(); print("locked"); input()'
    (tmp_path / 'work').mkdir()
    with subprocess.Popen(
        [sys.executable, '-c', hold, tmp_path / 'work'], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout.readline() == b'locked\n'
            done = shell('python', 'tools/train.py', config)
            assert done.returncode == 2 and 'another training writes to' in done.stderr
        finally:
            other.kill()
    tool('train', config)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of 8 MB: a few checkpoints."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk], capture_output=True)
    if mounted.returncode:
        pytest.skip('mounting a small file system needs Linux and the right to mount')
    try:
        yield disk
    finally:
        subprocess.run(['umount', '-l', disk], check=True)


def assert_ended_by_a_full_disk(done, reason: str) -> None:
    assert done.returncode == 2, done.stderr[-3000:]
    assert done.stderr.strip().splitlines()[-1].startswith('error: '), done.stderr[-3000:]
    assert f'cannot be written: {reason}' in done.stderr.strip().splitlines()[-1]
    assert 'Traceback' not in done.stderr and 'Logging error' not in done.stderr


@pytest.mark.parametrize('room', [0, 2, 60, 500])
def test_a_full_disk_ends_in_a_sentence_and_keeps_what_was_there(small_disk, tmp_path, room):
    """With ``room`` kilobytes left: for no log, for no config, for no log of the training, for no checkpoint."""
    work = small_disk / 'work'
    config = write_config(tmp_path, epochs=3, extra='checkpoint_config = dict(interval=1, max_keep_ckpts=1)\n')
    tool('train', config, '--seed', 5, '--work-dir', work, '--cfg-options', 'total_epochs=1')
    before = {name: digest(str(work / name)) for name in names(work) | {'run.json'}}
    free = os.statvfs(small_disk)
    (small_disk / 'filler').write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - room * 1024)))
    done = shell('python', 'tools/train.py', config, '--work-dir', work)
    assert_ended_by_a_full_disk(done, 'No space left on device')
    assert {name: digest(str(work / name)) for name in before} == before
    assert not list(work.glob('.*.pth.*')) and names(work) == set(before) - {'run.json'}
    (small_disk / 'filler').unlink()
    tool('train', config, '--work-dir', work)
    assert checkpoint(work / 'latest.pth')['meta']['epoch'] == 3


def test_a_checkpoint_that_the_system_cuts_off_costs_nothing(tmp_path):
    """As above where nothing can be mounted: no file may grow above 400 kB, and a checkpoint is larger."""
    config, work = write_config(tmp_path, epochs=3), tmp_path / 'work'
    tool('train', config, '--seed', 5, '--cfg-options', 'total_epochs=1')
    before = {name: digest(str(work / name)) for name in names(work)}
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, 'tools/train.py', config], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY)),
    )  # fmt: skip
    assert_ended_by_a_full_disk(done, 'File too large')
    assert {name: digest(str(work / name)) for name in names(work)} == before and not list(work.glob('.*.pth.*'))


def test_a_work_dir_that_cannot_be_made_or_written(tmp_path):
    (tmp_path / 'file').write_text('')
    for work in (tmp_path / 'file', tmp_path / 'file' / 'below', '/proc/aclnet'):
        with pytest.raises(ACLNetError, match='work_dir .* cannot be (made|written)'):
            tool('train', write_config(tmp_path), '--work-dir', work)


def test_readers_never_see_half_a_checkpoint(tmp_path):
    """Whoever reads latest.pth while a training writes it finds a whole one each time."""
    config = write_config(tmp_path, epochs=8, extra='checkpoint_config = dict(interval=1, max_keep_ckpts=2)\n')
    tool('train', config, '--seed', 5, '--cfg-options', 'total_epochs=1')
    found, failures, ended = set(), [], threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                found.add(checkpoint(os.path.realpath(tmp_path / 'work' / 'latest.pth'))['meta']['epoch'])
            except FileNotFoundError:
                pass  # pruned since its name was read
            except Exception as error:  # anything else is a half one
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        tool('train', config)
    finally:
        ended.set()
        reader.join()
    assert not failures and len(found) > 3
