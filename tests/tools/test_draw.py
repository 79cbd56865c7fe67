"""tools/draw.py on a training that was really run, and what it says where there is nothing to draw."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from aclnet.benchmarks import class_names
from aclnet.errors import ACLNetError
from tests.made import write_annotations, write_config
from tests.run import checkpoint, tool


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drawn')
    config = write_config(folder, epochs=2)
    tool('train', config, '--seed', 0, '--validate', '--test-best')
    return config, Path(folder)


def work_dir(folder):
    return next(folder.rglob('latest.pth')).parent


@pytest.mark.parametrize('picture', ['confusion', 'superclasses', 'clips'])
def test_pictures_have_a_place_by_default(trained, picture, capsys):
    config, folder = trained
    tool('draw', picture, config)
    out = work_dir(folder) / f'{picture}.png'
    assert capsys.readouterr().out.strip() == str(out) and out.read_bytes().startswith(b'\x89PNG')


def test_names_and_titles_are_shown(trained, tmp_path):
    config, _ = trained
    (tmp_path / 'names.txt').write_text('jump\nhop\nstand\n')
    tool(
        'draw',
        'confusion',
        config,
        '--names',
        tmp_path / 'names.txt',
        '--title',
        'Jumpers',
        '--out',
        tmp_path / 'a.svg',
    )
    text = (tmp_path / 'a.svg').read_text()
    assert all(f'<!-- {word}' in text for word in ('jump', 'hop', 'stand', 'Jumpers'))


def test_labels_come_from_the_data_where_scores_have_none(trained, tmp_path):
    config, folder = trained
    scores = work_dir(folder) / 'best_pred.pkl'
    labels = json.loads(Path(f'{scores}.meta.json').read_text())['labels']
    assert labels
    (tmp_path / 'scores.pkl').write_bytes(scores.read_bytes())
    for path in (scores, tmp_path / 'scores.pkl'):
        tool(
            'draw', 'confusion', config, '--input', path, '--title', 'x', '--out', tmp_path / f'{path.parent.name}.svg'
        )
    one, other = (re.findall('<!-- (.*?) -->', path.read_text(), re.DOTALL) for path in tmp_path.glob('*.svg'))
    assert one == other and len(one) > 5


def refused(*argv):
    with pytest.raises(ACLNetError) as error:
        tool('draw', *argv)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_what_cannot_be_drawn_is_told(trained, tmp_path):
    config, folder = trained
    latest = work_dir(folder) / 'latest.pth'
    said = refused('superclasses', config, '--input', tmp_path / 'no.pth')
    assert 'no.pth does not exist' in said
    state = checkpoint(latest)
    kept = {key: value for key, value in state['state_dict'].items() if 'inter_loss' not in key}
    torch.save({**state, 'state_dict': kept}, tmp_path / 'published.pth')
    assert 'published.pth holds no superclasses' in refused(
        'superclasses', config, '--input', tmp_path / 'published.pth'
    )
    state['state_dict']['cls_head.inter_loss.superclass_epoch'].zero_()
    torch.save(state, tmp_path / 'early.pth')
    said = refused('superclasses', config, '--input', tmp_path / 'early.pth')
    assert 'holds no superclasses yet' in said and 'start_epoch, which is 1' in said
    off = Path(folder, 'off.py')
    off.write_text(f"_base_ = '{Path(config).name}'\nmodel = dict(cls_head=dict(inter_loss=None))\n")
    assert 'model.cls_head.inter_loss off' in refused('superclasses', off, '--input', latest)
    assert 'has no sample clip_x' in refused('clips', config, '--samples', 'clip_x')
    assert '.png, .svg, .pdf' in refused('clips', config, '--out', tmp_path / 'clips.gif')
    (tmp_path / 'names.txt').write_text('one\n')
    for picture in ('superclasses', 'clips'):
        assert '3 classes but 1 names' in refused(picture, config, '--names', tmp_path / 'names.txt')
    assert '3 classes but 1 names' in refused('confusion', config, '--names', tmp_path / 'names.txt')
    assert 'no.txt does not exist' in refused('confusion', config, '--names', tmp_path / 'no.txt')
    assert 'no.pkl does not exist' in refused('confusion', config, '--input', tmp_path / 'no.pkl')
    assert not list(tmp_path.glob('*.png'))


def test_a_benchmark_has_its_own_names(tmp_path):
    path = write_annotations(tmp_path / 'sbu.pkl', classes=8, train=24)
    config = write_config(tmp_path, ann_file=path, classes=8)
    tool('draw', 'clips', config, '--out', tmp_path / 'a.svg')
    text = (tmp_path / 'a.svg').read_text()
    assert all(f'<!-- {word}' in text for word in class_names('sbu'))
