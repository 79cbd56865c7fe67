"""Poses by way of a memcached server, which many processes share; the raw file stands in whenever the server doesn't.

The server only ever saves time: whatever goes wrong with it costs one warning, never a sample.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import get_worker_info

from aclnet.datasets.annotations.raw_files import RawFiles, are_poses
from aclnet.errors import ACLNetError
from aclnet.files import loads_pickle

__all__ = ['MemcachedPoses', 'Server', 'server_key']

_PICKLED = 1  # the flag by which pymemcache's own serde marks a pickle
_RETRY_AFTER = 30.0  # seconds without the server after it failed
_CONNECT_TIMEOUT, _TIMEOUT = 0.5, 2.0  # seconds
_warned = False


class Server(NamedTuple):
    """A memcached server.

    Attributes:
        host, port: its address.
        memory_mb: most memory that it takes for values, if we start it.
        item_mb: most memory of one value, likewise.
    """

    host: str
    port: int
    memory_mb: int
    item_mb: int = 32

    @classmethod
    def of(cls, mc_cfg: Any) -> Server:
        """Of (host, port), or of a dict that may give the sizes too; by default half of the machine's memory is for
        values, and 32 MB for each.

        Raises:
            ACLNetError: it is neither.
        """
        given = mc_cfg
        if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
            given = dict(host=given[0], port=given[1])
        limits = dict(port=65535, memory_mb=1 << 30, item_mb=1024)
        if (
            not isinstance(given, dict)
            or not {'host', 'port'} <= given.keys() <= set(cls._fields)
            or not isinstance(given['host'], str)
            or any(type(given.get(key, 1)) is not int or not 0 < given.get(key, 1) <= limits[key] for key in limits)
        ):
            raise ACLNetError(
                "mc_cfg must be (host, port), e.g. ('localhost', 22077), or a dict of them that may have memory_mb and "
                f'item_mb, got {mc_cfg!r}'
            )
        half = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 21
        return cls(**{'memory_mb': max(half, 64), **given})

    def __str__(self) -> str:
        return f'{self.host}:{self.port}'


def server_key(name: str, namespace: str = '') -> str:
    """``namespace:name``, or the name itself without a namespace, where memcached allows that; else a hash of it."""
    key = f'{namespace}:{name}' if namespace else name
    legal = 0 < len(key) <= 250 and all('!' <= letter <= '~' for letter in key)
    return key if legal else f'aclnet-{hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()}'


class _Serde:
    """Values as (bytes, flags): they are unpickled where their failure costs no connection."""

    def serialize(self, key: str, value: Any) -> tuple[bytes, int]:
        return pickle.dumps(value, protocol=4), _PICKLED

    def deserialize(self, key: str, value: bytes, flags: int) -> tuple[bytes, int]:
        return value, flags


def _belong(poses: Any, annotation: dict) -> bool:
    """Whether ``poses`` can be those of ``annotation``: another data set may have filled the server."""
    if not are_poses(poses):
        return False
    frames, boxes, total = poses['frame_inds'], annotation.get('box_score'), annotation.get('total_frames')
    if boxes is not None and len(boxes) != len(frames):
        return False
    return total is None or not len(frames) or (0 <= frames.min() and frames.max() < total)


class MemcachedPoses:
    """Reads poses from a memcached server, and puts there what it had to read from raw files.

    Args:
        server: (host, port), or a dict, see ``Server.of``.
        raw_files: what reads the poses that the server doesn't have.
        namespace: what keeps the poses of one data set from those of another: its checksum.

    The connection belongs to one process: it is made at the first read, and neither forked nor pickled along.
    """

    def __init__(self, server: Any, raw_files: RawFiles, namespace: str = '') -> None:
        self.server = server if isinstance(server, Server) else Server.of(server)
        self.raw_files = raw_files
        self.namespace = namespace
        self._forget()

    def _forget(self) -> None:
        self._client: Any = None
        self._owner: int | None = None
        self._silent_until = 0.0

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_client': None, '_owner': None, '_silent_until': 0.0}

    def read(self, annotation: dict) -> dict[str, np.ndarray]:
        """``dict(keypoint (n, V, 3), frame_inds (n,))`` of an annotation.

        Raises:
            ACLNetError: the server doesn't have it and the raw file cannot give it either.
        """
        key = server_key(annotation['frame_dir'], self.namespace)
        poses = self._get(key, annotation)
        if poses is not None:
            return poses
        if not annotation.get('raw_file'):
            raise ACLNetError(
                f'sample {annotation["frame_dir"]} has no raw_file, and the memcached server '
                f'{self.server} does not hold its poses'
            )
        poses = self.raw_files.read(annotation)
        self.ask('set', key, poses)
        return poses

    def put(self, annotation: dict) -> bool:
        """Read the poses of an annotation from its raw file into the server, and say whether it took them.

        Raises:
            ACLNetError: the raw file cannot give them.
        """
        return (
            self.ask('set', server_key(annotation['frame_dir'], self.namespace), self.raw_files.read(annotation))
            is True
        )

    def _get(self, key: str, annotation: dict) -> dict[str, np.ndarray] | None:
        answer = self.ask('get', key)
        if not isinstance(answer, tuple) or answer[1] != _PICKLED:
            return None
        try:
            poses = loads_pickle(answer[0], f'{key} of the memcached server')
        except ACLNetError as error:
            self._warn(error)
            return None
        if not _belong(poses, annotation):
            self._warn(f'{key} holds other data')
            return None
        return {'keypoint': poses['keypoint'], 'frame_inds': poses['frame_inds']}

    def ask(self, command: str, *args: Any) -> Any:
        """The server's answer to a method of pymemcache's client, or None if there is none."""
        if self._owner != os.getpid():
            self._forget()  # a forked child must not read from its parent's connection
            self._owner = os.getpid()
        if time.monotonic() < self._silent_until:
            return None
        try:
            if self._client is None:
                self._client = self._connect()
            return getattr(self._client, command)(*args)
        except Exception as error:  # whatever a network, a dying server or a stranger on its port may answer
            self._warn(error)
            self._drop()
            refused = command == 'set' and type(error).__name__ == 'MemcacheServerError'  # too large, or it is full
            self._silent_until = 0.0 if refused else time.monotonic() + _RETRY_AFTER
            return None

    def _connect(self) -> Any:
        from pymemcache.client.base import Client  # here: needed by those who use a server

        return Client(
            self.server[:2],
            serde=_Serde(),
            connect_timeout=_CONNECT_TIMEOUT,
            timeout=_TIMEOUT,
            no_delay=True,
            default_noreply=False,
        )

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except Exception:  # it is broken anyhow
                pass

    def _warn(self, reason: object) -> None:
        """Once: not in every worker, nor in every rank of a node."""
        global _warned
        worker = get_worker_info()
        first = (worker is None or worker.id == 0) and os.environ.get('LOCAL_RANK', '0') == '0'
        if first and not _warned:
            _warned = True
            warnings.warn(
                f'memcached server {self.server} is no help '
                f'({type(reason).__name__ if isinstance(reason, Exception) else "value"}: {reason}); '
                'reading raw files instead',
                stacklevel=2,
            )
