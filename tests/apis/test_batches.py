"""Batches of validation and test: as large as those of training, with the scores of one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aclnet.apis import load_config
from aclnet.apis.data import build_loader, build_subset
from aclnet.apis.test import evaluate_checkpoint
from aclnet.engine.checkpoint import save_checkpoint
from aclnet.evaluation import load_scores
from aclnet.models import build_model
from tests.apis.test_inference import lively
from tests.made import write_config


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path)


@pytest.mark.parametrize('name', ['val', 'test'])
def test_the_batch_is_that_of_training_unless_the_config_says_otherwise(config, name):
    cfg = load_config(config)
    dataset = build_subset(cfg, name)
    assert build_loader(cfg, name, dataset, seed=0).batch_sampler.batch_size == cfg.data.videos_per_gpu == 4
    cfg.data[f'{name}_dataloader'] = dict(videos_per_gpu=1)
    assert build_loader(cfg, name, dataset, seed=0).batch_sampler.batch_size == 1
    del cfg.data['videos_per_gpu'], cfg.data[f'{name}_dataloader']
    assert build_loader(cfg, name, dataset, seed=0).batch_sampler.batch_size == 16


def test_scores_do_not_depend_on_the_batch(config, tmp_path):
    """Nine samples of three clips: batches of 9, of 4 with one sample left over, and one at a time."""
    torch.manual_seed(0)
    cfg = load_config(config)
    save_checkpoint(lively(build_model(cfg.model)), str(tmp_path / 'lively.pth'))
    scores = {}
    for batch in (1, None, 9):
        cfg.data.test_dataloader = None if batch is None else dict(videos_per_gpu=batch)
        evaluate_checkpoint(cfg, str(tmp_path / 'lively.pth'), out=str(tmp_path / f'{batch}.pkl'))
        scores[batch], _ = load_scores(str(tmp_path / f'{batch}.pkl'))
    assert scores[1].shape == (9, 3) and len(np.unique(scores[1])) > 9
    for batch in (None, 9):
        np.testing.assert_allclose(scores[batch], scores[1], atol=1e-6, rtol=0)
