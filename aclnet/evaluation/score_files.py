"""Score files: one array (classes,) per sample, and a side file with what such a list cannot hold."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aclnet.errors import ACLNetError, shown
from aclnet.files import atomic_write, load_pickle, read_text

__all__ = ['load_scores', 'meta_path', 'save_scores']

SUFFIXES = ('.pkl', '.json', '.yaml')


def meta_path(path: str | os.PathLike) -> Path:
    """The side file of a score file: ``best_pred.pkl`` has ``best_pred.pkl.meta.json``."""
    return Path(f'{os.fspath(path)}.meta.json')


def save_scores(path: str | os.PathLike, scores: Sequence | np.ndarray, meta: dict | None = None) -> None:
    """Write scores, and beside them their side file, each whole or not at all.

    Args:
        path: ends in .pkl (the format that PYSKL's scripts read), .json or .yaml.
        scores: (n, classes), or one array (classes,) per sample, in dataset order.
        meta: what the side file holds; :func:`load_scores` reads ``identifiers`` (n,) and ``labels`` (n,), and
            ``config`` and ``checkpoint`` tell where the scores came from. Without it there is no side file.

    Raises:
        ACLNetError: another suffix, identifiers or labels of another number, or a file that cannot be written.
    """
    suffix = _suffix(path)
    rows = [np.asarray(row) for row in scores]
    rows = [row if row.dtype.kind == 'f' else row.astype(np.float32) for row in rows]
    if meta is not None:
        _check_meta(meta, len(rows), f'the meta data for {os.fspath(path)}')
    # An old side file must not outlive its scores, should this stop half-way
    try:
        meta_path(path).unlink(missing_ok=True)
    except OSError as error:
        raise ACLNetError(f'{meta_path(path)} cannot be replaced: {error.strerror}') from None
    with atomic_write(path, 'wb') as stream:
        if suffix == '.pkl':
            pickle.dump(rows, stream, protocol=4)
        else:
            stream.write(_as_text([row.tolist() for row in rows], suffix).encode())
    if meta is not None:
        with atomic_write(meta_path(path), 'wb') as stream:
            stream.write(json.dumps(meta, default=_plain, indent=1).encode())


def load_scores(path: str | os.PathLike) -> tuple[np.ndarray, dict | None]:
    """Read a score file without running anything in it.

    Returns:
        scores (n, classes) as stored, and the side file's dict, or None where there is none.

    Raises:
        ACLNetError: missing or damaged file, no samples, samples of different numbers of classes, a score that is not
            finite, or a side file for another number of samples.
    """
    suffix = _suffix(path)
    where = f'score file {os.fspath(path)}'
    if suffix == '.pkl':
        rows = load_pickle(path, 'score file')
    else:
        rows = _from_text(read_text(path, where), suffix, where)
    scores = _as_array(rows, where)
    side = meta_path(path)
    if not side.exists():
        return scores, None
    meta = _from_text(read_text(side, f'side file {side}'), '.json', f'side file {side}')
    _check_meta(meta, len(scores), f'side file {side}')
    return scores, meta


def _suffix(path: str | os.PathLike) -> str:
    suffix = Path(path).suffix.lower()
    suffix = '.yaml' if suffix == '.yml' else suffix
    if suffix not in SUFFIXES:
        raise ACLNetError(f"a score file's name ends in {', '.join(SUFFIXES)}; got {os.fspath(path)}")
    return suffix


def _as_text(value: list, suffix: str) -> str:
    if suffix == '.json':
        return json.dumps(value)
    import yaml

    return yaml.safe_dump(value)


def _from_text(text: str, suffix: str, where: str) -> Any:
    try:
        if suffix == '.json':
            return json.loads(text)
        import yaml

        return yaml.load(text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
    except Exception as error:  # yaml's errors share no base with json's
        raise ACLNetError(f'{where} is not whole {suffix[1:]}: {error}') from None


def _as_array(rows: Any, where: str) -> np.ndarray:
    if not isinstance(rows, (list, tuple, np.ndarray)):
        raise ACLNetError(f'{where} must hold a list of one array per sample, got {type(rows).__name__}')
    if len(rows) == 0:
        raise ACLNetError(f'{where} holds no samples')
    for index, row in enumerate(rows):  # numpy would follow lists of lists of lists to any size
        if not isinstance(row, (np.ndarray, np.generic, int, float)) and not (
            isinstance(row, (list, tuple)) and all(isinstance(score, (int, float, np.generic)) for score in row)
        ):
            raise ACLNetError(f'{where}: sample {index} must be an array (classes,), got {shown(row)}')
    first = np.shape(rows[0])
    for index, row in enumerate(rows):
        if np.shape(row) != first:
            raise ACLNetError(f'{where}: sample {index} has shape {np.shape(row)}, but sample 0 has {first}')
    if len(first) != 1 or first[0] == 0:
        raise ACLNetError(
            f'{where}: a sample must be an array (classes,), got shape {first}'
            + ('; average the clips when testing' if len(first) == 2 else '')
        )
    scores = np.asarray(rows)
    if scores.dtype.kind not in 'fiu':
        raise ACLNetError(f'{where} must hold numbers, got {scores.dtype}')
    bad = np.flatnonzero(~np.isfinite(scores).all(1))
    if len(bad):
        raise ACLNetError(f'{where}: {len(bad)} samples have scores that are not finite, the first is sample {bad[0]}')
    return scores if scores.dtype.kind == 'f' else scores.astype(np.float32)


def _check_meta(meta: Any, n: int, where: str) -> None:
    if not isinstance(meta, dict):
        raise ACLNetError(f'{where} must be a dict, got {type(meta).__name__}')
    if any(isinstance(name, (list, dict)) for name in meta.get('identifiers') or ()):
        raise ACLNetError(f'{where} must have strings as identifiers')
    for key in ('identifiers', 'labels'):
        value = meta.get(key)
        if value is not None and (isinstance(value, (str, dict)) or np.shape(value)[:1] != (n,)):
            raise ACLNetError(f'{where} must have {n} {key}, one per sample; were the scores replaced without it?')


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return str(value)
