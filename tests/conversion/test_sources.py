"""Every source through the command line, from raw files to samples that a data set reads."""

from __future__ import annotations

import json
import pickle
import sys

import numpy as np
import pytest

from aclnet.conversion import SOURCES, convert
from aclnet.datasets import PoseDataset
from aclnet.datasets.annotations import load_annotations
from aclnet.errors import ACLNetError
from aclnet.files import load_pickle
from tests.conversion import raw
from tests.run import ROOT, shell, tool


def poses(count, joints=20, frames=9):
    return {i: raw.body(frames + i, joints, seed=i) for i in range(count)}


def make_ntu(folder):
    raw.ntu_set(folder / 'raw')
    return folder / 'raw', 6, dict(xsub_train=4, xsub_val=2)


def make_pku_mmd(folder):
    for name in ('0002-L', '0002-M'):
        raw.pku_mmd(folder / 'raw', name, np.stack([raw.body(40), raw.body(40, seed=1)]), [(51, 0, 9), (3, 10, 40)])
    (folder / 'raw' / 'cross-subject.txt').write_text(
        'Training videos:\r\n0002-L, 0009-M\r\n\r\nValidataion videos:\r\n0002-M\r\n'
    )
    (folder / 'raw' / 'cross-view.txt').write_text('Training videos: 0002-M\nValidation videos: 0002-L\n')
    return folder / 'raw', 4, dict(xsub_train=2, xsub_val=2, xview_train=2, xview_val=2)


def make_kinetics(folder):
    return raw.kinetics(folder / 'raw')[0], 6, dict(train=3, val=3)


def make_openpose(folder):
    rng = np.random.default_rng(0)
    clips = {f'clip{i}': (i % 2, [[rng.random((18, 3))]] * 5) for i in range(4)}
    raw.openpose(folder / 'raw', 'train', {name: clips[name] for name in ('clip0', 'clip1', 'clip2')})
    raw.openpose(folder / 'raw', 'val', {'clip3': clips['clip3'], 'clip4': (0, [[], []])})
    return folder / 'raw', 4, dict(train=3, val=1)


def make_hrnet(folder):
    raw.hrnet(folder / 'raw.pkl')
    return folder / 'raw.pkl', 4, dict(train=2, val=1, test=1)


def make_nw_ucla(folder):
    for i, joints in poses(4).items():
        raw.nw_ucla(folder / 'raw', f'a{(1, 8, 12, 9)[i]:02d}_s01_e00_v{i % 3 + 1:02d}', joints, (1, 7, 10, 9)[i])
    return folder / 'raw', 4, dict(xview_train=3, xview_val=1)


def make_utd_mhad(folder):
    for i, joints in poses(4).items():
        raw.utd_mhad(folder / 'raw', f'a{i * 9}_s{i + 1}_t1' if i else 'a1_s1_t1', joints)
    return folder / 'raw', 4, dict(xsub_train=2, xsub_val=2)


def make_msr_action3d(folder):
    for i, joints in poses(4).items():
        raw.msr_action3d(folder / 'raw', f'a{i + 17:02d}_s{i + 1:02d}_e01', joints)
    return folder / 'raw', 4, dict(xsub_train=2, xsub_val=2)


def make_sbu(folder):
    for pair in ('s01s02', 's02s03', 's07s03', 's03s06', 's06s03'):
        raw.sbu(folder / 'raw', f'{pair}/08/001', np.stack([raw.body(9, 15, 1), raw.body(9, 15, 2)]))
    return (
        folder / 'raw',
        5,
        {f'fold{i}_{part}': {'train': 4, 'val': 1}[part] for i in range(1, 6) for part in ('train', 'val')},
    )


def make_custom(folder):
    for i, joints in poses(4).items():
        (folder / 'raw' / f'wave{i % 2}').mkdir(parents=True, exist_ok=True)
        np.save(folder / 'raw' / f'wave{i % 2}' / f's{i // 2}.npy', joints.astype('f4'))
    return folder / 'raw', 4, dict(train=2, val=2)


