"""Batches made on the device, against those of the workers, sample by sample."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmcv import Config
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from aclnet.datasets import ConcatDataset, DeviceLoader, PoseDataset, RepeatDataset, build_dataloader
from aclnet.datasets.annotations import Store
from aclnet.datasets.device.resident import Resident
from aclnet.datasets.transforms import STREAMS, Flip, RandomRot
from aclnet.errors import ACLNetError
from aclnet.registry import TRANSFORMS
from tests.datasets.odd import cases
from tests.datasets.samples import annotation_file, kinetics_files, sample_2d, sample_3d, write
from tests.datasets.test_broken import BROKEN
from tests.datasets.test_broken import annotation_file as broken_file
from tests.datasets.test_loaders import PIPELINE
from tests.oracles import pipelines as oracle

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
LENGTHS = [1, 2, 8, 9, 10, 17, 18, 31]  # of samples, about clips of 9 frames: looped, thinned out, spread
CLIP = 9
CPU = torch.device('cpu')
JOINTS = dict(finegym=17, nw_ucla=20, utd_mhad=20)
HERE = [one for one in sorted(CONFIGS.glob('*/*.py')) if one.parent.name not in ('_base_', 'k400')]


def pipeline_of(path, phase, clips=None):
    """The pipeline of a config with clips of 9 frames."""
    steps = Config.fromfile(str(path)).data[phase].pipeline
    return [dict(step, clip_len=CLIP) if 'clip_len' in step else dict(step) for step in steps]


def samples(rng, kind, count=10, dtype=np.float16, gaps=True, persons=3):
    """Annotations of every way of sampling, with missing persons, frames and joints."""
    made = []
    for i in range(count):
        size = dict(persons=int(rng.integers(1, persons + 1)), frames=LENGTHS[i % len(LENGTHS)], dtype=dtype)
        if kind == 'finegym':
            made.append(sample_2d(rng, **size, name=f'clip{i}'))
        else:
            made.append(sample_3d(rng, **size, name=f'clip{i}', gaps=gaps, joints=JOINTS.get(kind, 25)))
        made[-1]['label'] = i % 4
    if kind != 'finegym':
        made[-1]['keypoint'][:] = 0  # nobody at all
    return made


def both(dataset, batch=4, seed=3, **options):
    """The loaders by workers (none: in this process) and on the device."""
    alone = build_dataloader(dataset, batch, 0, seed=seed, **options)
    together = build_dataloader(dataset, batch, 0, seed=seed, loader='device', **options)
    assert isinstance(together, DeviceLoader) and not isinstance(alone, DeviceLoader)
    return alone, together


def assert_same(alone, together, epochs=(1, 2), start=0):
    """The same batches: keys, labels, shapes, dtypes, and numbers to 1e-6 of the largest."""
    count = 0
    for epoch in epochs:
        alone.set_epoch(epoch, start), together.set_epoch(epoch, start)
        for one, other in itertools.zip_longest(alone, together):
            assert list(one) == list(other)
            for key, value in one.items():
                assert value.dtype == other[key].dtype and value.shape == other[key].shape
                torch.testing.assert_close(other[key], value, rtol=0, atol=1e-6 * max(1, float(value.abs().max())))
            count += 1
    assert count == len(epochs) * (len(alone) - start)


@pytest.mark.parametrize('path', HERE, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_every_config(tmp_path, path):
    made = write(tmp_path / 'a.pkl', samples(np.random.default_rng(0), path.parent.name))
    for phase in ('train', 'val', 'test'):
        dataset = PoseDataset(made, pipeline_of(path, phase), test_mode=phase != 'train')
        assert_same(*both(dataset, shuffle=phase == 'train'))


@cases(15)
@given(
    data=st.data(),
    kind=st.sampled_from(['ntu60_xsub', 'pku_mmd_xsub', 'finegym']),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    gaps=st.booleans(),
    interval=st.sampled_from([1, 0.5, (0.3, 1)]),
    clips=st.integers(1, 3),
    num_person=st.integers(1, 4),
    mode=st.sampled_from(['zero', 'loop']),
    spine=st.booleans(),
    seed=st.sampled_from([0, 5, 2**40]),
    choices=st.integers(0, 2**31),
)
def test_odd_samples_and_arguments(
    tmp_path_factory, data, kind, dtype, gaps, interval, clips, num_person, mode, spine, seed, choices
):
    rng = np.random.default_rng(choices)
    path = tmp_path_factory.mktemp('odd') / 'a.pkl'
    write(path, samples(rng, kind, int(rng.integers(1, 12)), dtype, gaps))
    steps = pipeline_of(CONFIGS / kind / f'{data.draw(st.sampled_from(STREAMS))}.py', 'train')
    for step in steps:
        step.update(
            dict(
                UniformSampleDecode=dict(p_interval=interval, num_clips=clips),
                UniformSampleFrames=dict(p_interval=interval, num_clips=clips),
                FormatGCNInput=dict(num_person=num_person, mode=mode),
                PreNormalize3D=dict(align_spine=spine),
                PartDrop=dict(p=0.7),
            ).get(step['type'], {})
        )
    assert_same(*both(PoseDataset(str(path), steps), seed=seed), epochs=(1, 2**33))


STEPS = [
    [dict(type='GenSkeFeat', feats=['j', 'bm', 'k'])],
    [dict(type='JointToBone', target='bone'), dict(type='MergeSkeFeat', feat_list=['keypoint', 'bone'])],
    [dict(type='JointToKB'), dict(type='ToMotion'), dict(type='MergeSkeFeat', feat_list=['motion'])],
    [dict(type='Rename', mapping=dict(keypoint='a', b='c')), dict(type='Rename', mapping=dict(a='keypoint'))],
    [dict(type='SpatialFlip', p=1.0), dict(type='PartDrop', p=1.0)],
    [dict(type='PoseDecode')],
]


@pytest.mark.parametrize('steps', STEPS, ids=lambda steps: steps[0]['type'])
@pytest.mark.parametrize('before', [True, False])
def test_steps_that_no_config_takes(tmp_path, steps, before):
    """Before the frames are sampled, and after it."""
    made = write(tmp_path / 'a.pkl', samples(np.random.default_rng(0), 'ntu'))
    sampling = [dict(type='UniformSampleDecode', clip_len=CLIP, num_clips=2)]
    between = steps + sampling if before else sampling + steps
    whole = [*PIPELINE[:2], *between, *ending(), dict(type='ToTensor', keys=['label'])]
    assert_same(*both(PoseDataset(made, whole)))


def ending(num_person=2):
    return [
        dict(type='FormatGCNInput', num_person=num_person),
        dict(type='Collect', keys=['keypoint', 'label']),
        dict(type='ToTensor', keys=['keypoint']),
    ]


CLIPS = [*PIPELINE[:4], *ending(1)]


@pytest.mark.parametrize('persons', [1, 2])
def test_two_dimensions_are_turned_too(tmp_path, persons):
    made = [sample_2d(np.random.default_rng(i), persons, 12, name=f'clip{i}') for i in range(5)]
    path = write(tmp_path / 'a.pkl', made)
    steps = [dict(type='UniformSampleFrames', clip_len=CLIP), dict(type='RandomRot'), dict(type='PoseDecode')]
    assert_same(*both(PoseDataset(path, [*steps, *ending()])))


def test_the_oracle(tmp_path):
    """Not only what the workers make, but what the formulas say."""
    made = samples(np.random.default_rng(0), 'ntu')[:-1]
    path = write(tmp_path / 'a.pkl', made)
    steps = pipeline_of(CONFIGS / 'ntu60_xsub' / 'bm.py', 'train')
    _, together = both(PoseDataset(path, steps), shuffle=False, seed=11)
    together.set_epoch(5)
    got = torch.cat([batch['keypoint'] for batch in together])
    for index, sample in enumerate(made):
        rng = np.random.default_rng((11, 5, index))
        expected = oracle.ntu(sample['keypoint'], 'bm', rng, 'spatial_flip', clip_len=CLIP)
        np.testing.assert_allclose(got[index], expected, atol=1e-5)


def test_wrapped_and_weighted(tmp_path):
    one, two = (PoseDataset(annotation_file(tmp_path / name, seed=i), CLIPS) for i, name in enumerate('ab'))
    assert_same(*both(RepeatDataset(ConcatDataset([one, RepeatDataset(two, 2)]), 2), batch=7))
    weighted = PoseDataset(str(tmp_path / 'a'), CLIPS, class_prob=[2, 1.5, 0.5, 0])
    assert_same(*both(weighted, drop_last=True))


def test_several_labels(tmp_path):
    made = samples(np.random.default_rng(0), 'ntu')
    for sample in made:
        sample['label'] = [sample['label'], 5]
    path = write(tmp_path / 'a.pkl', made)
    assert_same(*both(PoseDataset(path, [*PIPELINE[:2], *STEPS[0], *CLIPS[3:]], multi_class=True, num_classes=6)))


def test_a_packed_store(tmp_path):
    path = write(tmp_path / 'a.pkl', samples(np.random.default_rng(0), 'ntu'))
    steps = pipeline_of(CONFIGS / 'ntu60_xsub' / 'km.py', 'train')
    packed = PoseDataset(path, steps, pack=True)
    assert isinstance(packed._file, Store)
    assert_same(build_dataloader(PoseDataset(path, steps, pack=False), 4, 0, seed=3), both(packed)[1])


def test_two_ranks_load_the_batches_of_one(tmp_path):
    dataset = PoseDataset(annotation_file(tmp_path / 'a.pkl', count=14), CLIPS)
    whole = build_dataloader(dataset, 4, 0, seed=3)
    parts = [both(dataset, 2, num_replicas=2, rank=rank)[1] for rank in (0, 1)]
    for batch, *halves in zip(whole, *parts, strict=True):
        torch.testing.assert_close(batch['keypoint'], torch.cat([half['keypoint'] for half in halves]))


def test_beginning_in_the_middle(tmp_path):
    assert_same(*both(PoseDataset(annotation_file(tmp_path / 'a.pkl'), CLIPS)), epochs=(2,), start=2)


def test_batches_made_several_at_a_time(tmp_path):
    """As on a GPU."""
    alone, together = both(PoseDataset(annotation_file(tmp_path / 'a.pkl', count=23), CLIPS), batch=3)
    together.together = 4
    assert_same(alone, together)


def test_what_does_not_fit_stays_in_the_hosts_memory(tmp_path, caplog):
    """The CPU by another name stands for a device with its own memory."""
    caplog.set_level(logging.INFO, 'aclnet')
    dataset = PoseDataset(annotation_file(tmp_path / 'a.pkl', dtype=np.float16), CLIPS)
    size = 12 * 8 * 20 * 3 * 2  # bytes
    for limit, place in ((None, 'cpu'), (size, 'cpu'), (size - 1, "the host's memory")):
        caplog.clear()
        alone, _ = both(dataset)
        together = build_dataloader(dataset, 4, 0, loader='device', device=torch.device('cpu', 0), device_bytes=limit)
        assert (together.resident.place == together.resident.device) == (limit != size - 1)
        assert_same(alone, together)
        assert f': {size / 1e6:.1f} MB of frames' in caplog.text and place in caplog.text.splitlines()[-1]
        assert together.resident._fields['keypoint'].dtype == torch.float16


class Own:
    """A transform of somebody else's."""

    def __call__(self, sample):
        return sample


