"""The metrics against their definitions, on random scores with ties and missing classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aclnet.errors import ACLNetError
from aclnet.evaluation import evaluate, mean_average_precision, mean_class_accuracy, top_k_accuracy
from tests.oracles import metrics as oracle


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, classes = draw(st.integers(1, 12)), draw(st.integers(1, 7))
    scores = rng.integers(0, draw(st.sampled_from([2, 5, 10**6])), (n, classes)) / 7  # few levels make many ties
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), rng.integers(0, classes, n), rng


@settings(deadline=None, max_examples=150)
@given(cases())
def test_against_the_oracle(case):
    scores, labels, rng = case
    expected = [oracle.top_k_accuracy(scores, labels, k) for k in (1, 2, 5)]
    assert top_k_accuracy(scores, labels, (1, 2, 5)) == pytest.approx(expected)
    assert mean_class_accuracy(scores, labels) == pytest.approx(oracle.mean_class_accuracy(scores, labels.tolist()))
    if scores.shape[1] > 1:
        one_hot = np.eye(scores.shape[1], dtype=int)[labels]
        expected = oracle.mean_average_precision(scores, one_hot)
        assert mean_average_precision(scores, labels) == pytest.approx(expected)
    multi_hot = rng.integers(0, 2, scores.shape)
    multi_hot[0, 0] = 1
    assert mean_average_precision(scores, multi_hot) == pytest.approx(oracle.mean_average_precision(scores, multi_hot))


def test_ties_rank_like_argsort():
    assert top_k_accuracy([[1.0, 1.0, 1.0]], [2], (1,)) == [1.0]
    assert top_k_accuracy([[1.0, 1.0, 1.0]], [0], (1, 2, 3)) == [0.0, 0.0, 1.0]
    assert mean_class_accuracy([[1.0, 1.0, 1.0]], [0]) == 1.0


def test_k_above_the_classes_is_cut():
    assert top_k_accuracy([[0.9, 0.1], [0.8, 0.2]], [1, 0], (1, 5)) == [0.5, 1.0]


def test_a_class_that_never_occurs_does_not_count():
    scores = np.eye(4)[[0, 0, 1, 3]]
    assert mean_class_accuracy(scores, [0, 0, 0, 1]) == pytest.approx((2 / 3 + 0) / 2)


def test_evaluate_keys_and_order():
    scores, labels = np.eye(6)[[0, 1, 2]], [0, 1, 5]
    values = evaluate(scores, labels, ['mean_class_accuracy', 'top_k_accuracy', 'mean_average_precision'], (1, 3))
    assert list(values) == ['mean_class_accuracy', 'top1_acc', 'top3_acc', 'mean_average_precision']
    assert all(type(value) is float for value in values.values())
    assert list(evaluate(scores, labels)) == ['top1_acc', 'top5_acc']
    assert list(evaluate(scores, labels, 'mean_class_accuracy')) == ['mean_class_accuracy']
    assert list(evaluate(scores, labels, topk=2)) == ['top2_acc']
    assert list(evaluate(scores, labels, metric_options=dict(top_k_accuracy=dict(topk=(3,))))) == ['top3_acc']
    assert list(evaluate(list(scores), np.array(labels)[:, None])) == ['top1_acc', 'top5_acc']


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ((np.eye(3), [0, 1, 2], ['top_k_acuracy']), "'top_k_acuracy'; did you mean 'top_k_accuracy'"),
        (([], []), 'no samples'),
        ((np.eye(3), [0, 1]), 'one class index for each of 3 samples'),
        ((np.eye(3), [0, 1, 3]), 'label 3 of sample 2 is outside the 3 classes'),
        ((np.eye(3), [0, -1, 2]), 'label -1 of sample 1'),
        ((np.eye(3), [0.5, 1, 2]), 'class index'),
        ((np.zeros((2, 3, 4)), [0, 1]), r'\(samples, classes\)'),
        (([[1.0, 2.0], [1.0]], [0, 0]), 'same number of classes'),
        ((np.eye(3), [0, 1, 2], 'top_k_accuracy', (0,)), 'topk'),
        ((np.eye(3), np.zeros((3, 3), int), 'mean_average_precision'), 'needs a positive'),
        ((np.eye(3), 2 * np.eye(3, dtype=int), 'mean_average_precision'), 'zeros and ones'),
    ],
)
def test_what_is_refused(args, message):
    with pytest.raises(ACLNetError, match=message):
        evaluate(*args)
