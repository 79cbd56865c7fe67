"""docs/custom_data.md from its first line to its last: its files, its conversion, its config, its training."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import yaml

from aclnet.conversion.declaration import Declaration
from aclnet.datasets.annotations import load_annotations
from tests.docs.page import blocks
from tests.docs.test_docs_examples import commands
from tests.run import ROOT, log_lines, shell

PAGE = ROOT / 'docs' / 'custom_data.md'
SHORT = 'total_epochs=2 data.workers_per_gpu=0 model.cls_head.inter_loss.start_epoch=1 model.backbone.base_channels=8 '
SHORT += 'model.cls_head.in_channels=32'


def test_from_files_to_a_trained_model(tmp_path: Path):
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs', ignore=shutil.ignore_patterns('__pycache__'))
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    done = shell(sys.executable, '-m', 'tests.docs.page', PAGE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = commands(PAGE)
    assert [line.split()[1] for line in lines] == ['tools/data/convert.py', 'tools/train.py', 'tools/test.py']
    for line in lines:
        line += f' --cfg-options {SHORT}' if 'convert' not in line else ''
        done = shell('bash', '-c', line, cwd=tmp_path)
        assert done.returncode == 0, f'{line}\n{done.stderr[-3000:]}'
    assert 'mean_class_accuracy' in done.stdout
    assert (tmp_path / 'data' / 'mine_classes.txt').read_text().split() == ['clap', 'kick', 'sit', 'wave']
    file = load_annotations(str(tmp_path / 'data' / 'mine.pkl'))
    assert {title: len(names) for title, names in file.splits.items()} == dict(train=36, val=12)
    assert all('person4' in name for name in file.splits['val'])
    recorded = np.load(tmp_path / 'recordings' / 'wave' / 'person2_3.npy')
    (found,) = (a for a in file.annotations if a['frame_dir'] == 'wave_person2_3')
    assert np.array_equal(found['keypoint'][0], recorded) and found['label'] == 3
    assert log_lines(tmp_path / 'work_dirs' / 'mine' / 'j')[-1]['epoch'] == 2


def test_the_config_has_ten_lines_and_declarations_make_sense():
    (config,) = (block for block in blocks(PAGE) if block.file)
    assert len(config.text.splitlines()) <= 11  # the first names the file
    (declared,) = (yaml.safe_load(block.text) for block in blocks(PAGE) if block.language == 'yaml')
    body25 = 'nose neck RS RE RW LS LE LW hip RH RK RA LH LK LA Reye Leye Rear Lear'.split()
    coco = 'nose Leye Reye Lear Rear LS RS LE RE LW RW LH RH LK RK LA RA'.split()
    assert [body25[joint] for joint in Declaration.of(declared).selection] == coco