MADE = dict(
    ntu60=make_ntu, ntu120=make_ntu, pku_mmd=make_pku_mmd, kinetics=make_kinetics, kinetics_openpose=make_openpose,
    hrnet=make_hrnet, nw_ucla=make_nw_ucla, utd_mhad=make_utd_mhad, msr_action3d=make_msr_action3d, sbu=make_sbu,
    custom=make_custom,
)  # fmt: skip
OPTIONS = dict(
    custom=['--by', 'subject', '--val-share', '0.5', '--declare', 'layout=kinect20', 'files={label}/{subject}.npy']
)


def test_every_source_is_tried():
    assert list(MADE) == list(SOURCES)


@pytest.mark.parametrize('source', list(MADE))
def test_from_raw_files_to_a_data_set(source, tmp_path, capsys):
    path, samples, splits = MADE[source](tmp_path)
    out, report = tmp_path / 'out' / 'made.pkl', tmp_path / 'summary.json'
    tool('data/convert', source, path, out, '--workers', 1, '--summary', report, *OPTIONS.get(source, []))
    told = json.loads(report.read_text())
    assert told['samples'] == samples and {**told['splits'], **splits} == told['splits']
    printed = capsys.readouterr().out
    assert printed.startswith(str(out)) and f'samples  {samples} of' in printed
    plain, ours = pickle.loads(out.read_bytes()), load_pickle(out)
    assert plain.keys() == ours.keys() and len(plain['annotations']) == samples
    assert {title: len(members) for title, members in ours['split'].items()} == told['splits']
    dataset = PoseDataset(str(out), [], split=next(iter(splits)))
    assert np.isfinite(dataset[0]['keypoint']).all() and dataset[0]['keypoint'].any()
    assert sorted(entry.name for entry in out.parent.iterdir() if entry.name[0] == '.') == []


