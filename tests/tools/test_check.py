"""tools/data/check.py: what it prints and writes, and its exit codes."""

from __future__ import annotations

import json

import pytest

from tests.datasets.checks.broken import FAULTS
from tests.made import annotations, write_annotations
from tests.run import shell, tool


def check(*words):
    with pytest.raises(SystemExit) as end:
        tool('data/check', *words)
    return end.value.code


def test_a_good_file_is_told_so(tmp_path, capsys):
    path = write_annotations(tmp_path / 'a.pkl')
    assert check(path, '--strict') == 0
    out = capsys.readouterr().out
    assert out.startswith(f'{path}: no problems, no notes\n')
    assert 'xsub_train 21, xsub_val 9' in out and 'samples by persons   1 30' in out


def test_notes_count_if_asked(tmp_path, capsys):
    path = write_annotations(tmp_path / 'a.pkl', FAULTS['lengths'][0]())
    assert (check(path), check(path, '--strict')) == (0, 1)
    assert 'no problems, 1 note' in capsys.readouterr().out


def test_json_is_written_or_printed(tmp_path, capsys):
    content = annotations()
    content['split']['xsub_val'] += content['split']['xsub_train']
    path = write_annotations(tmp_path / 'a.pkl', content)
    assert check(path, '--json', tmp_path / 'new' / 'report.json') == 1
    assert '21 samples are in both' in capsys.readouterr().out
    assert check(path, '--json', '-') == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / 'new' / 'report.json').read_text())
    (problem,) = printed['problems']
    assert problem['count'] == 21 and problem['samples'] == content['split']['xsub_train']
    assert printed['summary']['frames']['most'] >= 5 and printed['benchmark'] is None


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path):
    path = write_annotations(tmp_path / 'a.pkl', FAULTS['finite'][0]())
    done = shell('python', 'tools/data/check.py', path)
    assert (done.returncode, done.stderr) == (1, '') and 'PROBLEM (finite): 1 samples' in done.stdout
    done = shell('python', 'tools/data/check.py', path, '--benchmark', 'ntu6')
    assert (done.returncode, done.stdout) == (2, '') and done.stderr.startswith("error: there is no benchmark 'ntu6'")
