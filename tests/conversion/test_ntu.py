"""NTU RGB+D: text, tracks, denoising and the official splits."""

from __future__ import annotations

import numpy as np
import pytest

from aclnet.benchmarks import BENCHMARKS
from aclnet.conversion import Options, convert
from aclnet.conversion.bodies import Track, denoise, merge
from aclnet.errors import ACLNetError
from aclnet.files import load_pickle
from tests.conversion.raw import body, ntu, ntu_set

NAME = 'S001C002P003R002A013'
BIG = 72057594037931101  # beyond 2**53, as real ids are


def converted(folder, source='ntu60', out='out.pkl', **options):
    path = str(folder / out)
    summary = convert(source, str(folder / 'raw'), path, Options(**options), workers=1, progress=False)
    return load_pickle(path), summary


def one(folder, frames, **options):
    """The annotation of one recording."""
    ntu(folder / 'raw' / f'{NAME}.skeleton', frames)
    return converted(folder, **options)[0]['annotations'][0]


@pytest.mark.parametrize('newline', ['\n', '\r\n'])
def test_one_body(tmp_path, newline):
    joints = body(30)
    ntu(tmp_path / 'raw' / f'{NAME}.skeleton', [{BIG: joint} for joint in joints], newline)
    content, summary = converted(tmp_path)
    (annotation,) = content['annotations']
    assert annotation['frame_dir'] == NAME and annotation['label'] == 12 and annotation['total_frames'] == 30
    assert annotation['keypoint'].dtype == np.float16
    assert np.array_equal(annotation['keypoint'], joints[None].astype(np.float16))
    assert content['split'] == dict(xsub_train=[], xsub_val=[NAME], xview_train=[NAME], xview_val=[])
    assert summary.samples == 1 and "split 'xsub_train' is empty" in str(summary)


def test_ids_that_float64_cannot_tell_apart_are_two_bodies(tmp_path):
    first, second = body(20, seed=1), body(20, seed=2, move=2) + [1, 0, 0]
    assert float(BIG) == float(BIG + 1)
    annotation = one(tmp_path, [{BIG: a, BIG + 1: b} for a, b in zip(first, second)])
    assert annotation['keypoint'].shape == (2, 20, 25, 3)
    assert np.array_equal(annotation['keypoint'][0], second.astype(np.float16))  # it moves more


def test_a_body_whose_id_changes_stays_one_person(tmp_path):
    joints = body(40)
    frames = [{BIG if i < 22 else 7: joint} for i, joint in enumerate(joints)]
    assert np.array_equal(one(tmp_path, frames)['keypoint'], joints[None].astype(np.float16))


def test_frames_without_a_body_are_left_out(tmp_path):
    joints = body(20)
    frames = [{} if i in (0, 5, 19) else {BIG: joint} for i, joint in enumerate(joints)]
    annotation = one(tmp_path, frames)
    assert annotation['total_frames'] == 17
    assert np.array_equal(annotation['keypoint'][0], joints[[*range(1, 5), *range(6, 19)]].astype(np.float16))


def wide(frames):
    """A thing: it lies."""
    return body(frames, seed=3, move=3)[..., [1, 0, 2]]


@pytest.mark.parametrize(
    ('other', 'persons'),
    [
        (body(20, seed=5), 2),
        (body(11, seed=5), 1),  # too short
        (body(12, seed=5), 2),
        (wide(20), 1),
        (body(20, seed=5, move=0) * [1, 0.05, 1], 1),  # hardly larger than a chair's back, and still
    ],
)
def test_noise_is_no_person(tmp_path, other, persons):
    frames = [{1: joint} for joint in body(20, move=2)]
    for i, joint in enumerate(other):
        frames[i][2] = joint
    assert len(one(tmp_path, frames)['keypoint']) == persons
    assert len(one(tmp_path, frames, out='all.pkl', denoise=False)['keypoint']) == 2


def test_a_short_track_alone_is_kept():
    alone = Track(np.arange(5), body(5))
    assert denoise([alone]) == [alone]
    lying = [Track(np.arange(20), wide(20)), Track(np.arange(25), wide(25))]
    assert denoise(lying) == [lying[1]]


def test_a_third_body_finds_no_place():
    tracks = [Track(np.arange(20), body(20, seed=i)) for i in range(3)] + [Track(np.arange(20, 30), body(10, seed=4))]
    keypoint = merge(tracks, 32)
    assert keypoint.shape == (2, 32, 25, 3) and not keypoint[:, 30:].any()
    assert np.array_equal(keypoint[0, 20:30], tracks[3].joints) and not keypoint[1, 20:30].any()
    assert np.array_equal(keypoint[1, :20], tracks[1].joints)


