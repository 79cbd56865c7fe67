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
    tf32=True,
    find_unused_parameters=True,
    optimizer_config=dict(grad_clip=None),
    momentum_config=None,
    checkpoint_config=dict(interval=1),
    evaluation=dict(interval=1, metrics=['top_k_accuracy']),
    log_config=dict(interval=100, hooks=[dict(type='TextLoggerHook')]),
    dist_params=dict(backend=None),
    sync_bn=False,
    fast=True,
)
_REQUIRED = ('model', 'data')
_DICTS = ('data', 'optimizer', 'optimizer_config', 'lr_config', 'momentum_config', 'checkpoint_config', 'evaluation',
          'log_config', 'dist_params')  # fmt: skip
_RATES = ('min_lr', 'min_lr_ratio', 'gamma', 'power', 'warmup_iters', 'warmup_ratio')
KNOWN_KEYS = (*_DEFAULTS, *_REQUIRED, 'optimizer', 'lr_config', 'total_epochs', 'work_dir', 'seed', 'amp',
              'deterministic', 'auto_scale_lr')  # fmt: skip
_SUBSETS = ('train', 'val', 'test')
_DATA_KEYS = (*_SUBSETS, *(f'{name}_dataloader' for name in _SUBSETS), 'videos_per_gpu', 'workers_per_gpu',
              'persistent_workers', 'loader', 'device_bytes')  # fmt: skip
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
        raise ACLNetError(f'config {path} cannot be read: {error.msg}') from None
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
        _check_options(options, cfg)
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
    _check_kinds(cfg, path)
    _check_spelling(list(cfg.data), _DATA_KEYS, f"'data' of config {path}", strict=True)
    for name, known in _KEYS_OF.items():
        for key in cfg[name] or ():
            if key not in known:
                raise ACLNetError(f"{name} of config {path} has no key '{key}'{nearest(key, known)}")
    if cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('./work_dirs', os.path.splitext(os.path.basename(path))[0])
    if not isinstance(cfg.work_dir, str):
        raise ACLNetError(f'work_dir of config {path} must be the path of a folder, got {cfg.work_dir!r}')
    _check_schedule(cfg, path)
    return cfg


def _check_kinds(cfg: Config, path: str) -> None:
    """Dicts and intervals, which mmcv would not miss before it needs them."""
    for key in _DICTS:
        if not isinstance(cfg.get(key, {}), dict) and (cfg[key] is not None or key == 'optimizer'):
            raise ACLNetError(f"config {path}: '{key}' must be a dict, got {cfg[key]!r}")
    for name in _SUBSETS:
        options = cfg.data.get(f'{name}_dataloader')
        if options is not None and not isinstance(options, dict):
            raise ACLNetError(f"config {path}: 'data.{name}_dataloader' must be a dict, got {options!r}")
    hooks = cfg.custom_hooks or []
    if not isinstance(hooks, (list, tuple)) or not all(isinstance(hook, dict) for hook in hooks):
        raise ACLNetError(f"config {path}: 'custom_hooks' must be a list of dicts, got {hooks!r}")
    for key in ('checkpoint_config', 'evaluation', 'log_config'):
        interval = cfg[key].get('interval', 1)
        if isinstance(interval, bool) or not isinstance(interval, int):
            raise ACLNetError(f'{key}.interval of config {path} must be a whole number, got {interval!r}')
    clip = cfg.optimizer_config.get('grad_clip')
    if clip is not None and not isinstance(clip, dict):
        raise ACLNetError(f'grad_clip of config {path} must be None or a dict such as dict(max_norm=20), got {clip!r}')
    for key, value in (cfg.get('lr_config') or {}).items():
        if key in _RATES and value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ACLNetError(f'lr_config.{key} of config {path} must be a number, got {value!r}')


def _check_options(options: dict[str, Any], cfg: Config) -> None:
    """Refuse options that nothing would read; a variable of a config file has done its work when that is read."""
    _check_spelling([key.split('.')[0] for key in options], KNOWN_KEYS, '--cfg-options')
    for option in options:
        first, *rest = option.split('.')
        if first not in KNOWN_KEYS:
            raise ACLNetError(f"--cfg-options: nothing reads '{option}'{_meant(first, cfg)}")
        if first == 'data' and rest and rest[0] not in (*_DATA_KEYS, *cfg.get('data', ())):
            raise ACLNetError(
                f"--cfg-options: nothing reads '{option}'{nearest(rest[0], _DATA_KEYS) or _meant(rest[0], cfg)}"
            )


def _meant(name: str, cfg: Config) -> str:
    """The end of a sentence on a key that is not read where it stands: where it is, or what may have been meant."""
    places = {key: 'data' for key in _DATA_KEYS}
    places.update({part: key for key in KNOWN_KEYS if isinstance(cfg.get(key), dict) for part in cfg[key]})
    subset = name.removesuffix('_pipeline')
    if name in places:
        return f"; did you mean '{places[name]}.{name}'?"
    if name in KNOWN_KEYS:
        return f"; did you mean '{name}'?"
    if subset in _SUBSETS:
        return f"; did you mean 'data.{subset}.pipeline'?"
    return nearest(name, KNOWN_KEYS) or f' (read are {", ".join(KNOWN_KEYS)})'


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
