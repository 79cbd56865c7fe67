"""Poses by way of a memcached server, which many processes share; the raw file stands in whenever the server doesn't.

The server only ever saves time: whatever goes wrong with it costs one warning per process, never a sample.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from aclnet.datasets.annotations.raw_files import RawFiles, are_poses
from aclnet.errors import ACLNetError
from aclnet.files import loads_pickle

__all__ = ['MemcachedPoses', 'server_key']

_PICKLED = 1  # the flag by which pymemcache's own serde marks a pickle: published fillers use it
_RETRY_AFTER = 30.0  # seconds without the server after it failed
_CONNECT_TIMEOUT, _TIMEOUT = 0.5, 2.0  # seconds
_warned = False


def server_key(name: str) -> str:
    """The name itself, as published, where memcached allows it as a key; else a hash of it."""
    legal = 0 < len(name) <= 250 and all('!' <= letter <= '~' for letter in name)
    return name if legal else f'aclnet-{hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()}'


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
        server: (host, port).
        raw_files: what reads the poses that the server doesn't have.

    The connection belongs to one process: it is made at the first read, and neither forked nor pickled along.
    """

    def __init__(self, server: Sequence, raw_files: RawFiles) -> None:
        if (
            isinstance(server, str)
            or not isinstance(server, Sequence)
            or len(server) != 2
            or not isinstance(server[0], str)
            or isinstance(server[1], bool)
            or not isinstance(server[1], int)
            or not 0 < server[1] < 65536
        ):
            raise ACLNetError(f"mc_cfg must be (host, port), e.g. ('localhost', 22077), got {server!r}")
        self.server = (server[0], server[1])
        self.raw_files = raw_files
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
        key = server_key(annotation['frame_dir'])
        poses = self._get(key, annotation)
        if poses is not None:
            return poses
        if not annotation.get('raw_file'):
            raise ACLNetError(
                f'sample {annotation["frame_dir"]} has no raw_file, and the memcached server '
                f'{self.server[0]}:{self.server[1]} does not hold its poses'
            )
        poses = self.raw_files.read(annotation)
        self._set(key, poses)
        return poses

    def _get(self, key: str, annotation: dict) -> dict[str, np.ndarray] | None:
        answer = self._ask('get', key)
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

    def _set(self, key: str, poses: dict) -> None:
        self._ask('set', key, poses)

    def _ask(self, command: str, *args: Any) -> Any:
        """The server's answer, or None if there is none."""
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
            too_large = command == 'set' and 'too large' in str(error)
            self._silent_until = 0.0 if too_large else time.monotonic() + _RETRY_AFTER
            return None

    def _connect(self) -> Any:
        from pymemcache.client.base import Client  # here: needed by those who use a server

        return Client(
            self.server,
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
        global _warned
        if not _warned:
            _warned = True
            warnings.warn(
                f'memcached server {self.server[0]}:{self.server[1]} is no help '
                f'({type(reason).__name__ if isinstance(reason, Exception) else "value"}: {reason}); '
                'reading raw files instead',
                stacklevel=2,
            )
