"""Training through the tool's main function, on made data."""

from __future__ import annotations

import copy
import pickle
import shutil

import numpy as np
import pytest
import torch
from mmcv import Config

from aclnet.apis import load_config, train_model
from aclnet.apis.data import build_subset
from aclnet.datasets import build_dataset
from aclnet.errors import ACLNetError
from aclnet.models import build_model
from aclnet.models.fast.units import FastBlock
from tests.made import annotations, write_annotations, write_config
from tests.run import checkpoint, log_lines, tool

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(autouse=True)
def not_deterministic_afterwards():
    yield
    torch.use_deterministic_algorithms(False)


def assert_same(one, two, where=''):
    if isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            assert_same(one[key], two[key], f'{where}.{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(two), where
        for i, (a, b) in enumerate(zip(one, two)):
            assert_same(a, b, f'{where}[{i}]')
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    else:
        assert one == two, where


def test_files_logs_and_scores_of_a_training(tmp_path):
    config = write_config(tmp_path)
    results = tool('train', config, '--validate', '--test-last', '--test-best', '--seed', 3)
    work = tmp_path / 'work'
    names = {path.name for path in work.iterdir()}
    assert {'tiny.py', 'epoch_1.pth', 'epoch_2.pth', 'latest.pth', 'last_pred.pkl', 'best_pred.pkl'} <= names
    assert (work / 'latest.pth').resolve() == (work / 'epoch_2.pth').resolve()
    assert sum(name.startswith('best_top1_acc_epoch_') for name in names) == 1
    assert any(name.endswith('.log') for name in names)
    train, val = log_lines(work), log_lines(work, 'val')
    assert {'epoch', 'iter', 'lr', 'loss_cls', 'loss_inter', 'loss_intra', 'loss', 'top1_acc'} <= set(train[0])
    for line in train:
        assert line['loss'] == pytest.approx(line['loss_cls'] + line['loss_inter'] + line['loss_intra'], abs=2e-5)
    assert [line['epoch'] for line in val] == [1, 2]
    for name in ('last', 'best'):
        with open(work / f'{name}_pred.pkl', 'rb') as stream:
            scores = pickle.load(stream)
        assert len(scores) == 9 and all(score.shape == (3,) for score in scores)
        assert np.allclose(np.sum(scores, 1), 1, atol=1e-5)
        labels = [i % 3 for i in range(21, 30)]
        assert results[name]['top1_acc'] == pytest.approx(np.mean(np.argmax(scores, 1) == labels))
    meta = checkpoint(work / 'latest.pth')['meta']
    assert (meta['epoch'], meta['seed']) == (2, 3)
    assert meta['hook_msgs']['best_score'] == pytest.approx(max(line['top1_acc'] for line in val), abs=1e-4)


@pytest.mark.parametrize('fast', [None, True, False])
def test_training_takes_the_fast_forms_unless_told_otherwise(tmp_path, fast):
    cfg = load_config(write_config(tmp_path, epochs=1, extra='' if fast is None else f'fast = {fast}'))
    model = build_model(cfg.model)
    train_model(model, build_dataset(cfg.data.train), cfg)
    assert {isinstance(block, FastBlock) for block in model.backbone.gcn} == {fast is not False}


def test_inter_class_term_starts_without_validation(tmp_path):
    tool('train', write_config(tmp_path, epochs=3), '--seed', 0)
    terms = {line['epoch']: line['loss_inter'] for line in log_lines(tmp_path / 'work')}
    assert terms[1] == 0 and terms[2] > 0 and terms[3] > 0


@pytest.mark.parametrize('workers', [0, 2])
def test_resuming_at_an_epochs_end_changes_nothing(tmp_path, workers):
    config = write_config(tmp_path, epochs=4, workers=workers)
    tool('train', config, '--validate', '--seed', 5, '--work-dir', tmp_path / 'whole')
    (tmp_path / 'cut').mkdir()
    shutil.copy(tmp_path / 'whole' / 'epoch_2.pth', tmp_path / 'cut' / 'latest.pth')
    tool('train', config, '--validate', '--work-dir', tmp_path / 'cut')  # the seed is the checkpoint's
    whole, cut = (checkpoint(tmp_path / name / 'epoch_4.pth') for name in ('whole', 'cut'))
    assert_same(whole['state_dict'], cut['state_dict'])
    assert_same(whole['optimizer'], cut['optimizer'])
    assert whole['meta']['hook_msgs']['best_score'] == cut['meta']['hook_msgs']['best_score']
    state = cut['state_dict']
    assert state['cls_head.inter_loss.confusion'].sum() > 0 and state['cls_head.inter_loss.superclass_epoch'] == 4
    assert state['cls_head.intra_loss.memory_count'] == 4 * 21
    assert [line['epoch'] for line in log_lines(tmp_path / 'cut', 'val')] == [3, 4]


def test_a_finished_training_is_not_repeated_and_can_be_begun_anew(tmp_path):
    config = write_config(tmp_path)
    tool('train', config, '--seed', 0)
    before = (tmp_path / 'work' / 'epoch_2.pth').read_bytes()
    assert 'last' in tool('train', config, '--test-last')
    assert (tmp_path / 'work' / 'epoch_2.pth').read_bytes() == before
    tool('train', config, '--no-auto-resume', '--seed', 1)
    assert checkpoint(tmp_path / 'work' / 'epoch_2.pth')['meta']['seed'] == 1


def test_workers_change_nothing(tmp_path):
    states = []
    for workers in (0, 2):
        config = write_config(tmp_path, name=f'w{workers}.py', workers=workers, work_dir=str(tmp_path / f'w{workers}'))
        tool('train', config, '--seed', 5)
        states.append(checkpoint(tmp_path / f'w{workers}' / 'latest.pth')['state_dict'])
    assert_same(*states)


def test_fine_tuning_to_other_classes_keeps_all_but_the_classifier(tmp_path, caplog):
    tool('train', write_config(tmp_path), '--seed', 0)
    (tmp_path / 'other').mkdir()
    ann = write_annotations(tmp_path / 'other' / 'five.pkl', classes=5)
    start = str(tmp_path / 'work' / 'latest.pth')
    config = write_config(tmp_path / 'other', classes=5, memory=6, ann_file=ann, extra=f'load_from = {start!r}\n')
    cfg = load_config(config, {'total_epochs': 0})
    cfg.seed = 0
    torch.manual_seed(1)
    model = build_model(cfg.model)
    fresh = copy.deepcopy(model.state_dict())
    with caplog.at_level('INFO', 'aclnet'):
        import logging

        logging.getLogger('aclnet').propagate = True
        train_model(model, build_subset(cfg, 'train'), cfg)
    old, new = checkpoint(start)['state_dict'], model.state_dict()
    for key in new:
        if key.startswith('backbone.') or 'cl_fc' in key:
            assert torch.equal(new[key], old[key]), key
        elif 'fc_cls' in key:
            assert torch.equal(new[key], fresh[key]), key
    assert 'cls_head.fc_cls.weight starts anew: (3, 32) in the checkpoint, (5, 32) here' in caplog.text
    assert 'cls_head.intra_loss.memory_count starts anew' in caplog.text
    state = {key.rpartition('.')[2]: value for key, value in new.items() if key.startswith('cls_head.in')}
    assert state['memory_count'] == 0 and (state['memory_label'] == -1).all() and not state['memory'].any()
    assert state['superclass_epoch'] == 0 and not state['confusion'].any()
    assert int(model.cls_head.intra_loss.memory_count) == 0 and model.cls_head.inter_loss.superclasses is None
    tool('train', config)  # and it trains


def test_terms_can_be_switched_off(tmp_path):
    off = ['model.cls_head.inter_loss=None', 'model.cls_head.intra_loss=None']
    tool('train', write_config(tmp_path), '--cfg-options', *off)
    assert not {'loss_inter', 'loss_intra'} & set(log_lines(tmp_path / 'work')[0])
    tool('train', write_config(tmp_path), '--no-auto-resume')
    tool('test', write_config(tmp_path), '--cfg-options', *off)  # its keys in the checkpoint are passed over


def test_class_prob_repeats_samples(tmp_path):
    tool('train', write_config(tmp_path, epochs=1), '--cfg-options', 'data.train.class_prob=[1.0,2.5,0.5]')
    state = checkpoint(tmp_path / 'work' / 'latest.pth')['state_dict']
    # 7 samples of each of 3 classes: 7 once, 7 twice and half of them once more, half of 7
    assert state['cls_head.intra_loss.memory_count'] == 7 + 14 + 3 + 3


def test_other_optimizers(tmp_path):
    extra = "optimizer = dict(type='AdamW', lr=0.001)\n"
    tool('train', write_config(tmp_path, epochs=1, extra=extra))
    assert 'exp_avg' in checkpoint(tmp_path / 'work' / 'latest.pth')['optimizer']['state'][0]


def test_the_seed_draws_one_network_with_and_without_terms(tmp_path):
    cfg = load_config(write_config(tmp_path))
    states = []
    for off in ({}, dict(inter_loss=None), dict(inter_loss=None, intra_loss=None)):
        torch.manual_seed(3)
        states.append(build_model({**cfg.model, 'cls_head': {**cfg.model.cls_head, **off}}).state_dict())
    for key in states[-1]:
        assert all(torch.equal(state[key], states[0][key]) for state in states), key


def test_class_weights_and_smoothing_are_those_of_torch(tmp_path):
    cfg = load_config(write_config(tmp_path))
    torch.manual_seed(0)
    clips, label = torch.randn(6, 1, 1, 8, 20, 3), torch.tensor([0, 1, 2, 2, 1, 1])
    for head, kwargs in (
        (dict(label_smooth_eps=0.2), dict(label_smoothing=0.2)),
        (
            dict(loss_cls=dict(type='CrossEntropyLoss', loss_weight=3.0, class_weight=[1.0, 2.0, 3.0])),
            dict(weight=torch.tensor([1.0, 2.0, 3.0])),
        ),
    ):
        model = build_model({**cfg.model, 'cls_head': {**cfg.model.cls_head, **head}}).eval()
        logits = model.cls_head(model.backbone(clips[:, 0])[0])
        weight = 3.0 if 'weight' in kwargs else 1.0
        expected = weight * torch.nn.functional.cross_entropy(logits, label, **kwargs)
        torch.testing.assert_close(model(keypoint=clips, label=label)['loss_cls'], expected)


def test_gradient_clipping_is_done_and_logged(tmp_path):
    extra = 'optimizer_config = dict(grad_clip=dict(max_norm=0.01))\n'
    tool('train', write_config(tmp_path, epochs=1, extra=extra))
    assert all(line['grad_norm'] > 0.01 for line in log_lines(tmp_path / 'work'))


@pytest.mark.parametrize('amp', ['bf16', 'fp16'])
def test_mixed_precision_trains_and_tests(tmp_path, amp):
    config = write_config(tmp_path)
    tool('train', config, '--amp', amp, '--validate', '--seed', 0, '--test-last')
    assert all(np.isfinite(line['loss']) for line in log_lines(tmp_path / 'work'))
    tool('test', config, '--amp', amp)


def test_workflow_with_validation_losses(tmp_path):
    config = write_config(tmp_path, extra="workflow = [('train', 1), ('val', 1)]\n")
    tool('train', config, '--seed', 0)
    state = checkpoint(tmp_path / 'work' / 'latest.pth')['state_dict']
    assert state['cls_head.intra_loss.memory_count'] == 2 * 21, 'validation must leave the memory alone'
    assert all(np.isfinite(line['loss_cls']) for line in log_lines(tmp_path / 'work', 'val'))


def test_resuming_elsewhere_leaves_the_old_work_dir_alone(tmp_path):
    config = write_config(tmp_path, epochs=3)
    tool('train', config, '--validate', '--seed', 0, '--cfg-options', 'total_epochs=1')
    before = sorted(path.name for path in (tmp_path / 'work').glob('*.pth'))
    resume = ['--resume-from', tmp_path / 'work' / 'epoch_1.pth', '--work-dir', tmp_path / 'new']
    results = tool('train', config, '--validate', '--test-best', *resume)
    assert sorted(path.name for path in (tmp_path / 'work').glob('*.pth')) == before
    assert 'best' in results


@pytest.mark.parametrize(
    'extra',
    [
        'optimizer_config = None\n',
        'checkpoint_config = None\nevaluation = None\n',
        "model['test_cfg'] = None\n",
        "model['test_cfg'] = dict(average_clips=None)\n",
        'data["test_dataloader"] = dict(shuffle=False)\ndata["val_dataloader"] = None\n',
    ],
)
def test_what_configs_of_the_field_leave_open(tmp_path, extra):
    results = tool('train', write_config(tmp_path, extra=extra), '--validate', '--test-last', '--seed', 0)
    assert 0 <= results['last']['top1_acc'] <= 1
    first, last = (checkpoint(tmp_path / 'work' / f'epoch_{i}.pth')['state_dict'] for i in (1, 2))
    assert not torch.equal(first['cls_head.fc_cls.weight'], last['cls_head.fc_cls.weight'])


def test_several_labels_per_sample(tmp_path):
    content = annotations(classes=3)
    for item in content['annotations']:
        item['label'] = [item['label'], 3]
    ann = write_annotations(tmp_path / 'multi.pkl', content)
    extra = """
for subset in ('train', 'val', 'test'):
    data[subset].update(multi_class=True, num_classes=4)
evaluation = dict(interval=1, metrics=['mean_average_precision'])
model['cls_head'] = dict(type='AffinityHead', num_classes=4, in_channels=32, multi_class=True,
                         loss_cls=dict(type='BCELossWithLogits'))
del subset
"""
    results = tool('train', write_config(tmp_path, ann_file=ann, extra=extra), '--validate', '--test-last')
    assert 0 < results['last']['mean_average_precision'] <= 1


def test_contrastive_terms_need_one_label(tmp_path):
    cfg = load_config(write_config(tmp_path))
    with pytest.raises(ACLNetError, match='one label per sample'):
        build_model({**cfg.model, 'cls_head': {**cfg.model.cls_head, 'multi_class': True}})


@pytest.mark.parametrize('batch,train', [(20, 21), (64, 21), (1, 3), (4, 1)])
def test_any_batch_size_works(tmp_path, batch, train):
    """A last batch of one, a batch above the memory and above the data set, batches of one, one sample in all."""
    ann = write_annotations(tmp_path / 'few.pkl', train=train, classes=min(3, train))
    tool('train', write_config(tmp_path, batch=batch, memory=8, ann_file=ann), '--seed', 0, '--validate')
    assert np.isfinite(log_lines(tmp_path / 'work', 'val')[-1]['top1_acc'])


def test_samples_of_one_frame_and_of_zeros_train(tmp_path):
    content = annotations()
    content['annotations'][0]['keypoint'] = content['annotations'][0]['keypoint'][:, :1]
    content['annotations'][0]['total_frames'] = 1
    content['annotations'][1]['keypoint'] = np.zeros((1, 7, 20, 3), np.float16)
    content['annotations'][1]['total_frames'] = 7
    for item in content['annotations']:
        item['label'] = min(item['label'], 1)  # a class that never occurs
    ann = write_annotations(tmp_path / 'odd.pkl', content)
    tool('train', write_config(tmp_path, ann_file=ann), '--seed', 0, '--validate')
    state = checkpoint(tmp_path / 'work' / 'latest.pth')['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point())


def test_train_model_takes_a_config_as_mmcv_reads_it(tmp_path):
    cfg = Config.fromfile(write_config(tmp_path))
    model = build_model(cfg.model)
    results = train_model(model, [build_dataset(cfg.data.train)], cfg, validate=True, test=dict(test_best=True))
    assert 0 <= results['best']['top1_acc'] <= 1


def test_a_drawn_seed_is_kept(tmp_path):
    config = write_config(tmp_path, epochs=1)
    tool('train', config)
    first = checkpoint(tmp_path / 'work' / 'epoch_1.pth')['meta']['seed']
    tool('train', config, '--cfg-options', 'total_epochs=2')
    assert checkpoint(tmp_path / 'work' / 'epoch_2.pth')['meta']['seed'] == first
