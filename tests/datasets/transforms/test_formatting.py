"""FormatGCNInput against its literal form; Collect and ToTensor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aclnet.datasets.transforms import Collect, FormatGCNInput, ToTensor
from aclnet.errors import ACLNetError
from tests.oracles import transforms as oracle


@pytest.mark.parametrize('seed', range(20))
def test_against_the_oracle(seed):
    rng = np.random.default_rng(seed)
    clips, length, persons, wanted = (int(n) for n in rng.integers(1, 5, 4))
    mode = rng.choice(['zero', 'loop'])
    keypoint = rng.random((persons, clips * length, 5, 3)).astype(rng.choice([np.float16, np.float32]))
    out = FormatGCNInput(wanted, mode)(dict(keypoint=keypoint, num_clips=clips))['keypoint']
    np.testing.assert_array_equal(out, oracle.format_input(keypoint, clips, wanted, mode).astype(np.float32))
    assert out.dtype == np.float32 and out.flags.c_contiguous and not np.shares_memory(out, keypoint)


def test_scores_become_a_channel(rng):
    keypoint, score = rng.random((1, 4, 17, 2)), rng.random((1, 4, 17))
    out = FormatGCNInput()(dict(keypoint=keypoint, keypoint_score=score))['keypoint']
    np.testing.assert_allclose(out[0, 0], np.concatenate([keypoint, score[..., None]], -1)[0], rtol=1e-6)


def test_frames_must_divide_into_clips():
    with pytest.raises(ACLNetError, match='sample x1: FormatGCNInput needs frames that divide into 3 clips, got 10'):
        FormatGCNInput()(dict(frame_dir='x1', keypoint=np.ones((1, 10, 25, 3)), num_clips=3))


def test_arguments_are_checked():
    with pytest.raises(ACLNetError, match="mode must be 'zero' or 'loop', got 'cycle'"):
        FormatGCNInput(mode='cycle')
    with pytest.raises(ACLNetError, match='num_person must be a whole number from 1 up, got 0'):
        FormatGCNInput(0)
    with pytest.raises(ACLNetError, match="keys must be a list of keys, got 'keypoint'"):
        Collect('keypoint')
    with pytest.raises(ACLNetError, match="keys must be a list of keys, got 'keypoint'"):
        ToTensor('keypoint')


def test_collect():
    sample = dict(frame_dir='x1', keypoint=1, label=2, total_frames=3)
    assert Collect(['keypoint', 'label'], meta_keys=[])(sample) == dict(keypoint=1, label=2)
    out = Collect(['keypoint'], meta_keys=['frame_dir', 'total_frames'], meta_name='meta')(sample)
    assert out == dict(keypoint=1, meta=dict(frame_dir='x1', total_frames=3))
    with pytest.raises(ACLNetError, match="sample x1: Collect needs the key 'labels'; did you mean 'label'?"):
        Collect(['labels'])(sample)


def test_to_tensor():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    out = ToTensor(['a', 'b', 'c', 'd', 'e'])(dict(a=array, b=3, c=[1.0, 2.0], d=0.5, e=torch.ones(2)))
    assert out['a'].shape == (2, 3) and out['a'].dtype == torch.float32
    assert out['b'].shape == (1,) and out['b'].dtype == torch.int64
    assert out['d'].shape == (1,) and out['d'].dtype == torch.float32
    with pytest.raises(ACLNetError, match='sample x1: ToTensor cannot make a tensor of a str'):
        ToTensor(['frame_dir'])(dict(frame_dir='x1'))
