"""A config in the style of the research release, with poses in raw files, runs unmodified."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch

from tests.run import checkpoint, log_lines, tool

CONFIG = """
modality = 'km'
graph = 'coco_new'
work_dir = f'./work_dirs/k400/km'
model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='GCN_Module', gcn_ratio=0.125, gcn_ctr='T', gcn_ada='T',
        tcn_ms_cfg=[(3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1'],
        graph_cfg=dict(layout=graph, mode='random', num_filter=8, init_off=.04, init_std=.02)),
    cls_head=dict(type='SimpleHead', data_cfg='k400', num_classes=400, in_channels=384))
memcached = True
mc_cfg = ('localhost', 22077)
dataset_type = 'PoseDataset'
ann_file = 'k400.pkl'
left_kp, right_kp = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]


def steps(random, **sampling):
    return [
        dict(type='DecompressPose', squeeze=True), dict(type='UniformSampleFrames', clip_len=12, **sampling),
        dict(type='PoseDecode'), *random, dict(type='Kinetics_Transform'),
        dict(type='GenSkeFeat', dataset=graph, feats=[modality]), dict(type='FormatGCNInput', num_person=2),
        dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]), dict(type='ToTensor', keys=['keypoint'])]


train_pipeline = steps([dict(type='Flip', flip_ratio=0.5, left_kp=left_kp, right_kp=right_kp)])
val_pipeline = steps([], num_clips=1)
test_pipeline = steps([], num_clips=10)
data = dict(
    videos_per_gpu=4, workers_per_gpu=0, test_dataloader=dict(videos_per_gpu=1),
    train=dict(type=dataset_type, ann_file=ann_file, split='train', pipeline=train_pipeline, box_thr=.5,
               valid_ratio=.0, memcached=memcached, mc_cfg=mc_cfg),
    val=dict(type=dataset_type, ann_file=ann_file, split='val', pipeline=val_pipeline, box_thr=.5,
             memcached=memcached, mc_cfg=mc_cfg),
    test=dict(type=dataset_type, ann_file=ann_file, split='val', pipeline=test_pipeline, box_thr=.5,
              memcached=memcached, mc_cfg=mc_cfg))
optimizer = dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0005, nesterov=True)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='CosineAnnealing', min_lr=0, by_epoch=False)
total_epochs = 1
checkpoint_config = dict(interval=1)
evaluation = dict(interval=1, metrics=['top_k_accuracy', 'mean_class_accuracy'], topk=(1, 5))
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
dist_params = dict(backend='nccl')
"""
SMALL = ['--cfg-options', 'model.backbone.base_channels=8', 'model.cls_head.in_channels=32']


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    raw, annotations = {}, []
    for i in range(9):
        frames = int(rng.integers(3, 20))
        frame_inds = np.sort(np.concatenate([np.arange(frames), rng.integers(0, frames, 5)])).astype(np.int16)
        poses = rng.uniform(1, 200, (len(frame_inds), 17, 3)).astype(np.float16)
        name = f'video{i}'
        raw[name] = dict(keypoint=poses, frame_inds=frame_inds)
        annotations.append(
            dict(
                frame_dir=name,
                label=int(rng.integers(400)),
                total_frames=frames,
                img_shape=(256, 340),
                original_shape=(256, 340),
                raw_file='kpfiles/part0.pkl',
                box_score=rng.uniform(0.4, 1, len(frame_inds)).astype(np.float16),
                valid={0.5: frames, 0.6: 3},
            )
        )
    (tmp_path / 'kpfiles').mkdir()
    (tmp_path / 'kpfiles' / 'part0.pkl').write_bytes(pickle.dumps(raw))
    split = dict(train=[a['frame_dir'] for a in annotations[:6]], val=[a['frame_dir'] for a in annotations[6:]])
    (tmp_path / 'k400.pkl').write_bytes(pickle.dumps(dict(split=split, annotations=annotations)))
    (tmp_path / 'km.py').write_text(CONFIG)
    return tmp_path


def test_trains_validates_and_tests(folder):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that no memcached answers is warned of once
        results = tool('train', 'km.py', '--validate', '--test-last', '--test-best', '--seed', 0, *SMALL)
    assert set(results['best']) == {'top1_acc', 'top5_acc', 'mean_class_accuracy'}
    work = folder / 'work_dirs' / 'k400' / 'km'
    assert (work / 'best_pred.pkl').exists() and len(log_lines(work)) == 2
    state = checkpoint(work / 'latest.pth')['state_dict']
    assert state['cls_head.intra_loss.memory'].shape == (2048, 256)
    assert state['cls_head.inter_loss.cl_fc.weight'].shape == (256, 400)


def test_a_checkpoint_without_our_buffers_tests_and_starts_a_training(folder):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        tool('train', 'km.py', '--seed', 0, *SMALL)
        content = checkpoint(folder / 'work_dirs/k400/km/epoch_1.pth')
        ours = (
            'prototypes',
            'confusion',
            'superclass_mask',
            'superclass_epoch',
            'memory',
            'memory_label',
            'memory_count',
        )
        state = {key: value for key, value in content['state_dict'].items() if key.rpartition('.')[2] not in ours}
        assert len(state) == len(content['state_dict']) - 7
        torch.save(dict(meta=dict(epoch=1, top1=np.float64(0.5)), state_dict=state), folder / 'published.pth')
        values = tool('test', 'km.py', '-C', 'published.pth', '--out', 'scores.pkl', *SMALL)
        assert 0 <= values['top1_acc'] <= 1
        for key in ('load_from', 'model.backbone.pretrained'):
            tool(
                'train',
                'km.py',
                '--work-dir',
                f'from_{key}',
                '--seed',
                1,
                *SMALL,
                f'{key}=published.pth',
                'optimizer.lr=0.0',
            )
            after = checkpoint(folder / f'from_{key}' / 'epoch_1.pth')['state_dict']
            assert torch.equal(after['backbone.gcn.0.gcn.A'], state['backbone.gcn.0.gcn.A'])
            same_head = torch.equal(after['cls_head.fc_cls.weight'], state['cls_head.fc_cls.weight'])
            assert same_head == (key == 'load_from')
