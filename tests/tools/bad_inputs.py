"""The table of what users hand in wrongly: for each kind of input, what is wrong with it and what the sentence names.

A case is (tool, argv, words): a function of an empty folder that prepares the input there and returns the words of the
command, and what must stand in the sentence that refuses it.
"""

from __future__ import annotations

import json
import pickle
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from aclnet.evaluation import save_scores
from tests.made import annotations, write_annotations, write_config


class Case(NamedTuple):
    tool: str
    argv: Callable[[Path], list]
    words: Sequence[str]


# --cfg-options of a training that is fine without them
OPTIONS = {
    'data.train.split=xsub_trian': ["'xsub_trian'", 'xsub_train, xsub_val'],
    'data.train.ann_file=data/nturgbd/ntu60_3danno.pkl': ['does not exist', 'https://download.openmmlab.com'],
    'data.train.ann_file=data/mine.pkl': ['data/mine.pkl does not exist'],
    'data.train.ann_file=.': ['annotation file . cannot be read', 'directory'],
    'data.train.ann_file=None': ['ann_file must be the path of an annotation file, got None'],
    'data.train.type=PoseDatset': ["'PoseDatset'", "did you mean 'PoseDataset'"],
    'data.train.type=3': ["no dataset '3'", 'PoseDataset'],
    'data.train.anno_file=x': ["'anno_file'", 'ann_file'],
    'data.train.class_prob=[1,2]': ['class_prob needs one number per class, 3, got 2'],
    'data.train.class_prob=3': ['class_prob must be a list of a number per class, or a dict, got 3'],
    'data.train.valid_ratio=a': ['valid_ratio must be a share of the frames', "'a'"],
    'data.train.num_classes=a': ["num_classes of ", "'a'"],
    'data.train.strict=a': ["strict must be True or False, got 'a'"],
    'data.train_dataloader=3': ["'data.train_dataloader' must be a dict, got 3"],
    'data.train_dataloader.drop_lst=True': ["'drop_lst'; did you mean 'drop_last'?"],
    'data.val=None': ['tiny.py has no data.val'],
    'data.video_per_gpu=3': ["'data.video_per_gpu'; did you mean 'videos_per_gpu'"],
    'data.videos_per_gpu=0': ['batch_size', '0'],
    'data.workers_per_gpu=-1': ['workers_per_gpu', '-1'],
    'data.lr=1': ["nothing reads 'data.lr'; did you mean 'optimizer.lr'?"],
    'data.shuffle=True': ["nothing reads 'data.shuffle'"],
    'lr=0.1': ["nothing reads 'lr'; did you mean 'optimizer.lr'?"],
    'videos_per_gpu=8': ["nothing reads 'videos_per_gpu'; did you mean 'data.videos_per_gpu'?"],
    'train_pipeline.1.theta=1': ["nothing reads 'train_pipeline.1.theta'; did you mean 'data.train.pipeline'?"],
    'runner.type=EpochBasedRunner': ["nothing reads 'runner.type'", 'total_epochs'],
    'data.train.pipeline=3': ['a pipeline must be a list of transforms, got 3'],
    'data.train.pipeline.9.type=Flip': ['data.train.pipeline.9.type', 'Index 9'],
    'data.train.pipeline.0.zaxis=3': ['PreNormalize3D cannot be built', 'zaxis'],
    'data.train.pipeline.1.type=RandomRto': ["'RandomRto'", "did you mean 'RandomRot'"],
    'data.train.pipeline.2.dataset=nturgb+d': ['25', '20'],
    'data.train.pipeline.2.dataset=ntu': ["'ntu'", 'nturgb+d'],
    'data.train.pipeline.3.num_clips=2': ['num_clips=1'],
    'data.train.pipeline.5.keys=[keypoint]': ["add 'label' to the keys of Collect"],
    'data.val.pipeline.1.feats=[q]': ["no stream 'q' (known: j, b, k"],
    'data.val.pipeline.4.keys=[keypont]': ["'keypont'; did you mean 'keypoint'?"],
    'model.type=Recognizer': ['Recognizer', 'SkeletonRecognizer'],
    'model.optimizer.lr=1': ["unexpected keyword argument 'optimizer'", 'backbone, cls_head'],
    'model.backbone=None': ["a backbone must be a dict with the key 'type', got None"],
    'model.backbone.graph_cfg.layout=coco': ["'coco'", '17', '20'],
    'model.backbone.graph_cfg.layout=kinect21': ["'kinect21'; did you mean 'kinect20'?"],
    'model.backbone.graph_cfg.num_filter=0': ['num_filter must be a whole number from 1 up, got 0'],
    'model.backbone.in_channels=2': ['20, 2', '20, 3'],
    'model.backbone.base_chanels=8': ["did you mean 'base_channels'"],
    'model.backbone.base_channels=a': ['DynamicGCN cannot be built', 'base_channels'],
    'model.backbone.tcn_ms_cfg=[]': ['tcn_ms_cfg'],
    'model.backbone.pretrained=nothing.pth': ['checkpoint nothing.pth does not exist'],
    'model.cls_head.num_classes=2': ['label 2', 'num_classes is 2'],
    'model.cls_head.in_channels=5': ['in_channels is 5', '32'],
    'model.cls_head.in_channels=a': ["in_channels of the head must be a whole number of at least 1, got 'a'"],
    'model.cls_head.dropout=2': ['dropout probability', '2'],
    'model.cls_head.inter_loss=3': ['inter_loss must be a dict of arguments or None, got 3'],
    'model.cls_head.inter_loss.min_overlap=a': ["min_overlap of InterClassAffinityLoss must be a whole number"],
    'model.cls_head.inter_loss.loss_weight=a': ["loss_weight of InterClassAffinityLoss must be a number, got 'a'"],
    'model.cls_head.intra_loss.margin=a': ["margin of IntraClassMarginLoss must be a number, got 'a'"],
    'model.cls_head.intra_loss.memory_sice=5': ["did you mean 'memory_size'"],
    'model.cls_head.loss_cls.type=CrossEntropy': ['CrossEntropyLoss'],
    'model.cls_head.data_cfg=ntu61': ["did you mean 'ntu60'"],
    'model.cls_head.multi_class=True': ['one label per sample'],
    'optimzer.lr=1': ["did you mean 'optimizer'"],
    'optimizer=SGD': ["'optimizer' must be a dict, got 'SGD'"],
    'optimizer.type=SDG': ["no optimizer 'SDG'; did you mean 'SGD'?"],
    'optimizer.lr=abc': ["'lr': 'abc'"],
    'optimizer_config.grad_clip=3': ['grad_clip', 'dict(max_norm=20), got 3'],
    'lr_config.policy=Cosin': ["no lr_config.policy 'Cosin'", 'Cyclic'],
    'lr_config.policy=cosineannealling': ["did you mean 'CosineAnnealing'?"],
    'lr_config.min_lr=a': ["lr_config.min_lr of config ", "must be a number, got 'a'"],
    'log_config.hooks.0.type=TextLogger': ["no hook 'TextLogger'; did you mean 'TextLoggerHook'?"],
    'log_config.interval=a': ["log_config.interval of config ", "must be a whole number, got 'a'"],
    'log_config.intervall=2': ["did you mean 'interval'"],
    'custom_hooks=[EMAHook]': ["'custom_hooks' must be a list of dicts"],
    'evaluation.metrics=[top_k_acuracy]': ["did you mean 'top_k_accuracy'"],
    'evaluation.metrics=[]': ['metrics must be a list of at least one of top_k_accuracy'],
    'evaluation.save_best=top3_acc': ['top3_acc', 'top1_acc'],
    'evaluation.intervall=2': ["did you mean 'interval'"],
    'checkpoint_config.max_keep_ckpt=2': ["did you mean 'max_keep_ckpts'"],
    'checkpoint_config.interval=a': ["checkpoint_config.interval of config ", "'a'"],
    'a=[1,2': ['a=[1,2'],
    'total_epochs': ['KEY=VALUE', "'total_epochs'"],
    'total_epochs=many': ["'many'", 'whole number'],
    'workflow=[train]': ["[('train', 1), ('val', 1)]"],
    'seed=a': ["'a'", 'whole number'],
    'seed=-1': ['seed', '-1'],
    'amp=bfloat16': ['bf16, fp16', 'bfloat16'],
    'work_dir=3': ['work_dir', 'must be the path of a folder, got 3'],
    'load_from=nothing.pth': ['nothing.pth does not exist'],
    'resume_from=nothing.pth': ['nothing.pth does not exist'],
    'log_level=LOUD': ['LOUD'],
    'dist_params=3': ["'dist_params' must be a dict, got 3"],
}  # fmt: skip

