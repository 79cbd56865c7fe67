"""Training with a server, without one, with one that dies in the middle, and from a store: the same to the bit."""

from __future__ import annotations

import os
import shutil
import signal
import warnings

import pytest
import torch

from aclnet.apis.poses import _asking
from aclnet.datasets.annotations import MemcachedPoses, memcached_server
from aclnet.datasets.annotations.kinetics import pack_kinetics
from aclnet.datasets.annotations.memcached import Server
from tests.apis.test_published_config import SMALL, folder  # noqa: F401  a fixture
from tests.datasets.annotations.test_memcached import free_port
from tests.run import checkpoint, tool

needs_memcached = pytest.mark.skipif(shutil.which('memcached') is None, reason='the program memcached is not installed')


def trained(name, port, **options):
    words = [f'data.{part}.mc_cfg=[127.0.0.1,{port}]' for part in ('train', 'val', 'test')]
    words += [f'data.{part}.{key}={value}' for part in ('train', 'val', 'test') for key, value in options.items()]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        metrics = tool('train', 'km.py', '--validate', '--test-last', '--seed', 0, '--work-dir', name, *SMALL, *words)
    (log,) = [path for path in os.listdir(name) if path.endswith('.log')]
    return checkpoint(f'{name}/epoch_1.pth')['state_dict'], metrics, open(f'{name}/{log}').read()


def same(one, other):
    return all(torch.equal(one[0][key], other[0][key]) for key in one[0]) and one[1] == other[1]


@needs_memcached
def test_the_result_is_the_same(folder, monkeypatch):  # noqa: F811
    port = free_port()
    raw = trained('raw', port, memcached=False)
    assert 'memcached' not in raw[2].replace('memcached=', '')
    served = trained('served', port)
    assert f'started memcached at 127.0.0.1:{port}' in served[2] and 'took 9 of 9 clips' in served[2]
    assert same(served, raw) and memcached_server.is_free(Server.of(('127.0.0.1', port)))

    started, reads = [], []
    start, read = memcached_server.PoseServer.start, MemcachedPoses.read

    def noting(self):
        started.append(self)
        return start(self)

    def killing(self, annotation):
        reads.append(annotation)
        if len(reads) == 5:
            os.killpg(started[0]._guard.pid, signal.SIGKILL)
        return read(self, annotation)

    with monkeypatch.context() as patch:
        patch.setattr(memcached_server.PoseServer, 'start', noting)
        patch.setattr(MemcachedPoses, 'read', killing)
        assert same(trained('killed', port), raw) and len(reads) > 5

    pack_kinetics('k400.pkl', progress=False)
    shutil.rmtree('kpfiles')
    packed = trained('packed', port)
    assert same(packed, raw) and 'started memcached' not in packed[2]


def test_which_data_sets_ask():
    one = dict(type='PoseDataset', ann_file='a', memcached=True)
    assert [*_asking(None)] == [*_asking(dict(one, memcached=False))] == []
    assert [*_asking(dict(type='RepeatDataset', dataset=one))] == [*_asking([one])] == [one]
    assert [
        part['ann_file'] for part in _asking(dict(type='ConcatDataset', datasets=[dict(one, ann_file=['a', 'b'])]))
    ] == [
        'a',
        'b',
    ]
