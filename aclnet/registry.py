"""The registries, and how something is built from a config dict."""

from __future__ import annotations

import inspect
from typing import Any

from aclnet import compat  # noqa: F401  mmcv must be imported through it
from mmcv.utils import Registry

from aclnet.errors import ACLNetError, nearest

__all__ = ['BACKBONES', 'DATASETS', 'HEADS', 'LOSSES', 'RECOGNIZERS', 'TRANSFORMS', 'build']


def build(cfg: dict, registry: Registry, default_args: dict | None = None) -> Any:
    """Build ``cfg['type']`` from ``registry`` with the rest of ``cfg`` as arguments.

    Args:
        cfg: dict with the key ``type`` (a registered name or a class) and keyword arguments.
        registry: where the name is looked up.
        default_args: arguments that ``cfg`` may override.

    Raises:
        ACLNetError: ``cfg`` is no such dict, the name is unknown (the nearest one is suggested), or an argument is
            unknown, missing or of a kind that cannot be worked with.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise ACLNetError(f"a {registry.name} must be a dict with the key 'type', got {cfg!r}")
    args = {**(default_args or {}), **cfg}
    kind = args.pop('type')
    cls = registry.get(kind) if isinstance(kind, str) else kind
    if not callable(cls):
        known = sorted(registry.module_dict)
        raise ACLNetError(f"there is no {registry.name} '{kind}'{nearest(kind, known)} (known: {', '.join(known)})")
    _check_arguments(cls, args, registry.name)
    try:
        return cls(**args)
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise ACLNetError(
            f'{registry.name} {cls.__name__} cannot be built: {type(error).__name__}: {error}; check the kinds of its '
            f'arguments {", ".join(args)}'
        ) from error


def _check_arguments(cls: type, args: dict, room: str) -> None:
    signature = inspect.signature(cls)
    try:
        signature.bind(**args)
    except TypeError as error:
        known = list(signature.parameters)
        unknown = [name for name in args if name not in known]
        hint = nearest(unknown[0], known) if unknown else ''
        raise ACLNetError(f'{room} {cls.__name__}: {error}{hint} (arguments: {", ".join(known)})') from None


def _build(cfg: dict, registry: Registry, **kwargs: Any) -> Any:
    return build(cfg, registry, kwargs.get('default_args'))


RECOGNIZERS = Registry('recognizer', build_func=_build)
BACKBONES = Registry('backbone', build_func=_build)
HEADS = Registry('head', build_func=_build)
LOSSES = Registry('loss', build_func=_build)
DATASETS = Registry('dataset', build_func=_build)
TRANSFORMS = Registry('transform', build_func=_build)
