"""What the launcher reads, and what it makes of how processes ended."""

from __future__ import annotations

import pytest

from aclnet.agent import End, exit_code, report, start
from aclnet.errors import ACLNetError
from aclnet.launch import main, take_restarts
from aclnet.meeting import Meeting


@pytest.fixture
def meeting(monkeypatch):
    def read(**env):
        for name in (
            'NNODES', 'NODE_RANK', 'MASTER_ADDR', 'MASTER_PORT', 'RDZV_ENDPOINT', 'RDZV_ID', 'RDZV_TIMEOUT',
            'STOP_TIMEOUT',
        ):  # fmt: skip
            monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        return Meeting.from_environment()

    return read


def test_where_processes_meet(meeting):
    alone = meeting()
    assert (alone.most, alone.place, alone.elastic) == (1, '127.0.0.1:0', False)
    assert meeting(MASTER_PORT='3000').place == '127.0.0.1:3000'
    second = meeting(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1')
    assert (second.fewest, second.rank, second.place, second.elastic) == (2, 1, '10.0.0.1:29500', False)
    ranged = meeting(NNODES='1:4', MASTER_ADDR='10.0.0.1', NODE_RANK='3')
    assert (ranged.fewest, ranged.most, ranged.rank, ranged.elastic) == (1, 4, 0, True)
    named = meeting(NNODES='2', RDZV_ENDPOINT='node:1', RDZV_ID='mine', RDZV_TIMEOUT='5', STOP_TIMEOUT='7')
    assert (named.place, named.elastic, named.name, named.patience, named.grace) == ('node:1', True, 'mine', 5, 7)


@pytest.mark.parametrize(
    ('env', 'says'),
    [
        (dict(NNODES='two'), "NNODES must be a number of nodes such as 2, or a range such as 1:4, got 'two'"),
        (dict(NNODES='0'), "got '0'"),
        (dict(NNODES='4:2'), "got '4:2'"),
        (dict(NNODES='1:'), "got '1:'"),
        (dict(NNODES='2', NODE_RANK='2', MASTER_ADDR='a'), 'NODE_RANK must be below NNODES=2, got 2'),
        (dict(NNODES='2', NODE_RANK='-1', MASTER_ADDR='a'), 'NODE_RANK must be a whole number'),
        (dict(NNODES='2', NODE_RANK='1'), 'several nodes need MASTER_ADDR'),
        (dict(NNODES='1:2'), 'several nodes need MASTER_ADDR'),
        (dict(RDZV_ENDPOINT='node'), "RDZV_ENDPOINT must be HOST:PORT of one of the nodes, got 'node'"),
        (dict(MASTER_PORT='70000'), "MASTER_PORT must be a whole number from 0 to 65535, got '70000'"),
        (dict(RDZV_TIMEOUT='0'), 'RDZV_TIMEOUT must be a whole number from 1'),
    ],
)
def test_a_senseless_variable_is_named(meeting, env, says):
    with pytest.raises(ACLNetError) as error:
        meeting(**env)
    assert says in str(error.value)


def test_restarts_are_taken_out_of_the_words():
    assert take_restarts(['a', '--max-restarts', '3', '--seed', '1']) == (3, ['a', '--seed', '1'])
    assert take_restarts(['--max-restarts=2', 'a']) == (2, ['a']) and take_restarts(['a']) == (0, ['a'])
    for words in (['--max-restarts'], ['--max-restarts', 'x'], ['--max-restarts=-1']):
        with pytest.raises(ACLNetError, match='--max-restarts must be a whole number'):
            take_restarts(words)


@pytest.mark.parametrize('processes', ['0', 'two', '-1'])
def test_processes_are_counted(processes):
    with pytest.raises(ACLNetError, match=f"at least 1, got '{processes}'"):
        main([processes, 'tools/train.py'])


def test_more_processes_than_gpus(meeting, monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    with pytest.raises(ACLNetError, match='3 processes need as many GPUs, and this node has 2 visible'):
        start(meeting(), 3, ['tools/train.py'], 0)


@pytest.mark.parametrize(
    ('ends', 'code', 'line'),
    [
        ([End(0, 3), End(1, -9)], 137, 'rank 1 was killed by signal 9 (SIGKILL, as happens where memory runs out); '
         'rank 0 lost the others'),
        ([End(0, 1), End(2, 2), End(3, -15, late=True)], 1, 'rank 0 failed with exit code 1; rank 2 failed with exit '
         'code 2; rank 3 still ran and was ended'),
        ([End(0, 3)], 3, 'rank 0 lost the others'),
        ([End(0, -9, late=True), End(1, 3)], 3, 'rank 1 lost the others; rank 0 still ran and was ended'),
        ([End(0, 143), End(1, 143)], 143, 'rank 0 was stopped by SIGTERM; rank 1 was stopped by SIGTERM'),
        ([End(0, 130), End(1, 3)], 130, 'rank 0 was stopped by SIGINT; rank 1 lost the others'),
        ([End(1, -2)], 130, 'rank 1 was stopped by SIGINT'),
        ([End(1, -6)], 134, 'rank 1 was killed by signal 6 (SIGABRT, as NCCL does when other ranks do not answer in '
         'time)'),
    ],
)  # fmt: skip
def test_how_processes_ended(ends, code, line):
    assert (exit_code(ends), report(ends)) == (code, line)
