"""Stores that are packed from pickles on first use: by one process for all, again when the pickle changes, or not."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

from aclnet.datasets import PoseDataset
from aclnet.datasets.annotations import AnnotationFile, Store, StoreWriter, open_annotations, opening
from aclnet.errors import ACLNetError
from tests.datasets.samples import annotation_file, write


@pytest.fixture
def path(tmp_path):
    return annotation_file(tmp_path / 'a.pkl')


@pytest.fixture(autouse=True)
def unwarned(monkeypatch):
    monkeypatch.setattr(opening, '_warned', set())


def stamp(path):
    return os.stat(f'{path}.store/store.json').st_ino


def test_a_pickle_is_packed_once(path):
    dataset = PoseDataset(path, [], 'train', pack=True)
    assert isinstance(dataset._file, Store) and dataset.ann_file == path
    first = stamp(path)
    assert [*dataset._file.verify()] == [] and dataset._file.about['source']['name'] == 'a.pkl'
    assert PoseDataset(path, [], 'val', pack=True)._file is dataset._file and stamp(path) == first
    assert isinstance(PoseDataset(path, [], 'val')._file, Store)  # it is there, whatever the size
    assert isinstance(PoseDataset(path, [], 'val', pack=False)._file, AnnotationFile)
    os.unlink(path)
    assert PoseDataset(path, [], 'train').identifiers == dataset.identifiers  # the store will do
    with pytest.raises(ACLNetError, match='a.pkl does not exist'):
        PoseDataset(path, [], pack=False)


def test_small_pickles_are_loaded_and_large_ones_packed(path, monkeypatch):
    assert isinstance(open_annotations(path), AnnotationFile) and not os.path.exists(f'{path}.store')
    monkeypatch.setattr(opening, 'PACK_FROM', os.path.getsize(path))
    assert isinstance(open_annotations(path), Store)


def test_a_pickle_that_changes_is_packed_again(path, tmp_path, monkeypatch):
    open_annotations(path, pack=True)
    first = stamp(path)
    os.utime(path, ns=(1, 1))  # touched: the content is looked at, once
    store = open_annotations(path, pack=True)
    assert len(store) == 12 and store.about['source']['mtime_ns'] == 1
    monkeypatch.setattr(opening, 'source_of', None)
    assert len(open_annotations(path)) == 12
    monkeypatch.undo()
    annotation_file(tmp_path / 'a.pkl', seed=1)  # other values in as many bytes
    second = open_annotations(path)
    expected = pickle.loads(Path(path).read_bytes())['annotations']
    assert all(np.array_equal(one['keypoint'], other['keypoint']) for one, other in zip(second, expected))
    assert stamp(path) != first
    annotation_file(tmp_path / 'a.pkl', count=14)
    assert len(open_annotations(path)) == 14
    with open(f'{path}.store/index.npy', 'ab') as stream:
        stream.write(b'x')
    assert len(open_annotations(path)) == 14  # packed again
    text = Path(f'{path}.store/store.json').read_text()
    Path(f'{path}.store/store.json').write_text(text.replace('"version": 1', '"version": 0'))
    assert len(open_annotations(path)) == 14 and '"version": 1' in Path(f'{path}.store/store.json').read_text()


def test_a_store_that_nobody_can_make_again_is_left_alone(path):
    with StoreWriter(f'{path}.store', {}) as store:
        store.add(dict(frame_dir='other', label=0))
        store.close(None)
    before = stamp(path)
    with pytest.warns(UserWarning, match='is not of the .*a.pkl that lies beside it, and is left alone'):
        assert isinstance(open_annotations(path, pack=True), AnnotationFile)
    assert stamp(path) == before


OPENING = """
import sys
sys.path[:0] = {path!r}
from aclnet.datasets.annotations import open_annotations, packing
{more}
print('ready', flush=True)
sys.stdin.readline()
store = open_annotations(sys.argv[1], pack=True)
print(type(store).__name__, len(store), sum(float(annotation['keypoint'].sum()) for annotation in store), flush=True)
"""


def opener(path, more=''):
    process = subprocess.Popen(
        [sys.executable, '-c', OPENING.format(path=sys.path, more=more), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == 'ready\n'
    return process


def go(process):
    process.stdin.write('\n')
    process.stdin.flush()


def test_processes_that_come_at_the_same_time_and_one_that_is_killed(tmp_path):
    path = annotation_file(tmp_path / 'a.pkl', count=40)
    slow = """
