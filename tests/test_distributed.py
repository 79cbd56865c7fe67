"""Real processes: several ranks follow one rank that has all their samples."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aclnet import distributed
from aclnet.errors import ACLNetError, LostRankError
from aclnet.models import build_model

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def model_config(sync: bool) -> dict:
    return dict(
        type='SkeletonRecognizer',
        backbone=dict(
            type='DynamicGCN',
            base_channels=12,
            num_stages=2,
            gcn_ratio=0.125,
            graph_cfg=dict(layout='kinect20', mode='random', num_filter=8),
        ),
        cls_head=dict(
            type='AffinityHead',
            num_classes=4,
            in_channels=12,
            inter_loss=dict(start_epoch=2, num_neighbors=2, min_overlap=1, sync_memory=sync, loss_weight=1.0),
            intra_loss=dict(memory_size=10, sync_memory=sync, loss_weight=1.0),
        ),
    )


def run(folder: Path, ranks: int) -> list[dict]:
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(
        [sys.executable, 'tests/workers/two_ranks.py', str(ranks), str(folder), str(free_port())],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f'{ranks}_{rank}.pt', weights_only=True) for rank in range(ranks)]


@pytest.fixture
def job(tmp_path):
    def make(sync=True, sizes=(6, 5, 7, 4, 6, 3, 2, 9), lr=0.05, only=None, sync_bn=False):
        torch.manual_seed(0)
        model = build_model(model_config(sync)).double()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(('alpha', 'beta')):
                    parameter.normal_()  # else the embedding is 0 and the terms are blind
        batches = [
            (1 + step // 2, torch.randn(n, 1, 1, 6, 20, 3, dtype=torch.float64), torch.randint(4, (n,)))
            for step, n in enumerate(sizes)
        ]
        torch.save(
            dict(
                model=model_config(sync), state=model.state_dict(), batches=batches, lr=lr, only=only, sync_bn=sync_bn
            ),
            tmp_path / 'job.pt',
        )
        return tmp_path

    return make


@pytest.mark.parametrize(
    ('ranks', 'sizes', 'sync_bn'),
    [
        (2, (6, 5, 7, 4, 6, 3, 2, 9), False),  # a rank has 1 to 5 samples
        (2, (6, 5, 7, 4, 6, 3, 2, 9), True),
        pytest.param(3, (6, 5, 7, 4, 6, 3, 4, 9), False, marks=pytest.mark.slow),
    ],
    ids=['2', '2 with SyncBN', '3'],
)
def test_ranks_follow_one_rank_with_all_their_samples(job, ranks, sizes, sync_bn):
    folder = job(sizes=sizes, sync_bn=sync_bn)
    [alone] = run(folder, 1)
    together = run(folder, ranks)
    for rank in together:
        for name, value in alone['state'].items():
            torch.testing.assert_close(
                rank['state'][name], value, rtol=1e-8, atol=1e-8, msg=lambda text, name=name: f'{name}: {text}'
            )
        for step, (mine, wanted) in enumerate(zip(rank['trace'], alone['trace'])):
            assert mine['idle'] == wanted['idle'], f'step {step}'
            assert mine['log'] == pytest.approx(wanted['log'], rel=1e-4, abs=1e-6), f'step {step}'
            torch.testing.assert_close(mine['grads'], wanted['grads'], rtol=1e-8, atol=1e-8)
            torch.testing.assert_close(mine['superclasses'], wanted['superclasses'])
    first, last = alone['trace'][0], alone['trace'][-1]
    projections = {f'cls_head.{term}_loss.cl_fc.{part}' for term in ('inter', 'intra') for part in ('weight', 'bias')}
    assert set(first['idle']) == projections, 'a term that is 0 must leave its projection alone'
    assert not last['idle'] and last['log']['loss_inter'] > 0 and last['log']['loss_intra'] > 0
    assert alone['state']['cls_head.inter_loss.confusion'].sum() > 0
    assert last['superclasses'].any()


def test_without_sync_each_rank_keeps_its_own_memory(job):
    one, two = run(job(sync=False), 2)
    name = 'cls_head.intra_loss.memory'
    assert not torch.equal(one['state'][name], two['state'][name])
    weight = 'cls_head.fc_cls.weight'
    assert torch.equal(one['state'][weight], two['state'][weight])


def test_without_sync_the_state_of_a_rank_is_that_of_its_share_alone(job):
    together = run(job(sync=False, lr=0.0), 2)  # with weights that stand still, as gradients are shared all the same
    for rank, mine in enumerate(together):
        [alone] = run(job(sync=False, lr=0.0, only=(rank, 2)), 1)
        for name, value in alone['state'].items():
            torch.testing.assert_close(mine['state'][name], value, msg=lambda text, name=name: f'{name}: {text}')
        for here, there in zip(mine['trace'], alone['trace']):
            torch.testing.assert_close(here['superclasses'], there['superclasses'])
    counts = [rank['state']['cls_head.inter_loss.confusion'].sum() for rank in together]
    assert all(count > 0 for count in counts)


def test_ranks_leave_an_iteration_with_one_set_of_statistics(tmp_path):
    script = f"""
