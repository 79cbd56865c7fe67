"""Every config: the values it derives, its pipelines in order, its model trained for one step, its dump read again."""

from __future__ import annotations

import copy
import functools
import importlib.util
from pathlib import Path

import pytest
from mmcv import Config

from aclnet import compat  # noqa: F401  mmcv must be imported through it

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
STREAMS = ('j', 'b', 'k', 'jm', 'bm', 'km')

# data set: annotation file, training and test split
DATA = {
    'ntu60_xsub': ('data/nturgbd/ntu60_3danno.pkl', 'xsub_train', 'xsub_val'),
    'ntu60_xview': ('data/nturgbd/ntu60_3danno.pkl', 'xview_train', 'xview_val'),
    'ntu120_xsub': ('data/nturgbd/ntu120_3danno.pkl', 'xsub_train', 'xsub_val'),
    'ntu120_xset': ('data/nturgbd/ntu120_3danno.pkl', 'xset_train', 'xset_val'),
    'pku_mmd_xsub': ('data/pku/pku_mmd.pkl', 'xsub_train', 'xsub_val'),
    'pku_mmd_xview': ('data/pku/pku_mmd.pkl', 'xview_train', 'xview_val'),
    'finegym': ('data/finegym/gym_hrnet.pkl', 'train', 'val'),
    'k400': ('data/k400/k400_hrnet.pkl', 'train', 'val'),
    'utd_mhad': ('data/utd_mhad/utd_mhad.pkl', 'xsub_train', 'xsub_val'),
    'nw_ucla': ('data/nw_ucla/nw_ucla.pkl', 'xview_train', 'xview_val'),
}
# data set: layout, joints, persons, clip length, classes, memory size, batch, workers, learning rate, epochs, width
SIZES = {
    'ntu60_xsub': ('nturgb+d', 25, 2, 100, 60, 512, 16, 4, 0.025, 150, 96),
    'ntu60_xview': ('nturgb+d', 25, 2, 100, 60, 512, 16, 4, 0.025, 150, 96),
    'ntu120_xsub': ('nturgb+d', 25, 2, 100, 120, 1024, 16, 4, 0.025, 150, 96),
    'ntu120_xset': ('nturgb+d', 25, 2, 100, 120, 1024, 16, 4, 0.025, 150, 96),
    'pku_mmd_xsub': ('nturgb+d', 25, 2, 50, 51, 512, 16, 4, 0.025, 150, 96),
    'pku_mmd_xview': ('nturgb+d', 25, 2, 50, 51, 512, 16, 4, 0.025, 150, 96),
    'finegym': ('coco_new', 20, 2, 100, 99, 1024, 16, 4, 0.025, 150, 96),
    'k400': ('coco_new', 20, 2, 100, 400, 2048, 64, 16, 0.1, 150, 96),
    'utd_mhad': ('kinect20', 20, 1, 50, 27, 1024, 16, 2, 0.025, 50, 48),
    'nw_ucla': ('kinect20', 20, 1, 52, 10, 1024, 16, 2, 0.025, 50, 48),
}
# data set: augmentation of j, b, k, jm, bm, km beside RandomRot (3D) or Flip (2D)
EXTRAS = {
    'ntu60_xsub': ('', 'SpatialFlip', 'SpatialFlip', '', 'SpatialFlip', 'SpatialFlip'),
    'ntu60_xview': ('', '', 'PartDrop', '', '', 'PartDrop'),
    'ntu120_xsub': ('SpatialFlip', 'SpatialFlip', 'PartDrop', 'SpatialFlip', 'SpatialFlip', 'PartDrop'),
    'ntu120_xset': ('', 'SpatialFlip', 'SpatialFlip', '', 'SpatialFlip', 'SpatialFlip'),
    'pku_mmd_xsub': ('PartDrop',) * 6,
    'pku_mmd_xview': ('PartDrop',) * 6,
    'finegym': ('',) * 6,
    'k400': ('',) * 6,
    'utd_mhad': ('',) * 6,
    'nw_ucla': ('',) * 6,
}
FLAT_DATASETS = ('finegym', 'k400')
ALL = [(dataset, stream) for dataset in DATA for stream in STREAMS]
every_config = pytest.mark.parametrize(('dataset', 'stream'), ALL, ids=['/'.join(pair) for pair in ALL])


@functools.cache
def _loaded(dataset: str, stream: str) -> Config:
    return Config.fromfile(str(CONFIGS / dataset / f'{stream}.py'))


