"""One's own recordings: arrays, CSV and JSON files per frame, in a declared layout."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aclnet.conversion import Options, convert
from aclnet.errors import ACLNetError
from aclnet.files import load_pickle
from tests.conversion.raw import body
from tests.run import tool

NAMES = ('wave/s1_1', 'wave/s2_1', 'kick/s1_1', 'kick/s2_1')
FILES = '{label}/s{subject}_{take}'


def converted(folder, *, workers=1, **declared):
    """(content, summary); keys of ``Options`` are taken out of ``declared``."""
    known = {key: declared.pop(key) for key in ('by', 'labels', 'persons', 'val_subjects') if key in declared}
    out = folder / 'out.pkl'
    options = Options(custom=declared, **known)
    summary = convert('custom', str(folder / 'raw'), str(out), options, workers=workers, progress=False)
    return load_pickle(out), summary


def save(folder, write, names=NAMES):
    for i, name in enumerate(names):
        path = folder / 'raw' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, i)


def pose(i, joints=20, frames=8):
    return body(frames + i, joints, seed=i)


def check_all(content, expected, names=NAMES):
    annotations = {annotation['frame_dir']: annotation for annotation in content['annotations']}
    assert sorted(annotations) == sorted(name.replace('/', '_') for name in names)
    for i, name in enumerate(names):
        found = annotations[name.replace('/', '_')]
        assert found['label'] == (name[0] == 'w')  # kick comes before wave
        assert found['keypoint'].dtype == np.float32
        assert np.allclose(found['keypoint'], expected(i), atol=1e-6), name


@pytest.mark.parametrize('axes', ['TVC', 'CTV', 'MTVC', 'CTVM', 'TMVC'])
def test_arrays(tmp_path, axes):
    def write(path, i):
        array = pose(i)[None]  # M T V C
        order = ['MTVC'.index(letter) for letter in (axes if 'M' in axes else f'M{axes}')]
        array = array.transpose(order)
        np.save(f'{path}.npy', array if 'M' in axes else array[0])

    save(tmp_path, write)
    content, _ = converted(tmp_path, layout='kinect20', files=f'{FILES}.npy', axes=axes, scale=0.001)
    check_all(content, lambda i: pose(i)[None] * 0.001)
    assert (tmp_path / 'out_classes.txt').read_text() == 'kick\nwave\n'


def test_npz_with_a_key_and_other_joints(tmp_path):
    head_first = [3, 2, 1, 0, *range(4, 20)]
    save(tmp_path, lambda path, i: np.savez(f'{path}.npz', other=np.ones(3), poses=pose(i)[:, head_first]))
    declared = dict(layout='kinect20', files=f'{FILES}.npz', key='poses')
    check_all(converted(tmp_path, **declared, joints='head_first20')[0], lambda i: pose(i)[None])
    check_all(converted(tmp_path, **declared, joints=head_first)[0], lambda i: pose(i)[None])
    with pytest.raises(ACLNetError, match='holds other, poses; say which by key='):
        converted(tmp_path, layout='kinect20', files=f'{FILES}.npz')
    with pytest.raises(ACLNetError, match="no array 'pose' of a usual size; it has other, poses"):
        converted(tmp_path, layout='kinect20', files=f'{FILES}.npz', key='pose')


@pytest.mark.parametrize('newline', ['\n', '\r\n'])
def test_csv(tmp_path, newline):
    rng = np.random.default_rng(0)

    def write(path, i):
        rows = [
            f'{100 + 2 * frame},{person},{joint},{x:.3f},{y:.3f},{z:.3f}'
            for person, shift in ((1, 0), (7, 1))
            for frame, joints in enumerate(pose(i) + shift)
            for joint, (x, y, z) in enumerate(joints)
        ]
        rng.shuffle(rows)
        path.with_suffix('.csv').write_bytes(newline.join(['frame,person,joint,x,y,z', *rows, '', '']).encode())

    save(tmp_path, write)
    content, _ = converted(tmp_path, layout='kinect20', files=f'{FILES}.csv')
    check_all(content, lambda i: np.stack([pose(i), pose(i) + 1]))


def people(i, joints, frame):
    """Two of them, the second surer."""
    rng = np.random.default_rng(100 * i + frame)
    poses = rng.random((2, joints, 3)) * [100, 100, 0.4]
    poses[1, :, 2] += 0.5
    return poses


def test_openpose_json_of_body25(tmp_path):
    def write(path, i):
        path.mkdir()
        for frame in (1, 2, 3, 10):
            found = [{'pose_keypoints_2d': p.ravel().tolist(), 'face_keypoints_2d': []} for p in people(i, 25, frame)]
            (path / f'clip_{frame}_keypoints.json').write_text(json.dumps({'people': [] if frame == 2 else found}))

    save(tmp_path, write)
    content, _ = converted(tmp_path, layout='openpose', files=FILES, format='openpose', size=[100, 200])
    chosen = [j for j in range(19) if j != 8]  # without the middle of the hips
    expected = lambda i: np.stack([people(i, 25, frame)[::-1, chosen] for frame in (1, 3, 10)], 1)  # noqa: E731
    check_all(content, lambda i: expected(i)[..., :2])
    first = next(a for a in content['annotations'] if a['frame_dir'] == 'wave_s1_1')
    assert np.allclose(first['keypoint_score'], expected(0)[..., 2], atol=1e-6)
    assert first['img_shape'] == (100, 200) == first['original_shape'] and first['total_frames'] == 3


@pytest.mark.parametrize('kind', ['coco', 'list', 'mmpose'])
def test_coco_json(tmp_path, kind):
    def person(p):
        if kind == 'mmpose':
            return {'keypoints': p[:, :2].tolist(), 'keypoint_scores': p[:, 2].tolist()}
        return {'keypoints': p.ravel().tolist(), 'category_id': 1}

    def write(path, i):
        path.mkdir()
        for frame in range(3):
            found = [person(p) for p in people(i, 17, frame)]
            content = {'coco': {'annotations': found}, 'list': found, 'mmpose': {'instances': found}}[kind]
            (path / f'{frame:06d}.json').write_text(json.dumps(content))

    save(tmp_path, write)
    content, _ = converted(tmp_path, layout='coco', files=FILES, format='coco', size=[100, 200], persons=1)
    check_all(content, lambda i: np.stack([people(i, 17, frame)[1:, :, :2] for frame in range(3)], 1))


def test_mediapipe_pictures_become_coco(tmp_path):
    rng = np.random.default_rng(0)
    landmarks = rng.random((4, 6, 33, 3))
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', landmarks[i]))
    content, _ = converted(
        tmp_path, layout='coco', files=f'{FILES}.npy', joints='mediapipe33', size=[480, 640], normalised=True
    )
    names = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    check_all(content, lambda i: landmarks[i][None, :, names, :2] * [640, 480])
    assert np.allclose(content['annotations'][0]['keypoint_score'], landmarks[2][None, :, names, 2])


def test_mediapipe_world_landmarks_keep_their_joints(tmp_path):
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', np.concatenate([pose(i, 33), np.ones((8 + i, 33, 1))], -1)))
    content, summary = converted(tmp_path, layout='mediapipe33', files=f'{FILES}.npy')
    check_all(content, lambda i: pose(i, 33)[None])
    assert summary.layout == 'mediapipe33'


def test_2d_without_scores(tmp_path):
    flat = lambda i: pose(i, 17)[..., :2] * (np.arange(17) != 3)[:, None]  # noqa: E731  joint 3 was not found
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', flat(i)))
    content, _ = converted(tmp_path, layout='coco', files=f'{FILES}.npy', size=[100, 200])
    assert converted(tmp_path, layout='coco', files=f'{FILES}.npy', size=[9, 9], channels='xy')[1].samples == 4
    with pytest.raises(ACLNetError, match='needs xys, has 2 values per joint'):
        converted(tmp_path, layout='coco', files=f'{FILES}.npy', size=[9, 9], channels='xys')
    score = content['annotations'][0]['keypoint_score']
    assert not score[..., 3].any() and np.delete(score, 3, -1).all()


def test_a_layout_of_ones_own(tmp_path):
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', pose(i, 13)))
    with pytest.raises(ACLNetError, match="no joint layout 'stick13'.*docs/extending.md declares it, needs num_joints"):
        converted(tmp_path, layout='stick13', files=f'{FILES}.npy')
    check_all(
        converted(tmp_path, layout='stick13', num_joints=13, files=f'{FILES}.npy')[0], lambda i: pose(i, 13)[None]
    )


def test_labels_from_a_file_and_declared_classes(tmp_path):
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', pose(i)), ['a', 'b', 'c', 'd'])
    labels = tmp_path / 'labels.csv'
    labels.write_text('subject,name,label\n1,a.npy,wave\n1,b,kick\n2,c,wave\n')
    declared = dict(layout='kinect20', files='{name}.npy', labels=str(labels), by='subject', val_subjects=('2',))
    content, summary = converted(tmp_path, **declared, classes=['wave', 'kick'])
    assert [a['label'] for a in content['annotations']] == [0, 1, 0]
    assert content['split'] == dict(train=['a', 'b'], val=['c']) and summary.dropped == {'no label': 1}
    content, summary = converted(tmp_path, **declared, classes=['wave'])
    assert summary.dropped == {'no label': 1, 'unknown class': 1}
    labels.write_text('a,wave\n')
    with pytest.raises(ACLNetError, match="must begin with a line of columns, 'name,label'"):
        converted(tmp_path, **declared)
    labels.write_text('name,label\na,wave,1\n')
    with pytest.raises(ACLNetError, match='labels.csv, line 2: needs 2 values, has 3'):
        converted(tmp_path, **declared)


def test_numbered_labels_are_sorted_as_numbers(tmp_path):
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', pose(i)), ['a10_s1', 'a2_s1', 'a1_s1'])
    content, _ = converted(tmp_path, layout='kinect20', files='a{label}_s{subject}.npy')
    assert [(a['frame_dir'], a['label']) for a in content['annotations']] == [('a1_s1', 0), ('a2_s1', 1), ('a10_s1', 2)]


@pytest.mark.parametrize(
    ('declared', 'says'),
    [
        (dict(), "needs 'layout'"),
        (dict(layout='kinect20'), "needs 'files'"),
        (dict(layuot='kinect20'), "'layuot'; did you mean 'layout'"),
        (dict(layout='kinect21', files='*.npy'), "no joint layout 'kinect21'; did you mean 'kinect20'"),
        (dict(layout='kinect20', files='*.txt'), "'format' of a custom source must be one of npy, npz, csv"),
        (dict(layout='kinect20', files='*.npy', format='mat'), "'format'"),
        (dict(layout='kinect20', files='*.npy', axes='TV'), "'axes'"),
        (dict(layout='kinect20', files='*.npy', scale='x'), "'scale' of a custom source must be a number above 0"),
        (dict(layout='kinect20', files='*.npy', joints=[0, 1]), 'each of the 20 joints of kinect20'),
        (dict(layout='kinect20', files='*.npy', joints='kinect'), "'joints'"),
        (dict(layout='kinect20', files='*.npy', joints='mediapipe33'), "must be 'coco', which mediapipe33 becomes"),
        (dict(layout='kinect20', files='*.npy', classes=['a', 'a']), 'a list of different names'),
        (dict(layout='kinect20', files='*.npy', num_joints=19), "'num_joints' of a custom source must be 20"),
        (dict(layout='coco', files='*.npy'), "need the pictures' size, such as size="),
        (dict(layout='coco', files='*.npy', size=[0, 3]), r"'size' of a custom source must be \[height, width\]"),
        (dict(layout='kinect20', files='{1}.npy'), 'must be a word such as {label}'),
        (dict(layout='kinect20', files='x*.npy'), 'no file below .* is like'),
        (dict(layout='coco', files='x*', format='coco', size=[9, 9]), 'no folder below .* is like'),
    ],
)
def test_declarations_that_make_no_sense(tmp_path, declared, says):
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', pose(i)))
    with pytest.raises(ACLNetError, match=says):
        converted(tmp_path, **declared)


def text(words):
    return lambda path: path.with_suffix('.csv').write_text(words)


HEAD = 'frame,joint,x,y,z\n'
ROWS = ''.join(f'0,{joint},1,2,3\n' for joint in range(20))
BAD = {
    'cut': ('npy', lambda path: np_cut(path), 'no whole .npy file'),
    'pickled': ('npy', lambda path: np.save(f'{path}.npy', np.array([{}])), 'no whole .npy file'),
    'text': ('npy', lambda path: path.with_suffix('.npy').write_text('hello'), 'no whole .npy file'),
    'promises': ('npy', lambda path: np_promise(path), 'no whole .npy file'),
    'dimensions': ('npy', lambda path: np.save(f'{path}.npy', np.zeros((3, 20))), 'with the axes TVC or MTVC'),
    'joints': ('npy', lambda path: np.save(f'{path}.npy', np.ones((3, 19, 3))), 'has 20 joints, the file 19'),
    'channels': ('npy', lambda path: np.save(f'{path}.npy', np.ones((3, 20, 2))), 'needs 3 coordinates per joint'),
    'nan': ('npy', lambda path: np.save(f'{path}.npy', np.full((3, 20, 3), np.nan)), 'must be finite numbers'),
    'words': ('npy', lambda path: np.save(f'{path}.npy', np.full((3, 20, 3), 'a')), 'must be an array of numbers'),
    'empty': ('npy', lambda path: np.save(f'{path}.npy', np.zeros((0, 20, 3))), None),
    'zeros': ('npy', lambda path: np.save(f'{path}.npy', np.zeros((3, 20, 3))), None),
    'persons': ('npy', lambda path: np.save(f'{path}.npy', np.ones((1001, 1, 20, 3))), 'check axes'),
    'no zip': ('npz', lambda path: path.with_suffix('.npz').write_text('hello'), 'no whole .npz file'),
    'no columns': ('csv', text(ROWS), 'line 1: the first line must name the columns'),
    'no rows': ('csv', text(HEAD), None),
    'row': ('csv', text(HEAD + ROWS + '1,2\n'), 'line 22: needs 5 numbers, has 2'),
    'word': ('csv', text(HEAD + ROWS + '1,2,x,3,4\n'), "line 22: 'x' is no number"),
    'joint': ('csv', text(HEAD + ROWS + '1,-2,1,3,4\n'), 'line 22: joint must be a whole number'),
    'far joint': ('csv', text(HEAD + ROWS + '1,20,1,3,4\n'), "'kinect20' has 20 joints, the file 21"),
    'huge': ('csv', text(HEAD + '99999999999,10000,1,3,4\n'), 'has 20 joints, the file 10001'),
}  # fmt: skip


def np_cut(path):
    np.save(f'{path}.npy', pose(0))
    content = path.with_suffix('.npy').read_bytes()
    path.with_suffix('.npy').write_bytes(content[:-9])


def np_promise(path):
    np.save(f'{path}.npy', pose(0))
    content = path.with_suffix('.npy').read_bytes()
    path.with_suffix('.npy').write_bytes(content.replace(b'(8, 20, 3), }         ', b'(80000000000, 20, 3), }', 1))


@pytest.mark.parametrize('name', list(BAD))
def test_damaged_files(tmp_path, name):
    ending, write, says = BAD[name]
    write_good = {
        'npy': lambda path: np.save(f'{path}.npy', pose(0)),
        'npz': lambda path: np.savez(f'{path}.npz', pose(0)),
        'csv': text(HEAD + ROWS),
    }[ending]
    save(tmp_path, lambda path, i: (write if i else write_good)(path), ['a_1', 'b_1'])
    _, summary = converted(tmp_path, layout='kinect20', files=f'{{label}}_*.{ending}')
    ((sentence,),) = summary.examples.values()
    assert summary.samples == 1 and (says or 'no body in any frame') in sentence, sentence


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', 'a person needs x, y and score'),
        ('{"people": [3]}', 'a person needs x, y and score'),
        ('{"people": 3}', 'must have a list people'),
        ('{"people": [', 'cut short or damaged'),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', 'have (1, 3), (18, 3) joints'),
        (None, 'has no .json file'),
    ],
)
def test_broken_frames(tmp_path, content, says):
    good = json.dumps({'people': [{'pose_keypoints_2d': np.ones(54).tolist()}]})

    def write(path, i):
        path.mkdir()
        if i == 0 or content is not None:
            (path / '0_keypoints.json').write_text(good)
            (path / '1_keypoints.json').write_text(content if i else good)

    save(tmp_path, write, ['a_1', 'b_1'])
    _, summary = converted(tmp_path, layout='openpose', files='{label}_*', format='openpose', size=[9, 9])
    ((sentence,),) = summary.examples.values()
    assert summary.samples == 1 and says in sentence, sentence


def test_a_declaration_in_a_file(tmp_path):
    save(tmp_path, lambda path, i: np.save(f'{path}.npy', pose(i)))
    words = ['custom', tmp_path / 'raw', tmp_path / 'out.pkl', '--workers', 1, '--declare']
    (tmp_path / 'mine.yaml').write_text(f"layout: kinect20\nfiles: '{FILES}.npy'\nclasses: [wave, kick]\n")
    (tmp_path / 'mine.json').write_text(json.dumps(dict(layout='kinect20', files=f'{FILES}.npy')))
    for file, label in (('mine.yaml', 0), ('mine.json', 1)):
        tool('data/convert', *words, tmp_path / file)
        assert load_pickle(tmp_path / 'out.pkl')['annotations'][-1]['label'] == label
    tool('data/convert', *words, tmp_path / 'mine.json', 'classes=[wave,kick]', 'scale=2')
    assert np.allclose(load_pickle(tmp_path / 'out.pkl')['annotations'][0]['keypoint'], pose(2)[None] * 2)
    for wrong, says in (
        ('none.yaml', 'does not exist'),
        ('a=[', 'must be YAML or JSON'),
        ('list.yaml', 'keys and values'),
    ):
        (tmp_path / 'list.yaml').write_text('[1]')
        with pytest.raises(ACLNetError, match=says):
            tool('data/convert', *words, wrong if '=' in wrong else tmp_path / wrong)