class Changed(RandomRot):
    """A transform that inherits a batched form, which need not be its own."""

    def __call__(self, sample):
        return sample


class Wrong(Own):
    """A batched form that does something else."""

    def batched(self, clips):
        clips['keypoint'] = clips['keypoint'] + 1


OTHERS = {
    'Own has no batched form': [Own(), *CLIPS],
    '<lambda> has no batched form': [lambda sample: sample, *CLIPS],
    'Changed has no batched form': [Changed(), *CLIPS],
    'Collect with these arguments has no batched form': PIPELINE,
    'GenSkeFeat with these arguments has no batched form': [
        dict(type='GenSkeFeat', dataset='kinect20', feats=['j', 'b'], axis=0), *CLIPS[3:]
    ],
    'PreNormalize3D has no batched form': [CLIPS[1], CLIPS[0], *CLIPS[2:]],
    'keypoint of sample clip000 differs from what its transforms make': [CLIPS[0], Wrong(), *CLIPS[1:]],
    'the pipeline collects': CLIPS[:-2],
}  # fmt: skip


@pytest.mark.parametrize('words', OTHERS)
def test_workers_take_over(tmp_path, caplog, words):
    dataset = PoseDataset(annotation_file(tmp_path / 'a.pkl'), OTHERS[words])
    loader = build_dataloader(dataset, 4, 0, loader='device')
    assert not isinstance(loader, DeviceLoader)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert words in record.getMessage() and record.getMessage().startswith('PoseDataset(')