CONFIGS = {
    'not closed': ('model = dict(\n', ['tiny.py', 'line']),
    'base not found': ("_base_ = './nothing.py'\n", ['_base_', 'nothing.py']),
    'module not found': ('import nothing_here\n', ['nothing_here']),
    'no model': ('optimizer = 3\n', ["lacks 'model'"]),
    'fails': ('x = 1 / 0\n', ['division by zero']),
    'no type': ("model = dict()\ndata = dict(train=dict(type='PoseDataset'))\n", ["'type'"]),
    'misspelt subset': ('model = dict()\ndata = dict(tain=dict())\n', ["did you mean 'train'"]),
    'data is a list': ('model = dict()\ndata = []\n', ["'data' must be a dict, got []"]),
    'holds a function': ('model = dict(type=open)\ndata = dict()\n', ['cannot be written down', 'numbers, strings']),
}

FILES = {
    'empty': (b'', 'not a whole pickle file'),
    'text': (b'text', 'bad.pkl was not loaded'),
    'zip archive': (b'PK\x03\x04' + b'0' * 100, 'bad.pkl was not loaded'),
    'truncated': (pickle.dumps(annotations())[:500], 'truncated; download or make it again'),
    'code': (pickle.dumps({'a': torch.nn.Linear}), "refers to 'torch.nn.modules.linear.Linear'"),
    'an array': (pickle.dumps(np.zeros(3)), 'neither a list of annotations nor dict(split='),
    'no split': (pickle.dumps(dict(annotations=[])), "it needs the keys 'split' and 'annotations'"),
    'a bare list, but a split': (pickle.dumps(annotations()['annotations']), 'a bare list without splits'),
    'numbers': (pickle.dumps([1, 2]), 'annotation 0 must be a dict, got int'),
    'nothing in it': (pickle.dumps([]), 'holds no annotations'),
    'a split of nothing': (
        pickle.dumps(dict(annotations(), split=dict(xsub_train=None))),
        "split 'xsub_train' of",
    ),
}


