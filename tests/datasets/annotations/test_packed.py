"""The packed store: what comes out is what went in, and nothing that a damaged or hostile one says is believed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aclnet.datasets import PoseDataset
from aclnet.datasets.annotations import AnnotationFile, Store, StoreWriter
from aclnet.datasets.annotations.layout import HEADER, dump
from aclnet.errors import ACLNetError
from tests.datasets.odd import arrays, cases, odd, plain, poses
from tests.datasets.samples import annotation_file, sample_2d, sample_3d


def pack(path, annotations, split=None, **options):
    with StoreWriter(path, {}, **options) as store:
        for annotation in annotations:
            store.add(annotation)
        store.close(split)
    return str(path)


def same(one, other):
    """Whether two values are of the same types and hold the same bits."""
    if isinstance(one, (np.ndarray, np.generic)):
        alike = type(one) is type(other) and one.dtype.str == other.dtype.str and one.shape == other.shape
        return alike and one.tobytes() == other.tobytes()
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return [*map(repr, one)] == [*map(repr, other)] and all(map(same, one.values(), other.values()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def samples(rng):
    """Of all kinds: 3D and 2D, several dtypes and joints, gaps, no frames, odd names."""
    return [
        sample_3d(rng, name='a'),
        sample_3d(rng, persons=1, frames=1, joints=20, dtype=np.float32, name='ü \udcff\n'),
        dict(sample_3d(rng, name=''), total_frames=np.int64(12), label=np.int32(7)),
        dict(sample_2d(rng, name='b'), anno_inds=np.array([True, False]), box_score=np.ones(2, np.float16), extra=None),
        dict(frame_dir='a', label=[1, 2], keypoint=np.zeros((2, 0, 25, 3), np.dtype('>f4'))),
        dict(sample_2d(rng, name='c'), valid={0.5: 3, 0.6: np.float32(2)}, when=(1, (2.5, 'x')), bits=b'\0\xff'),
    ]


@pytest.mark.parametrize('shard', [1, 5000, 1 << 28])
def test_what_went_in_comes_out(tmp_path, rng, shard):
    annotations = samples(rng)
    split = dict(train=['c', 'a', 'gone'], val=[''], empty=[])
    store = Store.open(pack(tmp_path / 'a.store', annotations, split, shard=shard))
    assert len(store) == len(annotations) and all(map(same, annotations, store))
    assert store.splits == split and store.identifier == 'frame_dir'
    assert store.identifiers == [annotation['frame_dir'] for annotation in annotations]
    with pytest.warns(UserWarning, match="split 'train' of .*: 1 of 3 identifiers have no annotation"):
        chosen = store.select('train')
    assert [*chosen.names] == ['a', 'a', 'c'] and same([*chosen], [annotations[i] for i in (0, 4, 5)])
    assert same(chosen[-1], annotations[5]) and same([*chosen[1:]], [*chosen][1:])
    if shard == 1:  # the fifth sample has no frames, so that its shard goes on
        assert store.shards.tolist() == [0, 1, 2, 3, 4, 4]
    assert [*store.verify()] == []
    store[0]['keypoint'][:] = 1  # whose array is its own
    assert same(store[0], annotations[0])
    if shard > 5000:
        assert same(
            store.arrays('keypoint_score')[0],
            np.concatenate([annotations[i]['keypoint_score'].ravel() for i in (3, 5)]),
        )
    with pytest.raises(ACLNetError, match="has 'keypoint' in 3 dtypes; it must be one"):
        store.arrays('keypoint')
    with pytest.raises(ACLNetError, match="split 'empty' .* lists 0 identifiers, none of which"):
        store.select('empty')
    with pytest.raises(ACLNetError, match="split 'test' is not in .*; it has train, val, empty"):
        store.select('test')


@cases(100)
@given(
    extra=st.dictionaries(
        st.sampled_from(['valid', 'box_score', 'raw_file', 'x', 'ü', 'img_shape', '']), odd, max_size=3
    ),
    keypoint=st.one_of(poses, arrays, plain),
    name=st.text(max_size=4),
    label=st.one_of(st.integers(), plain),
)
def test_odd_annotations_come_out_as_they_were_or_are_refused(tmp_path_factory, extra, keypoint, name, label):
    folder = tmp_path_factory.mktemp('odd')
    annotation = dict(extra, frame_dir=name, label=label, keypoint=keypoint)
    first = dict(frame_dir='first', label=1)
    try:
        path = pack(folder / 'a.store', [first, annotation, first])
    except ACLNetError as error:
        assert len(str(error)) < 700
        assert os.listdir(folder) == ['.a.store.lock']
        return
    store = Store.open(path)
    assert same(store[1], annotation) and same(store[2], first)
    assert [*store.verify()] == []


def test_unfit_samples_are_known(tmp_path, rng):
    fit, unfit = sample_3d(rng, name='a'), sample_3d(rng, name='b')
    unfit['keypoint'][0, 0, 0, 0] = np.nan
    store = Store.open(pack(tmp_path / 'a.store', [fit, unfit], dict(fit=['a'], unfit=['b'])))
    assert store.select('fit').sound and not store.select('unfit').sound and not store.select().sound
    PoseDataset(store.path, [], 'fit', test_mode=True)
    with pytest.raises(ACLNetError, match='keypoint of sample b of .*a.store must be finite'):
        PoseDataset(store.path, [], 'unfit', test_mode=True)


def test_joints_that_differ_are_found_in_test_mode(tmp_path, rng):
    path = pack(tmp_path / 'a.store', [sample_3d(rng, name='a'), sample_3d(rng, joints=20, name='b')])
    with pytest.raises(ACLNetError, match=r'a has \(25, 3\) and b has \(20, 3\)'):
        PoseDataset(path, [], test_mode=True)


def test_a_dataset_from_a_store_is_that_from_the_pickle(tmp_path):
    path = annotation_file(tmp_path / 'a.pkl')
    file = AnnotationFile('', pickle.loads((tmp_path / 'a.pkl').read_bytes()))
    store = pack(tmp_path / 'a.store', file.annotations, file.splits)
    pipeline = [dict(type='UniformSampleDecode', clip_len=5), dict(type='RandomRot')]
    for split in (None, 'train', 'val'):
        one, other = (PoseDataset(file, pipeline, split, class_prob=[1, 2, 3, 4]) for file in (path, store))
        assert one.labels.tolist() == other.labels.tolist() and one.num_classes == other.num_classes
        assert one.identifiers == other.identifiers and one.weights.tolist() == other.weights.tolist()
        assert same(list(one), list(other))
        assert same(list(pickle.loads(pickle.dumps(other))), list(one))
    with pytest.raises(ACLNetError, match='label of sample clip002 of .*store must be a class from 0 to 1, got 2'):
        PoseDataset(store, [], num_classes=2)


@pytest.mark.parametrize(
    'annotation, said',
    [
        (dict(frame_dir='a'), "needs a 'label'"),
        (dict(frame_dir='a', label=0, total_frames='many'), 'needs a whole number up to'),
        (dict(frame_dir='a', label=0, x=object()), 'annotation a cannot go into the store .*: it holds <object'),
        (dict(frame_dir='a', label=0, x=np.array([{}])), 'it holds an array'),
        ({'frame_dir': 'a', 'label': 0, 5: 0}, 'its keys must be strings'),
    ],
)
def test_what_cannot_be_packed(tmp_path, annotation, said):
    with pytest.raises(ACLNetError, match=said):
        pack(tmp_path / 'a.store', [annotation])
    assert os.listdir(tmp_path) == ['.a.store.lock']


def test_keys_without_number_go_as_text(tmp_path):
    annotations = [dict(frame_dir=str(i), label=i, **{f'k{i}': np.arange(i)}) for i in range(64)]
    annotations += [dict(frame_dir='x', label=9, keypoint=np.ones((1, 2), '>f2'))] * 2
    annotations.append({**dict.fromkeys(map(str, range(40)), 0), 'frame_dir': 'wide', 'label': 0})
    assert all(map(same, annotations, Store.open(pack(tmp_path / 'a.store', annotations))))
    others = [{'frame_dir': str(i), 'label': i, f'k{i}': np.arange(i)} for i in range(200)]
    with pytest.raises(ACLNetError, match=r'its keys \(frame_dir, label, k128\) differ too often'):
        pack(tmp_path / 'b.store', others)


def test_a_store_appears_whole_or_not_at_all(tmp_path, rng):
    path = pack(tmp_path / 'a.store', [sample_3d(rng, name='old')])
    with pytest.raises(ACLNetError, match='another process writes the store'):
        with StoreWriter(path, {}), StoreWriter(path, {}):
            pass
    with pytest.raises(KeyError), StoreWriter(path, {}) as store:
        store.add(sample_3d(rng, name='new'))
        raise KeyError
    with StoreWriter(path, {}) as store, pytest.raises(ACLNetError, match='would hold no annotations'):
        store.close(None)
    opened = Store.open(path)
    assert opened.identifiers == ['old'] and sorted(os.listdir(tmp_path)) == ['.a.store.lock', 'a.store']
    assert Store.open(pack(path, [sample_3d(rng, name='new')])).identifiers == ['new']
    assert opened[0]['keypoint'].any()  # whoever has the old one open goes on with it
    with pytest.raises(ACLNetError, match='store .* was replaced while it was in use'):
        pickle.loads(pickle.dumps(opened))
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ACLNetError, match='file is there and is no store'):
        StoreWriter(tmp_path / 'file', {})


def test_a_writer_resumes_after_its_last_flush(tmp_path, rng):
    annotations = samples(rng) * 3
    for stop in (4, 11):
        with (
            pytest.raises(KeyboardInterrupt),
            StoreWriter(tmp_path / 'a.store', dict(a=1), resume=True, shard=2000) as w,
        ):
            for number, annotation in list(enumerate(annotations))[len(w) :]:
                w.add(annotation)
                if number == stop:
                    w.flush()
                if number == stop + 2:
                    raise KeyboardInterrupt
    with StoreWriter(tmp_path / 'a.store', dict(a=1), resume=True, shard=2000) as store:
        assert len(store) == 12
        for annotation in annotations[12:]:
            store.add(annotation)
        store.close(None)
    whole = Store.open(pack(tmp_path / 'b.store', annotations, shard=2000))
    resumed = Store.open(tmp_path / 'a.store')
    assert resumed.checksum == whole.checksum and [*resumed.verify()] == [] and all(map(same, annotations, resumed))
    with StoreWriter(tmp_path / 'a.store', dict(a=2), resume=True) as store:
        store.add(annotations[0])
        store.flush()
    with StoreWriter(tmp_path / 'a.store', dict(a=3), resume=True) as store:
        assert len(store) == 0  # of another source


def test_a_full_disk(tmp_path, rng, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    with StoreWriter(tmp_path / 'a.store', {}) as store:
        store.add(sample_3d(rng))
        monkeypatch.setattr('aclnet.datasets.annotations.packing.os.fsync', full)
        with pytest.raises(ACLNetError, match='cannot be written: No space left on device; make room there'):
            store.close(None)
    assert os.listdir(tmp_path) == ['.a.store.lock']


@pytest.fixture
def store(tmp_path, rng):
    annotations = [sample_2d(rng, name='a'), sample_3d(rng, name='b'), dict(sample_2d(rng, name='c'), x=[1])]
    return pack(tmp_path / 'a.store', annotations, dict(train=['a', 'b', 'gone'], val=['c']))


def files_of(path):
    return sorted(name for name in os.listdir(path) if name.endswith('.npy'))


def test_truncated_missing_and_flipped_files(store):
    assert files_of(store) == [
        'index.npy', 'keypoint.0000.npy', 'keypoint_score.0000.npy', 'names.npy', 'rest.npy', 'splits.npy',
    ]  # fmt: skip
    for name in files_of(store):
        file = os.path.join(store, name)
        data = open(file, 'rb').read()
        for bad in (data[:-1], data[:HEADER], b'', data + b'\0'):
            with open(file, 'wb') as stream:
                stream.write(bad)
            with pytest.raises(ACLNetError, match=f'{name} has {len(bad)} bytes instead of {len(data)}'):
                Store(store)
        os.unlink(file)
        with pytest.raises(ACLNetError, match=f'lacks its file {name}'):
            Store(store)
        for place in (HEADER, len(data) - 1):
            flipped = bytearray(data)
            flipped[place] ^= 1
            with open(file, 'wb') as stream:
                stream.write(flipped)
            assert [*Store(store).verify()] == [
                f'{file} is damaged: its content is not what its checksum says; pack the store again'
            ]
        with open(file, 'wb') as stream:
            stream.write(data[:60] + b'!' + data[61:])
        with pytest.raises(ACLNetError, match=f'{name} is damaged: its header is not what'):
            Store(store)
        with open(file, 'wb') as stream:
            stream.write(data)


def everything(path):
    """All that a store can be asked for."""
    store = Store(path)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for question in (
            lambda: [*store],
            lambda: [*store.identifiers],
            lambda: store.labels,
            lambda: store.column('keypoint', 1),
            lambda: store.splits,
            lambda: [*map(store.select, ('train', 'val'))],
            lambda: store.select().sound,
            lambda: store.shards,
            lambda: store.arrays('keypoint'),
        ):
            try:
                question()
            except ACLNetError as error:
                assert len(str(error)) < 700


@cases(40)
@given(data=st.data())
def test_no_content_of_the_files_is_believed(tmp_path_factory, data):
    """Numbers of the index, splits and texts that lie anywhere, in a store whose checksums are right."""
    path = str(tmp_path_factory.mktemp('hostile') / 'a.store')
    rng = np.random.default_rng(0)
    split = dict(train=['a', 'gone'], val=['b'])
    pack(path, [sample_2d(rng, name='a'), dict(sample_3d(rng, name='b'), x=(1, b'', np.ones(2)))], split)
    name = data.draw(st.sampled_from(['index.npy', 'splits.npy', 'names.npy', 'rest.npy']))
    file = os.path.join(path, name)
    content = open(file, 'rb').read()
    values = np.frombuffer(content[HEADER:], '<i8' if name in ('index.npy', 'splits.npy') else 'u1').copy()
    wide = st.sampled_from([-1, 0, 1, 2, 5, 7, 100, 255, 2**31, 2**62, -(2**63), 2**63 - 1])
    for _ in range(data.draw(st.integers(1, 3))):
        value = data.draw(wide)
        values[data.draw(st.integers(0, len(values) - 1))] = value % 256 if values.itemsize == 1 else value
    with open(file, 'wb') as stream:
        stream.write(content[:HEADER] + values.tobytes())
    everything(path)


def _places(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


BAD = [None, -1, 0, 1, 10**30, 0.5, '', '../x', '|O', '<f3', [], [[]], [0], {}, {'a': 1}, True, [-1, 5]]
WORDS = ['int', 'array', 'rest', 'name', 'names', '<i8']


def test_no_store_json_is_believed(tmp_path):
    """Every value of it in turn replaced by each of these, or left out."""
    path, rng = str(tmp_path / 'a.store'), np.random.default_rng(0)
    pack(path, [sample_2d(rng, name='a'), dict(sample_3d(rng, name='b'), x=1.5)], dict(train=['a', 'gone'], val=['b']))
    text = open(os.path.join(path, 'store.json')).read()
    for *parents, last in [place for place in _places(json.loads(text)) if place]:
        value = json.loads(text)
        for key in parents:
            value = value[key]
        words = WORDS if isinstance(value, list) and isinstance(value[last], str) else []
        for bad in [*BAD, *words, *(['left out'] if isinstance(value, dict) else [])]:
            content = value = json.loads(text)
            for key in parents:
                value = value[key]
            value[last] = bad
            if bad == 'left out':
                del value[last]
            with open(os.path.join(path, 'store.json'), 'w') as stream:
                stream.write(dump(content))
            try:
                everything(path)
            except ACLNetError as error:
                assert len(str(error)) < 700, (parents, last, bad)
            except Exception as error:
                raise AssertionError((parents, last, bad)) from error


def test_what_is_no_store(tmp_path, store):
    with pytest.raises(ACLNetError, match='is a directory, and no store, which has a store.json'):
        PoseDataset(str(tmp_path), [])
    text = open(os.path.join(store, 'store.json')).read()
    for bad, said in (
        ('{', 'is no JSON'),
        ('[]', 'its store.json is of something else'),
        (text.replace('"version": 1', '"version": 2'), 'has version 2 of the format, and this program reads 1'),
        (text.replace('"frame_dir"', '"filename"'), 'is not what its checksum says'),
    ):
        assert bad != text
        with open(os.path.join(store, 'store.json'), 'w') as stream:
            stream.write(bad)
        with pytest.raises(ACLNetError, match=said):
            Store(store)


def test_a_process_that_has_read_everything_holds_nothing_of_it(tmp_path):
    smaps = '/proc/self/smaps_rollup'
    if not os.path.exists(smaps):
        pytest.skip('the system does not tell')

    def held():
        with open(smaps) as stream:
            return sum(int(line.split()[1]) for line in stream if line.startswith('Pss:'))  # kB

    annotations = [dict(frame_dir=str(i), label=0, keypoint=np.ones((1, 300, 25, 3), np.float16)) for i in range(800)]
    store = Store.open(pack(tmp_path / 'a.store', annotations))
    del annotations
    store[0]['keypoint'].sum(dtype='f4')
    before = held()
    for annotation in store:
        annotation['keypoint'].sum(dtype='f4')
    assert held() - before < 800 * 300 * 150 / 1024 / 8


def test_a_checksum_is_that_of_the_data(store):
    content = json.load(open(os.path.join(store, 'store.json')))
    for name in files_of(store):
        data = np.load(os.path.join(store, name), allow_pickle=False)  # any reader of .npy files will do
        assert hashlib.sha256(data.tobytes()).hexdigest() == content['files'][name]['sha256']
