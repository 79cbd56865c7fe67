"""Every sentence that docs/troubleshooting.md quotes is what the tools print when they are provoked."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import pickle
import re
import shlex
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aclnet import distributed
from aclnet.apis import load_config
from aclnet.datasets.annotations import MemcachedPoses, RawFiles
from aclnet.engine import load_checkpoint, load_weights
from aclnet.errors import ACLNetError
from aclnet.evaluation import save_scores
from aclnet.models import build_model
from tests.docs.page import blocks
from tests.made import annotations, write_annotations, write_config
from tests.run import ROOT, checkpoint, shell, tool

PAGE = ROOT / 'docs' / 'troubleshooting.md'
SMALL = 'model.backbone.base_channels=16 model.cls_head.in_channels=64'
QUICK = f'--seed 0 --cfg-options {SMALL} data.workers_per_gpu=0 data.train.pipeline.3.clip_len=8'


def one_line(text: str) -> str:
    return ' '.join(text.split())


START = re.compile(r'^(?=error: |ERROR: |ModuleNotFoundError: |1 of 1 epochs)', re.M)


@pytest.fixture(scope='session')
def quoted() -> list[str]:
    """The sentences in the page's ```text blocks, line breaks taken out."""
    texts = [block.text for block in blocks(PAGE) if block.language == 'text']
    return [one_line(part) for text in texts for part in START.split(text) if part.strip()]


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> Path:
    """A project folder as a user has it: configs, data under the names that they ask for, a training's results."""
    folder = tmp_path_factory.mktemp('place')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    write_annotations(folder / 'data/utd_mhad/utd_mhad.pkl')
    write_annotations(folder / 'data/nw_ucla/nw_ucla.pkl', joints=25)
    write_annotations(folder / 'data/mine.pkl')
    (folder / 'data/half.pkl').write_bytes((folder / 'data/mine.pkl').read_bytes()[:500])
    (folder / 'data/code.pkl').write_bytes(pickle.dumps({'split': {}, 'annotations': [pickle.Pickler]}))
    content = annotations()
    for annotation in content['annotations']:
        annotation.update(frame_dir='S' + annotation['frame_dir'][1:])
    write_annotations(folder / 'data/renamed.pkl', content)
    content = annotations()
    content['annotations'][0]['total_frames'] += 1
    write_annotations(folder / 'data/long.pkl', content)
    content = annotations()
    content['annotations'][0]['keypoint'][0, 0, 7] = np.nan
    write_annotations(folder / 'data/nan.pkl', content)
    poses = dict(total_frames=9, img_shape=(240, 320), original_shape=(240, 320), box_score=np.ones(9, np.float32))
    poses.update(valid={0.5: 9}, label=0, raw_file='kpfiles/wave.pkl', frame_dir='wave_0001')
    split = dict(train=['wave_0001'], val=['wave_0001'])
    write_annotations(folder / 'data/k400/k400_hrnet.pkl', dict(split=split, annotations=[poses]))
    with working_in(folder):
        tool('train', write_config(Path('.'), 'mine.py', work_dir='work_dirs/mine', ann_file='data/mine.pkl', epochs=1),
             '--seed', 0)  # fmt: skip
        _configs()
        _checkpoints()
        _scores()
    return folder


@contextlib.contextmanager
def working_in(folder: Path):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _configs() -> None:
    Path('imports.py').write_text("_base_ = './mine.py'\ncustom_imports = dict(imports=['my_parts'])\n")
    Path('derived.py').write_text("_base_ = './configs/ntu60_xsub/j.py'\ndata = {{_base_.stream.ntu.b.plain}}\n")


def _checkpoints() -> None:
    cfg = load_config('configs/utd_mhad/j.py', {'model.cls_head.num_classes': 60})
    state = build_model(cfg.model).state_dict()
    torch.save(dict(meta={}, state_dict=state), 'sixty.pth')
    torch.save(dict(meta=dict(args=argparse.Namespace(lr=0.1)), state_dict=state), 'foreign.pth')
    torch.save(dict(net=state), 'net.pth')
    Path('half.pth').write_bytes(Path('sixty.pth').read_bytes()[:1000])
    cfg = load_config('configs/k400/j.py', {'model.backbone.base_channels': 8, 'model.cls_head.in_channels': 32})
    torch.save(dict(meta={}, state_dict=build_model(cfg.model).state_dict()), 'k400.pth')


