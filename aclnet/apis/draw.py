"""Pictures of what a config's model was given, got wrong and learned: what tools/draw.py does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mmcv import Config

from aclnet.apis.config import load_config
from aclnet.benchmarks import names_for
from aclnet.datasets.annotations import load_annotations
from aclnet.engine import load_checkpoint
from aclnet.errors import ACLNetError, nearest
from aclnet.evaluation import load_scores
from aclnet.evaluation.labels import read_labels
from aclnet.models import build_model
from aclnet.visualization import draw_clips, draw_confusion, draw_superclasses, save_figure
from aclnet.visualization.canvas import check_format

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ['PICTURES', 'draw']

_TERM = 'cls_head.inter_loss'


def draw(
    picture: str,
    config: str,
    input: str | None = None,
    out: str | None = None,
    names: str | None = None,
    title: str | None = None,
    samples: Sequence[str] = (),
) -> str:
    """Draw a picture.

    Args:
        picture: 'confusion', 'superclasses' or 'clips'.
        config: file of the config whose run or data is drawn.
        input: the score file, checkpoint or annotation file to draw; by default best_pred.pkl or latest.pth in the
            config's work_dir, or the annotation file of data.test.
        out: picture to write, by default {picture}.png in the work_dir.
        names: text file with a class name per line; by default the annotation file's ``*_classes.txt``, else the
            benchmark's, if it is one.
        title: what stands above a confusion matrix.
        samples: identifiers of the clips to draw; by default one of each of the first classes.

    Returns:
        the picture's path.

    Raises:
        ACLNetError: a file is missing or is not what it should be, or matplotlib is not installed.
    """
    cfg = load_config(config)
    out = out or os.path.join(cfg.work_dir, f'{picture}.png')
    check_format(out)
    classes = names_for(cfg.data.test.ann_file, cfg.model.cls_head.num_classes, names)
    save_figure(PICTURES[picture](cfg, input, classes, title=title, samples=samples), out)
    return out


def _confusion(
    cfg: Config, path: str | None, names: list[str] | None, title: str | None, samples: Sequence[str]
) -> Figure:
    path = path or os.path.join(cfg.work_dir, 'best_pred.pkl')
    scores, meta = load_scores(path)
    labels = (meta or {}).get('labels')
    if labels is None:
        labels = read_labels(cfg.data.test.ann_file, cfg.data.test.get('split'))[1]
    return draw_confusion(scores, labels, names, title=title or path)


def _superclasses(
    cfg: Config, path: str | None, names: list[str] | None, title: str | None, samples: Sequence[str]
) -> Figure:
    path = path or os.path.join(cfg.work_dir, 'latest.pth')
    term = getattr(build_model(cfg.model).cls_head, 'inter_loss', None)
    if term is None:
        raise ACLNetError(f'config {cfg.filename} has model.cls_head.inter_loss off: it learns no superclasses')
    state = load_checkpoint(path)['state_dict']
    if f'{_TERM}.superclass_mask' not in state:
        raise ACLNetError(
            f'{path} holds no superclasses: it was published, or trained without model.cls_head.inter_loss'
        )
    if not int(state[f'{_TERM}.superclass_epoch']):
        raise ACLNetError(
            f'{path} holds no superclasses yet: they form in the epoch after '
            f'model.cls_head.inter_loss.start_epoch, which is {term.start_epoch}'
        )
    return draw_superclasses(
        state[f'{_TERM}.superclass_mask'].numpy(), state[f'{_TERM}.confusion'].numpy(), term.temperatures, names
    )


def _clips(cfg: Config, path: str | None, names: list[str] | None, title: str | None, samples: Sequence[str]) -> Figure:
    subset = cfg.data.test
    file = load_annotations(path or subset.ann_file)
    known = {one[file.identifier]: one for one in file.annotations}
    chosen = samples or _one_per_class(file.select(subset.get('split') if not path else None), file.identifier)
    for name in chosen:
        if name not in known:
            raise ACLNetError(f'{file.path} has no sample {name}{nearest(name, known)}')
        if 'keypoint' not in known[name]:
            raise ACLNetError(f'{file.path} keeps its poses elsewhere; clips are drawn from files that hold them')
    titles = [names[known[name]['label']] if names else name for name in chosen]
    clips = [known[name]['keypoint'] for name in chosen]
    layout = cfg.model.backbone.graph_cfg.layout.removesuffix('_new')  # what transforms add is not in the file
    return draw_clips(clips, titles, layout, image='keypoint_score' in known[chosen[0]])


def _one_per_class(annotations: list[dict], identifier: str) -> list[str]:
    found: dict[int, str] = {}
    for one in annotations:
        found.setdefault(int(one['label']), one[identifier])
    return [found[label] for label in sorted(found)][:8]


PICTURES: dict[str, Callable] = dict(confusion=_confusion, superclasses=_superclasses, clips=_clips)
