"""Data sets with one fault each: for every check, what makes it find something, and it alone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.made import annotations

__all__ = ['FAULTS', 'flat', 'in_raw_files', 'mhad']


def mhad() -> dict:
    """A stand-in for UTD-MHAD: its identifiers, labels, splits and lengths; the poses are noise."""
    rng = np.random.default_rng(0)
    lost = {'a08_s01_t04', 'a23_s06_t04', 'a27_s08_t04'}
    items = []
    for action in range(1, 28):
        for subject in range(1, 9):
            for trial in range(1, 5):
                name = f'a{action:02}_s{subject:02}_t{trial:02}'
                pose = rng.normal(0, 1, (1, 41, 20, 3)).astype(np.float16)
                if name not in lost:
                    items.append(dict(frame_dir=name, label=action - 1, total_frames=41, keypoint=pose))
    names = [item['frame_dir'] for item in items]
    return dict(
        split=dict(
            xsub_train=[name for name in names if int(name[5:7]) % 2],
            xsub_val=[name for name in names if not int(name[5:7]) % 2],
        ),
        annotations=items,
    )


def flat() -> dict:
    """2D poses with scores, in images of 200 × 300."""
    content = annotations(joints=17)
    rng = np.random.default_rng(0)
    for item in content['annotations']:
        shape = item['keypoint'].shape[:-1]
        item['keypoint'] = rng.uniform(0, (300, 200), (*shape, 2)).astype(np.float32)
        item['keypoint_score'] = rng.uniform(0, 1, shape).astype(np.float32)
        item['img_shape'] = (200, 300)
    return content


def in_raw_files(folder: Path) -> dict:
    """Annotations as those of Kinetics, their poses in ``folder / 'raw.pkl'``."""
    content = annotations()
    rng = np.random.default_rng(0)
    poses = {}
    for item in content['annotations']:
        del item['keypoint']
        count = item['total_frames']
        item.update(raw_file='raw.pkl', img_shape=(200, 300), box_score=np.ones(count, np.float32))
        keypoint = rng.uniform(0, 200, (count, 17, 3)).astype(np.float16)
        poses[item['frame_dir']] = dict(keypoint=keypoint, frame_inds=np.arange(count))
    (folder / 'raw.pkl').write_bytes(pickle.dumps(poses))
    return content


def _of(content: Callable[[], dict], change: Callable[[dict, list], object]) -> Callable[[], dict]:
    def made() -> dict:
        found = copy.deepcopy(content())
        change(found['split'], found['annotations'])
        return found

    return made


def _plain(change: Callable[[dict, list], object]) -> Callable[[], dict]:
    return _of(annotations, change)


def _pose(change: Callable[[np.ndarray], object]) -> Callable[[], dict]:
    """A change of the first sample's keypoint, (1, T, 20, 3)."""
    return _plain(lambda split, items: change(items[0]['keypoint']))


def _replaced(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], dict]:
    return _plain(lambda split, items: items[0].update(keypoint=change(items[0]['keypoint'])))


def _late(keypoint: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros_like(keypoint), keypoint])


def _shrunk(split: dict, items: list) -> None:
    items[0].update(keypoint=items[0]['keypoint'][:, :4], total_frames=4)


def _renamed(split: dict, items: list) -> None:
    split['xsub_train'][0] = items[0]['frame_dir'] = 'one'


def _other_class(split: dict, items: list) -> None:
    """Sample 1 has the poses of sample 0."""
    items[1].update(keypoint=items[0]['keypoint'], total_frames=items[0]['total_frames'])


def _same_class(split: dict, items: list) -> None:
    items[3].update(keypoint=items[0]['keypoint'], total_frames=items[0]['total_frames'])


def _of_val(split: dict, items: list) -> None:
    items[21].update(keypoint=items[0]['keypoint'], total_frames=items[0]['total_frames'])


def _rare(split: dict, items: list) -> None:
    """Class 2 in one training sample, classes 0 and 1 in many."""
    more = [dict(items[0], frame_dir=f'more{n}', keypoint=items[0]['keypoint'] + n + 1) for n in range(25)]
    items[:] = [item for item in items if item['label'] != 2 or item['frame_dir'] == 'sample002'] + more
    names = {item['frame_dir'] for item in items}
    for name in split:
        split[name] = [member for member in split[name] if member in names]
    split['xsub_train'] += [item['frame_dir'] for item in more]