def _scores() -> None:
    scores = np.eye(4, 3)
    names = ['a', 'b', 'c', 'd']

    def save(run: str, stream: str, **about) -> None:
        save_scores(f'work_dirs/{run}/{stream}/best_pred.pkl', about.pop('scores', scores), about or None)

    save('others', 'j', identifiers=names, labels=[0, 1, 2, 0])
    save('others', 'b', identifiers=['a', 'b', 'c', 'x'], labels=[0, 1, 2, 0])
    save('relabelled', 'j', identifiers=names, labels=[0, 1, 2, 0])
    save('relabelled', 'b', identifiers=names, labels=[0, 1, 2, 1])
    save('wider', 'j', identifiers=names, labels=[0, 1, 2, 0])
    save('wider', 'b', scores=np.eye(4, 5), identifiers=names, labels=[0, 1, 2, 0])
    save('longer', 'j', identifiers=names, labels=[0, 1, 2, 0])
    save('longer', 'b', scores=np.eye(5, 3))
    save('bare', 'j')
    save('torn', 'j', identifiers=names, labels=[0, 1, 2, 0])
    side = Path('work_dirs/torn/j/best_pred.pkl.meta.json').read_text()
    save('torn', 'j', scores=np.eye(5, 3))
    Path('work_dirs/torn/j/best_pred.pkl.meta.json').write_text(side)


# what is wrong: the command that shows it
REFUSED = {
    'missing benchmark': 'train configs/ntu60_xsub/j.py',
    'missing own file': 'train mine.py --cfg-options data.train.ann_file=data/others.pkl',
    'unknown split': 'train configs/utd_mhad/j.py --cfg-options data.train.split=xsub_trian',
    'identifiers that match nothing': 'train mine.py --cfg-options data.train.ann_file=data/renamed.pkl',
    'damaged pickle': 'train mine.py --cfg-options data.train.ann_file=data/half.pkl',
    'pickle with code': 'train mine.py --cfg-options data.train.ann_file=data/code.pkl',
    'frames that differ': 'test mine.py --cfg-options data.test.ann_file=data/long.pkl data.test.split=xsub_train',
    'numbers that are not finite': 'train mine.py --work-dir work_dirs/nan --cfg-options '
    'data.train.ann_file=data/nan.pkl data.train.strict=True',
    'best without validation': 'train mine.py --work-dir work_dirs/unvalidated --test-best',
    'option that nothing reads': 'train mine.py --cfg-options lr=0.1',
    'joints of the data': f'train configs/nw_ucla/j.py {QUICK} data.train.split=xsub_train',
    'joints of the model': 'train mine.py --no-auto-resume --cfg-options model.backbone.graph_cfg.layout=nturgb+d',
    'label beyond the classes': 'train configs/utd_mhad/j.py --cfg-options model.cls_head.num_classes=2',
    'missing raw file': (
        'test configs/k400/j.py -C k400.pth --cfg-options data.test.memcached=False '
        'data.workers_per_gpu=0 model.backbone.base_channels=8 model.cls_head.in_channels=32'
    ),
    'misspelt option': 'train configs/utd_mhad/j.py --cfg-options optimzer.lr=0.1',
    'misspelt argument': 'train configs/utd_mhad/j.py --cfg-options model.cls_head.intra_loss.memory_sice=64',
    'unregistered name': 'train mine.py --no-auto-resume --cfg-options data.train.pipeline.1.type=Jitter',
    'module that is not found': 'train imports.py',
    'base that was a name': 'train derived.py',
    'several clips in training': (
        f'train configs/utd_mhad/j.py {QUICK} data.train.pipeline.3.num_clips=10 total_epochs=1'
    ),
    'launcher without its variables': 'train configs/utd_mhad/j.py --launcher pytorch',
    'other widths at a resume': 'train mine.py --cfg-options model.backbone.base_channels=24 '
    'model.cls_head.in_channels=48',
    'other optimizer at a resume': 'train mine.py --cfg-options model.cls_head.inter_loss=None total_epochs=2',
    'weights to resume from': 'train configs/utd_mhad/j.py --resume-from sixty.pth',
    'missing checkpoint': 'test configs/utd_mhad/j.py',
    'folder for a checkpoint': 'test configs/utd_mhad/j.py -C work_dirs/mine',
    'objects in a checkpoint': 'test configs/utd_mhad/j.py -C foreign.pth',
    'damaged checkpoint': 'test configs/utd_mhad/j.py -C half.pth',
    'checkpoint of another kind': 'test configs/utd_mhad/j.py -C net.pth',
    'other classes': 'test configs/utd_mhad/j.py -C sixty.pth',
    'score file without scores': 'ensemble mine',
    'other samples': 'ensemble others',
    'other labels': 'ensemble relabelled',
    'other classes to fuse': 'ensemble wider',
    'other numbers of samples': 'ensemble longer',
    'no labels': 'ensemble bare',
    'side file of other scores': 'ensemble torn',
}


