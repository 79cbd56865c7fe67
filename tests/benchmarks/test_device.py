"""benchmarks/device.py at a size that takes seconds; the same code measures a GPU."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from aclnet.errors import ACLNetError
from benchmarks import device
from benchmarks.measure import Row
from tests.run import shell

pytestmark = pytest.mark.usefixtures('one_thread')

ROWS = ('agreement: outputs, fp64', 'agreement: gradients, bf16, compiled', 'agreement: contrastive terms',
        'training step, batch 4, bf16, compiled', 'training step, batch 2, bf16, compiled', 'training clips, batch 4',
        'training step, batch 4, beside its floor', '150 epochs with validation', 'memory, training at batch 4',
        '10-clip test of 3 samples', 'loader alone, j', 'loader alone, km')  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_compiled_afterwards():
    yield
    torch._dynamo.reset()


def test_everything_is_measured_and_kept(tmp_path, monkeypatch, capsys):
    changes = {**device.QUICK.changes, 'model.backbone.tcn_ms_cfg': [(3, 1), '1x1']}
    size = replace(device.QUICK, train=6, val=3, few=4, batch=4, published=2, steps=1, changes=changes)
    size = replace(size, matrix=64, copied=1 << 16)
    monkeypatch.setattr(device, 'QUICK', size)
    monkeypatch.setattr(device.Measurements, 'literal', 0.5)  # the formulas' branches are not those of this network
    device.main(['--quick', '--json', str(tmp_path / 'kept.json')])
    said = capsys.readouterr().out
    content = json.loads((tmp_path / 'kept.json').read_text())
    names = [row['name'] for row in content['rows']]
    for name in ROWS:
        assert any(found.startswith(name) for found in names), (name, names)
        assert f'| {name}' in said
    rows = {row['name']: row for row in content['rows']}
    assert all(row['ours'] > 0 for row in content['rows'] if 'compilation' not in row['name'])
    assert (
        0
        < rows['training step, batch 4, beside its floor']['floor']
        < rows['training step, batch 4, beside its floor']['ours']
    )
    assert content['machine']['versions']['torch'] == torch.__version__ and content['machine']['date']
    assert content['failed'] == {} and 'gpu' in content['machine']


def test_the_literal_side_is_timed(tmp_path):
    changes = {**device.QUICK.changes, 'model.backbone.num_stages': 1, 'model.cls_head.in_channels': 16}
    size = replace(device.QUICK, train=4, val=1, few=1, published=2, steps=1, changes=changes)
    assert device.Measurements(size, torch.device('cpu'), tmp_path, {}).literal > 0


def test_what_disagrees_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(device, 'agreement', lambda *_: [Row('outputs', 0.1, reach=0.01, lower=True)])
    with pytest.raises(ACLNetError, match='does not give what the formulas give on cpu: outputs'):
        device.main(['--quick', '--json', str(tmp_path / 'kept.json')])
    assert not (tmp_path / 'kept.json').exists()


def test_help():
    done = shell('python', 'benchmarks/device.py', '--help')
    assert done.returncode == 0 and '--quick' in done.stdout
