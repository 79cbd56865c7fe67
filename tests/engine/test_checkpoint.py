"""Checkpoints from elsewhere: damaged, hostile, old, of other models, on a server."""

from __future__ import annotations

import functools
import http.server
import os
import pickle
import threading

import numpy as np
import pytest
import torch
from torch import nn

from aclnet.engine.checkpoint import load_checkpoint, load_weights, save_checkpoint
from aclnet.errors import ACLNetError


class Net(nn.Module):
    training_state = ('memory.',)
    class_specific = ('fc.',)

    def __init__(self, classes=3, width=4, memory=5):
        super().__init__()
        self.body = nn.Linear(2, width)
        self.fc = nn.Linear(width, classes)
        self.memory = nn.Module()
        self.memory.register_buffer('entries', torch.zeros(memory))


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_what_is_saved_is_loaded(tmp_path):
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.fc(net.body(torch.ones(1, 2))).sum().backward()
    optimizer.step()
    save_checkpoint(net, str(tmp_path / 'a.pth'), optimizer, dict(epoch=3, text='x'))
    content = load_checkpoint(str(tmp_path / 'a.pth'))
    assert content['meta']['epoch'] == 3 and content['optimizer']['state'][0]['momentum_buffer'] is not None
    other = Net()
    load_weights(other, content, 'a.pth', purpose='resume')
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values()))
    assert os.listdir(tmp_path) == ['a.pth'], 'no temporary file stays'


class Trusted:
    """Pickles as a numpy scalar whose dtype's state claims objects where there are numbers."""

    def __reduce__(self):
        return np._core.multiarray.scalar, (StatefulDtype(), b'12345678')


class StatefulDtype:
    def __reduce__(self):
        return np.dtype, ('f8', False, True), (3, '<', (np.dtype('f8'), (9,)), None, None, -1, -1, 63)


@pytest.mark.parametrize('make', [Trusted, lambda: np.dtype('O'), lambda: np.array([1, 'a'], object)])
def test_numpy_is_not_trusted_with_a_state(tmp_path, make):
    torch.save(dict(meta=dict(best=make()), state_dict={'w': torch.ones(2)}), tmp_path / 'a.pth')
    with pytest.raises(ACLNetError, match='checkpoint .*a.pth was not loaded: it '):
        load_checkpoint(str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('module', ['numpy.core.multiarray', 'numpy._core.multiarray'])
def test_numpy_scalars_of_either_numpy_load(tmp_path, module):
    path = tmp_path / 'published.pth'
    torch.save(
        dict(meta=dict(best=np.float64(0.5), epoch=np.int64(3), lr=np.float32(0.25)), state_dict={'w': torch.ones(2)}),
        path,
        _use_new_zipfile_serialization=False,
    )
    data = path.read_bytes()
    for name in (b'numpy.core.multiarray', b'numpy._core.multiarray'):
        data = data.replace(b'c' + name + b'\n', b'c' + module.encode() + b'\n')
    path.write_bytes(data)
    assert module.encode() in data
    meta = load_checkpoint(str(path))['meta']
    assert (meta['best'], meta['epoch'], meta['lr']) == (0.5, 3, 0.25)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    trap = tmp_path / 'trap'
    torch.save(dict(meta=dict(x=Runs(trap)), state_dict={}), tmp_path / 'bad.pth')
    with pytest.raises(ACLNetError, match='mkdir'):
        load_checkpoint(str(tmp_path / 'bad.pth'))
    assert not trap.exists()


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: b'',
        lambda data: data[: len(data) // 2],
        lambda data: b'not a checkpoint',
        lambda data: pickle.dumps([1]),
        lambda data: data[:200] + bytes(200) + data[400:],
    ],
)
def test_damaged_files_are_named(tmp_path, damage):
    path = tmp_path / 'a.pth'
    save_checkpoint(Net(), str(path))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ACLNetError, match='a.pth') as error:
        load_checkpoint(str(path))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'content,words', [(dict(a=1), 'state_dict'), ([1], 'state_dict'), (dict(state_dict=[1]), 'state_dict')]
)
def test_files_that_are_no_checkpoint(tmp_path, content, words):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ACLNetError, match=words):
        load_checkpoint(str(tmp_path / 'a.pth'))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ACLNetError, match='does not exist'):
        load_checkpoint(str(tmp_path / 'a.pth'))
    with pytest.raises(ACLNetError, match='is a folder.*latest.pth'):
        load_checkpoint(str(tmp_path))