def _first(**change):
    return lambda content: content['annotations'][0].update(change)


ANNOTATIONS = {
    'no identifier': (lambda c: c['annotations'][0].pop('frame_dir'), ["annotation 0 needs a 'frame_dir' string"]),
    'identifier of another kind': (_first(frame_dir=3), ["annotation 0 needs a 'frame_dir' string, got 3"]),
    'no annotations': (lambda c: c.pop('annotations'), ["needs the keys 'split' and 'annotations', it has split"]),
    'no label': (lambda c: c['annotations'][0].pop('label'), ["sample000 needs a 'label'"]),
    'label is a word': (_first(label='wave'), ['wave', 'sample000']),
    'label below 0': (_first(label=-1), ['-1', 'sample000']),
    'label beyond the classes': (_first(label=7), ['the label 7, but model.cls_head.num_classes is 3']),
    'label beyond reason': (_first(label=2**70), ['sample000', 'must be a class from 0']),
    'label of a fraction': (_first(label=1.5), ['sample000', 'must be a class from 0 up, got 1.5']),
    'list of labels': (_first(label=[0]), ['sample000', 'lists of classes need multi_class=True']),
    'total_frames is a word': (_first(total_frames='a'), ['sample000 needs a whole number', "total_frames, got 'a'"]),
    'objects': (_first(keypoint=np.full((1, 5, 20, 3), None)), ['arrays must be of numbers or strings']),
}

# of all samples, where a training ends with the first, or of one that validation meets
SAMPLES = {
    'joints of another layout': (dict(keypoint=np.ones((1, 5, 17, 3))), ['needs 20 joints, got 17']),
    'two channels': (dict(keypoint=np.ones((1, 5, 20, 2))), ['needs keypoint with 3 channels, got 2']),
    'an axis less': (dict(keypoint=np.ones((5, 20, 3))), ['(persons, frames, joints, channels), got (5, 20, 3)']),
    'no frame': (dict(keypoint=np.ones((1, 0, 20, 3)), total_frames=0), ['at least one frame, got (1, 0, 20, 3)']),
    'no person': (dict(keypoint=np.ones((0, 5, 20, 3))), ['at least one person, got (0, 5, 20, 3)']),
    'NaN': (dict(keypoint=np.full((1, 5, 20, 3), np.nan)), ['must be finite, but 300 of its 300 numbers']),
    'infinite': (dict(keypoint=np.full((1, 5, 20, 3), -np.inf, np.float16)), ['must be finite, but 300 of its 300']),
    'other total_frames': (dict(total_frames=99, keypoint=np.ones((1, 5, 20, 3))), ['total_frames of', '5, got 99']),
    'no poses': (dict(keypoint=...), ['has neither keypoint nor frame_dir with a raw_file']),
}  # fmt: skip

