"""Score files keep what PYSKL's scripts expect, and refuse anything that is not scores."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from aclnet.errors import ACLNetError
from aclnet.evaluation import load_scores, meta_path, save_scores

META = dict(identifiers=['a', 'b', 'c'], labels=np.array([0, 1, 2]), config='configs/x.py', checkpoint=None)


@pytest.mark.parametrize('suffix', ['pkl', 'json', 'yaml', 'yml'])
def test_a_round_trip_is_exact(tmp_path, suffix):
    path = tmp_path / 'new' / f'scores.{suffix}'
    scores = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    save_scores(path, scores, META)
    found, meta = load_scores(path)
    np.testing.assert_array_equal(found.astype(np.float32), scores)
    assert meta == dict(identifiers=['a', 'b', 'c'], labels=[0, 1, 2], config='configs/x.py', checkpoint=None)
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, meta_path(path).name]


def test_the_pickle_is_a_list_of_float_arrays(tmp_path):
    save_scores(tmp_path / 's.pkl', [[1, 2], [3, 4]])
    data = (tmp_path / 's.pkl').read_bytes()
    rows = pickle.loads(data)
    assert type(rows) is list and all(row.shape == (2,) and row.dtype == np.float32 for row in rows)
    assert data[:2] == b'\x80\x04'


def test_new_scores_drop_the_old_side_file(tmp_path):
    save_scores(tmp_path / 's.pkl', np.eye(3), META)
    save_scores(tmp_path / 's.pkl', np.eye(2))
    assert load_scores(tmp_path / 's.pkl')[1] is None


def test_a_failure_leaves_the_old_scores(tmp_path):
    save_scores(tmp_path / 's.pkl', np.eye(3), META)
    with pytest.raises(ACLNetError, match='must have 2 identifiers'):
        save_scores(tmp_path / 's.pkl', np.eye(2), META)
    assert load_scores(tmp_path / 's.pkl')[1]['labels'] == [0, 1, 2]


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([], 'no samples'),
        ({'a': 1}, 'must hold a list'),
        ([np.zeros(3), np.zeros(2)], r'sample 1 has shape \(2,\), but sample 0 has \(3,\)'),
        ([np.zeros((10, 3))], 'average the clips'),
        ([np.zeros(0)], 'classes'),
        ([np.array(['a', 'b'])], 'numbers'),
        ([np.zeros(2), np.array([0, np.nan])], 'first is sample 1'),
        ([np.array([np.inf, 0])], 'not finite'),
    ],
)
def test_what_is_refused(tmp_path, rows, message):
    (tmp_path / 's.pkl').write_bytes(pickle.dumps(rows))
    with pytest.raises(ACLNetError, match=message):
        load_scores(tmp_path / 's.pkl')


def test_other_files_are_refused(tmp_path):
    for name, content, message in (
        ('a.pkl', b'', 'whole pickle'),
        ('b.json', b'[[1, 2]', 'whole json'),
        ('c.yaml', b'[[1, 2]', 'whole yaml'),
        ('d.npy', b'', r'\.pkl, \.json, \.yaml'),
        ('e.json', b'\xff\xfe', 'text'),
        ('f.pkl', pickle.dumps(pytest.raises), 'neither an array'),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ACLNetError, match=message):
            load_scores(tmp_path / name)
    with pytest.raises(ACLNetError, match='does not exist'):
        load_scores(tmp_path / 'none.json')


def test_a_side_file_of_other_scores_is_refused(tmp_path):
    save_scores(tmp_path / 's.pkl', np.eye(3), META)
    (tmp_path / 's.pkl').write_bytes(pickle.dumps(list(np.eye(2))))
    with pytest.raises(ACLNetError, match='must have 2 identifiers'):
        load_scores(tmp_path / 's.pkl')
    meta_path(tmp_path / 's.pkl').write_text(json.dumps([1]))
    with pytest.raises(ACLNetError, match='must be a dict'):
        load_scores(tmp_path / 's.pkl')


def test_lists_of_lists_are_not_followed(tmp_path):
    doubled: list = [0.5]
    for _ in range(40):
        doubled = [doubled, doubled]
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(doubled))
    with pytest.raises(ACLNetError, match=r'sample 0 must be an array \(classes,\), got \[\['):
        load_scores(tmp_path / 'a.pkl')
