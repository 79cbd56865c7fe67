"""Poses through a real memcached server: hits, misses, strangers' values, its death, its absence, forks."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from aclnet.datasets import PoseDataset
from aclnet.datasets.annotations import MemcachedPoses, RawFiles, memcached, namespace_of
from aclnet.errors import ACLNetError
from tests.datasets.samples import kinetics_files, poses, write


@pytest.fixture(autouse=True)
def unwarned(monkeypatch):
    monkeypatch.setattr(memcached, '_warned', False)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def start(port):
    program = shutil.which('memcached')
    if program is None:
        pytest.skip('the program memcached is not installed')
    user = ['-u', 'nobody'] if os.getuid() == 0 else []
    process = subprocess.Popen([program, '-l', '127.0.0.1', '-p', str(port), '-m', '16', *user])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return process
        time.sleep(0.05)
    process.kill()
    process.wait()
    pytest.fail('memcached did not start')


@pytest.fixture
def server():
    port = free_port()
    process = start(port)
    yield '127.0.0.1', port, process
    process.kill()
    process.wait()


@pytest.fixture
def client(server):
    from pymemcache import serde
    from pymemcache.client.base import Client

    with_serde = Client(server[:2], serde=serde.pickle_serde, default_noreply=False)
    yield with_serde
    with_serde.close()


@pytest.fixture
def reader(server, tmp_path):
    return MemcachedPoses(server[:2], RawFiles(tmp_path / 'k.pkl'))


def same(got, expected):
    return all(np.array_equal(got[key], expected[key]) for key in ('keypoint', 'frame_inds'))


def test_reads_what_published_fillers_wrote(reader, client, rng):
    value = poses(rng)
    client.set('a', value)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert same(reader.read(dict(frame_dir='a')), value)


def test_a_miss_is_read_from_the_raw_file_and_put_into_the_server(reader, client, rng, tmp_path):
    value = poses(rng)
    write(tmp_path / 'raw.pkl', dict(a=value))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert same(reader.read(dict(frame_dir='a', raw_file='raw.pkl')), value)
    assert same(client.get('a'), value)
    os.unlink(tmp_path / 'raw.pkl')
    fresh = MemcachedPoses(reader.server, RawFiles(tmp_path / 'k.pkl'))
    assert same(fresh.read(dict(frame_dir='a', raw_file='raw.pkl')), value)


@pytest.mark.parametrize('name', ['with space', 'line\nbreak', 'ü', 'x' * 251, 'x' * 250, 'nul\0', ''])
def test_every_name_makes_a_legal_key_of_its_own(reader, rng, tmp_path, name):
    value, other = poses(rng), poses(rng)
    write(tmp_path / 'raw.pkl', {name: value, name + 'x': other})
    for _ in range(2):
        assert same(reader.read(dict(frame_dir=name, raw_file='raw.pkl')), value)
        assert same(reader.read(dict(frame_dir=name + 'x', raw_file='raw.pkl')), other)
    assert memcached.server_key(name) != memcached.server_key(name + 'x')


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f'touch {self.target}',)


@pytest.mark.parametrize('kind', ['text', 'number', 'truncated', 'hostile', 'list', 'shape', 'boxes', 'frames'])
def test_whatever_else_is_there_gives_way_to_the_raw_file(reader, client, rng, tmp_path, kind):
    value = poses(rng)
    write(tmp_path / 'raw.pkl', dict(a=value))
    annotation = dict(frame_dir='a', raw_file='raw.pkl', total_frames=12, box_score=np.ones(30))
    bad = dict(
        text='garbage',
        number=7,
        hostile=Hostile(tmp_path / 'owned'),
        list=[1, 2],
        shape=dict(value, keypoint=np.ones((30, 17))),
        boxes=poses(rng, count=29),
        frames=dict(value, frame_inds=value['frame_inds'] + 50),
        truncated=None,
    )[kind]
    if kind == 'truncated':
        client.serde = type('Raw', (), dict(serialize=lambda self, key, value: (pickle.dumps(value)[:100], 1)))()
        bad = value
    client.set('a', bad)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert same(reader.read(annotation), value)
    assert not (tmp_path / 'owned').exists()
    os.unlink(tmp_path / 'raw.pkl')
    reader.raw_files = RawFiles(tmp_path / 'k.pkl')
    assert same(reader.read(annotation), value)  # the right value has replaced it


def test_a_server_that_dies_costs_one_warning(server, reader, rng, tmp_path):
    values = {name: poses(rng) for name in 'abc'}
    write(tmp_path / 'raw.pkl', values)
    reader.read(dict(frame_dir='a', raw_file='raw.pkl'))
    server[2].kill()
    server[2].wait()
    with pytest.warns(UserWarning, match='memcached server 127.0.0.1:.* is no help .* reading raw files') as seen:
        for name in 'abcabc':
            assert same(reader.read(dict(frame_dir=name, raw_file='raw.pkl')), values[name])
    assert len(seen) == 1


def test_a_server_that_comes_back_is_used_again(server, reader, rng, tmp_path, monkeypatch):
    value = poses(rng)
    write(tmp_path / 'raw.pkl', dict(a=value))
    server[2].kill()
    server[2].wait()
    monkeypatch.setattr(memcached, '_RETRY_AFTER', 0)
    with pytest.warns(UserWarning, match='is no help'):
        reader.read(dict(frame_dir='a', raw_file='raw.pkl'))
    again = start(server[1])
    try:
        reader.read(dict(frame_dir='a', raw_file='raw.pkl'))
        os.unlink(tmp_path / 'raw.pkl')
        reader.raw_files = RawFiles(tmp_path / 'k.pkl')
        assert same(reader.read(dict(frame_dir='a', raw_file='raw.pkl')), value)
    finally:
        again.kill()
        again.wait()


def test_without_a_server(rng, tmp_path):
    value = poses(rng)
    write(tmp_path / 'raw.pkl', dict(a=value))
    reader = MemcachedPoses(('127.0.0.1', free_port()), RawFiles(tmp_path / 'k.pkl'))
    with pytest.warns(UserWarning, match='is no help') as seen:
        for _ in range(3):
            assert same(reader.read(dict(frame_dir='a', raw_file='raw.pkl')), value)
    assert len(seen) == 1
    with pytest.raises(ACLNetError, match='sample b has no raw_file, and the memcached server .* does not hold'):
        reader.read(dict(frame_dir='b'))


def test_without_the_client_library(rng, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pymemcache.client.base', None)
    value = poses(rng)
    write(tmp_path / 'raw.pkl', dict(a=value))
    reader = MemcachedPoses(('127.0.0.1', free_port()), RawFiles(tmp_path / 'k.pkl'))
    with pytest.warns(UserWarning, match='is no help'):
        assert same(reader.read(dict(frame_dir='a', raw_file='raw.pkl')), value)


@pytest.mark.parametrize('answer', [b'', b'HTTP/1.1 400 Bad Request\r\n\r\n', b'VALUE b 1 3\r\nabc\r\nEND\r\n', None])
def test_a_stranger_on_the_port(rng, tmp_path, monkeypatch, answer):
    """Closes at once, speaks another language, answers for another key, or says nothing at all."""
    monkeypatch.setattr(memcached, '_TIMEOUT', 0.3)
    value = poses(rng)
    write(tmp_path / 'raw.pkl', dict(a=value))
    with socket.create_server(('127.0.0.1', 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                if answer is None:
                    time.sleep(0.6)
                else:
                    connection.recv(100)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        reader = MemcachedPoses(listener.getsockname(), RawFiles(tmp_path / 'k.pkl'))
        begun = time.monotonic()
        with pytest.warns(UserWarning, match='is no help'):
            for _ in range(3):
                assert same(reader.read(dict(frame_dir='a', raw_file='raw.pkl')), value)
        assert time.monotonic() - begun < 2
        thread.join()


def _read_in_child(reader, annotation, queue):
    queue.put(reader.read(annotation)['keypoint'].sum(dtype=np.float64))


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_processes_have_connections_of_their_own(reader, client, rng, method):
    values = {name: poses(rng) for name in 'ab'}
    for name, value in values.items():
        client.set(name, value)
    reader.read(dict(frame_dir='a'))
    connection = reader._client
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(reader, dict(frame_dir='b'), queue))
    child.start()
    for _ in range(50):
        assert same(reader.read(dict(frame_dir='a')), values['a'])
    assert queue.get(timeout=60) == values['b']['keypoint'].sum(dtype=np.float64)
    child.join()
    assert reader._client is connection and same(reader.read(dict(frame_dir='b')), values['b'])


def test_a_value_too_large_for_the_server(reader, rng, tmp_path):
    value = poses(rng, count=60000)
    write(tmp_path / 'raw.pkl', dict(a=value))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for _ in range(2):
            assert same(reader.read(dict(frame_dir='a', raw_file='raw.pkl')), value)


def test_a_dataset_reads_through_it(server, client, tmp_path):
    path, values = kinetics_files(tmp_path)
    dataset = PoseDataset(path, pipeline=[], split='train', memcached=True, mc_cfg=server[:2])
    assert all(same(sample, values[sample['frame_dir']]) for sample in dataset)
    keys = {name: memcached.server_key(name, namespace_of(dataset._file)) for name in values}
    assert all(same(client.get(keys[name]), value) for name, value in values.items())
    assert not any(client.get(name) for name in values)


def test_two_data_sets_never_mix(server, tmp_path):
    """Files that differ in their poses or annotations alone have other keys, though all names are the same."""
    sets = {}
    for folder, seed in (('a', 0), ('b', 1)):
        path, values = kinetics_files(tmp_path / folder, seed=seed)
        sets[path] = values
    shutil.copytree(tmp_path / 'a', tmp_path / 'c')  # the same annotations with other poses
    _, values = kinetics_files(tmp_path / 'd', seed=5)
    for raw_file in os.listdir(tmp_path / 'd/kpfiles'):
        shutil.copy(tmp_path / 'd/kpfiles' / raw_file, tmp_path / 'c/kpfiles' / raw_file)
    sets[str(tmp_path / 'c/kinetics.pkl')] = values
    for _ in range(2):
        for path, values in sets.items():
            for sample in PoseDataset(path, pipeline=[], memcached=True, mc_cfg=server[:2]):
                assert same(sample, values[sample['frame_dir']])
    packed = PoseDataset(path, [], pack=True, memcached=True, mc_cfg=server[:2])  # annotations in a store, same keys
    assert packed._poses.namespace == PoseDataset(path, [], pack=False, memcached=True)._poses.namespace


@pytest.mark.parametrize('name', ['a b', 'x' * 250, 'tab\t', 'ü'])
def test_keys_are_legal_in_every_namespace(name):
    keys = {memcached.server_key(name, space) for space in ('', '0' * 16, '1' * 16)}
    assert len(keys) == 3 and all(0 < len(key) <= 250 and key.isascii() and key.isprintable() for key in keys)
    assert not any(' ' in key for key in keys)


@pytest.mark.parametrize(
    'mc_cfg',
    [
        'localhost',
        ('localhost',),
        ('localhost', '22077'),
        ('localhost', 0),
        None,
        5,
        {},
        dict(host='a', port=1, size=2),
        dict(host='a', port=1, item_mb=2000),
    ],
)
def test_the_address_is_checked(tmp_path, mc_cfg):
    with pytest.raises(ACLNetError) as caught:
        MemcachedPoses(mc_cfg, RawFiles(tmp_path / 'k.pkl'))
    assert str(caught.value) == (
        "mc_cfg must be (host, port), e.g. ('localhost', 22077), or a dict of them that may have memory_mb and "
        f'item_mb, got {mc_cfg!r}'
    )
