"""Whatever stands in an annotation file, a data set gives whole samples or one sentence, and takes no memory for it."""

from __future__ import annotations

import functools
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aclnet.apis.config import load_config
from aclnet.datasets import PoseDataset
from aclnet.errors import ACLNetError
from tests.datasets.odd import cases, odd
from tests.datasets.samples import poses, sample_2d, sample_3d

KEYS = ['frame_dir', 'filename', 'label', 'total_frames', 'keypoint', 'keypoint_score', 'img_shape', 'original_shape']
KEYS += [
    'raw_file',
    'box_score',
    'valid',
    'frame_inds',
    'anno_inds',
    'num_clips',
    'clip_len',
    'offset',
    'body_center',
    7,
]
SHAPES = {'ntu60_xsub/b': (2, 100, 25, 3), 'ntu60_xview/km': (2, 100, 25, 3), 'finegym/jm': (2, 100, 20, 3)}
SHAPES |= {'k400/k': (2, 100, 20, 3), 'utd_mhad/j': (1, 50, 20, 3)}


@functools.cache
def pipelines(config):
    data = load_config(f'configs/{config}.py').data
    return [data[name].pipeline for name in ('train', 'test')]


def contents(config):
    """(annotations, raw file) of one person and of several, as the config reads them."""
    rng = np.random.default_rng(0)
    if config.startswith('k400'):
        raw = {name: poses(rng, total=12, count=count) for name, count in (('a', 30), ('b', 3))}
        extra = dict(total_frames=12, img_shape=(256, 340), raw_file='raw.pkl', valid={0.5: 12})
        items = [dict(frame_dir=n, label=1, box_score=np.ones(len(raw[n]['frame_inds'])), **extra) for n in 'ab']
        return items, raw
    if config.startswith('finegym'):
        return [sample_2d(rng, name='a'), sample_2d(rng, persons=1, frames=3, name='b')], {}
    joints = SHAPES[config][2]
    return [sample_3d(rng, joints=joints, name='a'), sample_3d(rng, persons=1, joints=joints, name='b')], {}


PLACES = ['key'] * 5 + ['lost', 'item', 'split', 'names', 'name', 'list', 'raw', 'poses']
damages = st.lists(
    st.tuples(st.sampled_from(PLACES), st.integers(0, 1), st.sampled_from(KEYS), odd), min_size=1, max_size=3
)


def damaged(config, damage):
    """(annotation file, raw file) with odd values in some places."""
    annotations, raw = contents(config)
    content = dict(split=dict(train=['a', 'b']), annotations=annotations)
    for place, index, key, value in damage:
        item, names = (
            annotations[index],
            content['split']['train'] if isinstance(content['split'], dict) and 'train' in content['split'] else None,
        )
        if place == 'key' and isinstance(item, dict):
            item[key] = value
        elif place == 'lost' and isinstance(item, dict):
            item.pop(key, None)
        elif place == 'item':
            annotations[index] = value
        elif place == 'split':
            content['split'] = value
        elif place == 'names' and names is not None:
            content['split']['train'] = value
        elif place == 'name' and isinstance(names, list):
            names.append(value)
        elif place == 'list':
            content['annotations'] = value
        elif place == 'raw':
            raw['ab'[index]] = value
        elif place == 'poses' and isinstance(raw.get('a'), dict):
            raw['a'][('keypoint', 'frame_inds')[index]] = value
    return content, raw


@pytest.mark.parametrize('config', SHAPES)
def test_odd_values(tmp_path_factory, config):
    folder = tmp_path_factory.mktemp('odd')
    done = {'samples': 0}

    @cases(40)
    @given(damages, st.sampled_from([{}, dict(valid_ratio=0.1, box_thr=0.5), dict(multi_class=True, num_classes=9)]))
    def check(damage, arguments):
        content, raw = damaged(config, damage)
        (folder / 'raw.pkl').write_bytes(pickle.dumps(raw))
        (folder / 'a.pkl').write_bytes(pickle.dumps(content))
        with warnings.catch_warnings():
            warnings.simplefilter('error', RuntimeWarning)
            warnings.filterwarnings('ignore', 'split .* have no annotation')
            for pipeline, test_mode in zip(pipelines(config), (False, True)):
                try:
                    dataset = PoseDataset(str(folder / 'a.pkl'), pipeline, 'train', test_mode=test_mode, **arguments)
                except ACLNetError as error:
                    assert_sentence(error)
                    continue
                for index in range(len(dataset)):
                    try:
                        sample = dataset[index]
                    except ACLNetError as error:
                        assert_sentence(error)
                        continue
                    done['samples'] += 1
                    assert sample['keypoint'].shape == (10 if test_mode else 1, *SHAPES[config])
                    assert sample['keypoint'].dtype == torch.float32
                    assert isinstance(sample['label'], int) or sample['label'].shape == (9,)

    check()
    assert done['samples'], 'some samples stay whole'