def test_a_bare_state_dict_and_wrappers_prefixes(tmp_path):
    net = Net()
    torch.save({f'module.{key}': value for key, value in net.state_dict().items()}, tmp_path / 'a.pth')
    other = Net()
    load_weights(other, load_checkpoint(str(tmp_path / 'a.pth')), 'a.pth')
    assert torch.equal(other.fc.weight, net.fc.weight)


def test_other_models_are_refused_with_their_parameters(tmp_path):
    for other, words in (
        (
            Net(width=6),
            r'body.bias, body.weight, fc.weight of another size \(body.bias is \(6,\) in the '
            r'checkpoint, \(4,\) here\)',
        ),
        (nn.Linear(2, 2), 'it lacks body.weight, body.bias, fc.weight and 1 more; it has weight, bias'),
    ):
        save_checkpoint(other, str(tmp_path / 'a.pth'))
        net = Net()
        before = {key: value.clone() for key, value in net.state_dict().items()}
        with pytest.raises(ACLNetError, match=words):
            load_weights(net, load_checkpoint(str(tmp_path / 'a.pth')), 'a.pth')
        assert all(torch.equal(before[key], value) for key, value in net.state_dict().items()), 'half loaded'


def test_other_classes_fit_for_fine_tuning_only(tmp_path):
    save_checkpoint(Net(classes=7), str(tmp_path / 'a.pth'))
    content = load_checkpoint(str(tmp_path / 'a.pth'))
    for purpose in ('test', 'resume'):
        with pytest.raises(ACLNetError, match='fc.bias'):
            load_weights(Net(), content, 'a.pth', purpose=purpose)
    load_weights(Net(), content, 'a.pth', purpose='finetune')


def test_state_of_training_matters_for_resuming_only(tmp_path):
    save_checkpoint(Net(memory=9), str(tmp_path / 'a.pth'))
    content = load_checkpoint(str(tmp_path / 'a.pth'))
    load_weights(Net(), content, 'a.pth', purpose='test')
    load_weights(Net(), content, 'a.pth', purpose='finetune')
    with pytest.raises(ACLNetError, match='memory.entries'):
        load_weights(Net(), content, 'a.pth', purpose='resume')


def test_addresses_are_fetched_once(tmp_path, monkeypatch):
    (tmp_path / 'served').mkdir()
    save_checkpoint(Net(), str(tmp_path / 'served' / 'a.pth'))
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, form, *args):
            asked.append(args[0])

    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(Handler, directory=tmp_path / 'served')
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    address = f'http://127.0.0.1:{server.server_port}/a.pth'
    try:
        for _ in range(2):
            assert 'fc.weight' in load_checkpoint(address)['state_dict']
        assert len(asked) == 1
        with pytest.raises(ACLNetError, match='missing.pth could not be downloaded'):
            load_checkpoint(address.replace('a.pth', 'missing.pth'))
    finally:
        server.shutdown()
        server.server_close()


def test_an_earlier_file_survives_a_write_that_fails(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    save_checkpoint(Net(), str(path))
    before = path.read_bytes()
    full = OSError(28, 'No space left on device')
    monkeypatch.setattr(os, 'fsync', lambda handle: (_ for _ in ()).throw(full))
    with pytest.raises(ACLNetError, match='No space left'):
        save_checkpoint(Net(), str(path))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ['a.pth']
