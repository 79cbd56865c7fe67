"""Opening what a config calls ``ann_file``: a store, or a pickle by way of the store that is packed beside it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import shutil
import warnings
from typing import Any

from aclnet.datasets.annotations.layout import JSON, dump, is_store, read_json
from aclnet.datasets.annotations.packed import Store, StoreWriter
from aclnet.datasets.annotations.packing import locked
from aclnet.datasets.annotations.pickles import AnnotationFile, load_annotations
from aclnet.datasets.annotations.raw_files import RawFiles
from aclnet.errors import ACLNetError
from aclnet.files import atomic_write

__all__ = ['PACK_FROM', 'namespace_of', 'open_annotations', 'source_of', 'store_of']

PACK_FROM = 1 << 26  # bytes of a pickle that is worth it: smaller ones load in a tenth of a second
_warned: set[str] = set()


def store_of(ann_file: str | os.PathLike) -> str:
    """Where the packed store of an annotation pickle lies: beside it."""
    return f'{os.fspath(ann_file)}.store'


def source_of(path: str, checksum: str | None = None) -> dict[str, Any]:
    """What tells whether a file is still the one that a store was packed from; reads it where no checksum is given."""
    status = os.stat(path)
    if checksum is None:
        summed = hashlib.sha256()
        with open(path, 'rb') as stream:
            while block := stream.read(1 << 20):
                summed.update(block)
        checksum = summed.hexdigest()
    return dict(name=os.path.basename(path), bytes=status.st_size, mtime_ns=status.st_mtime_ns, sha256=checksum)


def namespace_of(file: AnnotationFile | Store) -> str:
    """What keeps the poses of an annotation file from those of others: a checksum of the file and of what the file
    system says of its first raw file, whose replacement makes the others suspect too."""
    if isinstance(file, Store):
        source = file.about.get('source')
        checksum = source['sha256'] if isinstance(source, dict) and 'sha256' in source else file.checksum
    else:
        checksum = _checksum(file.path, os.stat(file.path).st_mtime_ns)
    stamp = ''
    with contextlib.suppress(ACLNetError, OSError):
        status = os.stat(RawFiles(file.path).find(file.select()[0]))
        stamp = f'{status.st_size} {status.st_mtime_ns}'
    return hashlib.sha256(f'{checksum} {stamp}'.encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=8)
def _checksum(path: str, changed: int) -> str:
    return source_of(path)['sha256']


def open_annotations(path: str | os.PathLike, pack: bool | None = None) -> AnnotationFile | Store:
    """Open an annotation file or a store.

    A store that was packed from the pickle ``path``, and lies beside it as ``path.store``, is taken for it. Where there
    is none, or the pickle has changed since, one is packed; processes that come at the same time wait for that.

    Args:
        path: of a pickle or a store.
        pack: whether to pack; None packs pickles of 64 MB or more. False also passes over a store beside the pickle.

    Raises:
        ACLNetError: there is nothing at ``path``, or it is no annotation file.
    """
    path = os.fspath(path)
    if is_store(path):
        return Store.open(path)
    store = store_of(path)
    if pack is False:
        return load_annotations(path)
    if not os.path.exists(path):
        return Store.open(store) if is_store(store) else load_annotations(path)  # which says where to get it
    if os.path.isdir(path):
        raise ACLNetError(f'annotation file {path} cannot be read: it is a directory, and no store, which has a {JSON}')
    found = _current(path, store)
    if found is not None:
        return found
    own = _is_cache(store)
    if own is False:
        _warn(
            store,
            f'store {store} is not of the {path} that lies beside it, and is left alone; pack it anew: '
            f'python tools/data/pack.py {path}',
        )
        return load_annotations(path)
    if pack is None and own is None and os.path.getsize(path) < PACK_FROM:
        return load_annotations(path)
    try:
        with locked(store):  # of several processes the first packs
            return _current(path, store) or _pack(path, store)
    except OSError as error:
        _warn(store, f'store {store} cannot be made ({error.strerror or error}); the pickle {path} is loaded instead')
        return load_annotations(path)


def _current(path: str, store: str) -> Store | None:
    """The store beside a pickle, if it was packed from the pickle as it is now."""
    try:
        source = read_json(store)['about'].get('source')
        status = os.stat(path)
        if not isinstance(source, dict) or source.get('bytes') != status.st_size:
            return None
        if source.get('mtime_ns') != status.st_mtime_ns:  # copied or touched perhaps
            if source_of(path)['sha256'] != source.get('sha256'):
                return None
            _stamp(path, store, source['sha256'])
        return Store.open(store)
    except (ACLNetError, OSError):  # packed anew, or passed over
        return None


def _stamp(path: str, store: str, checksum: str) -> None:
    """Note the time of a pickle whose content is known, so that it isn't read again; where that cannot be, it is."""
    with contextlib.suppress(ACLNetError, OSError):
        content = read_json(store)
        content['about']['source'] = source_of(path, checksum)
        with atomic_write(os.path.join(store, JSON), 'w') as stream:
            stream.write(dump(content))


def _is_cache(store: str) -> bool | None:
    """Whether the store was packed by ``open_annotations``; None where there is nothing."""
    if not os.path.lexists(store):
        return None
    try:
        with open(os.path.join(store, JSON), encoding='ascii') as stream:  # of an older version, perhaps
            return json.load(stream)['about']['cache'] is True
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _pack(path: str, store: str) -> AnnotationFile | Store:
    source = source_of(path)
    file = load_annotations(path)
    if shutil.disk_usage(os.path.dirname(os.path.abspath(store))).free < os.path.getsize(path):
        _warn(store, f'store {store} cannot be made (no room for it); the pickle {path} is loaded instead')
        return file
    logging.getLogger('aclnet').info('packing %s into %s, once', path, store)
    try:
        with StoreWriter(store, dict(cache=True, source=source), lock=False) as writer:
            for annotation in file.annotations:
                writer.add(annotation)
            if source_of(path, source['sha256']) != source:
                raise ACLNetError(f'{path} changed while it was packed')
            writer.close(file.splits)
        return Store.open(store)
    except ACLNetError as error:
        _warn(store, f'{error}; the pickle {path} is loaded instead')
        return file


def _warn(store: str, sentence: str) -> None:
    if store not in _warned:
        _warned.add(store)
        warnings.warn(sentence, stacklevel=4)