def assert_sentence(error):
    assert 10 < len(str(error)) < 1500 and '\n' not in str(error)


FRAMES = np.ones((1, 3, 25, 3), np.float16)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (dict(total_frames=10**12), 'needs a whole number up to 1,000,000 as total_frames, got 1000000000000'),
        (dict(label=10**12), 'must be a class from 0 to 9999, got 1000000000000'),
        (dict(label=1 << 20000), 'must be a class from 0 to 9999, got a whole number of 20001 bits'),
        (dict(keypoint=np.ones((1001, 3, 1, 3))), r'takes up to 1,000 persons and 1,000,000 frames, got .*\(1001, 3'),
        (
            dict(keypoint=np.ones((1, 10**6 + 1, 1, 1), np.int8)),
            'must be the number of frames of its keypoint, 1000001',
        ),
        (dict(keypoint=np.ones((1, 1, 10**6, 3), np.int8), total_frames=1), 'above 268,435,456 numbers'),
        (dict(keypoint=[[[[1.0]]]]), 'must be the number of frames of its keypoint, 1, got 3'),
        (dict(keypoint=FRAMES.astype(str)), 'must be one array of numbers, got <U'),
        (dict(keypoint_score=np.ones((1, 3))), r'must be one number per joint, \(1, 3, 25\), got \(1, 3\)'),
        (dict(keypoint=None), 'must be one array of numbers, got object'),
        (dict(raw_file=0), 'needs a string as raw_file, got 0'),
        (dict(box_score='high'), "needs one number per pose as box_score, got 'high'"),
        (dict(valid={'x': 3}), 'needs a dict of box thresholds and numbers of frames as valid'),
    ],
)
def test_absurd_annotations(tmp_path, changes, reason):
    annotation = dict(frame_dir='a', label=0, total_frames=3, keypoint=FRAMES)
    annotation.update(changes)
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps([annotation]))
    with pytest.raises(ACLNetError, match=f'a.*{reason}'):
        PoseDataset(str(tmp_path / 'a.pkl'), [dict(type='UniformSampleDecode', clip_len=100)])[0]


@pytest.mark.parametrize('frame', [10**12, -5, 2**62])
def test_absurd_frame_numbers(tmp_path, frame):
    keypoint = np.ones((2, 17, 3), np.float32)
    (tmp_path / 'raw.pkl').write_bytes(pickle.dumps(dict(a=dict(keypoint=keypoint, frame_inds=np.array([0, frame])))))
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps([dict(frame_dir='a', label=0, total_frames=9, raw_file='raw.pkl')]))
    sample = PoseDataset(str(tmp_path / 'a.pkl'), [dict(type='DecompressPose')])[0]
    assert sample['keypoint'].shape == (1, 2, 17, 2)  # renumbered
    with pytest.raises(ACLNetError, match=f'needs frame_inds from 0 to 8, got .*{frame}'):
        PoseDataset(str(tmp_path / 'a.pkl'), [dict(type='DecompressPose', squeeze=False)])[0]


@pytest.mark.parametrize(
    ('step', 'reason'),
    [
        (dict(type='UniformSampleDecode', clip_len=10**12), 'clip_len must be at most 1,000,000, got 1000000000000'),
        (dict(type='UniformSampleFrames', clip_len=9, num_clips=10**12), 'num_clips must be at most 1,000, got'),
        (dict(type='UniformSampleFrames', clip_len=10**6, num_clips=10), 'more than 1,000,000 frames'),
        (dict(type='FormatGCNInput', num_person=10**9), 'num_person must be at most 1,000'),
        (dict(type='DecompressPose', max_person=10**9), 'max_person must be at most 1,000'),
    ],
)
def test_absurd_arguments(tmp_path, step, reason):
    with pytest.raises(ACLNetError, match=reason):
        PoseDataset(str(tmp_path / 'a.pkl'), [step])


def test_absurd_numbers_of_classes(tmp_path):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps([dict(frame_dir='a', label=0, keypoint=FRAMES)]))
    with pytest.raises(
        ACLNetError, match='num_classes of a data set must be a whole number from 1 to 10000, got 10000000'
    ):
        PoseDataset(str(tmp_path / 'a.pkl'), [], multi_class=True, num_classes=10**12)
