"""What becomes of scores: metrics, score files, ensembles."""

from aclnet.evaluation.ensemble import ScoreSet, align, ensemble, fuse
from aclnet.evaluation.metrics import (
    METRICS,
    average_clips,
    evaluate,
    mean_average_precision,
    mean_class_accuracy,
    top_k_accuracy,
)
from aclnet.evaluation.score_files import load_scores, meta_path, save_scores

__all__ = [
    'METRICS',
    'ScoreSet',
    'align',
    'average_clips',
    'ensemble',
    'evaluate',
    'fuse',
    'load_scores',
    'mean_average_precision',
    'mean_class_accuracy',
    'meta_path',
    'save_scores',
    'top_k_accuracy',
]
