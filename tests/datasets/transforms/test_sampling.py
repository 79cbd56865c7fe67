"""Test clips are the published ones, draw by draw; training clips have the same distribution."""

from __future__ import annotations

import numpy as np
import pytest

import aclnet.datasets.transforms.sampling as sampling_module
from aclnet.datasets.transforms import PoseDecode, UniformSampleDecode, UniformSampleFrames
from aclnet.errors import ACLNetError
from aclnet.registry import TRANSFORMS
from tests.datasets.samples import sample_2d
from tests.oracles import transforms as oracle

TOTALS = (1, 2, 3, 7, 9, 10, 11, 15, 19, 20, 21, 45, 130)  # around L = 10 and 2·L


def numbered(total, **more):
    """A sample whose keypoints are their frame numbers."""
    keypoint = np.broadcast_to(np.arange(total, dtype=np.float32)[None, :, None, None], (2, total, 3, 2))
    return dict(frame_dir='x1', keypoint=keypoint, total_frames=total, **more)


@pytest.mark.parametrize('total', TOTALS)
@pytest.mark.parametrize('clips', [1, 4, 10])
@pytest.mark.parametrize('p_interval, seed', [(1, 255), (0.5, 255), ((0.5, 1), 255), ([0.2, 0.9], 7)])
def test_test_clips_are_the_published_ones(total, clips, p_interval, seed):
    args = dict(clip_len=10, num_clips=clips, p_interval=p_interval, seed=seed)
    pair = tuple(p_interval) if isinstance(p_interval, (tuple, list)) else (p_interval, p_interval)
    expected = oracle.sample_indices(total, 10, clips, pair, seed, decode=True)
    got = UniformSampleDecode(**args)(numbered(total, test_mode=True))
    assert got['keypoint'][0, :, 0, 0].tolist() == expected and got['keypoint'].shape == (2, 10 * clips, 3, 2)
    expected = oracle.sample_indices(total, 10, clips, pair, seed, decode=False)
    got = UniformSampleFrames(**args)(numbered(total, test_mode=True))
    assert got['frame_inds'].tolist() == expected and got['frame_inds'].dtype == np.int64
    assert (got['num_clips'], got['clip_len']) == (clips, 10)


@pytest.mark.parametrize('seed, draws', [(255, 2), (None, 6)])
def test_test_clips_are_drawn_once_for_each_length(monkeypatch, seed, draws):
    made = []
    random_state = np.random.RandomState
    monkeypatch.setattr(np.random, 'RandomState', lambda seed: made.append(seed) or random_state(seed))
    sampling = UniformSampleFrames(10, num_clips=3, seed=seed)
    first = [sampling(numbered(total, test_mode=True))['frame_inds'] for total in (45, 15) * 3]
    assert made == [seed] * draws
    if seed is not None:
        assert all((first[i] == first[i % 2]).all() for i in range(6)) and len(first[0]) == 30


def test_what_is_kept_of_test_clips_is_bounded(monkeypatch):
    monkeypatch.setattr(sampling_module, '_KEPT_INDICES', 5 * 30)
    sampling = UniformSampleFrames(10, num_clips=3)
    for total in (*range(1, 40), *range(1, 40)):
        got = sampling(numbered(total, test_mode=True))['frame_inds'].tolist()
        assert got == oracle.sample_indices(total, 10, 3, decode=False)
    assert len(sampling._test_clips) == 5


@pytest.mark.parametrize('cls', [UniformSampleDecode, UniformSampleFrames])
def test_in_test_mode_the_samples_generator_is_not_touched(cls):
    rng = np.random.default_rng(3)
    state = rng.bit_generator.state
    legacy = np.random.get_state()[1].copy()
    cls(10, num_clips=3)(numbered(45, test_mode=True, rng=rng))
    assert rng.bit_generator.state == state and (np.random.get_state()[1] == legacy).all()