def _unlearned(split: dict, items: list) -> None:
    for item in items[21:]:
        item['label'] += 1 if item['label'] == 2 else 0  # class 3 is tested only
    items[2]['label'] = 2


def _wide(split: dict, items: list) -> None:
    for item in items:
        item['img_shape'] = (300, 200)


def _mhad(change: Callable[[dict, list], object]) -> Callable[[], dict]:
    return _of(mhad, change)


def _dropped(split: dict, items: list) -> None:
    name = items.pop(0)['frame_dir']
    for members in split.values():
        members[:] = [member for member in members if member != name]


def _one_fewer(split: dict, items: list) -> None:
    name = items[0]['frame_dir']
    items[0]['frame_dir'] = 'a01_s02_t09'  # an even subject's: as many samples, but another division
    split['xsub_train'].remove(name)
    split['xsub_val'].append('a01_s02_t09')


def _swapped_sides(split: dict, items: list) -> None:
    one, other = split['xsub_train'][0], split['xsub_val'][0]
    split['xsub_train'][0], split['xsub_val'][0] = other, one


def _relabelled(split: dict, items: list) -> None:
    items[0]['label'], items[-1]['label'] = items[-1]['label'], items[0]['label']


#: check → what makes it find something: (content, benchmark)
FAULTS: dict[str, tuple[Callable[[], dict], str | None]] = {
    'keys': (_plain(lambda s, a: a[0].update(box_score='high')), None),
    'identifiers': (_plain(lambda s, a: a.append(dict(a[0], keypoint=a[0]['keypoint'] + 1))), None),
    'total_frames': (_plain(lambda s, a: a[0].update(total_frames=99)), None),
    'split_form': (_plain(lambda s, a: s.update(xsub_test=[])), None),
    'split_members': (_plain(lambda s, a: s['xsub_train'].append('nobody')), None),
    'split_overlap': (_plain(lambda s, a: s['xsub_val'].append(s['xsub_train'][0])), None),
    'split_coverage': (_plain(lambda s, a: s['xsub_val'].pop()), None),
    'label_range': (_plain(lambda s, a: a[0].update(label=-1)), None),
    'class_gaps': (_plain(lambda s, a: [i.update(label=3) for i in a if i['label'] == 2]), None),
    'untrained_classes': (_plain(_unlearned), None),
    'class_balance': (_plain(_rare), None),
    'missing': (_plain(lambda s, a: a[0].pop('keypoint')), None),
    'joints': (_replaced(lambda keypoint: keypoint[:, :, :17]), None),
    'finite': (_pose(lambda keypoint: keypoint.__setitem__((0, 1, 2, 0), np.inf)), None),
    'empty_samples': (_plain(lambda s, a: a[0].update(keypoint=np.ones((0, a[0]['total_frames'], 20, 3)))), None),
    'zero': (_pose(lambda keypoint: keypoint.fill(0)), None),
    'empty_frames': (_pose(lambda keypoint: keypoint[0, 1].fill(0)), None),
    'persons': (_replaced(lambda keypoint: np.repeat(keypoint, 3, axis=0)), None),
    'leader': (_replaced(_late), None),
    'lengths': (_plain(_shrunk), None),
    'unit': (_pose(lambda keypoint: keypoint.__imul__(1000)), None),
    'scores': (_of(flat, lambda s, a: a[0].pop('keypoint_score')), None),
    'score_range': (_of(flat, lambda s, a: a[0]['keypoint_score'].__imul__(100)), None),
    'img_shape': (_of(flat, lambda s, a: a[0].update(img_shape=(0, 200))), None),
    'swapped': (_of(flat, _wide), None),
    'copies': (_plain(_same_class), None),
    'copies_of_other_class': (_plain(_other_class), None),
    'copies_across_splits': (_plain(_of_val), None),
    'expected_samples': (_mhad(lambda s, a: a.append(dict(a[0], frame_dir='a01_s01_t05'))), 'utd_mhad'),
    'expected_splits': (_mhad(_one_fewer), 'utd_mhad'),
    'expected_names': (_mhad(_renamed), 'utd_mhad'),
    'expected_labels': (_mhad(_relabelled), 'utd_mhad'),
    'official_splits': (_mhad(_swapped_sides), 'utd_mhad'),
    'expected_frames': (
        _mhad(lambda s, a: a[0].update(total_frames=40, keypoint=a[0]['keypoint'][:, :40])),
        'utd_mhad',
    ),
}
