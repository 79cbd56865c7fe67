"""Stores that are packed from pickles on first use: by one process for all, again when the pickle changes, or not."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import shutil
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


def _open(path, line, slow):
    """In a child: open when told to; where ``slow``, say so in the middle of packing and wait to be told again."""
    add = StoreWriter.add

    def one(self, annotation):
        if len(self) == 20:
            line.send('packing')
            line.recv()
        add(self, annotation)

    StoreWriter.add = one if slow else add
    line.recv()
    store = open_annotations(path, pack=True)
    line.send((type(store).__name__, [float(annotation['keypoint'].sum()) for annotation in store]))


def opener(path, slow):
    context = multiprocessing.get_context('fork')
    line, theirs = context.Pipe()
    process = context.Process(target=_open, args=(path, theirs, slow))
    process.start()
    theirs.close()
    return process, line


def test_processes_that_come_at_the_same_time_and_one_that_is_killed(tmp_path):
    path = annotation_file(tmp_path / 'a.pkl', count=40)
    processes, (killed, first, second) = zip(*[opener(path, slow) for slow in (True, True, False)])
    killed.send('go')
    assert killed.recv() == 'packing'
    first.send('go')  # waits for the lock
    processes[0].kill()
    assert first.recv() == 'packing' and not os.path.exists(f'{path}.store')
    second.send('go')
    first.send('go')
    answers = [line.recv() for line in (first, second)]
    for process in processes:
        process.join()
    assert answers[0] == answers[1] and answers[0][0] == 'Store' and len(answers[0][1]) == 40
    assert sorted(os.listdir(tmp_path)) == ['.a.pkl.store.lock', 'a.pkl', 'a.pkl.store']


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
