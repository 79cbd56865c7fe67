"""A training that was killed and begun again ends as one that was not: to the bit."""

from __future__ import annotations

import itertools

import pytest

from tests.engine.resuming import assert_same_training, config_of, train

# affinity begins after epoch 1: a kill before it, in the epoch at whose first batch superclasses are built, and after
BEFORE, AT, AFTER = '1:5:after_train_iter', '2:1:late_after_train_iter', '3:3:before_train_iter'
CASES = list(itertools.product((0, 2), (1, 2), (False, True), (True, False), (BEFORE, AT, AFTER)))
# each pair of values of two factors occurs in one of these
PAIRWISE = [
    (0, 1, True, True, AFTER),
    (0, 2, False, False, AT),
    (2, 1, False, False, BEFORE),
    (2, 2, True, True, AT),
    (0, 2, True, False, BEFORE),
    (2, 2, False, True, AFTER),
    (2, 1, True, False, AFTER),
    (0, 1, False, True, AT),
    (0, 2, True, True, BEFORE),
]


def run_case(folder, workers, ranks, validate, by_epoch, place):
    config = config_of(folder, by_epoch, workers, batch=4 // ranks)
    options = ('--seed', 7, *(('--validate',) if validate else ()))
    whole = train(config, folder / 'whole', ranks, options)
    assert whole.returncode == 0, whole.stderr[-3000:]
    killed = train(config, folder / 'cut', ranks, options, kill_at=f'{place}:{ranks - 1}')
    assert killed.returncode != 0
    saved = any((folder / 'cut').glob('*.pth'))
    again = train(config, folder / 'cut', ranks, options)
    assert again.returncode == 0, again.stderr[-3000:]
    assert ('resumed from' in again.stderr) == saved
    assert_same_training(folder / 'whole', folder / 'cut')


@pytest.mark.parametrize('case', PAIRWISE, ids=str)
def test_a_killed_training_ends_as_one_that_was_not(tmp_path, case):
    run_case(tmp_path, *case)


@pytest.mark.slow
@pytest.mark.parametrize('case', [case for case in CASES if case not in PAIRWISE], ids=str)
def test_all_other_combinations(tmp_path, case):
    run_case(tmp_path, *case)


def test_pairs_are_covered():
    for one, two in itertools.combinations(range(5), 2):
        wanted = {(case[one], case[two]) for case in CASES}
        assert wanted == {(case[one], case[two]) for case in PAIRWISE}