def test_official_splits(tmp_path):
    subjects_60, subjects_120 = (BENCHMARKS[name].protocols['xsub'].train for name in ('ntu60', 'ntu120'))
    assert len(subjects_60) == 20 and len(subjects_120) == 53 and subjects_60 < subjects_120
    paths = ntu_set(tmp_path / 'raw')
    split = converted(tmp_path)[0]['split']
    names = sorted(path.stem for path in paths)
    assert split['xsub_train'] == [name for name in names if int(name[9:12]) in (1, 2, 4, 5)]
    assert split['xview_val'] == [name for name in names if name[5:8] == '001']
    split = converted(tmp_path, 'ntu120', 'out120.pkl')[0]['split']
    assert split['xset_train'] == [name for name in names if name[:4] == 'S002']
    assert sorted(split['xset_train'] + split['xset_val']) == names and set(split) == {
        'xsub_train', 'xsub_val', 'xset_train', 'xset_val',
    }  # fmt: skip


# ---- what is dropped, and what is said of it
def cut(text):
    return text[: len(text) // 2].rpartition('\r\n')[0]


def changed(line, to):
    def change(text):
        lines = text.split('\r\n')
        lines[line - 1] = to(lines[line - 1])
        return '\r\n'.join(lines)

    return change


BAD = {
    'empty': (lambda text: '', 'the file is empty'),
    'blank': (lambda text: '\r\n\r\n', 'the file is empty'),
    'cut between lines': (cut, 'lines, within a frame'),
    'cut in a line': (lambda text: text[:-40], ', line 561: needs 12 numbers, has'),
    'no frames': (lambda text: 'hello' + text[2:], 'line 1: a number of frames up to 1,000,000 must stand here'),
    'many frames': (lambda text: '99999999' + text[2:], 'line 1: a number of frames'),
    'more frames than lines': (lambda text: '21' + text[2:], 'within a frame'),
    'fewer frames than lines': (lambda text: '19' + text[2:], 'line 534: the file has 19 frames, but more lines'),
    'many bodies': (changed(2, lambda line: '123456'), 'line 2: a number of bodies up to 1,000'),
    'negative bodies': (changed(2, lambda line: '-1'), "line 2: a number of bodies up to 1,000 must stand here, got"),
    'body fields': (changed(3, lambda line: '1 2 3'), 'line 3: a body has 10 fields, got 3'),
    'joints': (changed(4, lambda line: '20'), 'line 4: a body must have 25 joints'),
    'values': (changed(7, lambda line: line + ' 1'), 'line 7: needs 12 numbers, has 13'),
    'word': (changed(7, lambda line: 'x ' + line.partition(' ')[2]), "line 7: 'x' is no number"),
    'underscore': (changed(7, lambda line: '1_5 ' + line.partition(' ')[2]), "line 7: '1_5' is no number"),
    'nan': (changed(8, lambda line: 'NaN ' + line.partition(' ')[2]), 'line 8: a joint is NaN or infinite'),
    'huge': (changed(8, lambda line: '1e9 ' + line.partition(' ')[2]), 'must be finite numbers'),
    'bytes': (lambda text: '\0\x01' + text, 'a number of frames'),
}  # fmt: skip


@pytest.mark.parametrize('name', list(BAD))
def test_damaged_files(tmp_path, name):
    damage, says = BAD[name]
    good = ntu_set(tmp_path / 'raw', 1)[0]
    path = tmp_path / 'raw' / f'{NAME}.skeleton'
    text = ntu(path, [{BIG: joints} for joints in body(20)])
    path.write_bytes(damage(text).encode())
    content, summary = converted(tmp_path)
    assert [annotation['frame_dir'] for annotation in content['annotations']] == [good.stem]
    assert sum(summary.dropped.values()) == 1
    ((sentence,),) = summary.examples.values()
    assert says in sentence and sentence.startswith(str(path)) and sentence in str(summary)
    with pytest.raises(ACLNetError, match='leave out --strict') as error:
        convert('ntu60', str(tmp_path / 'raw'), str(tmp_path / 'x.pkl'), workers=1, strict=True, progress=False)
    assert says in str(error.value) and not (tmp_path / 'x.pkl').exists()


def test_what_is_left_out_on_purpose_is_no_error(tmp_path):
    names = [path.stem for path in ntu_set(tmp_path / 'raw', 3)]
    ntu(tmp_path / 'raw' / 'S001C001P001R001A007.skeleton', [{}] * 5)
    ntu(tmp_path / 'raw' / 'S001C001P001R001A008.skeleton', [])
    ntu(tmp_path / 'raw' / 'S001C001P001R001A061.skeleton', [{1: joints} for joints in body()])
    (tmp_path / 'missing.txt').write_text(f'{names[0]}.skeleton\r\n\r\nS017C003P020R002A060\r\n')
    out = str(tmp_path / 'out.pkl')
    options = Options(missing=str(tmp_path / 'missing.txt'))
    summary = convert('ntu60', str(tmp_path / 'raw'), out, options, workers=1, strict=True, progress=False)
    assert summary.samples == 2 and summary.dropped == {
        'listed as missing': 1, 'no body in any frame': 1, 'no frames': 1, 'action beyond the 60 of ntu60': 1,
    }  # fmt: skip
    assert '56,880 recordings, 302' in str(summary)
    assert convert('ntu120', str(tmp_path / 'raw'), out, workers=1, progress=False).samples == 4