def test_workers_take_over_other_data(tmp_path, caplog):
    one, other = (PoseDataset(annotation_file(tmp_path / name), CLIPS[i:]) for i, name in enumerate('ab'))
    path, _ = kinetics_files(tmp_path)
    kinetics = PoseDataset(path, pipeline_of(CONFIGS / 'k400' / 'j.py', 'train'))
    raw = PoseDataset(path, CLIPS)
    own = type('Own', (PoseDataset,), {})(str(tmp_path / 'a'), CLIPS)
    for dataset, words in (
        (ConcatDataset([one, other]), 'its parts have several pipelines'),
        (kinetics, 'DecompressPose has no batched form'),
        (raw, 'its annotations hold no poses'),
        (own, 'Own has no batched form'),
    ):
        caplog.clear()
        assert not isinstance(build_dataloader(dataset, 4, 0, loader='device'), DeviceLoader)
        assert words in caplog.text


@pytest.mark.parametrize('change, words', BROKEN.values(), ids=BROKEN)
def test_broken_samples(tmp_path, caplog, change, words):
    """The same stand in for them, and the same is said of them, once."""
    path = broken_file(tmp_path / 'a.pkl', (3, 7, 8), change)
    if 'keypoint_score' in change:  # which the others lack
        assert not isinstance(build_dataloader(PoseDataset(path, CLIPS), 4, 0, loader='device'), DeviceLoader)
        return
    alone, together = both(PoseDataset(path, CLIPS))
    assert_same(alone, together)
    assert alone.broken.identifiers == together.broken.identifiers
    assert sorted(together.broken.identifiers) == ['clip003', 'clip007', 'clip008']
    notes = sorted(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert len(notes) == 6 and notes[::2] == notes[1::2] and words in notes[0]
    for options in (dict(strict=True), dict(test_mode=True)):
        with pytest.raises(ACLNetError, match='clip003'):
            build_dataloader(PoseDataset(path, CLIPS, **options), 4, 0, loader='device')


def test_all_samples_broken(tmp_path):
    path = broken_file(tmp_path / 'a.pkl', range(12))
    with pytest.raises(ACLNetError, match='must be finite'):
        list(build_dataloader(PoseDataset(path, CLIPS), 4, 0, loader='device'))


def test_a_2d_sample_without_its_image_is_broken(tmp_path):
    made = samples(np.random.default_rng(0), 'finegym')
    del made[4]['img_shape']
    path = write(tmp_path / 'a.pkl', made)
    alone, together = both(PoseDataset(path, pipeline_of(CONFIGS / 'finegym' / 'j.py', 'train')))
    assert_same(alone, together)
    assert list(together.broken.identifiers) == ['clip4']


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(loader='devise'), "loader must be one of device, workers, got 'devise'"),
        (dict(loader='device', device_bytes=-1), 'device_bytes must be a number of bytes from 0 up, got -1'),
        (dict(loader='device', device_bytes=True), 'device_bytes must be'),
    ],
)
def test_wrong_arguments(tmp_path, options, words):
    with pytest.raises(ACLNetError, match=words):
        build_dataloader(PoseDataset(annotation_file(tmp_path / 'a.pkl'), CLIPS), 4, 0, **options)