def load(dataset: str, stream: str) -> Config:
    return copy.deepcopy(_loaded(dataset, stream))


def steps(pipeline: list) -> list[tuple[str, dict]]:
    return [(step['type'], {key: value for key, value in step.items() if key != 'type'}) for step in pipeline]


def expected_steps(dataset: str, stream: str, phase: str) -> list[tuple[str, dict]]:
    layout, _, persons, clip_len = SIZES[dataset][:4]
    extra = EXTRAS[dataset][STREAMS.index(stream)]
    clips = {'train': {}, 'val': dict(num_clips=1), 'test': dict(num_clips=10)}[phase]
    features = ('GenSkeFeat', dict(dataset=layout, feats=[stream]))
    packing = [
        ('FormatGCNInput', dict(num_person=persons)),
        ('Collect', dict(keys=['keypoint', 'label'], meta_keys=[])),
        ('ToTensor', dict(keys=['keypoint'])),
    ]
    if dataset in FLAT_DATASETS:
        random = [
            ('Flip', dict(flip_ratio=0.5, left_kp=[1, 3, 5, 7, 9, 11, 13, 15], right_kp=[2, 4, 6, 8, 10, 12, 14, 16]))
        ]
        reading = [('DecompressPose', dict(squeeze=True, max_person=10))] if dataset == 'k400' else []
        return [
            *reading,
            ('UniformSampleFrames', dict(clip_len=clip_len, **clips)),
            ('PoseDecode', {}),
            *(random if phase == 'train' else []),
            ('KineticsTransform', {}),
            features,
            *packing,
        ]
    random = [('RandomRot', dict(theta=0.2))]
    if extra:
        random.append((extra, dict(dataset=layout, p={'SpatialFlip': 0.5, 'PartDrop': 0.2}[extra])))
    return [
        ('PreNormalize3D', dict(align_spine=False)),
        *(random if phase == 'train' else []),
        features,
        ('UniformSampleDecode', dict(clip_len=clip_len, **clips)),
        *packing,
    ]


def test_every_config_is_in_the_table():
    found = {(path.parent.name, path.stem) for path in CONFIGS.glob('[!_]*/*.py')}
    assert found == {*ALL, ('demo', 'j'), ('demo', 'b')}
    assert len([pair for pair in ALL if pair[0] not in ('utd_mhad', 'nw_ucla')]) == 48


