"""benchmarks/run.py by its command line, on figures that are made up."""

from __future__ import annotations

import json

import pytest

from tests.run import shell

MADE = """
from benchmarks.measure import Row, pair

def quick():
    return [pair('sum of squares', lambda: sum(i * i for i in range(20000)), lambda: None, 2, repeats=3)]

def figures():
    return [
        Row('step', {step}, literal=1.0, ratio={ratio}, reach=2.0, floor=0.05, note='forward and backward'),
        Row('start', 1.25, reach=1.5, lower=True),
        Row('share', 4.0, reach=3.0, unit='%', lower=True),
        Row('samples', {samples}, reach=4000, unit='samples/s'),
        Row('a size', 0.00002),
    ]

def broken():
    raise RuntimeError('no such data\\nand more')

BENCHMARKS = dict(quick=quick, figures=figures, broken=broken)
"""


def run(*words, **env):
    return shell('python', 'benchmarks/run.py', *words, **env)


@pytest.fixture
def made(tmp_path):
    def write(step=0.25, ratio=4.0, samples=5000.0):
        (tmp_path / 'made.py').write_text(MADE.format(step=step, ratio=ratio, samples=samples))
        return tmp_path / 'made.py'

    return write


def cells(text, name):
    [line] = [line for line in text.splitlines() if line.startswith(f'| {name} ')]
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_the_table_shows_what_was_measured(made, tmp_path):
    done = run('--files', made(), '--threads', 1, '--json', tmp_path / 'kept.json')
    assert done.returncode == 1 and 'broken failed: RuntimeError: no such data' in done.stderr
    assert 'Traceback' not in done.stderr and 'and more' not in done.stderr
    head = done.stdout.splitlines()
    assert 'cores, 1 threads' in head[0] and 'torch 2' in head[1] and 'numpy' in head[1]
    note = 'forward and backward'
    assert cells(done.stdout, 'step') == ['step', '250 ms', '1 s', '4 ×', '≥ 2 ×', 'yes', '50 ms (20%)', note]
    assert cells(done.stdout, 'start')[1:6] == ['1.25 s', '', '', '≤ 1.5 s', 'yes']
    assert cells(done.stdout, 'share')[1:6] == ['4 %', '', '', '≤ 3 %', 'NO']
    assert cells(done.stdout, 'samples')[1:6] == ['5,000 samples/s', '', '', '≥ 4,000 samples/s', 'yes']
    assert cells(done.stdout, 'a size')[1:6] == ['20 µs', '', '', '', '']
    assert cells(done.stdout, 'sum of squares')[5] == 'yes'
    assert '4 of 5 goals reached' in done.stdout
    kept = json.loads((tmp_path / 'kept.json').read_text())
    assert [row['reached'] for row in kept['rows']] == [True, True, True, False, True, None]
    assert kept['failed'] == {'broken': 'RuntimeError: no such data'} and kept['machine']['threads'] == 1
    assert kept['machine']['date'] and kept['machine']['processor'] and kept['machine']['versions']['mmcv']


def test_what_became_slower_is_shown(made, tmp_path):
    kept = tmp_path / 'kept.json'
    assert run('figures', '--files', made(), '--json', kept).returncode == 0
    same = run('figures', '--files', made(step=0.26), '--compare', kept)
    assert same.returncode == 0 and 'slower' not in same.stdout and 'faster' not in same.stdout
    worse = run('figures', '--files', made(step=0.5, ratio=2.0, samples=3000.0), '--compare', kept).stdout
    worse = worse.partition('margin 15%')[2]
    assert cells(worse, 'step') == ['step', '250 ms', '500 ms', '4 × → 2 ×', 'slower']
    assert cells(worse, 'samples')[-1] == 'slower' and cells(worse, 'start')[-1] == ''
    busy = run('figures', '--files', made(step=0.5, ratio=4.0), '--compare', kept).stdout
    assert cells(busy.partition('margin')[2], 'step')[-1] == '', 'both sides took longer: neighbours on the machine'
    content = json.loads(kept.read_text())
    content['machine']['processor'] = 'another'
    content['rows'] = content['rows'][:3]
    kept.write_text(json.dumps(content))
    other = run('figures', '--files', made(step=0.5, ratio=2.0), '--compare', kept).stdout
    assert 'on another machine: only ratios are compared' in other
    other = other.partition('margin')[2]
    assert cells(other, 'step')[-1] == 'slower' and cells(other, 'samples')[-1] == 'new'


def test_names_choose_and_wrong_ones_are_named(made, tmp_path):
    listed = run('--files', made(), '--list')
    assert listed.stdout == 'made: quick figures broken\n'
    whole = run('made', '--files', made())
    assert whole.returncode == 1 and 'sum of squares' in whole.stdout
    wrong = run('figure', '--files', made())
    assert (
        wrong.returncode == 2 and "no benchmark 'figure'; did you mean 'figures'? (known: made, quick," in wrong.stderr
    )
    (tmp_path / 'no.json').write_text('{}')
    assert 'no.json is no file that --json wrote' in run('--files', made(), '--compare', tmp_path / 'no.json').stderr
    assert 'gone.json cannot be read' in run('--files', made(), '--compare', tmp_path / 'gone.json').stderr
    assert 'is no Python file' in run('--files', tmp_path / 'gone.py').stderr


def test_a_file_that_cannot_be_imported_fails_alone(made, tmp_path):
    (tmp_path / 'bad.py').write_text('import no_such_package\nBENCHMARKS = {}\n')
    done = run('bad', 'figures', '--files', made(), tmp_path / 'bad.py')
    assert done.returncode == 1 and cells(done.stdout, 'step')
    assert "bad failed: ModuleNotFoundError: No module named 'no_such_package'" in done.stderr


def test_a_benchmark_that_is_killed_fails_alone(made, tmp_path):
    (tmp_path / 'bad.py').write_text(
        'import os, signal\nBENCHMARKS = {"greedy": lambda: os.kill(os.getpid(), signal.SIGKILL)}\n'
    )
    done = run('greedy', 'figures', '--files', made(), tmp_path / 'bad.py', '--json', tmp_path / 'kept.json')
    assert done.returncode == 1 and cells(done.stdout, 'step')
    assert 'greedy failed: its process ended with signal 9' in done.stderr
    assert list(json.loads((tmp_path / 'kept.json').read_text())['failed']) == ['greedy']


def test_a_picture(made, tmp_path):
    pytest.importorskip('matplotlib')
    assert run('figures', '--files', made(), '--plot', tmp_path / 'goals.png').returncode == 0
    assert (tmp_path / 'goals.png').read_bytes().startswith(b'\x89PNG')


def test_every_benchmark_of_the_project_is_found():
    listed = run('--list').stdout
    assert 'losses: loss_step loss_rebuild loss_share loss_growth\n' in listed
    assert 'startup: start_help start_first_iteration start_validation' in listed
    assert 'soak' not in listed and 'unpickling' not in listed
