"""A server of our own: started where nobody listens, filled, bounded, and gone with us however we end."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import time

import numpy as np
import pytest

from aclnet.datasets import PoseDataset
from aclnet.datasets.annotations import MemcachedPoses, RawFiles, memcached, namespace_of, open_annotations
from aclnet.datasets.annotations.memcached import Server
from aclnet.datasets.annotations.memcached_server import PoseServer, is_free
from tests.datasets.annotations.test_memcached import free_port, same
from tests.datasets.samples import kinetics_files, poses, write

pytestmark = pytest.mark.skipif(shutil.which('memcached') is None, reason='the program memcached is not installed')


@pytest.fixture(autouse=True)
def unwarned(monkeypatch):
    monkeypatch.setattr(memcached, '_warned', False)
    monkeypatch.setattr(logging.getLogger('aclnet'), 'propagate', True)


def server(memory_mb=64, item_mb=1):
    return Server('127.0.0.1', free_port(), memory_mb, item_mb)


def until_free(where):
    """Wait, up to a minute, for the system to end what has to end."""
    for _ in range(1200):
        if is_free(where):
            return True
        time.sleep(0.05)
    return False


def test_it_is_started_filled_and_stopped(tmp_path, caplog):
    caplog.set_level(logging.INFO, 'aclnet')
    path, values = kinetics_files(tmp_path, count=9)
    where = server()
    assert (
        is_free(where) and is_free(where._replace(host='localhost')) and not is_free(where._replace(host='far.invalid'))
    )
    file = open_annotations(path)
    reader = MemcachedPoses(where, RawFiles(path), namespace_of(file))
    with PoseServer(where) as own:
        assert own.start() and not is_free(where)
        assert own.fill([(reader, file.annotations)], processes=2) == 9
        shutil.rmtree(tmp_path / 'kpfiles')
        assert all(same(reader.read(annotation), values[annotation['frame_dir']]) for annotation in file.annotations)
        client = reader._client
        limits = client.stats('settings')
        assert limits[b'maxbytes'] == 64 << 20 and limits[b'item_size_max'] == 1 << 20
    assert until_free(where)
    assert 'took 9 of 9 clips' in caplog.text


def test_what_the_raw_files_cannot_give_is_left_to_the_reader(tmp_path):
    path, _ = kinetics_files(tmp_path, count=4)
    os.unlink(tmp_path / 'kpfiles/raw1.pkl')
    where = server()
    with PoseServer(where) as own:
        assert own.start()
        assert own.fill([(MemcachedPoses(where, RawFiles(path)), open_annotations(path).annotations)]) == 2


def test_a_value_too_large_and_a_server_that_is_full(tmp_path, rng, recwarn, caplog):
    """Large values and evicted ones come from the raw files; those that are there, from the server all the same."""
    where = server(memory_mb=8, item_mb=1)
    clips = {f'clip{i}': poses(rng, count=4000) for i in range(40)}  # 400 KB each: twice what there is room for
    clips['large'] = poses(rng, count=20000)
    write(tmp_path / 'raw.pkl', clips)
    annotations = [dict(frame_dir=name, raw_file='raw.pkl') for name in clips]
    reader = MemcachedPoses(where, RawFiles(tmp_path / 'a.pkl'))
    with PoseServer(where) as own:
        assert own.start()
        assert own.fill([(reader, annotations)]) == 40
        assert 'has no room for' in caplog.text and 'raise memory_mb of mc_cfg, now 8' in caplog.text
        for _ in range(2):
            for annotation in annotations:
                assert same(reader.read(annotation), clips[annotation['frame_dir']])
        assert reader._silent_until == 0  # it is still asked
    assert len([warning for warning in recwarn if 'is no help' in str(warning.message)]) == 1


def test_a_server_that_refuses_when_it_is_full(tmp_path, rng, recwarn):
    """memcached -M evicts nothing: what it has is read from it, and the rest from raw files."""
    where = server()
    user = ['-u', 'nobody'] if os.getuid() == 0 else []
    words = ['memcached', '-M', '-l', where.host, '-p', str(where.port), '-m', '4', *user]
    process = subprocess.Popen([str(word) for word in words])
    try:
        while is_free(where):
            assert process.poll() is None
        clips = {f'clip{i}': poses(rng, count=4000) for i in range(30)}
        write(tmp_path / 'raw.pkl', clips)
        reader = MemcachedPoses(where, RawFiles(tmp_path / 'a.pkl'))
        for _ in range(2):
            for name, value in clips.items():
                assert same(reader.read(dict(frame_dir=name, raw_file='raw.pkl')), value)
        assert reader._silent_until == 0 and isinstance(reader.ask('get', 'clip0'), tuple)
    finally:
        process.kill()
        process.wait()
    assert len([warning for warning in recwarn if 'is no help' in str(warning.message)]) == 1


def test_one_that_cannot_be_started(tmp_path, monkeypatch, caplog):
    own = PoseServer(Server('127.0.0.1', free_port(), 2, 1024))  # a value larger than all of them
    assert own.start() is False
    assert 'memcached did not start at 127.0.0.1:' in caplog.text
    monkeypatch.setenv('PATH', str(tmp_path))
    assert own.start() is False
    assert "there is no program 'memcached' to start" in caplog.text
    own.stop()


def test_somebody_else_on_the_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        assert not is_free(Server('127.0.0.1', listener.getsockname()[1], 64))


def _serve(where, line):
    own = PoseServer(where)
    line.send(own.start())
    child = multiprocessing.get_context('fork').Process(target=line.recv, daemon=True)  # as a worker: holds our files
    child.start()
    child.join()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_it_goes_when_we_are_killed(number):
    where = server()
    line, theirs = multiprocessing.get_context('fork').Pipe()
    process = multiprocessing.get_context('fork').Process(target=_serve, args=(where, theirs))
    process.start()
    theirs.close()
    assert line.recv() is True and not is_free(where)
    os.kill(process.pid, number)
    process.join()
    line.close()  # the forked child ends, as data workers do when their parent is gone
    assert until_free(where)


def test_restarted_in_the_middle(tmp_path, monkeypatch):
    """A server that comes back empty, or stops for good: the samples stay right."""
    path, values = kinetics_files(tmp_path, count=9)
    monkeypatch.setattr(memcached, '_RETRY_AFTER', 0)
    where = server()
    dataset = PoseDataset(path, [], memcached=True, mc_cfg=where._asdict())
    with pytest.warns(UserWarning, match='is no help') as seen:
        for _ in range(2):
            with PoseServer(where) as own:
                assert own.start()
                assert all(same(sample, values[sample['frame_dir']]) for sample in dataset)
            assert until_free(where)
            assert all(same(sample, values[sample['frame_dir']]) for sample in dataset)
    assert len(seen) == 1
    assert np.array_equal(dataset[0]['keypoint'], values['video0']['keypoint'])
