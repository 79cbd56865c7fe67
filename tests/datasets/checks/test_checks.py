"""Every check finds its fault, no other check takes it for one, and nothing is found where nothing is wrong."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aclnet import benchmarks
from aclnet.datasets.checks import CHECKS, check_data
from aclnet.datasets.checks.run import gather
from aclnet.errors import ACLNetError
from aclnet.skeletons import LAYOUTS
from tests.datasets.checks.broken import FAULTS, flat, in_raw_files, mhad
from tests.datasets.odd import cases, odd
from tests.made import annotations, write_annotations

ALONGSIDE = {'expected_samples': {'split_coverage', 'copies'}}  # what cannot be kept apart: the sample is in no split


class Listed:
    """A source of annotations that are in memory."""

    def __init__(self, content: dict) -> None:
        self.splits, self.annotations = content.get('split'), content['annotations']

    def __len__(self) -> int:
        return len(self.annotations)

    def __iter__(self):
        return iter(self.annotations)

    def damage(self):
        return ()


def found(content, benchmark=None, path='made.pkl', **options):
    """{check: its findings}, of those that find something."""
    data = gather(Listed(content), str(path), **options)
    data.benchmark = benchmark and benchmarks.get(benchmark)
    return {check.__name__: list(check(data)) for check in CHECKS if list(check(data))}


def test_every_check_has_its_fault():
    assert list(FAULTS) == [check.__name__ for check in CHECKS]


@pytest.mark.parametrize('check', FAULTS)
def test_a_fault_is_found_by_its_check_alone(check):
    content, benchmark = FAULTS[check]
    findings = found(content(), benchmark)
    assert set(findings) - ALONGSIDE.get(check, set()) == {check}
    for finding in findings[check]:
        assert '\n' not in finding.what + finding.do and str(finding).count('\n') in (1, 2)


@pytest.mark.parametrize('content, benchmark', [(annotations, None), (flat, None), (mhad, 'utd_mhad')])
def test_nothing_is_found_where_nothing_is_wrong(content, benchmark):
    assert not found(content(), benchmark)


@cases(30)
@given(
    layout=st.sampled_from(sorted({layout.num_joints for layout in LAYOUTS.values()})),
    persons=st.integers(1, 2),
    frames=st.lists(st.integers(5, 30), min_size=4, max_size=40),
    classes=st.integers(1, 2),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    form=st.sampled_from([list, tuple, np.array]),
    seed=st.integers(0, 2**32),
)
def test_clean_data_has_no_finding(layout, persons, frames, classes, dtype, form, seed):
    rng = np.random.default_rng(seed)
    items = [
        dict(
            frame_dir=f'clip{i}',
            label=i % classes,
            total_frames=length,
            keypoint=rng.normal(0, 1, (persons, length, layout, 3)).astype(dtype),
        )
        for i, length in enumerate(frames)
    ]
    names = [item['frame_dir'] for item in items]
    split = dict(train=form(names[:2]), val=form(names[2:]), other_train=form(names[1:]), other_test=form(names[:1]))
    if classes == 2:
        split.pop('other_train'), split.pop('other_test')
    assert not found(dict(split=split, annotations=items))
    assert not found(dict(split=None, annotations=items))


@cases(150)
@given(
    split=st.one_of(odd, st.dictionaries(st.text(max_size=2), odd, max_size=2)),
    items=st.lists(
        st.one_of(
            odd,
            st.fixed_dictionaries(
                {},
                optional={
                    key: odd
                    for key in (
                        *('frame_dir', 'label', 'total_frames', 'keypoint', 'keypoint_score'),
                        *('img_shape', 'raw_file', 'box_score', 'valid', 'filename'),
                    )
                },
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    benchmark=st.sampled_from([None, 'ntu60', 'utd_mhad', 'finegym']),
)
def test_whatever_is_in_a_file_is_reported(split, items, benchmark):
    with np.errstate(all='ignore'):
        for findings in found(dict(split=split, annotations=items), benchmark, raw_files=True).values():
            assert all(str(finding) for finding in findings)


def test_a_sample_in_both_splits_is_no_copy_of_itself():
    content = FAULTS['copies'][0]()
    content['split']['xsub_val'].append('sample000')
    content['split']['xsub_train'].remove('sample003')  # its copy
    assert set(found(content)) == {'split_overlap', 'split_coverage', 'copies'}


def test_all_faults_of_a_file_are_reported_at_once(tmp_path):
    content = annotations()
    content['annotations'][0]['keypoint'][0, 0, 0, 0] = np.nan
    content['annotations'][1]['label'] = 'jump'
    del content['annotations'][2]['frame_dir']
    content['annotations'].append(3)
    content['split']['xsub_val'] = 7
    report = check_data(write_annotations(tmp_path / 'a.pkl', content))
    text = str(report)
    for words in (
        '1 samples have NaN',
        "the first is 'jump'",
        "no string as 'frame_dir'",
        'no dicts',
        "'xsub_val' must",
    ):
        assert words in text
    assert text.index('PROBLEM') < text.index('samples by persons') and report.exit_code() == 1


def test_names_from_a_file_do_nothing_to_a_terminal(tmp_path):
    content = annotations()
    content['split']['\x1b[31m'] = ['\x1b[2J\ud800\n' + 'x' * 1000]
    report = check_data(write_annotations(tmp_path / 'a.pkl', content))
    text = str(report)
    assert '\x1b' not in text and '\\x1b[2J\\ud800\\nxxx' in text and 'x' * 100 not in text
    text.encode(), json.dumps(report.as_dict())


def test_many_samples_are_counted_and_few_are_named(tmp_path):
    content = annotations()
    for item in content['annotations']:
        item['total_frames'] += 1
    report = check_data(write_annotations(tmp_path / 'a.pkl', content))
    (finding,) = report.problems
    assert 'sample004, ... (30 in all)' in str(finding) and 'sample005' not in str(finding)
    assert finding.as_dict()['samples'] == [item['frame_dir'] for item in content['annotations']]


# ---- benchmarks
def recorded(count, actions, extra=0):
    """Names of NTU samples without poses, and their splits."""
    names = [
        f'S{n % 17 + 1:03}C{n % 3 + 1:03}P{n % 40 + 1:03}R{n % 2 + 1:03}A{n % actions + 1:03}_{n}' for n in range(count)
    ]
    items = [dict(frame_dir=name, label=n % actions, total_frames=5, raw_file='x') for n, name in enumerate(names)]
    return dict(split={}, annotations=items)


def test_a_file_of_another_size_is_told_and_why():
    said = {name: list(map(str, all)) for name, all in found(recorded(56880, 60), 'ntu60').items()}
    assert '56,578 samples, this file has 56,880; 56,880 were recorded, 302' in said['expected_samples'][0]
    assert 'official list' in said['expected_samples'][0]
    assert 'xview_val' in said['expected_splits'][0]
    content = recorded(10, 60)
    content['split'] = dict(xsub_train=['S001C001P003R001A001'], xview_val=['S001C002P003R001A001'])
    said = {name: list(map(str, all)) for name, all in found(content, 'ntu60').items()}
    assert "'xsub_train' of NTU RGB+D 60 has 40,091 samples, here 1" in said['expected_splits'][1]
    assert 'cannot be compared' in said['expected_splits'][1]
    assert ['by their subject' in line or 'by their camera' in line for line in said['official_splits']] == [True, True]


def test_labels_that_count_from_1_are_told():
    content = mhad()
    for item in content['annotations']:
        item['label'] += 1
    said = found(content, 'utd_mhad')
    assert 'beyond the 27 classes' in said['label_range'][0].what and 'subtract 1' in said['label_range'][0].do
    assert said['class_gaps'][0].problem and len(said['expected_labels'][0].samples) == 861


def test_benchmarks_are_recognised(tmp_path):
    path = write_annotations(tmp_path / 'mine.pkl', mhad())
    assert check_data(path).benchmark == 'UTD-MHAD'  # by its samples
    assert check_data(path, 'none').benchmark is None
    assert check_data(path, 'nw_ucla').exit_code() == 1
    with pytest.raises(ACLNetError, match="no benchmark 'ntu6'; did you mean 'ntu60'"):
        check_data(path, 'ntu6')
    path = write_annotations(tmp_path / 'utd_mhad.pkl')
    report = check_data(path)  # by its name
    assert report.benchmark == 'UTD-MHAD' and 'has 861 samples, this file has 30' in str(report)
    assert '3 two hand front clap' in str(report)


# ---- poses in other files
def test_raw_files_are_looked_for_and_read_if_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = in_raw_files(tmp_path)
    path = tmp_path / 'a.pkl'
    assert not found(content, path=path) and not found(content, path=path, raw_files=True)
    poses = pickle.loads((tmp_path / 'raw.pkl').read_bytes())
    poses['sample000']['keypoint'][0, 0, 0] = np.nan
    poses['sample001']['frame_inds'][0] = 99
    del poses['sample002']
    content['annotations'][3]['box_score'] = np.ones(3)
    (tmp_path / 'raw.pkl').write_bytes(pickle.dumps(poses))
    assert not found(content, path=path)
    said = found(content, path=path, raw_files=True)
    assert set(said) == {'keys', 'finite'} and len(said['keys']) == 3
    (tmp_path / 'raw.pkl').unlink()
    said = found(content, path=path, raw_files=True)
    assert set(said) == {'missing'} and 'raw files of 30 samples' in said['missing'][0].what


# ---- files that cannot be read
@pytest.mark.parametrize(
    'content, words',
    [
        (b'half', 'was not loaded'),
        (pickle.dumps(3), 'holds int'),
        (pickle.dumps({'a': 1}), 'holds a dict of a'),
        (pickle.dumps({'annotations': 3}), 'must hold a list of annotations'),
        (None, 'does not exist'),
    ],
)
def test_what_is_no_annotation_file_is_an_error(content, words, tmp_path):
    path = tmp_path / 'a.pkl'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ACLNetError, match=words):
        check_data(path)


def test_an_empty_file_is_a_problem(tmp_path):
    report = check_data(write_annotations(tmp_path / 'a.pkl', dict(split={}, annotations=[])))
    assert report.exit_code() == 1 and 'no annotations' in str(report)