_DIFFERS = 'must have the same joints and channels, but sample021 has (20, 3) and sample029 has '
OF_VALIDATION = {  # where other words are said than in training
    'joints of another layout': [f'{_DIFFERS}(17, 3)'],
    'two channels': [f'{_DIFFERS}(20, 2)'],
    'an axis less': [f'{_DIFFERS}(3,)'],
}

FINE = {
    'one frame': dict(keypoint=np.ones((1, 1, 20, 3)), total_frames=1),
    'five persons': dict(keypoint=np.ones((5, 4, 20, 3)), total_frames=4),
    'all zero': dict(keypoint=np.zeros((1, 4, 20, 3)), total_frames=4),
    'whole numbers': dict(keypoint=np.ones((1, 4, 20, 3), np.int16), total_frames=4),
}


def change_samples(content: dict, change: dict, which: slice) -> dict:
    """Annotations of which those at ``which`` are changed; a value of ... takes the key away."""
    for annotation in content['annotations'][which]:
        annotation.update({'total_frames': 5, **change})
        for key in [key for key, value in annotation.items() if value is ...]:
            del annotation[key]
    return content


def _training(folder: Path, content: dict | bytes | None = None, extra: str = '') -> str:
    """A config whose training reads ``content``."""
    if content is None:
        return write_config(folder, extra=extra)
    path = folder / 'bad.pkl'
    path.write_bytes(content) if isinstance(content, bytes) else write_annotations(path, content)
    return write_config(folder, ann_file=str(path), extra=extra)


def _changed(change: Callable[[dict], object]) -> dict:
    content = annotations()
    change(content)
    return content


def _without_server(folder: Path) -> list:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    config = _training(folder, change_samples(annotations(), dict(keypoint=...), slice(None)))
    return [config, '--cfg-options', 'data.train.memcached=True', f'data.train.mc_cfg=[localhost,{port}]']


def _file(folder: Path) -> Path:
    (folder / 'file').write_text('')
    return folder / 'file'


def _latest(folder: Path) -> list:
    (folder / 'work').mkdir()
    (folder / 'work' / 'latest.pth').write_bytes(b'half')
    return [write_config(folder)]


_FLIP = "train_pipeline[1] = dict(type='Flip')\n"
TRAININGS = {
    'config missing': (lambda f: [f / 'none.py'], ['none.py does not exist', 'configs/DATASET/STREAM.py']),
    'config is a folder': (lambda f: [f], ['is a folder; the ready ones are']),
    'config of another kind': (lambda f: [_file(f)], ['cannot be read', 'py/yml/yaml/json']),
    'seed below 0': (lambda f: [_training(f), '--seed', -1], ['whole number from 0 to 2**63 - 1, got -1']),
    'seed too large': (lambda f: [_training(f), '--seed', 2**64], ['whole number from 0 to 2**63 - 1']),
    'work_dir within a file': (lambda f: [_training(f), '--work-dir', _file(f) / 'w'], ['work_dir', '--work-dir']),
    'work_dir is a file': (lambda f: [_training(f), '--work-dir', _file(f)], ['File exists', '--work-dir']),
    'launcher without its variables': (lambda f: [_training(f), '--launcher', 'pytorch'], ['RANK, WORLD_SIZE']),
    'best of no validation': (lambda f: [_training(f), '--test-best'], ['add --validate, or take --test-last']),
    'test set missing': (
        lambda f: [_training(f), '--test-last', '--cfg-options', 'data.test.ann_file=none.pkl'],
        ['none.pkl does not exist'],
    ),
    'latest.pth damaged': (_latest, ['none of the 1 checkpoints', '--no-auto-resume starts anew']),
    'no img_shape in 2D': (lambda f: [_training(f, extra=_FLIP)], ["Flip needs the key 'img_shape'"]),
    'no memcached server': (_without_server, ['has no raw_file, and the memcached server localhost:']),
}