@every_config
def test_values(dataset, stream):
    cfg = load(dataset, stream)
    layout, _, _, _, classes, memory, batch, workers, lr, epochs, width = SIZES[dataset]
    ann_file, train_split, test_split = DATA[dataset]
    small = dataset in ('utd_mhad', 'nw_ucla')

    data = cfg.data
    assert (data.videos_per_gpu, data.workers_per_gpu) == (batch, workers)
    assert not {'train_dataloader', 'val_dataloader', 'test_dataloader'} & set(data), 'one batch for all phases'
    assert [data[phase].type for phase in ('train', 'val', 'test')] == ['PoseDataset'] * 3
    assert [data[phase].ann_file for phase in ('train', 'val', 'test')] == [ann_file] * 3
    assert [data[phase].split for phase in ('train', 'val', 'test')] == [train_split, test_split, test_split]
    assert [data[phase].get('test_mode', False) for phase in ('train', 'val', 'test')] == [False, True, True]
    if dataset == 'k400':
        assert all(
            data[phase].memcached is True and data[phase].mc_cfg == ('localhost', 22077) and data[phase].box_thr == 0.5
            for phase in ('train', 'val', 'test')
        )
        assert data.train.valid_ratio == 0.0
    else:
        assert not {'memcached', 'mc_cfg', 'box_thr', 'valid_ratio'} & {*data.train, *data.val, *data.test}

    assert cfg.model.backbone.to_dict() == dict(
        type='DynamicGCN',
        in_channels=3,
        base_channels=width,
        num_stages=10,
        inflate_stages=[5, 8],
        down_stages=[5, 8],
        gcn_ratio=0.125,
        gcn_ctr='T',
        gcn_ada='T',
        tcn_ms_cfg=[(3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1'],
        graph_cfg=dict(layout=layout, mode='random', num_filter=8, init_off=0.04, init_std=0.02),
    )
    assert cfg.model.cls_head.to_dict() == dict(
        type='AffinityHead',
        num_classes=classes,
        in_channels=4 * width,
        loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
        inter_loss=dict(
            type='InterClassAffinityLoss',
            loss_weight=0.1,
            embed_channels=256,
            momentum=0.9,
            start_epoch=10 if small else 30,
            num_neighbors=10,
            min_overlap=4,
            temperatures=((10, 0.1), (20, 0.5), (None, 1.0)),
            sync_memory=True,
        ),
        intra_loss=dict(
            type='IntraClassMarginLoss',
            loss_weight=0.1,
            memory_size=memory,
            embed_channels=256,
            temperature=0.1,
            margin=0.1,
            sync_memory=True,
        ),
    )
    assert set(cfg.model) == {'type', 'backbone', 'cls_head', 'test_cfg'}
    assert (cfg.model.type, cfg.model.test_cfg) == ('SkeletonRecognizer', {'average_clips': 'prob'})

    assert cfg.optimizer == dict(type='SGD', lr=lr, momentum=0.9, weight_decay=0.0005, nesterov=True)
    assert cfg.optimizer_config == dict(grad_clip=None)
    assert cfg.lr_config == dict(policy='CosineAnnealing', min_lr=0, by_epoch=False)
    assert cfg.total_epochs == epochs
    assert cfg.checkpoint_config == dict(interval=1)
    metrics = ['top_k_accuracy', 'mean_class_accuracy'] if dataset in FLAT_DATASETS else ['top_k_accuracy']
    assert cfg.evaluation == dict(interval=1, metrics=metrics, topk=(1, 5), save_best='auto')
    assert cfg.log_config == dict(interval=10 if small else 100, hooks=[dict(type='TextLoggerHook')])
    assert cfg.work_dir == f'./work_dirs/{dataset}/{stream}'
    assert cfg.stream == stream


@every_config
def test_pipelines(dataset, stream):
    data = load(dataset, stream).data
    for phase in ('train', 'val', 'test'):
        assert steps(data[phase].pipeline) == expected_steps(dataset, stream, phase), phase


@every_config
def test_the_pipelines_build(dataset, stream):
    transforms = pytest.importorskip('aclnet.datasets.transforms')
    data = load(dataset, stream).data
    for phase in ('train', 'val', 'test'):
        transforms.Compose(data[phase].pipeline)


@every_config
def test_the_dump_reads_back_equal(dataset, stream, tmp_path):
    cfg = load(dataset, stream)
    cfg.dump(str(tmp_path / 'dump.py'))
    assert Config.fromfile(str(tmp_path / 'dump.py'))._cfg_dict == cfg._cfg_dict


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('data.train.split', 'mine'),
        ('data.test.ann_file', 'elsewhere.pkl'),
        ('data.videos_per_gpu', 8),
        ('data.train.pipeline.4.clip_len', 64),
        ('model.backbone.base_channels', 16),
        ('model.cls_head.inter_loss', None),
        ('model.cls_head.intra_loss.memory_size', 256),
        ('optimizer.lr', 0.1),
        ('total_epochs', 3),
    ],
)
def test_an_option_overrides_one_value(option, value):
    cfg = load('ntu60_xsub', 'b')
    before = load('ntu60_xsub', 'b')
    cfg.merge_from_dict({option: value})
    found, untouched = cfg._cfg_dict, before._cfg_dict
    for key in option.split('.')[:-1]:
        key = int(key) if key.isdigit() else key
        found, untouched = found[key], untouched[key]
    assert found[option.split('.')[-1]] == value
    untouched[option.split('.')[-1]] = value
    assert cfg._cfg_dict == before._cfg_dict


@every_config
def test_one_training_step(dataset, stream):
    torch = pytest.importorskip('torch')
    from aclnet.models import build_model

    _, joints, persons, _, classes = SIZES[dataset][:5]
    cfg = load(dataset, stream)
    cfg.merge_from_dict({'model.backbone.base_channels': 16, 'model.cls_head.in_channels': 64})
    model = build_model(cfg.model).train()
    losses = model(keypoint=torch.randn(2, 1, persons, 8, joints, 3), label=torch.tensor([0, classes - 1]))
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    assert {'loss_cls', 'loss_inter', 'loss_intra', 'top1_acc', 'top5_acc'} <= set(losses)
    assert torch.isfinite(total)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert model.backbone.gcn[0].gcn.A.grad is not None