import os, sys, torch
from types import SimpleNamespace
from aclnet import distributed
from aclnet.engine import EpochHook
rank = int(sys.argv[1])
os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank), MASTER_ADDR='127.0.0.1')
os.environ['MASTER_PORT'] = '{free_port()}'
distributed.init('pytorch')
norm = torch.nn.BatchNorm1d(3)
norm.running_mean.fill_(rank + 5)
EpochHook().after_train_iter(SimpleNamespace(model=torch.nn.Sequential(norm)))
print(norm.running_mean.tolist())
distributed.close()
"""
    ranks = [
        subprocess.Popen([sys.executable, '-c', script, str(rank)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    assert [rank.communicate(timeout=120)[0].strip() for rank in ranks] == ['[5.0, 5.0, 5.0]'] * 2


def test_one_process_needs_no_group():
    x = torch.randn(3, 2, requires_grad=True)
    assert distributed.get_dist_info() == (0, 1)
    assert distributed.row_counts(3) == distributed.batch_rows(3) == [3] and distributed.gather_rows(x, [3]) is x
    assert distributed.on_rank_0(lambda: 'b') == 'b' and distributed.gather_objects('a') == ['a']
    distributed.barrier()


@pytest.mark.parametrize('launcher,missing', [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_a_launcher_without_its_variables_is_named(monkeypatch, launcher, missing):
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ACLNetError, match=missing):
        distributed.init(launcher)


def test_unknown_launcher():
    with pytest.raises(ACLNetError, match='none, pytorch, slurm'):
        distributed.init('mpi')


def test_slurm_variables_make_a_group(tmp_path):
    script = (
        'from aclnet import distributed as d, errors; d.init("slurm"); print(d.get_dist_info(), d.gather_objects(1));'
        'd.close()'
    )
    env = {
        **os.environ,
        'SLURM_PROCID': '0',
        'SLURM_NTASKS': '1',
        'SLURM_LOCALID': '0',
        'SLURM_NODELIST': 'localhost',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(free_port()),
    }
    done = subprocess.run(
        [sys.executable, '-c', script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ['(0,', '1)', '[1]'], done.stderr


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (dict(backend='mpi'), "dist_params.backend must be 'nccl' or 'gloo', got 'mpi'"),
        (dict(timeout=0), 'dist_params.timeout must be a number of seconds above 0, got 0'),
        (dict(timeout='10'), "dist_params.timeout must be a number of seconds above 0, got '10'"),
        (dict(timeout=True), 'got True'),
    ],
)
def test_wrong_options_of_the_group(options, says):
    with pytest.raises(ACLNetError) as error:
        distributed.init('none', **options)
    assert says in str(error.value)


def test_slurm_jobs_on_one_node_take_ports_of_their_own(monkeypatch):
    for name, value in dict(PROCID='1', NTASKS='2', LOCALID='1', NODELIST='n', JOB_ID='100017').items():
        monkeypatch.setenv(f'SLURM_{name}', value)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')
    monkeypatch.delenv('MASTER_PORT', raising=False)
    monkeypatch.setenv('MASTER_ADDR', 'no-such-host.invalid')
    with pytest.raises(ACLNetError, match='no-such-host.invalid is no host that this node knows'):
        distributed.init('slurm')
    assert os.environ.pop('MASTER_PORT') == str(15000 + 100017 % 15000)
    assert (os.environ['RANK'], os.environ['WORLD_SIZE']) == ('1', '2')


def test_only_errors_of_exchanges_are_taken_for_a_lost_rank():
    with pytest.raises(RuntimeError, match='a bug') as error, distributed.naming_lost_ranks():
        raise RuntimeError('a bug')
    assert not isinstance(error.value, ACLNetError)
    with pytest.raises(LostRankError, match='its process has ended'), distributed.naming_lost_ranks():
        raise torch.distributed.DistBackendError('NCCL error: remote process exited')
    for said in (
        '[/x/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 4000ms for recv operation',
        'Application timeout caused pair closure',
    ):
        with pytest.raises(LostRankError, match='no answer from the other ranks in 600 s'):
            with distributed.naming_lost_ranks():
                raise RuntimeError(said)
