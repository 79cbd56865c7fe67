"""Reading configs, with a sentence for whatever is wrong with them."""

from __future__ import annotations

import copy
import difflib
import os
import sys
import traceback
from typing import Any

from mmcv import Config

from aclnet.errors import ACLNetError, nearest

__all__ = ['complete', 'load_config', 'required']

_DEFAULTS = dict(
    load_from=None,
    resume_from=None,
    auto_resume=True,
    workflow=[('train', 1)],
    custom_hooks=None,
    log_level='INFO',
    cudnn_benchmark=False,
    find_unused_parameters=True,
    optimizer_config=dict(grad_clip=None),
    momentum_config=None,
    checkpoint_config=dict(interval=1),
    evaluation=dict(interval=1, metrics=['top_k_accuracy']),
    log_config=dict(interval=100, hooks=[dict(type='TextLoggerHook')]),
    dist_params=dict(backend=None),
    sync_bn=False,
)
_REQUIRED = ('model', 'data')
KNOWN_KEYS = (
    *_DEFAULTS,
    *_REQUIRED,
    'optimizer',
    'lr_config',
    'total_epochs',
    'work_dir',
    'seed',
    'amp',
    'auto_scale_lr',
)
_SUBSETS = ('train', 'val', 'test')
_DATA_KEYS = (*_SUBSETS, *(f'{name}_dataloader' for name in _SUBSETS), 'videos_per_gpu', 'workers_per_gpu',
              'persistent_workers')  # fmt: skip
# keys that mmcv would swallow silently, or choke on after the first epoch
_KEYS_OF = dict(
    evaluation=('interval', 'start', 'save_best', 'rule', 'by_epoch', 'greater_keys', 'less_keys', 'metrics', 'topk',
                'metric_options'),
    checkpoint_config=('type', 'interval', 'by_epoch', 'save_optimizer', 'max_keep_ckpts', 'save_last', 'sync_buffer',
                       'filename_tmpl', 'meta'),
    log_config=('interval', 'hooks'),
    dist_params=('backend', 'timeout', 'port'),
)  # fmt: skip


def load_config(path: str, options: dict[str, Any] | None = None) -> Config:
    """Read a config file, apply ``--cfg-options`` and fill in defaults.

    Args:
        path: the file.
        options: dotted key → value.

    Raises:
        ACLNetError: no such file, an error in it or in a ``_base_``, a misspelt or missing key.
    """
    if not os.path.isfile(path):
        kind = 'is a folder' if os.path.isdir(path) else 'does not exist'
        raise ACLNetError(f'config {path} {kind}; the ready ones are configs/DATASET/STREAM.py')
    try:
        cfg = Config.fromfile(path)
    except SyntaxError as error:
        _forget(error)
        raise ACLNetError(f'config {path} is not valid Python, line {error.lineno}: {error.msg}') from None
    except FileNotFoundError as error:
        _forget(error)
        raise ACLNetError(
            f'config {path} names a _base_ that does not exist: {str(error).replace(chr(34), "")}'
        ) from None
    except Exception as error:  # whatever the file's own code raises
        _forget(error)
        said = str(error) or error.__context__  # mmcv's error on a missing custom_imports is empty
        raise ACLNetError(f'config {path} cannot be read: {type(error).__name__}: {said}') from None
    _check_spelling(list(cfg), KNOWN_KEYS, f'config {path}')
    if options:
        _check_spelling([key.split('.')[0] for key in options], [*KNOWN_KEYS, *cfg], '--cfg-options')
        try:
            cfg.merge_from_dict(options)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ACLNetError(f'--cfg-options {options} does not fit config {path}: {error}') from None
    return complete(cfg)


def complete(cfg: Config) -> Config:
    """Check a config that mmcv has read, and fill in, in place, what it leaves out.

    Raises:
        ACLNetError: a missing or misspelt key.
    """
    path = cfg.filename or 'given'
    for key in _REQUIRED:
        required(cfg, key)
    for key, value in _DEFAULTS.items():
        if cfg.get(key) is None:
            cfg[key] = copy.deepcopy(value)
    if not isinstance(cfg.data, dict):
        raise ACLNetError(f"config {path}: 'data' must be a dict, got {cfg.data!r}")
    _check_spelling(list(cfg.data), _DATA_KEYS, f"'data' of config {path}", strict=True)
    for name, known in _KEYS_OF.items():
        for key in cfg[name] or ():
            if key not in known:
                raise ACLNetError(f"{name} of config {path} has no key '{key}'{nearest(key, known)}")
    if cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('./work_dirs', os.path.splitext(os.path.basename(path))[0])
    _check_schedule(cfg, path)
    return cfg


def _check_schedule(cfg: Config, path: str) -> None:
    epochs = cfg.get('total_epochs', 0)
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
        raise ACLNetError(f'total_epochs of config {path} must be a whole number from 0 up, got {epochs!r}')
    try:
        good = [(mode, epochs + 0) for mode, epochs in cfg.workflow]
        good = all(mode in ('train', 'val') and epochs > 0 for mode, epochs in good) and 'train' in dict(good)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ACLNetError(
            f"workflow of config {path} must be a list such as [('train', 1), ('val', 1)] with a 'train' in it, "
            f'got {cfg.workflow!r}'
        )


def _forget(error: Exception) -> None:
    """Close the temporary file that mmcv leaves open in the error's frames: closed later, it prints a traceback."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook


def required(cfg: Config, key: str) -> Any:
    """``cfg[key]``; raises ``ACLNetError`` if the config lacks it."""
    if key not in cfg:
        raise ACLNetError(f"config {cfg.filename} lacks '{key}'")
    return cfg[key]


def _check_spelling(keys: list[str], known: tuple[str, ...] | list[str], where: str, strict: bool = False) -> None:
    """Any name may stand in a config, but one that is nearly a key that is read, and stands in its place, is a typo.

    ``strict``: also where the key that is read stands beside it.
    """
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.85)
            if close and (strict or close[0] not in keys):
                raise ACLNetError(f"{where} has the key '{key}'; did you mean '{close[0]}'?")
