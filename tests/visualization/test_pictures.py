"""Pictures: the numbers in them, the files they become, and what is said of input that can't be drawn."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aclnet.errors import ACLNetError
from aclnet.visualization import draw_clips, draw_confusion, draw_superclasses, save_figure
from aclnet.visualization.confusion import confusion_matrix
from aclnet.visualization.superclasses import order_of_likeness

TEMPERATURES = ((3, 0.1), (6, 0.5), (None, 1.0))
SIGNATURES = dict(png=b'\x89PNG', svg=b'<?xml', pdf=b'%PDF')


def texts(figure):
    import matplotlib.text

    return [found.get_text() for found in figure.findobj(matplotlib.text.Text) if found.get_text()]


@given(seed=st.integers(0, 2**31), samples=st.integers(0, 50), classes=st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_confusion_matrix_counts(seed, samples, classes):
    rng = np.random.default_rng(seed)
    scores, labels = rng.standard_normal((samples, classes)), rng.integers(0, classes, samples)
    expected = np.zeros((classes, classes), int)
    for score, label in zip(scores, labels):
        expected[label, list(score).index(max(score))] += 1
    np.testing.assert_array_equal(confusion_matrix(scores, labels), expected)


def test_confusion_picture_says_what_is_confused():
    scores = np.eye(3)[[0, 0, 0, 1, 2, 1]]
    figure = draw_confusion(scores, [0, 0, 1, 1, 2, 2], ['drink', 'eat', 'wave'], title='Streams')
    said = texts(figure)
    assert 'Streams: 66.7 % of 6 clips right' in said
    assert any('50 %  eat\n          → drink' in text and '50 %  wave\n          → eat' in text for text in said)
    assert {'100', '50'} <= set(said) and {'drink', 'eat', 'wave'} <= set(said)
    perfect = draw_confusion(np.eye(2), [0, 1])
    assert {'none', '1', '2'} <= set(texts(perfect))


@pytest.mark.parametrize('classes', [1, 2, 3, 16, 60, 150])
@pytest.mark.parametrize('kind', sorted(SIGNATURES))
def test_pictures_of_any_number_of_classes_are_written(classes, kind, tmp_path):
    rng = np.random.default_rng(classes)
    confusion = rng.poisson(0.5, (classes, classes))
    np.fill_diagonal(confusion, 0)
    members = rng.random((classes, classes)) < 3 / classes
    figures = dict(
        confusion=draw_confusion(rng.standard_normal((200, classes)), rng.integers(0, classes, 200)),
        superclasses=draw_superclasses(members, confusion, TEMPERATURES),
    )
    for name, figure in figures.items():
        save_figure(figure, tmp_path / f'{name}.{kind}')
        assert (tmp_path / f'{name}.{kind}').read_bytes().startswith(SIGNATURES[kind])
    assert len(list(tmp_path.iterdir())) == 2  # nothing temporary is left


def test_superclass_picture_tells_temperatures_by_size():
    members = np.zeros((8, 8), bool)
    members[:4, :3] = True  # 3 members: 0.1
    members[4, :4] = members[5, :5] = True  # 4 and 5: 0.5
    members[6:] = True  # 8: 1.0
    said = texts(draw_superclasses(members, np.ones((8, 8), int), TEMPERATURES, list('abcdefgh')))
    assert {'τ 0.1: superclass of 3', 'τ 0.5: superclass of 4 to 5', 'τ 1: superclass of 8'} <= set(said)
    assert set('abcdefgh') <= set(said)


@given(seed=st.integers(0, 2**31), pairs=st.integers(2, 8))
@settings(max_examples=30, deadline=None)
def test_classes_that_are_confused_stand_beside_each_other(seed, pairs):
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(2 * pairs)
    confusion = rng.integers(0, 3, (2 * pairs, 2 * pairs))
    for one, other in shuffled.reshape(-1, 2):
        confusion[one, other] = rng.integers(50, 100)
    order = list(order_of_likeness(confusion))
    assert sorted(order) == list(range(2 * pairs))
    assert all(abs(order.index(one) - order.index(other)) == 1 for one, other in shuffled.reshape(-1, 2))


@pytest.mark.parametrize(('layout', 'joints', 'channels'), [('nturgb+d', 25, 3), ('coco', 17, 2), ('kinect20', 20, 3)])
def test_clips_of_any_layout_are_drawn(layout, joints, channels, tmp_path):
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((persons, frames, joints, channels)) for persons, frames in ((1, 1), (2, 30))]
    clips[1][1, :10] = 0  # somebody who came later
    figure = draw_clips([*clips, np.zeros((1, 4, joints, channels))], ['one', 'two', 'nobody'], layout, poses=5)
    assert len(figure.axes) == 15 and set(texts(figure)) == {'one', 'two', 'nobody'}
    bones = [len(axes.lines) for axes in figure.axes]
    assert bones[:5] == [joints - 1] * 5 and bones[9] == 2 * (joints - 1) and bones[5] == joints - 1
    assert bones[10:] == [0] * 5
    save_figure(figure, tmp_path / 'clips.png')


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (lambda: draw_confusion(np.zeros((3, 2)), [0, 1]), ['one label per sample', '3 samples']),
        (lambda: draw_confusion(np.zeros((2, 2)), [[0, 1], [1, 0]]), ['one label per sample', '(2, 2)']),
        (lambda: draw_confusion(np.zeros((2, 2)), [0, 2]), ['0 to 2', '2 classes']),
        (lambda: draw_confusion(np.zeros((2, 2)), [0, 1], ['a']), ['2 classes', '1 names']),
        (lambda: draw_superclasses(np.eye(2) > 0, np.eye(2), TEMPERATURES, ['a']), ['2 classes', '1 names']),
        (lambda: draw_clips([], []), ['at least one clip']),
        (lambda: draw_clips([np.zeros((1, 5, 20, 3))], ['x']), ['25', '(1, 5, 20, 3)']),
        (lambda: draw_clips([np.zeros((1, 5, 25, 3))], ['x'], 'ntu'), ["'ntu'"]),
    ],
)
def test_what_cannot_be_drawn_is_told(call, words):
    with pytest.raises(ACLNetError) as error:
        call()
    assert all(word in str(error.value) for word in words), error.value


def test_other_formats_are_refused_and_an_old_picture_stays(tmp_path):
    figure = draw_confusion(np.eye(2), [0, 1])
    with pytest.raises(ACLNetError, match=r'\.png, \.svg, \.pdf; got .*picture\.bmp'):
        save_figure(figure, tmp_path / 'picture.bmp')
    with pytest.raises(ACLNetError, match='cannot be written'):
        save_figure(figure, tmp_path / 'no' / ('x' * 300 + '.png'))


def test_without_matplotlib_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    with pytest.raises(ACLNetError, match=r"pip install -e '\.\[viz\]'"):
        draw_confusion(np.eye(2), [0, 1])
