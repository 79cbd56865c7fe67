"""The log of a run, on its screen and in its file."""

from __future__ import annotations

import logging

import pytest

from aclnet import distributed
from aclnet.apis.log import get_logger, start_log
from aclnet.errors import ACLNetError, run_tool


@pytest.fixture(autouse=True)
def own_logger():
    """The handlers of the project's logger as they were."""
    logger = get_logger()
    before = list(logger.handlers), logger.level, logger.propagate
    logger.handlers = []
    yield
    for handler in logger.handlers:
        handler.close()
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture
def of_rank(monkeypatch):
    return lambda rank: monkeypatch.setattr(distributed, 'get_dist_info', lambda: (rank, 2))


def test_errors_of_every_rank_stand_in_one_file(tmp_path, of_rank, capsys):
    path = tmp_path / 'run.log'
    of_rank(1)
    logger = start_log(str(path))
    logger.info('of no interest')
    assert not path.exists(), 'opened when there is an error'
    logger.error('went wrong')
    of_rank(0)
    start_log(str(path)).info('begins')
    first, second = path.read_text().splitlines()
    assert first.endswith(' - aclnet - ERROR - rank 1: went wrong') and second.endswith(' - aclnet - INFO - begins')
    assert 'rank 1: went wrong' in capsys.readouterr().err


@pytest.mark.parametrize(
    'error, said', [(ACLNetError('no data'), 'no data'), (ValueError('a bug'), 'ValueError: a bug')]
)
def test_what_ends_a_tool_stands_in_the_file_and_once_on_the_screen(tmp_path, capsys, monkeypatch, error, said):
    monkeypatch.setenv('WORLD_SIZE', '1')

    def main():
        start_log(str(tmp_path / 'run.log'))
        raise error

    with pytest.raises((SystemExit, ValueError)):
        run_tool(main)
    text = (tmp_path / 'run.log').read_text()
    assert ' - ERROR - ' in text and said in text and ('Traceback' in text) == isinstance(error, ValueError)
    assert capsys.readouterr().err == ('error: no data\n' if isinstance(error, ACLNetError) else '')


def test_a_full_disk_is_a_sentence(capsys):
    logger = start_log('/dev/full')
    with pytest.raises(ACLNetError, match='/dev/full cannot be written: No space left on device'):
        logger.info('begins')
    with pytest.raises(SystemExit) as end:
        run_tool(lambda: logger.info('goes on'))
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert 'error: /dev/full cannot be written' in said and 'Logging error' not in said and 'Traceback' not in said


def test_a_folder_that_is_gone_is_a_sentence(tmp_path, of_rank):
    of_rank(1)
    logger = start_log(str(tmp_path / 'gone' / 'run.log'))
    with pytest.raises(ACLNetError, match='run.log cannot be written: No such file'):
        logger.error('went wrong')


def test_a_wrong_message_is_still_a_bug(tmp_path, capsys):
    start_log(str(tmp_path / 'run.log'), level='INFO').info('%d', 'x')
    assert 'Logging error' in capsys.readouterr().err
    with pytest.raises(ACLNetError, match='log_level must be a level'):
        start_log(str(tmp_path / 'run.log'), level='LOUD')
    assert logging.getLogger('aclnet') is get_logger()