def test_every_transform_is_accounted_for():
    """One that is added either has a batched form or stands here."""
    without = {'DecompressPose', 'PreNormalize3D'}
    for transform in set(TRANSFORMS.module_dict.values()):
        if transform.__module__.startswith('aclnet.'):
            assert ('batched' in vars(transform)) != (transform.__name__ in without), transform.__name__


def test_distributions(tmp_path):
    """Angles, offsets, flips and dropped limbs of many batches are as the transforms promise."""
    count, frames, clip = 4000, 20, 5
    keypoint = np.zeros((1, frames, 25, 3), np.float32)
    keypoint[0, :, :, 0] = 1 + np.arange(25)
    keypoint[0, :, :, 1] = 100 + np.arange(frames)[:, None]
    sample = dict(frame_dir='a', label=0, total_frames=frames, keypoint=keypoint)
    dataset = RepeatDataset(PoseDataset(write(tmp_path / 'a.pkl', [sample]), [
        dict(type='SpatialFlip', p=0.5), dict(type='PartDrop', p=0.2),
        dict(type='UniformSampleDecode', clip_len=clip), *ending(1),
    ]), count)  # fmt: skip
    clips = next(iter(both(dataset, count)[1]))['keypoint'][:, 0, 0].numpy()  # N L V C
    flipped = (clips[:, 0, 4, 0] == 9) | (clips[:, 0, 12, 0] == 17)
    assert stats.binomtest(int(flipped.sum()), count, 0.5).pvalue > 1e-4
    limbs = [(clips[:, :, limb] == 0).all((1, 2, 3)) for limb in ([4, 5], [12, 13], [8, 9], [16, 17])]
    assert stats.binomtest(int(np.sum(limbs)), count, 0.2).pvalue > 1e-4
    assert stats.chisquare(np.sum(limbs, 1)).pvalue > 1e-4
    offsets = clips[:, :, 0, 1] - 100 - 4 * np.arange(clip)  # one of each four frames
    for column in offsets.T:
        assert stats.chisquare(np.bincount(column.astype(int), minlength=4)).pvalue > 1e-4
    turned = RepeatDataset(PoseDataset(str(tmp_path / 'a.pkl'), [
        dict(type='RandomRot', theta=0.3), dict(type='UniformSampleDecode', clip_len=1), *ending(1),
    ]), count)  # fmt: skip
    joints = next(iter(both(turned, count)[1]))['keypoint'][:, 0, 0, 0].numpy()
    direction = joints[:, 1] - joints[:, 0]  # where the x axis went: (cos z · cos y, −sin z · cos y, sin y)
    angles = np.arcsin(direction[:, 2]), np.arctan2(-direction[:, 1], direction[:, 0])
    for angle in angles:
        assert stats.kstest(angle, stats.uniform(-0.3, 0.6).cdf).pvalue > 1e-4


