"""Names of the benchmarks' classes: there, as many as classes, and where reports look for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aclnet.benchmarks import BENCHMARKS, class_names, names_for, of_file
from aclnet.errors import ACLNetError
from tests.run import ROOT


@pytest.mark.parametrize('name', BENCHMARKS)
def test_every_class_has_its_own_name(name):
    names = class_names(name)
    if name in ('finegym', 'diving48'):
        assert names is None  # their owners' lists are to be downloaded
        return
    assert len(names) == len(set(names)) == BENCHMARKS[name].classes
    assert all(one and one == one.strip() and one.isprintable() for one in names)


@pytest.mark.parametrize(
    'name, label, word',
    [
        ('ntu60', 0, 'drink water'),
        ('ntu60', 25, 'hopping (one foot jumping)'),
        ('ntu60', 59, 'walking apart from each other'),
        ('ntu120', 60, 'put on headphone'),
        ('ntu120', 111, 'high-five'),
        ('pku_mmd', 50, 'writing'),
        ('k400', 399, 'zumba'),
        ('nw_ucla', 6, 'donning'),
        ('utd_mhad', 21, 'jogging in place'),
        ('msr_action3d', 19, 'pick up and throw'),
        ('sbu', 5, 'hugging'),
    ],
)
def test_names_stand_at_their_label(name, label, word):
    assert class_names(name)[label] == word


def test_an_unknown_benchmark_is_told():
    with pytest.raises(ACLNetError, match="no benchmark 'ntu_60'; did you mean 'ntu60'"):
        class_names('ntu_60')


def test_reports_take_the_users_names_then_those_beside_the_data_then_the_benchmarks(tmp_path):
    data = tmp_path / 'sbu.pkl'
    assert (
        of_file(data) is BENCHMARKS['sbu']
        and of_file(f'{tmp_path}/sbu/') is of_file(f'{data}.store') is BENCHMARKS['sbu']
    )
    assert names_for(data) == names_for(data, 8) == class_names('sbu')
    assert names_for(f'{data}.store') == class_names('sbu')
    assert names_for(data, 9) is None and names_for(tmp_path / 'mine.pkl') is None
    (tmp_path / 'sbu_classes.txt').write_text('a\nb\n')
    assert names_for(data, 2) == names_for(data) == ['a', 'b'] and names_for(data, 8) == class_names('sbu')
    (tmp_path / 'mine.txt').write_text('c\nd\ne\n')
    assert names_for(data, 3, str(tmp_path / 'mine.txt')) == ['c', 'd', 'e']
    with pytest.raises(ACLNetError, match='there are 2 classes but 3 names in .*mine.txt'):
        names_for(data, 2, str(tmp_path / 'mine.txt'))


def test_an_installation_has_the_lists(tmp_path):
    """What ``pip install .`` would copy."""
    words = [sys.executable, 'setup.py', '-q', 'egg_info', '-e', tmp_path, 'build', '-b', tmp_path]
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = 'aclnet/benchmarks/classes'
    copied = {path.name for path in (tmp_path / 'lib' / folder).iterdir()}
    assert copied == {path.name for path in (ROOT / folder).iterdir()} and len(copied) == 9
