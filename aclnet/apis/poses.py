"""The memcached server that a config's data sets ask for, for as long as a command runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from mmcv import Config

from aclnet import distributed
from aclnet.datasets.annotations import MemcachedPoses, RawFiles, namespace_of, open_annotations
from aclnet.datasets.annotations.memcached import Server
from aclnet.datasets.annotations.memcached_server import PoseServer, is_free, node_lock

__all__ = ['pose_server']


@contextlib.contextmanager
def pose_server(cfg: Config, names: Sequence[str] = ('train', 'val', 'test')) -> Iterator[None]:
    """Start and fill the memcached servers that data sets of a config name, where nobody listens; stop them at the end.

    Of several processes on a node the first does so, and the others wait. A data set whose poses are in its annotation
    file or store needs none.

    Args:
        cfg: from ``load_config``.
        names: of train, val and test, those that will be read.

    Raises:
        ACLNetError: a data set's annotations or ``mc_cfg`` are wrong.
    """
    wanted: dict[Server, list[dict]] = {}
    for name in names:
        for part in _asking(cfg.data.get(name)):
            wanted.setdefault(Server.of(part.get('mc_cfg', ('localhost', 22077))), []).append(part)
    with contextlib.ExitStack() as servers:
        for server, parts in wanted.items():
            job = f'-{os.environ.get("MASTER_ADDR", "")}-{os.environ.get("MASTER_PORT", "")}'.replace('/', '_')
            with node_lock(server, job, wait=False) as first:
                distributed.barrier()  # now the first process of each node has the lock
                if first:
                    with node_lock(server):  # another job may be at it
                        _start(server, parts, servers)
            if not first:
                with node_lock(server, job):
                    pass
        yield


def _asking(cfg: Any) -> Iterator[dict]:
    """Configs with ``memcached=True`` in a data set's config, one for each of its files and splits."""
    if isinstance(cfg, (list, tuple)):
        for part in cfg:
            yield from _asking(part)
    elif isinstance(cfg, dict):
        for key in ('ann_file', 'split'):
            if isinstance(cfg.get(key), (list, tuple)):
                for value in cfg[key]:
                    yield from _asking({**cfg, key: value})
                return
        if cfg.get('memcached') is True and 'ann_file' in cfg:
            yield cfg
        yield from _asking(cfg.get('dataset'))
        yield from _asking(cfg.get('datasets'))


def _start(server: Server, parts: list[dict], servers: contextlib.ExitStack) -> None:
    """Start and fill a server for what its data sets will read of it, if that is anything and nobody listens."""
    if not is_free(server):
        return
    readers: dict[str, tuple[MemcachedPoses, dict[str, dict]]] = {}
    for part in parts:
        path = os.fspath(part['ann_file'])
        file = open_annotations(path, part.get('pack'))
        clips = [annotation for annotation in file.select(part.get('split')) if 'keypoint' not in annotation]
        if clips:
            reader = MemcachedPoses(server, RawFiles(path), namespace_of(file))
            readers.setdefault(path, (reader, {}))[1].update({clip['frame_dir']: clip for clip in clips})
    started = PoseServer(server)
    if readers and started.start():
        servers.callback(started.stop)
        started.fill([(reader, [*clips.values()]) for reader, clips in readers.values()])
