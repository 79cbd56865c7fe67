"""The light annotation pickle and its raw files as one store: the same samples, after a kill too."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from mmcv import Config

from aclnet.datasets import PoseDataset, build_dataset
from aclnet.datasets.annotations import RawFiles, Store, kinetics, memcached
from aclnet.datasets.annotations.kinetics import pack_kinetics
from aclnet.errors import ACLNetError
from tests.datasets.samples import kinetics_files
from tests.run import ROOT, tool


@pytest.fixture
def path(tmp_path):
    return kinetics_files(tmp_path / 'k', count=9)[0]


def test_the_pipelines_of_the_configs_give_the_same_bits(path, tmp_path, monkeypatch):
    monkeypatch.setattr(memcached, '_warned', True)
    cfg = Config.fromfile(str(ROOT / 'configs/k400/b.py'))
    for part in ('train', 'val', 'test'):
        options = dict(cfg.data[part], ann_file=path, mc_cfg=('127.0.0.1', 9), test_mode=part != 'train')
        changes = (dict(), dict(valid_ratio=0.6)) if part == 'train' else (dict(),)
        for more in changes:
            raw = build_dataset(dict(options, **more, pack=False))
            expected = [raw[epoch, index] for epoch in (1, 2) for index in range(len(raw))]
            pack_kinetics(path, progress=False)
            os.rename(tmp_path / 'k/kpfiles', tmp_path / 'k/gone')  # nothing of them is needed, nor a server
            packed = build_dataset(dict(options, **more))
            got = [packed[epoch, index] for epoch in (1, 2) for index in range(len(packed))]
            os.rename(tmp_path / 'k/gone', tmp_path / 'k/kpfiles')
            shutil.rmtree(f'{path}.store')
            assert isinstance(packed._file, Store) and packed.identifiers == raw.identifiers
            for one, other in zip(expected, got, strict=True):
                assert one.keys() == other.keys() and one['label'] == other['label']
                assert one['keypoint'].numpy().tobytes() == other['keypoint'].numpy().tobytes()


def test_every_value_is_there(path):
    summary = pack_kinetics(path, progress=False)
    assert summary == (f'{path}.store', 9, [], 0)
    store, reader = Store.open(summary.path), RawFiles(path)
    for annotation, packed in zip(pickle.load(open(path, 'rb'))['annotations'], store, strict=True):
        expected = {**annotation, **reader.read(annotation)}
        assert [*packed] == [*expected] and packed['valid'] == expected['valid']
        for key in ('keypoint', 'frame_inds', 'box_score'):
            assert packed[key].dtype == expected[key].dtype and np.array_equal(packed[key], expected[key])
    assert store.select('val').sound


KILLED = """
import os, sys, signal
sys.path[:0] = {path!r}
from aclnet.datasets.annotations import kinetics, packing
kinetics._FLUSH = 2
add = packing.StoreWriter.add
def one(self, annotation):
    if len(self) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, annotation)
packing.StoreWriter.add = one
kinetics.pack_kinetics({file!r}, drop_broken=True)
"""


def test_a_killed_packing_is_gone_on_with(path, tmp_path):
    raw = tmp_path / 'k/kpfiles/raw0.pkl'
    content = pickle.loads(raw.read_bytes())
    raw.write_bytes(pickle.dumps({'video1': content['video1']}))  # so that one is dropped before the kill
    done = subprocess.run([sys.executable, '-c', KILLED.format(path=sys.path, file=path)], capture_output=True)
    assert done.returncode == -signal.SIGKILL and not os.path.exists(f'{path}.store'), done.stderr
    summary = pack_kinetics(path, drop_broken=True, progress=False)
    assert (summary.samples, summary.resumed) == (8, 5)
    assert [name for name, _ in summary.dropped] == ['video0'] and 'holds no poses' in summary.dropped[0][1]
    whole = pack_kinetics(path, out=tmp_path / 'whole.store', drop_broken=True, progress=False)
    stores = [Store.open(one.path) for one in (summary, whole)]
    assert stores[0].checksum == stores[1].checksum and whole.resumed == 0
    assert stores[0].splits['train'] == [f'video{i}' for i in range(9)]
    with pytest.warns(UserWarning, match='1 of 9 identifiers'):
        chosen = stores[0].select('train')
    assert [*chosen.names] == [f'video{i}' for i in range(1, 9)]


def test_raw_files_that_lie_elsewhere_or_nowhere(path, tmp_path, monkeypatch):
    os.rename(tmp_path / 'k/kpfiles', tmp_path / 'poses')
    with pytest.raises(ACLNetError, match='raw file kpfiles/raw0.pkl of sample video0 is neither in the working dir'):
        pack_kinetics(path, progress=False)
    with pytest.raises(ACLNetError, match=f'is neither in {tmp_path}/k nor in'):
        pack_kinetics(path, tmp_path / 'k', progress=False)
    monkeypatch.setattr(kinetics, '_FLUSH', 1)
    assert pack_kinetics(path, tmp_path / 'poses', progress=False).samples == 9
    assert len(PoseDataset(path, [])) == 9


def test_the_command(path, capsys):
    tool('data/pack', path, '--drop-broken')
    assert capsys.readouterr().out == f'{path}.store: 9 samples; 0 dropped\n'


def test_a_light_file_that_changed_leaves_the_store_alone(path):
    pack_kinetics(path, progress=False)
    content = pickle.load(open(path, 'rb'))
    content['annotations'].pop()
    with open(path, 'wb') as stream:
        pickle.dump(content, stream)
    with pytest.warns(UserWarning, match='is left alone; pack it anew: python tools/data/pack.py'):
        assert len(PoseDataset(path, [], pack=True)) == 8
    assert len(Store.open(f'{path}.store')) == 9