@functools.cache
def given(command: str) -> str:
    """What a command is refused with, as the tool prints it."""
    tool_name, *words = shlex.split(command)
    with pytest.raises(ACLNetError) as error:
        tool(tool_name, *words)
    return one_line(f'error: {error.value}')


@pytest.fixture(autouse=True)
def in_place(place, monkeypatch):
    monkeypatch.chdir(place)


def matches(sentence: str, quotation: str) -> bool:
    return sentence.startswith(quotation[:-1]) if quotation.endswith('…') else sentence == quotation


@pytest.mark.parametrize('name', REFUSED)
def test_sentence_of_an_error(name, quoted):
    sentence = given(REFUSED[name])
    assert any(matches(sentence, quotation) for quotation in quoted), sentence


ELSEWHERE = ('ModuleNotFoundError', 'ERROR: ')  # python's and pip's


def test_every_sentence_is_provoked_by_a_case(quoted):
    errors = [given(command) for command in REFUSED.values()]
    for quotation in quoted:
        if not quotation.startswith(ELSEWHERE) and not any(matches(error, quotation) for error in errors):
            assert any(quotation.startswith(start) for start in SHOWN_BELOW), quotation


# what is printed by shells and logs, each checked by a test of its own
SHOWN_BELOW = (
    'error: there is no Python',
    'error: ACLNET_PYTHON=',
    'error: python3.11 lacks venv',
    'error: python3 lacks',
    'error: process 1 of this node',
    'memcached server localhost:22077',
    'work_dirs/mine/epoch_1.pth exists',
    '1 of 1 epochs done',
    'not as in work_dirs/mine/epoch_1.pth',
    'sample sample000 is broken',
    'checkpoint work_dirs/mine/latest.pth was trained on stream',
)


def stub_python(folder: Path, body: str) -> str:
    """A PATH on which python3 is a script of ours."""
    folder.mkdir()
    (folder / 'python3').write_text(f'#!/bin/sh\n{body}\n')
    (folder / 'python3').chmod(0o755)
    return f'{folder}:{os.environ["PATH"]}'


def first_run(folder: Path, **env: str) -> str:
    """What the one-command test run says where it cannot make its environment."""
    done = shell(shutil.which('bash'), ROOT / 'tools/run_tests.sh', ACLNET_VENV=str(folder / 'v'), **env)
    assert done.returncode != 0
    return one_line(done.stderr)


def test_no_python_that_will_do(quoted, tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'dirname').symlink_to(shutil.which('dirname'))
    assert first_run(tmp_path, PATH=str(tmp_path / 'bin')) in quoted
    assert first_run(tmp_path, ACLNET_PYTHON='no-such-python').replace('no-such-python', 'python3.13') in quoted


def test_a_python_without_venv(quoted, tmp_path):
    body = f'case "$2" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"'
    said = first_run(tmp_path, ACLNET_PYTHON='python3', PATH=stub_python(tmp_path / 'bin', body))
    assert said.replace(f'python3.{sys.version_info.minor}', 'python3.11') in quoted


def test_tools_without_the_package(quoted, tmp_path):
    done = shell(sys.executable, '-S', ROOT / 'tools/train.py', 'mine.py', PYTHONPATH='')
    assert done.returncode == 1 and done.stderr.splitlines()[-1] in quoted
    path = stub_python(tmp_path / 'bin', 'exit 1')
    done = shell('bash', ROOT / 'tools/dist_train.sh', 'mine.py', 2, PYTHON='python3', PATH=path)
    assert done.returncode == 2 and one_line(done.stderr) in quoted