def _rewritten(change: Callable[[dict], object]) -> Callable[[Path, Path], None]:
    def made(folder: Path, trained: Path) -> None:
        content = torch.load(trained, weights_only=True)
        torch.save(change(content) or content, folder / 'bad.pth')

    return made


def _damaged(change: Callable[[bytearray], object]) -> Callable[[Path, Path], None]:
    def made(folder: Path, trained: Path) -> None:
        data = bytearray(trained.read_bytes())
        change(data)
        (folder / 'bad.pth').write_bytes(data)

    return made


def _flip_a_bit(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def _no_numbers(content: dict) -> None:
    content['state_dict']['cls_head.fc_cls.bias'][0] = float('nan')


# a checkpoint made from that of a training, for tools/test.py
CHECKPOINTS = {
    'empty': (_damaged(lambda data: data.clear()), ['bad.pth was not loaded: it is damaged']),
    'truncated': (_damaged(lambda data: data.__delitem__(slice(1000, None))), ['bad.pth was not loaded: it is']),
    'a bit flipped': (_damaged(_flip_a_bit), ['bad.pth was not loaded: it is damaged']),
    'a list': (_rewritten(lambda content: [1, 2]), ["bad.pth has no 'state_dict'"]),
    'of another architecture': (
        _rewritten(lambda content: {'state_dict': {'layer1.weight': torch.zeros(3)}}),
        ['it lacks backbone.', 'it has layer1.weight, which the model has not'],
    ),
    'a weight is a word': (_rewritten(lambda c: c['state_dict'].update(a='b')), ["'a' of its 'state_dict' must be a"]),
    'meta is a number': (_rewritten(lambda c: c.update(meta=3)), ["its 'meta' must be a dict, got 3"]),
    'NaN in a weight': (_rewritten(_no_numbers), ['scores that are not finite, the first is sample021']),
}  # fmt: skip

# calls of tools/test.py with the config of a training
TESTS = {
    'checkpoint missing': (['-C', 'none.pth'], ['none.pth does not exist']),
    'checkpoint is a folder': (['-C', '.'], ['checkpoint . is a folder; name a file in it']),
    'address without a server': (['-C', 'http://127.0.0.1:9/x.pth'], ['could not be downloaded']),
    'out of another kind': (['--out', 'scores.txt'], ['.json or .yaml']),
    'unknown metric': (['--eval', 'top_k_acuracy'], ["did you mean 'top_k_accuracy'"]),
    'other widths': (
        ['--cfg-options', 'model.backbone.base_channels=24', 'model.cls_head.in_channels=48'],
        ['does not fit', '(16,)', '(24,)'],
    ),
    'more stages': (['--cfg-options', 'model.backbone.num_stages=4'], ['it lacks backbone.gcn.3.', 'more']),
    'other classes': (['--cfg-options', 'model.cls_head.num_classes=5'], ['fc_cls', '(5,']),
    'labels beyond the classes': (['--cfg-options', 'data.test.num_classes=2'], ['must be a class from 0 to 1, got 2']),
}

_ABOUT = dict(identifiers=list('abcd'), labels=[0, 1, 2, 0])
_GOOD = (np.eye(4, 3), _ABOUT)


def _with_nan() -> np.ndarray:
    scores = np.eye(4, 3)
    scores[2, 1] = np.nan
    return scores


# score files of the streams j and b, options of tools/ensemble.py
SCORES = {
    'none': (None, _GOOD, ['--streams', 'j', 'b'], ['there are no scores of runs, stream j']),
    'empty': (b'', _GOOD, [], ['not a whole pickle file']),
    'one number': (pickle.dumps(3), _GOOD, [], ['must hold a list of one array per sample, got int']),
    'of other lengths': (_GOOD, (np.eye(3), None), [], ['have 4 and 3 samples']),
    'of other samples': (_GOOD, (np.eye(4, 3), dict(_ABOUT, identifiers=list('abcx'))), [], ['sample d is in stream']),
    'of other classes': (_GOOD, (np.eye(4, 5), _ABOUT), [], ['have 3 and 5 classes']),
    'of other labels': (_GOOD, (np.eye(4, 3), dict(_ABOUT, labels=[0, 1, 2, 2])), [], ['sample d has label 0']),
    'NaN': (_GOOD, (_with_nan(), _ABOUT), [], ['1 samples have scores that are not finite, the first is sample 2']),
    'ragged': (pickle.dumps([np.ones(3), np.ones(2)]), _GOOD, [], ['sample 1 has shape (2,), but sample 0 has (3,)']),
    'clips kept apart': (pickle.dumps([np.ones((2, 3))] * 4), _GOOD, [], ['average the clips when testing']),
    'unknown stream': (_GOOD, _GOOD, ['--streams', 'j', 'q'], ['stream q', 'has best_pred.pkl for b, j']),
    'too few weights': (_GOOD, _GOOD, ['--streams', 'j', 'b', '--weights', 1], ['need as many weights, got 1']),
    'weights alone': (_GOOD, _GOOD, ['--weights', 1, 1], ['give both']),
    'unknown metric': (_GOOD, _GOOD, ['--metrics', 'top_k_acuracy'], ["did you mean 'top_k_accuracy'"]),
    'labels beyond the classes': ((np.eye(4, 3), dict(_ABOUT, labels=[0, 1, 9, 0])), None, [], ['label 9 of sample 2']),
    'identifiers are lists': (_GOOD, (np.eye(4, 3), dict(_ABOUT, identifiers=[[1]] * 4)), [], ['must have strings as']),
}


def _ensemble(folder: Path, j: object, b: object, options: list) -> list:
    for stream, content in (('j', j), ('b', b)):
        path = folder / 'runs' / stream / 'best_pred.pkl'
        path.parent.mkdir(parents=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            save_scores(path, content[0])
            if content[1] is not None:
                path.with_name('best_pred.pkl.meta.json').write_text(json.dumps(content[1]))
    return ['runs', '--work-dirs', folder, *options]


def table(trained: Path) -> dict[str, Case]:
    """All cases by name; ``trained`` is the folder of a finished training of ``write_config``."""
    cases = {}
    for option, words in OPTIONS.items():
        cases[option] = Case('train', lambda f, o=option: [_training(f), '--validate', '--cfg-options', o], words)
    for name, (text, words) in CONFIGS.items():
        cases[f'config: {name}'] = Case('train', lambda f, t=text: [_written(f, t), '--work-dir', f / 'work'], words)
    for name, (data, word) in FILES.items():
        cases[f'file: {name}'] = Case('train', lambda f, d=data: [_training(f, d)], ['bad.pkl', word])
    for name, (change, words) in ANNOTATIONS.items():
        cases[f'annotation: {name}'] = Case('train', lambda f, c=change: [_training(f, _changed(c))], words)
    for name, (change, words) in SAMPLES.items():
        for kind, which, options in (('all', slice(None), []), ('one of val', slice(-1, None), ['--validate'])):
            cases[f'sample, {kind}: {name}'] = Case(
                'train',
                lambda f, c=change, w=which, o=options: [_training(f, change_samples(annotations(), c, w)), *o],
                ['sample0', *(OF_VALIDATION.get(name, words) if options else words)],
            )
    for name, (argv, words) in TRAININGS.items():
        cases[f'training: {name}'] = Case('train', argv, words)
    config = trained / 'tiny.py'
    for name, (made, words) in CHECKPOINTS.items():
        cases[f'checkpoint: {name}'] = Case(
            'test',
            lambda f, m=made: _testing(f, m, trained),
            words,
        )
    for name, (options, words) in TESTS.items():
        cases[f'test: {name}'] = Case('test', lambda f, o=options: [config, '--out', f / 'o.pkl', *o], words)
    for name, (j, b, options, words) in SCORES.items():
        cases[f'scores: {name}'] = Case('ensemble', lambda f, j=j, b=b, o=options: _ensemble(f, j, b, o), words)
    return cases


def _testing(folder: Path, made: Callable[[Path, Path], None], trained: Path) -> list:
    made(folder, trained / 'work' / 'epoch_1.pth')
    return [trained / 'tiny.py', '--out', folder / 'o.pkl', '-C', folder / 'bad.pth']


def _written(folder: Path, text: str) -> Path:
    (folder / 'tiny.py').write_text(text)
    return folder / 'tiny.py'
