"""tools/ensemble.py from both places it is called from, with and without side files."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aclnet.errors import ACLNetError
from aclnet.evaluation import load_scores, save_scores

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'ensemble.py'
LABELS = [0, 1, 2, 0, 1, 2]
NAMES = [f's{i}' for i in range(6)]


@pytest.fixture(scope='module')
def main():
    spec = importlib.util.spec_from_file_location('ensemble_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def write(folder, dataset='mine', streams=('j', 'b', 'k', 'jm', 'bm', 'km'), meta=True):
    all_scores = {}
    for seed, stream in enumerate(streams):
        scores = all_scores[stream] = np.random.default_rng(seed).random((6, 3)).astype(np.float32)
        save_scores(
            folder / 'work_dirs' / dataset / stream / 'best_pred.pkl',
            scores,
            dict(identifiers=NAMES, labels=LABELS) if meta else None,
        )
    return all_scores


def accuracy(scores):
    return float(np.mean(scores.argmax(1) == LABELS))


def test_the_published_fusions(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    s = write(tmp_path)
    main(['mine', '--json', '--out', 'fused.pkl'])
    report = json.loads(capsys.readouterr().out)
    found = {'+'.join(row['streams']): (row['weights'], row['top1_acc']) for row in report['results']}
    four = 2 * s['j'] + 2 * s['b'] + s['jm'] + s['bm']
    six = four + 2 * s['k'] + s['km']
    assert found == {
        **{name: ([1.0], accuracy(s[name])) for name in s},
        'j+b': ([1.0, 1.0], accuracy(s['j'] + s['b'])),
        'j+b+jm+bm': ([2.0, 2.0, 1.0, 1.0], accuracy(four)),
        'j+b+k+jm+bm+km': ([2.0, 2.0, 2.0, 1.0, 1.0, 1.0], accuracy(six)),
    }
    fused, meta = load_scores('fused.pkl')
    np.testing.assert_allclose(fused, six, rtol=1e-6)
    assert (meta['identifiers'], meta['labels'], meta['streams']) == (NAMES, LABELS, list(s))


def test_missing_streams_are_named(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, streams=('j', 'b', 'jm'))
    main(['configs/mine/', '--metrics', 'top_k_accuracy', 'mean_class_accuracy'])
    out = capsys.readouterr().out
    assert 'j+b 1:1' in out and 'j+b+jm+bm 2' not in out
    assert 'mine has no j+b+jm+bm: bm not found' in out
    assert 'mine has no j+b+k+jm+bm+km: k, bm, km not found' in out
    assert 'top5_acc' in out and 'mean_class_accuracy' in out


def test_own_streams_and_weights(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    s = write(tmp_path)
    main(['mine', '--json', '--streams', 'km', 'j', '--weights', '0.5', '3'])
    rows = json.loads(capsys.readouterr().out)['results']
    assert [row['streams'] for row in rows] == [['km'], ['j'], ['km', 'j']]
    assert rows[-1]['top1_acc'] == accuracy(0.5 * s['km'] + 3 * s['j'])


def annotations(path):
    content = dict(
        split=dict(val=NAMES, train=['t']),
        annotations=[
            dict(frame_dir='t', label=2),
            *(dict(frame_dir=name, label=label) for name, label in zip(NAMES, LABELS)),
        ],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))


def test_labels_for_scores_without_a_side_file(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    s = write(tmp_path, meta=False)
    with pytest.raises(ACLNetError, match='come without labels.*--labels'):
        main(['mine'])
    annotations(tmp_path / 'ann.pkl')
    with pytest.raises(ACLNetError, match='has the splits val, train'):
        main(['mine', '--labels', 'ann.pkl'])
    with pytest.raises(ACLNetError, match='1 labels for 6 scores'):
        main(['mine', '--labels', 'ann.pkl', '--split', 'train'])
    with pytest.raises(ACLNetError, match="split 'vla' is not in ann.pkl; did you mean 'val'"):
        main(['mine', '--labels', 'ann.pkl', '--split', 'vla'])
    main(['mine', '--labels', 'ann.pkl', '--split', 'val', '--json'])
    report = json.loads(capsys.readouterr().out)
    assert report['results'][0]['top1_acc'] == accuracy(s['j'])
    assert any('no side file' in note for note in report['notes'])


def test_labels_of_the_config(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    s = write(tmp_path, meta=False)
    annotations(tmp_path / 'data' / 'ann.pkl')
    (tmp_path / 'configs' / 'mine').mkdir(parents=True)
    (tmp_path / 'configs' / 'mine' / 'j.py').write_text("data = dict(test=dict(ann_file='data/ann.pkl', split='val'))")
    main(['configs/mine', '--json'])
    assert json.loads(capsys.readouterr().out)['results'][0]['top1_acc'] == accuracy(s['j'])
    main(['mine', '--json', '--labels', 'data/ann.pkl'])
    assert json.loads(capsys.readouterr().out)['results'][0]['top1_acc'] == accuracy(s['j'])


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['minee'], "work_dirs has mine; did you mean 'mine'"),
        (['mine', '--streams', 'j', 'x'], 'stream x.*for b, bm, j, jm, k, km'),
        (['mine', '--streams', 'j', 'j'], 'different ones'),
        (['mine', '--weights', '1'], 'give both'),
        (['mine', '--streams', 'j', 'b', '--weights', '1'], '2 streams need as many weights'),
        (['mine', '--streams', 'j', 'b', '--weights', '1', 'nan'], 'finite'),
        (['mine', '--metrics', 'top_k'], "no metric 'top_k'"),
        (['configs/mine/j.py'], 'give its folder'),
        (['mine', '--file-name', 'other.pkl'], 'other.pkl does not exist'),
        (['mine', '--out', 'x.txt'], 'name ends in'),
    ],
)
def test_what_is_refused(main, tmp_path, monkeypatch, argv, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    with pytest.raises(ACLNetError, match=message):
        main(argv)


def test_from_the_root_and_from_its_own_folder(tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / 'ensemble.py').write_text(TOOL.read_text())
    write(tmp_path, 'ntu60_xsub', ('j', 'b'))
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    outputs = [
        subprocess.run(
            [sys.executable, script], cwd=folder, env=env, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for folder, script in ((tmp_path, 'tools/ensemble.py'), (tmp_path / 'tools', 'ensemble.py'))
    ]
    assert outputs[0][1:] == outputs[1][1:]  # the first line names the folder
    assert 'j+b 1:1' in outputs[0][4]
    failed = subprocess.run(
        [sys.executable, 'ensemble.py', 'none'], cwd=tmp_path / 'tools', env=env, capture_output=True, text=True
    )
    assert failed.returncode == 2 and failed.stderr.startswith('error: there are no scores of none')
    assert 'Traceback' not in failed.stderr
