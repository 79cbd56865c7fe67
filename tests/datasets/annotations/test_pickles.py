"""Annotation files: both forms, splits, sharing, and what is said about files that are wrong."""

from __future__ import annotations

import gc
import os
import pickle

import numpy as np
import pytest

from aclnet.datasets.annotations import load_annotations
from aclnet.datasets.annotations.sources import SOURCES
from aclnet.errors import ACLNetError
from tests.datasets.samples import annotation_file, write


def clips(*names, **more):
    return [dict(frame_dir=name, label=0, total_frames=1, **more) for name in names]


def test_splits_follow_the_order_of_the_annotations(tmp_path):
    path = write(tmp_path / 'a.pkl', dict(split=dict(train=['c', 'a'], val=['b']), annotations=clips('a', 'b', 'c')))
    file = load_annotations(path)
    assert [one['frame_dir'] for one in file.select('train')] == ['a', 'c']
    assert [one['frame_dir'] for one in file.select()] == ['a', 'b', 'c']


def test_filename_identifies_where_annotations_have_it(tmp_path):
    annotations = [dict(frame_dir=f'd{i}', filename=f'f{i}', label=0) for i in range(3)]
    file = load_annotations(write(tmp_path / 'a.pkl', dict(split=dict(train=['f1']), annotations=annotations)))
    assert file.identifier == 'filename' and file.select('train') == [annotations[1]]


def test_a_bare_list_has_no_splits(tmp_path):
    path = write(tmp_path / 'a.pkl', clips('a', 'b'))
    assert len(load_annotations(path).select()) == 2
    with pytest.raises(ACLNetError, match="split 'train' is not in .*a.pkl, a bare list without splits"):
        load_annotations(path).select('train')


def test_an_unknown_split_is_told_the_known_ones(tmp_path):
    names = dict(xsub_train=['a'], xsub_val=['a'])
    path = write(tmp_path / 'x.pkl', dict(split=names, annotations=clips('a')))
    with pytest.raises(ACLNetError) as caught:
        load_annotations(path).select('xsub_trian')
    assert str(caught.value) == f"split 'xsub_trian' is not in {path}; it has xsub_train, xsub_val"


def test_identifiers_without_annotation(tmp_path):
    split = dict(some=['a', 'z'], none=['y', 'z'], word='a')
    file = load_annotations(write(tmp_path / 'a.pkl', dict(split=split, annotations=clips('a'))))
    with pytest.warns(UserWarning, match='1 of 2 identifiers have no annotation'):
        assert len(file.select('some')) == 1
    with pytest.raises(ACLNetError, match="lists 2 identifiers, none of which is the 'frame_dir'"):
        file.select('none')
    with pytest.raises(ACLNetError, match='must be a list of identifiers, got str'):
        file.select('word')


def test_a_file_is_loaded_once_while_somebody_holds_it(tmp_path):
    path = annotation_file(tmp_path / 'a.pkl')
    first = load_annotations(path)
    assert load_annotations(os.path.relpath(path)) is first
    array = first.annotations[0]['keypoint']
    del first
    gc.collect()
    again = load_annotations(path)
    assert again.annotations[0]['keypoint'] is not array
    annotation_file(tmp_path / 'a.pkl', count=20)
    assert len(load_annotations(path).annotations) == 20 and len(again.annotations) == 12


@pytest.mark.parametrize('name, url', sorted(SOURCES.items()))
def test_a_missing_known_file_says_where_to_get_it(tmp_path, name, url):
    path = str(tmp_path / name)
    with pytest.raises(ACLNetError) as caught:
        load_annotations(path)
    assert str(caught.value) == f'annotation file {path} does not exist; download it from {url}'


def test_a_missing_unknown_file_points_to_the_readme(tmp_path):
    with pytest.raises(ACLNetError, match='mine.pkl does not exist; data/README.md says how'):
        load_annotations(tmp_path / 'mine.pkl')


@pytest.mark.parametrize(
    'content, words',
    [
        (dict(annotations=[]), "needs the keys 'split' and 'annotations', it has annotations"),
        ({}, 'it has none'),
        ('text', 'holds neither a list of annotations nor'),
        (dict(split=['a'], annotations=[]), 'holds neither'),
        ([], 'holds no annotations'),
        ([3], 'annotation 0 must be a dict, got int'),
        ([dict(label=0)], "annotation 0 needs a 'frame_dir' string, got None"),
        ([*clips('a'), dict(frame_dir='b')], "annotation b needs a 'label'"),
        (
            [dict(frame_dir='a', label=0, total_frames=2.5)],
            'annotation a needs a whole number up to 1,000,000 as total_frames, got 2.5',
        ),
    ],
)
def test_wrong_content(tmp_path, content, words):
    with pytest.raises(ACLNetError) as caught:
        load_annotations(write(tmp_path / 'a.pkl', content))
    assert words in str(caught.value) and 'a.pkl' in str(caught.value)


def test_a_truncated_file(tmp_path):
    path = annotation_file(tmp_path / 'a.pkl')
    data = (tmp_path / 'a.pkl').read_bytes()
    (tmp_path / 'a.pkl').write_bytes(data[: len(data) // 2])
    with pytest.raises(ACLNetError, match='annotation file .*a.pkl .*download or make it again|was not loaded'):
        load_annotations(path)


class Hostile:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_hostile_file_is_refused_and_not_run(tmp_path):
    target = tmp_path / 'owned'
    path = write(tmp_path / 'a.pkl', dict(split={}, annotations=[Hostile(f'touch {target}')]))
    with pytest.raises(ACLNetError, match="refers to '.*system'"):
        load_annotations(path)
    assert not target.exists()
    pickle.loads((tmp_path / 'a.pkl').read_bytes())  # the file is indeed one that runs things
    assert target.exists()


def test_numpy_labels_and_frames_are_whole_numbers(tmp_path):
    annotations = [dict(frame_dir='a', label=np.int64(3), total_frames=np.int32(2))]
    assert load_annotations(write(tmp_path / 'a.pkl', annotations)).annotations == annotations


def test_the_demo_data_is_made(tmp_path):
    with pytest.raises(ACLNetError, match=r'make it: python tools/data/make_demo\.py --out .*/demo\.pkl$'):
        load_annotations(tmp_path / 'demo.pkl')