@pytest.mark.parametrize('source', ['ntu60', 'pku_mmd', 'sbu', 'custom'])
def test_through_the_shell(source, tmp_path):
    path, samples, _ = MADE[source](tmp_path)
    done = shell(sys.executable, ROOT / 'tools/data/convert.py', source, path, 'made.pkl', '--workers', 2,
                 *OPTIONS.get(source, []), cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0 and f'samples  {samples} of' in done.stdout, done.stderr
    assert len(load_annotations(str(tmp_path / 'made.pkl')).annotations) == samples


# ---- values
def test_pku_mmd_is_cut_into_clips(tmp_path):
    path, *_ = make_pku_mmd(tmp_path)
    convert('pku_mmd', str(path), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    first, second, *_ = load_pickle(tmp_path / 'out.pkl')['annotations']
    persons = np.stack([raw.body(40), raw.body(40, seed=1)]).astype(np.float16)
    assert (first['frame_dir'], first['label']) == ('0002-L_000_A51', 50) and first['keypoint'].dtype == np.float16
    assert np.array_equal(first['keypoint'], persons[:, :9]) and np.array_equal(second['keypoint'], persons[:, 10:])
    assert load_pickle(tmp_path / 'out.pkl')['split']['xview_val'] == ['0002-L_000_A51', '0002-L_001_A03']


def test_pku_mmd_drops_clips_and_not_recordings(tmp_path):
    persons = np.stack([raw.body(30), np.zeros((30, 25, 3))])
    persons[:, 20:] = 0
    raw.pku_mmd(tmp_path / 'raw', '0003-R', persons, [(1, 0, 10), (52, 0, 10), (2, 20, 30), (2, 30, 40), (2, 9, 9)])
    raw.pku_mmd(tmp_path / 'raw', '0004-R', persons, [(1, 0, 10)])
    (tmp_path / 'raw' / 'label' / '0004-R.txt').unlink()
    raw.pku_mmd(tmp_path / 'raw', '0005-R', persons, [(1, 0, 10)])
    path = tmp_path / 'raw' / 'skeleton' / '0005-R.txt'
    path.write_bytes(path.read_bytes()[:-90])
    summary = convert('pku_mmd', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    assert summary.samples == 1 and summary.persons == {1: 1}
    assert summary.dropped == {
        'class beyond the 51': 1, 'no body in any frame': 1, 'frames beyond the recording': 2, 'no label file': 1,
        'wrong number of values': 1,
    }  # fmt: skip
    assert '0005-R.txt, line 30: needs 150 numbers' in str(summary) and 'no cross-subject.txt and' in str(summary)


@pytest.mark.parametrize('into', ['.pkl'])
def test_kinetics_is_complete(tmp_path, into):
    light, expected = raw.kinetics(tmp_path / 'raw')
    convert('kinetics', str(light), str(tmp_path / f'out{into}'), progress=False, workers=1)
    before, after = load_pickle(light), load_pickle(tmp_path / f'out{into}')
    assert after['split'] == before['split']
    for old, new, clip in zip(before['annotations'], after['annotations'], expected):
        assert list(new) == [*old, 'keypoint', 'frame_inds']
        assert new['keypoint'].dtype == np.float16 and np.array_equal(new['keypoint'], clip['keypoint'])
        assert np.array_equal(new['frame_inds'], clip['frame_inds']) and new['box_score'].dtype == np.float16


def test_kinetics_without_a_raw_file(tmp_path):
    light, _ = raw.kinetics(tmp_path / 'raw')
    (tmp_path / 'raw' / 'kpfiles' / '0.pkl').write_bytes(b'\x80\x04')
    content = load_pickle(light)
    content['annotations'][1]['total_frames'] = 3
    content['annotations'][3]['box_score'] = np.ones(2)
    light.write_bytes(pickle.dumps(content))
    summary = convert('kinetics', str(light), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    assert summary.dropped == {
        'poses missing or damaged': 3, 'frames beyond the recording': 1, 'other poses than announced': 1,
    }  # fmt: skip
    assert load_pickle(tmp_path / 'out.pkl')['split'] == dict(train=[], val=['clip5'])


def test_openpose_by_score_and_without_empty_frames(tmp_path):
    rng = np.random.default_rng(0)
    people = [rng.random((18, 3)) for _ in range(3)]
    for rank, pose in enumerate(people):
        pose[:, 2] = (0.5, 0.9, 0.1)[rank]
    raw.openpose(tmp_path / 'raw', 'val', {'a': (2, [[people[0]], [], people])})
    summary = convert('kinetics_openpose', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    (annotation,) = load_pickle(tmp_path / 'out.pkl')['annotations']
    expected = np.zeros((2, 2, 18, 3))
    expected[0] = people[0], people[1]
    expected[1, 1] = people[0]
    assert np.allclose(annotation['keypoint'], expected[..., :2] * [340, 256])
    assert np.allclose(annotation['keypoint_score'], expected[..., 2]) and annotation['img_shape'] == (256, 340)
    assert summary.splits == dict(val=1)


@pytest.mark.parametrize(
    'change',
    [
        lambda data: data.pop('data'),
        lambda data: data['data'].append(3),
        lambda data: data['data'][0]['skeleton'][0]['pose'].pop(),
        lambda data: data['data'][0]['skeleton'][0].update(score=['x'] * 18),
        lambda data: data['data'][0]['skeleton'][0]['pose'].__setitem__(0, 1e300),
        lambda data: data['data'][0].update(skeleton=[3]),
    ],
)
def test_openpose_that_is_broken(tmp_path, change):
    path, *_ = make_openpose(tmp_path)
    file = path / 'kinetics_train' / 'clip1.json'
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    summary = convert('kinetics_openpose', str(path), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    assert summary.samples == 3 and summary.dropped.pop('no body in any frame') == 1
    assert sum(summary.dropped.values()) == 1 and f'{file}' in str(summary)


def test_hrnet_keeps_values_and_chosen_splits(tmp_path):
    before = raw.hrnet(tmp_path / 'raw.pkl')
    tool('data/convert', 'hrnet', tmp_path / 'raw.pkl', tmp_path / 'out.pkl', '--keep-splits', 'train', 'test')
    after = load_pickle(tmp_path / 'out.pkl')
    assert after['split'] == dict(train=['clip0', 'clip1'], test=['clip3'])
    for old, new in zip([before['annotations'][i] for i in (0, 1, 3)], after['annotations']):
        assert list(new) == list(old) and np.array_equal(new['keypoint'], old['keypoint'])
    with pytest.raises(ACLNetError, match="split 'vall' is not in .*; it has train, val, test"):
        tool('data/convert', 'hrnet', tmp_path / 'raw.pkl', tmp_path / 'out.pkl', '--keep-splits', 'vall')


@pytest.mark.parametrize(
    ('key', 'value', 'reason'),
    [
        ('keypoint', None, 'no keypoint'),
        ('keypoint', np.zeros((1, 6, 18, 2)), 'wrong shape'),
        ('keypoint', np.full((1, 6, 17, 2), np.nan), 'unfit poses'),
        ('keypoint_score', np.zeros((1, 5, 17)), 'unfit poses'),
        ('img_shape', None, 'no img_shape'),
        ('label', -1, 'wrong label'),
        ('label', 'x', 'wrong label'),
        ('total_frames', 7, 'unfit poses'),
    ],
)
def test_hrnet_that_is_broken(tmp_path, key, value, reason):
    content = raw.hrnet(tmp_path / 'raw.pkl')
    content['annotations'][1][key] = value
    (tmp_path / 'raw.pkl').write_bytes(pickle.dumps(content))
    summary = convert('hrnet', str(tmp_path / 'raw.pkl'), str(tmp_path / 'out.pkl'), progress=False)
    assert summary.dropped == {reason: 1} and summary.samples == 3


@pytest.mark.parametrize(
    ('source', 'write', 'name'),
    [('nw_ucla', raw.nw_ucla, 'a08_s02_e03_v01'), ('msr_action3d', raw.msr_action3d, 'a20_s02_e03')],
)
def test_kinect_sets_come_out_as_they_went_in(tmp_path, source, write, name):
    joints = raw.body(12, 20)
    write(tmp_path / 'raw', name, joints)
    convert(source, str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    (annotation,) = load_pickle(tmp_path / 'out.pkl')['annotations']
    assert annotation['frame_dir'] == name and annotation['label'] == {'nw_ucla': 6, 'msr_action3d': 19}[source]
    assert np.array_equal(annotation['keypoint'], joints[None].astype(np.float32))


def test_utd_mhad_comes_out_as_it_went_in(tmp_path):
    joints = raw.body(12, 20)
    raw.utd_mhad(tmp_path / 'raw', 'a27_s8_t4', joints)
    convert('utd_mhad', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    (annotation,) = load_pickle(tmp_path / 'out.pkl')['annotations']
    assert annotation['frame_dir'] == 'a27_s08_t04' and annotation['label'] == 26
    assert np.array_equal(annotation['keypoint'], joints[None].astype(np.float32))


def test_sbu_has_two_persons(tmp_path):
    persons = np.stack([raw.body(9, 15, 1), raw.body(9, 15, 2)])
    raw.sbu(tmp_path / 'raw', 's04s06/03/002', persons)
    convert('sbu', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    content = load_pickle(tmp_path / 'out.pkl')
    (annotation,) = content['annotations']
    assert annotation['frame_dir'] == 's04s06_03_002' and annotation['label'] == 2
    assert np.array_equal(annotation['keypoint'], persons.astype(np.float32))
    assert content['split']['fold5_val'] == ['s04s06_03_002'] == content['split']['fold1_train']


def test_the_folds_of_sbu_share_no_pair():
    from aclnet.conversion.readers.sbu import FOLDS

    pairs = [pair for fold in FOLDS for pair in fold]
    assert len(pairs) == len(set(pairs)) == 21


DAMAGE = {
    'nw_ucla: cut': ('nw_ucla', '*v02.json', lambda b: b[:-5], 'cut short or damaged'),
    'nw_ucla: list': ('nw_ucla', '*v02.json', lambda b: b'[]', "key 'skeletons'"),
    'nw_ucla: ragged': ('nw_ucla', '*v02.json', lambda b: b'{"skeletons": [[1], [1, 2]]}', 'T × 20 × 3'),
    'nw_ucla: words': ('nw_ucla', '*v02.json', lambda b: b'{"skeletons": "x"}', 'T × 20 × 3'),
    'nw_ucla: deep': ('nw_ucla', '*v02.json', lambda b: b'[' * 100_000, 'cut short or damaged'),
    'nw_ucla: label': ('nw_ucla', '*v02.json', lambda b: b.replace(b'"label": 7', b'"label": 2'), 'the label 2 is not'),
    'nw_ucla: huge': ('nw_ucla', '*v02.json', lambda b: b.replace(b'[[[', b'[[[1e300' + b'1' * 9 + b',') , 'T × 20'),
    'utd_mhad: cut': ('utd_mhad', 'a9_*', lambda b: b[:-500], 'no whole MATLAB file'),
    'utd_mhad: text': ('utd_mhad', 'a9_*', lambda b: b'hello' * 99, 'no whole MATLAB file'),
    'utd_mhad: other': ('utd_mhad', 'a9_*', lambda b: b.replace(b'd_skel', b'd_scel'), 'd_skel must be 20 × 3 × T'),
    'msr_action3d: cut': ('msr_action3d', 'a18*', lambda b: b[:-90], 'lines are no whole number of frames'),
    'msr_action3d: word': ('msr_action3d', 'a18*', lambda b: b'one' + b[b.index(b' ') :], "line 1: 'one' is no"),
    'sbu: short line': ('sbu', 's02s03/*/*/*', lambda b: b[:-20], 'line 9: needs 91 numbers'),
}  # fmt: skip


@pytest.mark.parametrize('name', list(DAMAGE))
def test_damaged_files(tmp_path, name):
    source, pattern, damage, says = DAMAGE[name]
    path, samples, _ = MADE[source](tmp_path)
    (file,) = path.glob(pattern)
    file.write_bytes(damage(file.read_bytes()))
    summary = convert(source, str(path), str(tmp_path / 'out.pkl'), progress=False, workers=1)
    ((sentence,),) = summary.examples.values()
    assert summary.samples == samples - 1 and says in sentence and sentence.startswith(str(file)), sentence


@pytest.mark.parametrize(
    'source', ['ntu60', 'pku_mmd', 'nw_ucla', 'utd_mhad', 'msr_action3d', 'sbu', 'kinetics_openpose']
)
def test_a_name_or_folder_that_is_none_of_the_source(tmp_path, source):
    with pytest.raises(ACLNetError, match='does not exist'):
        convert(source, str(tmp_path / 'none'), str(tmp_path / 'out.pkl'))
    with pytest.raises(ACLNetError, match=r'there is no file|has neither the folder'):
        convert(source, str(tmp_path), str(tmp_path / 'out.pkl'))
    (tmp_path / 'file').write_text('x')
    with pytest.raises(ACLNetError, match=r'is no folder|has neither the folder'):
        convert(source, str(tmp_path / 'file'), str(tmp_path / 'out.pkl'))


def test_nothing_left(tmp_path):
    raw.ntu(tmp_path / 'raw' / 'S001C001P001R001A001.skeleton', [{}])
    (tmp_path / 'out.pkl').write_text('before')
    with pytest.raises(ACLNetError, match='nothing of .* became a sample; no body in any frame'):
        convert('ntu60', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False)
    assert (tmp_path / 'out.pkl').read_text() == 'before'


def test_two_recordings_of_one_name(tmp_path):
    for part in ('one', 'two'):
        raw.ntu_set(tmp_path / 'raw' / part, 2)
    summary = convert('ntu60', str(tmp_path / 'raw'), str(tmp_path / 'out.pkl'), progress=False)
    assert summary.samples == 2 and summary.dropped == {'name taken': 2}


def test_options_of_other_sources_are_refused(tmp_path):
    path, *_ = make_nw_ucla(tmp_path)
    for words, says in (
        (['--missing', 'x'], '--missing is for ntu60, ntu120, and not for nw_ucla'),
        (['--declare', 'layout=coco'], '--declare is for custom'),
        (['--split', 'train'], 'NAME=FILE'),
        (['--workers', 0], 'at least 1'),
        (['--val-share', 1], 'between 0 and 1'),
    ):
        with pytest.raises(ACLNetError, match=says):
            tool('data/convert', 'nw_ucla', path, tmp_path / 'out.pkl', *words)
