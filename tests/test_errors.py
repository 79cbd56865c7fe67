"""The way from an error to a sentence and an exit code."""

from __future__ import annotations

import sys

import pytest

from aclnet.errors import ACLNetError, nearest, run_tool
from tests.run import shell


def fail(error):
    def main():
        raise error

    return main


def test_nearest():
    assert nearest('flip_ration', ['p', 'flip_ratio']) == "; did you mean 'flip_ratio'?"
    assert nearest('zzz', ['p', 'flip_ratio']) == nearest('a', []) == ''
    assert nearest(11, [1, 111]) == "; did you mean '111'?"


@pytest.mark.parametrize(
    'error, code, said',
    [
        (ACLNetError('split x is not there'), 2, 'error: split x is not there\n'),
        (KeyboardInterrupt(), 130, 'interrupted\n'),
    ],
)
def test_an_error_becomes_a_sentence_and_a_code(monkeypatch, capsys, error, code, said):
    monkeypatch.delenv('ACLNET_TRACEBACK', raising=False)
    with pytest.raises(SystemExit) as caught:
        run_tool(fail(error))
    assert caught.value.code == code and capsys.readouterr().err == said


def test_success_says_nothing(capsys):
    run_tool(lambda: 5)
    assert capsys.readouterr() == ('', '')


def test_other_errors_keep_their_traceback():
    with pytest.raises(ValueError, match='a bug'):
        run_tool(fail(ValueError('a bug')))


def test_the_traceback_can_be_asked_for(monkeypatch):
    monkeypatch.setenv('ACLNET_TRACEBACK', '1')
    with pytest.raises(ACLNetError, match='x'):
        run_tool(fail(ACLNetError('x')))


def test_one_of_several_processes_ends_before_threads_of_torch_can_abort_it():
    code = (
        'import atexit\nfrom aclnet.errors import run_tool\n'
        "atexit.register(print, 'exit function')\nrun_tool(lambda: print('main'))\nprint('the interpreter goes on')"
    )
    assert shell(sys.executable, '-c', code, WORLD_SIZE='2').stdout == 'main\nexit function\n'
    assert shell(sys.executable, '-c', code).stdout == 'main\nthe interpreter goes on\nexit function\n'
