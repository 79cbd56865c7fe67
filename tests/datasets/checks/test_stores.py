"""Packed stores are checked as pickles are, and what is damaged in them is told."""

from __future__ import annotations

import pytest

from aclnet.datasets.annotations import open_annotations
from aclnet.datasets.checks import check_data
from tests.datasets.checks.broken import FAULTS, flat
from tests.made import annotations, write_annotations


def packed(tmp_path, content) -> str:
    open_annotations(write_annotations(tmp_path / 'a.pkl', content), pack=True)
    return f'{tmp_path}/a.pkl.store'


@pytest.mark.parametrize('content', [annotations, flat, *(FAULTS[name][0] for name in ('finite', 'split_members'))])
def test_a_store_has_the_findings_of_its_pickle(content, tmp_path):
    store = check_data(packed(tmp_path, content())).as_dict()
    pickle = check_data(tmp_path / 'a.pkl').as_dict()
    assert dict(store, path='') == dict(pickle, path='')


def test_damage_is_told_beside_the_findings(tmp_path):
    path = packed(tmp_path, FAULTS['lengths'][0]())
    file = next(file for file in (tmp_path / 'a.pkl.store').iterdir() if file.name.startswith('keypoint'))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    report = check_data(path)
    assert [finding.check for finding in report.problems] == ['damage'] and file.name in str(report)
    assert [finding.check for finding in report.notes] == ['lengths']
