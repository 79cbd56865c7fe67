"""Whatever a user hands in wrongly comes back as one sentence that names it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from aclnet.errors import ACLNetError, run_tool
from tests.made import annotations, write_annotations, write_config
from tests.run import tool


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    tool('train', write_config(folder, epochs=1), '--seed', 0)
    return folder


def refused(name, *argv):
    with pytest.raises(ACLNetError) as error:
        tool(name, *argv)
    sentence = str(error.value)
    assert '\n' not in sentence.strip() and len(sentence) < 600, sentence
    return sentence


OPTIONS = [
    ('data.train.split=xsub_trian', ["'xsub_trian'", 'xsub_train, xsub_val']),
    ('data.train.ann_file=data/nturgbd/ntu60_3danno.pkl', ['does not exist', 'https://download.openmmlab.com']),
    ('data.train.ann_file=data/mine.pkl', ['data/mine.pkl does not exist']),
    ('data.train.type=PoseDatset', ["'PoseDatset'", "did you mean 'PoseDataset'"]),
    ('data.train.anno_file=x', ["'anno_file'", 'ann_file']),
    ('data.video_per_gpu=3', ["'video_per_gpu'", "did you mean 'videos_per_gpu'"]),
    ('data.videos_per_gpu=0', ['batch_size', '0']),
    ('data.workers_per_gpu=-1', ['workers_per_gpu', '-1']),
    ('data.train.pipeline.1.type=RandomRto', ["'RandomRto'", "did you mean 'RandomRot'"]),
    ('data.train.pipeline.2.dataset=nturgb+d', ['25', '20']),
    ('data.train.pipeline.2.dataset=ntu', ["'ntu'", 'nturgb+d']),
    ('data.train.pipeline.3.num_clips=2', ['num_clips=1']),
    ('model.type=Recognizer', ['Recognizer', 'SkeletonRecognizer']),
    ('model.backbone.graph_cfg.layout=coco', ["'coco'", '17', '20']),
    ('model.backbone.in_channels=2', ['20, 2', '20, 3']),
    ('model.backbone.base_chanels=8', ["did you mean 'base_channels'"]),
    ('model.cls_head.num_classes=2', ['label 2', 'num_classes is 2']),
    ('model.cls_head.in_channels=5', ['in_channels is 5', '32']),
    ('model.cls_head.intra_loss.memory_sice=5', ["did you mean 'memory_size'"]),
    ('model.cls_head.loss_cls.type=CrossEntropy', ['CrossEntropyLoss']),
    ('model.cls_head.data_cfg=ntu61', ["did you mean 'ntu60'"]),
    ('optimzer.lr=1', ["did you mean 'optimizer'"]),
    ('optimizer.type=SDG', ['SDG']),
    ('lr_config.policy=Cosin', ['Cosin']),
    ('log_config.hooks.0.type=TextLogger', ['TextLogger']),
    ('evaluation.metrics=[top_k_acuracy]', ["did you mean 'top_k_accuracy'"]),
    ('evaluation.save_best=top3_acc', ['top3_acc', 'top1_acc']),
    ('evaluation.intervall=2', ["did you mean 'interval'"]),
    ('checkpoint_config.max_keep_ckpt=2', ["did you mean 'max_keep_ckpts'"]),
    ('log_config.intervall=2', ["did you mean 'interval'"]),
    ('a=[1,2', ['a=[1,2']),
    ('total_epochs=many', ["'many'", 'whole number']),
    ('workflow=[train]', ["[('train', 1), ('val', 1)]"]),
    ('seed=a', ["'a'", 'whole number']),
    ('amp=bfloat16', ['bf16, fp16', 'bfloat16']),
    ('model.backbone.tcn_ms_cfg=[]', ['tcn_ms_cfg']),
    ('model.cls_head.multi_class=True', ['one label per sample']),
    ('load_from=nothing.pth', ['nothing.pth does not exist']),
    ('resume_from=nothing.pth', ['nothing.pth does not exist']),
    ('log_level=LOUD', ['LOUD']),
]


@pytest.mark.parametrize('option,words', OPTIONS, ids=[option for option, _ in OPTIONS])
def test_wrong_options_of_training(tmp_path, option, words):
    sentence = refused('train', write_config(tmp_path), '--validate', '--cfg-options', option)
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    'text,words',
    [
        ('model = dict(\n', ['tiny.py', 'line']),
        ("_base_ = './nothing.py'\n", ['_base_', 'nothing.py']),
        ('import nothing_here\n', ['nothing_here']),
        ('optimizer = 3\n', ["lacks 'model'"]),
        ('x = 1 / 0\n', ['division by zero']),
        ("model = dict()\ndata = dict(train=dict(type='PoseDataset'))\n", ["'type'"]),
        ('model = dict()\ndata = dict(tain=dict())\n', ["did you mean 'train'"]),
    ],
)
def test_wrong_configs(tmp_path, text, words):
    (tmp_path / 'tiny.py').write_text(text)
    sentence = refused('train', tmp_path / 'tiny.py', '--work-dir', tmp_path / 'work')
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    'change,words',
    [
        (lambda c: c.pop('annotations'), ['annotations']),
        (lambda c: c['annotations'][0].pop('label'), ['label']),
        (lambda c: c['annotations'][0].update(label='wave'), ['wave', 'sample000']),
        (lambda c: c['annotations'][0].update(label=-1), ['-1', 'sample000']),
        (
            lambda c: c['annotations'][0].update(keypoint=np.ones((1, 5, 17, 3)), total_frames=5),
            ['sample000', '17', '20'],
        ),
        (lambda c: c['annotations'][0].update(keypoint=np.ones((1, 5, 20, 2)), total_frames=5), ['sample000', '2']),
        (lambda c: c['annotations'][0].update(keypoint=np.zeros((0, 5, 20, 3))), ['sample000']),
        (lambda c: c['annotations'][0].update(keypoint=np.zeros((1, 0, 20, 3))), ['sample000']),
    ],
)
@pytest.mark.parametrize('workers', [0, 1])
def test_wrong_annotations(tmp_path, change, words, workers):
    content = annotations()
    change(content)
    ann = write_annotations(tmp_path / 'wrong.pkl', content)
    sentence = refused('train', write_config(tmp_path, ann_file=ann, workers=workers))
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    'data', [b'', b'text', pickle.dumps(annotations())[:500], pickle.dumps({'a': torch.nn.Linear})]
)
def test_files_that_are_no_annotations(tmp_path, data):
    (tmp_path / 'bad.pkl').write_bytes(data)
    assert 'bad.pkl' in refused('train', write_config(tmp_path, ann_file=str(tmp_path / 'bad.pkl')))


def test_wrong_calls_of_test(tmp_path, trained):
    config = trained / 'tiny.py'
    assert 'none.pth does not exist' in refused('test', config, '-C', tmp_path / 'none.pth')
    assert '.json or .yaml' in refused('test', config, '--out', 'scores.txt')
    assert "did you mean 'top_k_accuracy'" in refused('test', config, '--eval', 'top_k_acuracy')
    wide = refused('test', config, '--cfg-options', 'model.backbone.base_channels=24', 'model.cls_head.in_channels=48')
    assert 'does not fit' in wide and '(16,)' in wide and '(24,)' in wide
    more = refused('test', config, '--cfg-options', 'model.cls_head.num_classes=5')
    assert 'fc_cls' in more and '(5,' in more
    assert not list(tmp_path.iterdir())


def test_a_work_dir_that_cannot_be(tmp_path):
    (tmp_path / 'file').write_text('')
    assert 'work_dir' in refused('train', write_config(tmp_path), '--work-dir', tmp_path / 'file' / 'work')


def test_resuming_from_weights_alone(tmp_path, trained):
    content = torch.load(trained / 'work' / 'epoch_1.pth', weights_only=True)
    torch.save(content['state_dict'], tmp_path / 'weights.pth')
    sentence = refused('train', write_config(tmp_path), '--resume-from', tmp_path / 'weights.pth')
    assert 'no optimizer' in sentence and 'load_from' in sentence


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if 'tensorboard' in name:
            raise ImportError(f'No module named {name!r}')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    extra = "log_config = dict(interval=1, hooks=[dict(type='TensorboardLoggerHook')])\n"
    assert 'tensorboard' in refused('train', write_config(tmp_path, extra=extra))


def test_tools_exit_with_2_and_a_sentence(capsys):
    def fails():
        raise ACLNetError('what, where, what would be right')

    with pytest.raises(SystemExit) as stop:
        run_tool(fails)
    assert stop.value.code == 2 and capsys.readouterr().err == 'error: what, where, what would be right\n'
