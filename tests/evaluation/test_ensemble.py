"""Fusing checks that streams speak of the same samples, then sums."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet.errors import ACLNetError
from aclnet.evaluation import ScoreSet, align, fuse

NAMES = ['s0', 's1', 's2', 's3']


def make(name, identifiers=NAMES, labels=(0, 1, 2, 0), seed=0):
    scores = np.random.default_rng(seed).random((len(identifiers), 3))
    return ScoreSet(name, scores, list(identifiers), list(labels))


def test_fuse_is_the_weighted_sum():
    a, b = np.float32([[1, 2]]), np.float32([[10, 20]])
    np.testing.assert_array_equal(fuse([a, b], [2, 1]), [[12, 24]])
    with pytest.raises(ACLNetError, match='as many weights'):
        fuse([a, b], [1])


def test_another_order_is_put_right():
    order = [2, 0, 3, 1]
    j, b = make('j'), make('b', seed=1)
    shuffled = ScoreSet('b', b.scores[order], [NAMES[i] for i in order], [b.labels[i] for i in order])
    found = align([j, shuffled])
    np.testing.assert_array_equal(found[1].scores, b.scores)
    assert found[1].identifiers == NAMES and found[1].labels == b.labels


def test_a_set_without_identifiers_keeps_its_order():
    bare = ScoreSet('b', make('b', seed=1).scores)
    found = align([bare, make('j')])
    np.testing.assert_array_equal(found[0].scores, bare.scores)


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (make('b', ['s0', 's1', 'x', 's3']), "sample s2 is in stream 'j' but not in stream 'b'"),
        (make('b', NAMES + ['s4'], (0, 1, 2, 0, 1)), "sample s4 is in stream 'b' but not in stream 'j'"),
        (make('b', NAMES[:3], (0, 1, 2)), "sample s3 is in stream 'j' but not in stream 'b'"),
        (make('b', labels=(0, 1, 0, 0)), "sample s2 has label 2 in stream 'j' but 0 in stream 'b'"),
        (make('b', NAMES + ['s0'], (0, 1, 2, 0, 0)), 'lists a sample twice'),
        (ScoreSet('b', np.zeros((3, 3))), '4 and 3 samples'),
        (ScoreSet('b', np.zeros((4, 5))), '3 and 5 classes'),
    ],
)
def test_sets_that_differ_are_refused(other, message):
    with pytest.raises(ACLNetError, match=message):
        align([make('j'), other])
    with pytest.raises(ACLNetError, match='no scores'):
        align([])