def test_unknown_joints_of_a_flip(tmp_path):
    """What no sample fits raises what the transforms say."""
    path = write(tmp_path / 'a.pkl', samples(np.random.default_rng(0), 'finegym'))
    steps = [Flip(left_kp=[1], right_kp=[99]), dict(type='UniformSampleFrames', clip_len=CLIP)]
    with pytest.raises(ACLNetError, match='swaps joint 99, but keypoint has 17 joints'):
        list(build_dataloader(PoseDataset(path, [*steps, *ending()]), 4, 0, loader='device'))


def test_sizes_are_known_before_anything_is_packed(tmp_path, monkeypatch):
    """Where there is no room at all, nothing is packed."""
    dataset = PoseDataset(annotation_file(tmp_path / 'a.pkl'), CLIPS)
    monkeypatch.setattr('aclnet.datasets.device.resident._free', lambda device: 100)
    monkeypatch.setattr(Resident, '_pack', lambda *_: pytest.fail('packed'))
    assert not isinstance(build_dataloader(dataset, 4, 0, loader='device'), DeviceLoader)


class OneDevice(TorchDispatchMode):
    """Fails where an operation takes tensors of several devices, which not all of torch's own do on 'meta'."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.ndim]
        assert len({leaf.device for leaf in leaves}) <= 1, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('phase', ['train', 'test'])
@pytest.mark.parametrize('config', ['ntu60_xsub/km', 'pku_mmd_xsub/b', 'finegym/bm', 'utd_mhad/j'])
def test_nothing_is_read_back_from_the_device(tmp_path, monkeypatch, config, phase):
    """On torch's device without memory: what would wait for numbers, or mix devices, fails."""
    meta = torch.device('meta')
    path = write(tmp_path / 'a.pkl', samples(np.random.default_rng(0), config.partition('/')[0]))
    dataset = PoseDataset(path, pipeline_of(CONFIGS / f'{config}.py', phase), test_mode=phase == 'test')
    alone, together = both(dataset, shuffle=phase == 'train')
    resident = together.resident
    for name in ('clips', 'resident'):
        monkeypatch.setattr(f'aclnet.datasets.device.{name}.put', lambda array, _: torch.as_tensor(array).to(meta))
    resident.device = resident.place = meta
    resident._fields = {key: field.to(meta) for key, field in resident._fields.items()}
    resident._shifts = None if resident._shifts is None else resident._shifts.to(meta)
    resident.labels = resident.labels.to(meta)
    with OneDevice():
        batches = list(together)
    for one, other in zip(alone, batches, strict=True):
        assert {value.device for value in other.values()} == {meta}
        assert [value.shape for value in one.values()] == [value.shape for value in other.values()]