# ---- a config as the users of PYSKL write it: one flat file, the published names
FLAT = """
feature, layout, clip = 'bm', 'coco_new', 48
work_dir = f'work_dirs/mine/{feature}'
model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='GCN_Module', base_channels=16, gcn_ratio=0.125, gcn_ctr='T', gcn_ada='T',
        tcn_ms_cfg=[(3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1'],
        graph_cfg=dict(layout=layout, mode='random', num_filter=8, init_off=.04, init_std=.02)),
    cls_head=dict(type='SimpleHead', data_cfg='finegym', num_classes=99, in_channels=64))
left_kp, right_kp = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len=clip),
    dict(type='PoseDecode'),
    dict(type='Flip', flip_ratio=0.5, left_kp=left_kp, right_kp=right_kp),
    dict(type='Kinetics_Transform'),
    dict(type='GenSkeFeat', dataset=layout, feats=[feature]),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
    dict(type='ToTensor', keys=['keypoint'])]
val_pipeline = [dict(type='UniformSampleFrames', clip_len=clip, num_clips=1), *train_pipeline[1:2], *train_pipeline[3:]]
test_pipeline = [dict(type='UniformSampleFrames', clip_len=clip, num_clips=10), *val_pipeline[1:]]
dataset_type, ann_file = 'PoseDataset', '/data/finegym/gym_hrnet.pkl'
data = dict(
    videos_per_gpu=8, workers_per_gpu=2, test_dataloader=dict(videos_per_gpu=1),
    train=dict(type=dataset_type, ann_file=ann_file, split='train', pipeline=train_pipeline),
    val=dict(type=dataset_type, ann_file=ann_file, split='val', pipeline=val_pipeline),
    test=dict(type=dataset_type, ann_file=ann_file, split='val', pipeline=test_pipeline))
optimizer = dict(type='SGD', lr=0.0125, momentum=0.9, weight_decay=0.0005, nesterov=True)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='CosineAnnealing', min_lr=0, by_epoch=False)
total_epochs = 24
checkpoint_config = dict(interval=1)
evaluation = dict(interval=1, metrics=['top_k_accuracy'], topk=(1, 5))
log_config = dict(interval=100, hooks=[dict(type='TextLoggerHook')])
log_level = 'INFO'
"""


@pytest.fixture
def flat(tmp_path) -> Config:
    (tmp_path / 'flat.py').write_text(FLAT)
    return Config.fromfile(str(tmp_path / 'flat.py'))


def test_a_flat_config_of_published_names_builds_its_model(flat):
    torch = pytest.importorskip('torch')
    from aclnet.models import build_model

    model = build_model(flat.model)
    assert model.cls_head.intra_loss.memory_size == 1024
    losses = model(keypoint=torch.randn(2, 1, 2, 8, 20, 3), label=torch.tensor([[3], [98]]), return_loss=True)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    scores = model.eval()(keypoint=torch.randn(2, 3, 2, 8, 20, 3), return_loss=False)
    assert scores.shape == (2, 99)


def test_a_flat_config_of_published_names_runs_its_pipelines(flat):
    if importlib.util.find_spec('aclnet.datasets.transforms') is None:
        pytest.skip('no transforms')
    import numpy as np

    from aclnet.datasets.transforms import Compose

    rng = np.random.default_rng(0)
    for phase, clips in (('train', 1), ('val', 1), ('test', 10)):
        sample = dict(
            keypoint=rng.uniform(1, 99, (1, 30, 17, 2)).astype(np.float16),
            total_frames=30,
            label=7,
            keypoint_score=rng.random((1, 30, 17)).astype(np.float16),
            img_shape=(100, 100),
            original_shape=(100, 100),
            start_index=0,
            modality='Pose',
            test_mode=phase != 'train',
        )
        assert tuple(Compose(flat.data[phase].pipeline)(sample)['keypoint'].shape) == (clips, 2, 48, 20, 3)


@pytest.mark.parametrize('stream', ['j', 'b'])
def test_the_demo_trains_with_both_terms_for_most_of_its_time(stream):
    from aclnet.datasets.demo import SIZES

    cfg, size = load('demo', stream), SIZES['demo']
    head, samples = cfg.model.cls_head, size.samples // 2  # every other subject trains
    assert head.num_classes == size.classes == 14
    assert head.inter_loss.start_epoch < cfg.total_epochs / 4
    assert head.intra_loss.memory_size < samples  # full in the first epoch
    assert cfg.data.train.split == 'xsub_train' and cfg.data.test.split == 'xsub_val'
    layout = dict(dataset='nturgb+d', feats=[stream])
    assert steps(cfg.data.train.pipeline)[2] == ('GenSkeFeat', layout)
    assert steps(cfg.data.test.pipeline)[2] == ('UniformSampleDecode', dict(clip_len=24, num_clips=10))
    assert cfg.work_dir == f'./work_dirs/demo/{stream}'
