"""Who logs what, and where."""

from __future__ import annotations

import logging

import pytest

from aclnet import distributed
from aclnet.apis.log import start_log


@pytest.fixture(autouse=True)
def restored():
    logger = logging.getLogger('aclnet')
    before = logger.level, logger.propagate
    yield
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.level, logger.propagate = before


@pytest.mark.parametrize('rank', [0, 1])
def test_warnings_of_every_rank_reach_a_file_of_its_own(tmp_path, monkeypatch, rank):
    monkeypatch.setattr(distributed, 'get_dist_info', lambda: (rank, 2))
    logger = start_log(str(tmp_path / 'run.log'))
    logger.info('an epoch')
    quiet = [path.name for path in tmp_path.iterdir()]
    logger.warning('a broken sample')
    (path,) = tmp_path.iterdir()
    text = path.read_text()
    assert text.endswith('WARNING - a broken sample\n')
    assert (path.name, quiet, text.count('\n')) == [('run.log', ['run.log'], 2), ('run_rank1.log', [], 1)][rank]


def test_a_quieter_level_holds_for_all_ranks(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, 'get_dist_info', lambda: (1, 2))
    assert start_log(str(tmp_path / 'run.log'), 'ERROR').level == logging.ERROR
    assert start_log(str(tmp_path / 'run.log'), 'DEBUG').level == logging.WARNING
