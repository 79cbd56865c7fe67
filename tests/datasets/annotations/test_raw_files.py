"""Poses from raw files: where they are looked for, how many stay in memory, what is said when they are not there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from aclnet.datasets.annotations import RawFiles
from aclnet.errors import ACLNetError
from tests.datasets.samples import poses, write


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    folder = tmp_path / 'elsewhere'
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def one(name='a', raw_file='kp/raw.pkl'):
    return dict(frame_dir=name, raw_file=raw_file)


def test_beside_the_working_directory_or_else_the_annotation_file(tmp_path, elsewhere, rng):
    reader = RawFiles(tmp_path / 'data' / 'k.pkl')
    there, here = poses(rng), poses(rng)
    write(tmp_path / 'data' / 'kp' / 'raw.pkl', dict(a=there))
    np.testing.assert_array_equal(reader.read(one())['keypoint'], there['keypoint'])
    write(elsewhere / 'kp' / 'raw.pkl', dict(a=here))
    got = reader.read(one())
    np.testing.assert_array_equal(got['keypoint'], here['keypoint'])
    np.testing.assert_array_equal(got['frame_inds'], here['frame_inds'])


def test_the_last_used_files_stay_in_memory(tmp_path, rng, monkeypatch):
    from aclnet.datasets.annotations import raw_files

    loads = []
    load = raw_files.load_pickle
    monkeypatch.setattr(raw_files, 'load_pickle', lambda path, what: loads.append(path) or load(path, what))
    for i in range(3):
        write(tmp_path / f'{i}.pkl', dict(a=poses(rng), b=poses(rng)))
    reader = RawFiles(tmp_path / 'k.pkl', keep=2)
    for name, file in (('a', 0), ('b', 0), ('a', 1), ('a', 0), ('a', 2), ('b', 0), ('a', 1)):
        reader.read(one(name, f'{file}.pkl'))
    assert [path[-5] for path in loads] == ['0', '1', '2', '1'] and len(reader._recent) == 2
    assert not pickle.loads(pickle.dumps(reader))._recent


def test_what_is_said(tmp_path, rng):
    reader = RawFiles(tmp_path / 'k.pkl')
    with pytest.raises(ACLNetError, match='raw file kp/raw.pkl of sample a is neither in .* kpfiles.zip from http'):
        reader.read(one())
    write(tmp_path / 'list.pkl', [1])
    with pytest.raises(ACLNetError, match='must hold a dict of poses, got list'):
        reader.read(one(raw_file='list.pkl'))
    write(tmp_path / 'raw.pkl', dict(b=poses(rng), a=dict(keypoint=np.ones((3, 17, 3)), frame_inds=np.arange(2))))
    with pytest.raises(ACLNetError, match='holds no poses of sample c'):
        reader.read(one('c', 'raw.pkl'))
    with pytest.raises(ACLNetError, match=r'holds no poses of sample a: it needs dict\(keypoint'):
        reader.read(one('a', 'raw.pkl'))
    (tmp_path / 'cut.pkl').write_bytes((tmp_path / 'raw.pkl').read_bytes()[:200])
    with pytest.raises(ACLNetError, match='raw file .*cut.pkl'):
        reader.read(one('a', 'cut.pkl'))
