"""Trainings and tests whose batches are made on the device: the same as those by workers, to the bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from aclnet.apis import load_config
from aclnet.apis.data import build_loader, build_subset
from aclnet.datasets import DeviceLoader
from aclnet.errors import ACLNetError
from tests.engine.resuming import difference
from tests.made import write_config
from tests.run import checkpoint, tool

pytestmark = pytest.mark.usefixtures('one_thread')

SAVING = 'checkpoint_config = dict(interval=4, by_epoch=False)\n'  # of 6 iterations an epoch


def final(work):
    content = checkpoint(work / 'latest.pth')
    return {key: content[key] for key in ('state_dict', 'optimizer', 'training')}


def scores_in(path):
    return np.array(pickle.loads(path.read_bytes()))


def test_training_resuming_in_an_epoch_and_testing(tmp_path):
    config = write_config(tmp_path, extra=SAVING)
    works = {loader: tmp_path / loader for loader in ('workers', 'device')}
    for loader, work in works.items():
        tool('train', config, '--validate', '--test-last', '--seed', 3, '--work-dir', work, '--loader', loader)
    assert not difference(final(works['workers']), final(works['device']))
    scores = [scores_in(work / 'last_pred.pkl') for work in works.values()]
    np.testing.assert_array_equal(*scores)
    again = tmp_path / 'again'
    options = ('--validate', '--resume-from', works['workers'] / 'iter_8.pth', '--loader', 'device')
    tool('train', config, *options, '--work-dir', again)
    assert not difference(final(works['workers']), final(again))
    out = tmp_path / 'scores.pkl'
    tool('test', config, '-C', again / 'latest.pth', '--out', out, '--loader', 'device')
    np.testing.assert_array_equal(scores_in(out), scores[0])


def test_who_loads(tmp_path):
    """Where nobody says so, workers, as there is no GPU; the loaders of parts may differ."""
    for value, kinds in (
        (None, (False, False)),
        ('workers', (False, False)),
        ('device', (True, True)),
        (dict(train='device'), (True, False)),
    ):
        cfg = load_config(write_config(tmp_path))
        if isinstance(value, dict):
            cfg.data.train_dataloader = dict(loader=value['train'])
        else:
            cfg.data.loader = value
        loaders = [build_loader(cfg, name, build_subset(cfg, name), 0) for name in ('train', 'test')]
        assert tuple(isinstance(loader, DeviceLoader) for loader in loaders) == (
            kinds if not torch.cuda.is_available() or value is not None else (True, True)
        )


def test_a_wrong_loader_is_named(tmp_path):
    config = write_config(tmp_path)
    with pytest.raises(
        ACLNetError, match="loader must be one of device, workers, got 'devices'; did you mean 'device'"
    ):
        tool('train', config, '--cfg-options', 'data.loader=devices')
