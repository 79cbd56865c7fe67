"""What is written: PYSKL's pickle from its items, a packed store, and the summary."""

from __future__ import annotations

import json
import pickle
import tracemalloc

import numpy as np
import pytest

from aclnet.conversion import Options, convert, output
from aclnet.conversion.summary import Summary
from aclnet.datasets.annotations.packed import Store
from aclnet.files import load_pickle
from tests.conversion import raw

ANNOTATIONS = [
    dict(frame_dir='a', label=3, total_frames=2, keypoint=np.arange(12, dtype='f2').reshape(1, 2, 2, 3), size=(3, 4)),
    dict(frame_dir='ä\ud800', label=np.int64(2**40), keypoint=np.zeros((0, 5)), valid={0.5: 3}, score=np.float32(0.1)),
    dict(frame_dir='a' * 300, label=[1, None, True], keypoint=np.asfortranarray(np.eye(3)), raw=b'x' * 300),
]


def test_a_pickle_of_its_items(tmp_path):
    with output.opened(str(tmp_path / 'out.pkl'), {}, str(tmp_path)) as writer:
        for annotation in ANNOTATIONS:
            writer.add(annotation)
        writer.close(dict(train=['a'], val=[]))
    for content in (pickle.loads((tmp_path / 'out.pkl').read_bytes()), load_pickle(tmp_path / 'out.pkl')):
        assert content['split'] == dict(train=['a'], val=[]) and len(content['annotations']) == 3
        for old, new in zip(ANNOTATIONS, content['annotations']):
            assert list(old) == list(new)
            for key, value in old.items():
                if isinstance(value, np.ndarray):
                    assert new[key].dtype == value.dtype and np.array_equal(new[key], value)
                else:
                    assert new[key] == value and type(new[key]) is type(value)
    assert [entry.name for entry in tmp_path.iterdir()] == ['out.pkl']


def test_a_pickle_of_many_takes_little_memory(tmp_path):
    sample = dict(frame_dir='a', label=0, keypoint=np.zeros((1, 100, 25, 3)))  # 60 KB
    tracemalloc.start()
    try:
        with output.opened(str(tmp_path / 'out.pkl'), {}, str(tmp_path)) as writer:
            for _ in range(500):
                writer.add(sample)
            writer.close({})
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / 'out.pkl').stat().st_size > 30_000_000


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / 'out.pkl').write_text('before')
    with pytest.raises(ZeroDivisionError), output.opened(str(tmp_path / 'out.pkl'), {}, str(tmp_path)) as writer:
        writer.add({})
        writer.add(1 // 0)
    assert (tmp_path / 'out.pkl').read_text() == 'before' and len(list(tmp_path.iterdir())) == 1


def test_a_store_holds_what_the_pickle_holds(tmp_path):
    raw.ntu_set(tmp_path / 'raw')
    for out in ('out.pkl', 'store'):
        convert('ntu60', str(tmp_path / 'raw'), str(tmp_path / out), workers=1, chunk=2, progress=False)
    content, store = load_pickle(tmp_path / 'out.pkl'), Store.open(str(tmp_path / 'store'))
    assert store.splits == content['split'] and len(store) == len(content['annotations'])
    for number, annotation in enumerate(content['annotations']):
        found = store[number]
        assert {key: found[key] for key in ('frame_dir', 'label', 'total_frames')} == {
            key: annotation[key] for key in ('frame_dir', 'label', 'total_frames')
        }
        assert found['keypoint'].dtype == np.float16 and np.array_equal(found['keypoint'], annotation['keypoint'])
    assert not (tmp_path / '.store.parts').exists()


def test_the_summary(tmp_path):
    raw.ntu_set(tmp_path / 'raw', 5)
    for number in range(5):
        (tmp_path / 'raw' / f'S001C001P001R001A0{number + 10}.skeleton').write_text('')
    (tmp_path / 'val.txt').write_text('S001C001P001R001A001')
    report = tmp_path / 'report.json'
    options = Options(lists=dict(mine=str(tmp_path / 'val.txt')))
    summary = convert(
        'ntu60', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), options, 1, summary=str(report), progress=False
    )
    told = json.loads(report.read_text())
    assert told['recordings'] == 10 and told['samples'] == 5 and told['classes'] == 3 and told['splits'] == {'mine': 1}
    assert told['samples_per_class'] == {'0': 2, '1': 2, '2': 1} and told['persons'] == {'1': 5}
    assert told['frames'] == dict(total=100, shortest=20, median=20, longest=20)
    assert told['dropped']['empty file']['count'] == 5 and len(told['dropped']['empty file']['examples']) == 3
    lines = str(summary).splitlines()
    assert '  dropped  5' in lines and '    5 × empty file' in lines and '        ...' in lines


def test_lengths():
    summary = Summary('out', 'coco')
    for frames in (5, 1, 9, 9):
        summary.add(dict(label=0, total_frames=frames, keypoint=np.zeros((1, frames, 17, 2))))
    assert summary.as_dict()['frames'] == dict(total=24, shortest=1, median=5, longest=9)