@pytest.mark.parametrize('cls', [UniformSampleDecode, UniformSampleFrames])
@pytest.mark.parametrize('total', TOTALS)
def test_training_clips(cls, total):
    """They come from the sample's generator, stay in range, and step from slot to slot (or around, where short)."""

    def frames(seed):
        out = cls(10, num_clips=2)(numbered(total, rng=np.random.default_rng(seed)))
        return np.asarray(out['frame_inds'] if 'frame_inds' in out else out['keypoint'][0, :, 0, 0]).astype(int)

    for seed in range(20):
        got = frames(seed)
        assert got.tolist() == frames(seed).tolist() and 0 <= got.min() and got.max() < total
        for clip in got.reshape(2, 10):
            if total < 10:
                assert (np.diff(clip) % total == 1 % total).all()
            elif total < 20:
                assert (np.diff(clip) >= 1).all() and (np.diff(clip) <= total - 9).all()
            else:
                bounds = [i * total // 10 for i in range(11)]
                assert all(bounds[i] <= frame < bounds[i + 1] for i, frame in enumerate(clip))
    if total > 1 and total != 10:
        assert len({tuple(frames(seed)) for seed in range(20)}) > 1


def test_training_and_test_draws_have_one_distribution():
    count = np.zeros((2, 15))
    for seed in range(3000):
        for row, more in enumerate((dict(rng=np.random.default_rng(seed)), dict(test_mode=True))):
            out = UniformSampleFrames(10, seed=seed)(numbered(15, **more))
            count[row] += np.bincount(out['frame_inds'], minlength=15)
    assert np.abs(count[0] - count[1]).max() / 3000 < 0.05


def test_p_interval_takes_a_stretch():
    for seed in range(30):
        out = UniformSampleDecode(4, p_interval=0.3)(numbered(40, rng=np.random.default_rng(seed)))
        frames = out['keypoint'][0, :, 0, 0]
        assert np.ptp(frames) < 12
    got = UniformSampleDecode(4, p_interval=0.01)(numbered(5))['keypoint'][0, :, 0, 0]
    assert len(set(got.tolist())) == 1  # never less than one frame


def test_scores_become_a_channel(rng):
    sample = sample_2d(rng, frames=30)
    out = UniformSampleDecode(10, num_clips=2)(dict(sample, test_mode=True))
    frames = oracle.sample_indices(30, 10, 2)
    np.testing.assert_array_equal(out['keypoint'][..., :2], sample['keypoint'][:, frames].astype(np.float32))
    np.testing.assert_array_equal(out['keypoint'][..., 2], sample['keypoint_score'][:, frames].astype(np.float32))
    assert 'keypoint_score' not in out and out['keypoint'].dtype == np.float32


def test_pose_decode_gathers(rng):
    sample = sample_2d(rng, frames=9)
    out = PoseDecode()(dict(sample, frame_inds=np.array([3, 3, 0])))
    np.testing.assert_array_equal(out['keypoint'], sample['keypoint'][:, [3, 3, 0]].astype(np.float32))
    np.testing.assert_array_equal(out['keypoint_score'], sample['keypoint_score'][:, [3, 3, 0]].astype(np.float32))
    assert PoseDecode()(dict(sample))['keypoint'].shape == sample['keypoint'].shape


def test_start_index_shifts_the_frames():
    assert UniformSampleFrames(3)(dict(total_frames=3, start_index=5))['frame_inds'].tolist() == [5, 6, 7]


def test_published_alias():
    assert TRANSFORMS.get('UniformSample') is UniformSampleFrames


@pytest.mark.parametrize(
    'sample, words',
    [
        (dict(keypoint=np.ones((1, 0, 17, 2))), 'needs at least one frame'),
        (dict(keypoint=np.ones((1, 3, 17, 2)), total_frames=4), 'needs total_frames equal to the frames of keypoint'),
        (dict(), "needs the key '"),
    ],
)
@pytest.mark.parametrize('cls', [UniformSampleDecode, UniformSampleFrames])
def test_errors_name_the_sample(cls, sample, words):
    with pytest.raises(ACLNetError) as caught:
        cls(4)(dict(frame_dir='x1', **sample))
    assert str(caught.value).startswith('sample x1: ') and words in str(caught.value)


@pytest.mark.parametrize(
    'args, words',
    [
        (dict(clip_len=0), 'clip_len must be a whole number from 1 up, got 0'),
        (dict(clip_len=10, num_clips=2.5), 'num_clips must be a whole number from 1 up, got 2.5'),
        (dict(clip_len=10, p_interval=0), 'p_interval must be a share'),
        (dict(clip_len=10, p_interval=(0.9, 0.5)), 'got (0.9, 0.5)'),
        (dict(clip_len=10, p_interval=(0.5, 1.1)), 'got (0.5, 1.1)'),
    ],
)
def test_arguments_are_checked(args, words):
    with pytest.raises(ACLNetError) as caught:
        UniformSampleFrames(**args)
    assert words in str(caught.value)