add = packing.StoreWriter.add
def one(self, annotation):
    if len(self) == 20:
        print('packing', flush=True)
        sys.stdin.readline()
    add(self, annotation)
packing.StoreWriter.add = one
"""
    killed, first, second = opener(path, slow), opener(path, slow), opener(path)
    go(killed)
    assert killed.stdout.readline() == 'packing\n'
    go(first)  # waits for the lock
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not os.path.exists(f'{path}.store')
    assert first.stdout.readline() == 'packing\n'
    go(second)
    go(first)
    answers = [process.communicate()[0] for process in (first, second)]
    assert answers[0] == answers[1] and answers[0].startswith('Store 40 ')
    assert sorted(os.listdir(tmp_path)) == ['.a.pkl.store.lock', 'a.pkl', 'a.pkl.store']
    killed.stdin.close()
    killed.stdout.close()


@contextlib.contextmanager
def without_rights():
    """A folder that this process may not write in, and its owner's rights afterwards."""
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder, lambda: (folder.chmod(0o555), os.geteuid() or os.seteuid(65534))
    finally:
        os.getuid() or os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_folder_that_cannot_be_written(monkeypatch):
    with without_rights() as (folder, lock):
        path = annotation_file(folder / 'a.pkl')
        lock()
        with pytest.warns(
            UserWarning, match='store .*a.pkl.store cannot be made .Permission denied.; the pickle'
        ) as seen:
            for _ in range(2):
                assert len(PoseDataset(path, [], 'train', pack=True)) == 6
        assert len(seen) == 1 and os.listdir(folder) == ['a.pkl']
    with without_rights() as (folder, lock):
        path = annotation_file(folder / 'a.pkl')
        PoseDataset(path, [], pack=True)
        os.utime(path, ns=(1, 1))
        lock()
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            assert isinstance(PoseDataset(path, [])._file, Store)  # it is used where it cannot be made


def test_no_room(path, tmp_path, monkeypatch):
    monkeypatch.setattr(opening.shutil, 'disk_usage', lambda folder: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.warns(UserWarning, match='no room for it'):
        assert isinstance(open_annotations(path, pack=True), AnnotationFile)
    monkeypatch.undo()
    monkeypatch.setattr(opening, '_warned', set())

    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('aclnet.datasets.annotations.packing._Stream.write', full)
    with pytest.warns(UserWarning, match='cannot be written: No space left on device; make room there; the pickle'):
        assert isinstance(open_annotations(path, pack=True), AnnotationFile)
    assert sorted(os.listdir(tmp_path)) == ['.a.pkl.store.lock', 'a.pkl']


def test_what_no_store_can_hold_is_loaded(tmp_path):
    content = dict(
        split=dict(train={'a', 'b'}), annotations=[dict(frame_dir='a', label=0), dict(frame_dir='b', label=1)]
    )
    path = write(tmp_path / 'a.pkl', content)
    with pytest.warns(UserWarning, match="split 'train' of the store .* must be a list of identifiers; the pickle"):
        assert len(open_annotations(path, pack=True).select('train')) == 2


def test_a_pickle_that_changes_meanwhile(path, monkeypatch):
    load = opening.load_annotations

    def meddling(path):
        os.utime(path, ns=(5, 5))
        return load(path)

    monkeypatch.setattr(opening, 'load_annotations', meddling)
    with pytest.warns(UserWarning, match='a.pkl changed while it was packed'):
        assert isinstance(open_annotations(path, pack=True), AnnotationFile)
    assert not os.path.exists(f'{path}.store')


@pytest.mark.parametrize('pack', ['yes', 2])
def test_the_switch(path, pack):
    with pytest.raises(ACLNetError, match='pack must be None, True or False'):
        PoseDataset(path, [], pack=pack)