def test_a_process_without_a_gpu(quoted, monkeypatch):
    for name, value in dict(RANK='1', WORLD_SIZE='2', LOCAL_RANK='1', MASTER_ADDR='x', MASTER_PORT='1').items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    with pytest.raises(ACLNetError) as error:
        distributed.init('pytorch')
    assert one_line(f'error: {error.value}') in quoted


def test_no_memcached_server(quoted, monkeypatch):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    monkeypatch.setattr('aclnet.datasets.annotations.memcached._warned', False)
    poses = MemcachedPoses(('localhost', port), RawFiles('x.pkl'))
    with pytest.warns(UserWarning) as caught:
        assert poses._get('wave', {}) is None
    assert one_line(str(caught[0].message)).replace(str(port), '22077') in quoted


def logged(*words: object) -> str:
    """The log of a training."""
    before = set(Path('.').glob('work_dirs/*/*.log'))
    tool('train', *words)
    (log,) = set(Path('.').glob('work_dirs/*/*.log')) - before
    return log.read_text()


def test_going_on_from_a_finished_training(quoted):
    text = logged('mine.py')
    assert 'work_dirs/mine/epoch_1.pth exists: going on from there (--no-auto-resume starts anew)' in quoted
    assert 'work_dirs/mine/epoch_1.pth exists: going on from there (--no-auto-resume starts anew)' in text
    assert '1 of 1 epochs done' in quoted and '1 of 1 epochs done' in text


def test_a_broken_sample_is_logged_and_replaced(quoted):
    text = logged('mine.py', '--work-dir', 'work_dirs/broken', '--cfg-options', 'data.train.ann_file=data/nan.pkl')
    (warning,) = [line.partition('WARNING - ')[2] for line in text.splitlines() if 'WARNING' in line]
    shown = re.sub('replaced by sample[0-9]+', 'replaced by sample007', warning)  # by the drawn seed
    assert shown in quoted and 'Saving checkpoint' in text


def test_a_checkpoint_of_another_stream(quoted, caplog):
    tool('test', 'mine.py', '--out', 'b.pkl', '--cfg-options', 'data.test.pipeline.1.feats=[b]')
    assert caplog.messages[-1] in quoted


def test_a_changed_learning_rate_is_used_by_a_resumed_training(quoted):
    shutil.copytree('work_dirs/mine', 'work_dirs/changed', symlinks=True, ignore=shutil.ignore_patterns('*.log*'))
    text = logged(
        'mine.py', '--work-dir', 'work_dirs/changed', '--cfg-options', 'total_epochs=2', 'optimizer.lr=7',
        'optimizer.weight_decay=1',
    )  # fmt: skip
    (quotation,) = [sentence for sentence in quoted if sentence.startswith('not as in ')]
    assert quotation.replace('/mine/', '/changed/') in text and 'Epoch [2]' in text
    group = checkpoint('work_dirs/changed/latest.pth')['optimizer']['param_groups'][0]
    assert (group['initial_lr'], group['weight_decay']) == (7, 1)


def test_an_epoch_shorter_than_the_log_interval_logs_none():
    text = logged('mine.py', '--work-dir', 'work_dirs/silent', '--cfg-options', 'log_config.interval=100')
    assert 'Epoch [1]' not in text and 'Saving checkpoint' in text


def test_gradients_of_several_batches_can_be_added_up():
    kind = 'optimizer_config.type=GradientCumulativeOptimizerHook'
    text = logged(
        'mine.py', '--work-dir', 'work_dirs/summed', '--cfg-options', kind, 'optimizer_config.cumulative_iters=2'
    )
    assert 'Epoch [1]' in text


def test_the_weights_of_a_foreign_checkpoint_can_be_kept():
    (block,) = [block for block in blocks(PAGE) if block.language == 'python']
    names = {}
    exec(block.text, names)
    names['keep_weights']('foreign.pth', 'kept.pth')
    cfg = load_config('configs/utd_mhad/j.py', {'model.cls_head.num_classes': 60})
    load_weights(build_model(cfg.model), load_checkpoint('kept.pth'), 'kept.pth')
