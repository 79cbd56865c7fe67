"""One file by HTTP: into ``PATH.part``, going on there after an interruption, and to ``PATH`` once it is whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import IO, Any

from tqdm import tqdm

from aclnet.errors import ACLNetError
from aclnet.files import atomic_write

__all__ = ['fetch']

_CHUNK = 1 << 20  # bytes
_TIMEOUT = 60.0  # seconds without an answer
_TRIES = 6  # in a row without progress
_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # answers that may be better the next time


class _Interrupted(Exception):
    """The transfer ended early; what arrived is kept."""


def fetch(url: str, path: str, sha256: str | None = None, pause: float = 1.0) -> None:
    """Download a file, unless it is there.

    What was received is kept in ``path + '.part'`` when the transfer or the program ends early, and the next call asks
    for the rest, if the server can send parts and its file is still the same. Broken connections are taken up again,
    6 times in a row without progress; waits in between get longer.

    Args:
        url: http or https.
        path: where it goes.
        sha256: hexadecimal checksum of the content; None where it isn't known.
        pause: seconds before the first further try.

    Raises:
        ACLNetError: the server doesn't have it, sends a page instead, or ends the transfer again and again; the
            checksum is another; the disk is full; another program is downloading it.
    """
    if not url.startswith(('http://', 'https://')):
        raise ACLNetError(f'only http and https addresses can be downloaded, got {url}')
    if os.path.exists(path):
        _verify(path, path, sha256)
        return
    with _part_of(path) as part:
        transfer = _Transfer(url, path, part)
        failures, most = 0, transfer.size
        while not transfer.complete():
            try:
                transfer.receive()
            except _Interrupted as error:
                failures = 0 if transfer.size > most else failures + 1
                most = max(most, transfer.size)  # beginning anew and anew is no progress
                if failures >= _TRIES:
                    raise ACLNetError(
                        f'{url} could not be downloaded ({error}); {transfer.size:,} bytes are kept in {path}.part, '
                        'and the same command goes on from there'
                    ) from None
                seconds = min(pause * 2**failures, 60.0)
                print(f'{error}; trying again in {seconds:g} s', file=sys.stderr, flush=True)
                time.sleep(seconds)
        os.fsync(part.fileno())
        _verify(f'{path}.part', path, sha256)
        os.replace(f'{path}.part', path)
        _remove(f'{path}.part.json')


@contextlib.contextmanager
def _part_of(path: str) -> Iterator[IO[bytes]]:
    """The file that is downloaded into, for this process only."""
    try:
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        part = open(f'{path}.part', 'ab+', buffering=0)
    except OSError as error:
        raise ACLNetError(f'{path}.part cannot be written: {error.strerror}') from None
    with part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ACLNetError(f'{path} is being downloaded by another program; wait for it') from None
        yield part


class _Transfer:
    """A file on its way, and what the server said of it: ``PATH.part.json`` has its address, version and size."""

    def __init__(self, url: str, path: str, part: Any) -> None:
        self.url, self.path, self.part = url, path, part
        self.size = part.seek(0, os.SEEK_END)
        self.total: int | None = None
        self.version: str | None = None
        self.ended = False  # where the server doesn't say how much there is
        try:
            with open(f'{path}.part.json', encoding='utf-8') as stream:
                about = json.load(stream)
            if about['url'] == url:
                self.total, self.version = about['total'], about['version']
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def complete(self) -> bool:
        return self.ended or (self.total is not None and self.size == self.total)

    def receive(self) -> None:
        """Ask for what is lacking, and write what comes."""
        if self.size and (self.total is None or self.version is None or self.size > self.total):
            self._restart()  # nobody knows whether the beginning is of the file that is there now
        with self._open() as answer:
            self._begin(answer)
            hidden = not sys.stderr.isatty()
            with tqdm(
                desc=os.path.basename(self.path), total=self.total, initial=self.size, unit='B', unit_scale=True,
                unit_divisor=1024, disable=hidden, leave=False,
            ) as bar:  # fmt: skip
                while chunk := self._read(answer):
                    self._write(chunk)
                    bar.update(len(chunk))
        if self.total is None:
            self.ended = True
        elif self.size < self.total:
            raise _Interrupted(f'the connection ended after {self.size:,} of {self.total:,} bytes')

    def _open(self) -> Any:
        request = urllib.request.Request(self.url, headers={'User-Agent': 'aclnet'})
        if self.size:
            request.add_header('Range', f'bytes={self.size}-')
            request.add_header('If-Range', str(self.version))
        try:
            return urllib.request.urlopen(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code == 416:
                self._restart()
                raise _Interrupted('the server has another file now') from None
            if error.code in _AGAIN:
                raise _Interrupted(f'the server answers {error.code} {error.reason}') from None
            raise ACLNetError(
                f'{self.url} could not be downloaded: the server answers {error.code} {error.reason}; look for a new '
                'address on the page of the data set'
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(str(getattr(error, 'reason', error)) or type(error).__name__) from None

    def _begin(self, answer: Any) -> None:
        """Take in the answer's head: whether it is the rest or the whole file, and how much."""
        if answer.headers.get_content_type() == 'text/html':
            raise ACLNetError(f'{self.url} sends a web page and not the file; open it in a browser')
        if answer.status == 206:
            part = re.fullmatch(r'bytes (\d+)-\d+/(\d+)', answer.headers.get('Content-Range', ''))
            if part is None or (int(part[1]), int(part[2])) != (self.size, self.total):
                self._restart()
                raise _Interrupted('the server sends another part than it was asked for')
            return
        self._restart()
        length = answer.headers.get('Content-Length', '')
        self.total = int(length) if length.isdigit() else None
        tag = answer.headers.get('ETag', '')
        self.version = answer.headers.get('Last-Modified') if tag.startswith('W/') or not tag else tag
        free = shutil.disk_usage(os.path.dirname(self.path) or '.').free
        if self.total is not None and self.total > free:
            raise ACLNetError(f'{self.path} needs {self.total:,} bytes, but only {free:,} are free on its disk')
        with atomic_write(f'{self.path}.part.json', 'w') as stream:
            json.dump(dict(url=self.url, total=self.total, version=self.version), stream)

    def _read(self, answer: Any) -> bytes:
        try:
            return answer.read(_CHUNK)
        except http.client.IncompleteRead as error:
            self._write(error.partial)
            raise _Interrupted('the connection ended early') from None
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(str(error) or type(error).__name__) from None

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        try:
            while rest:
                count = self.part.write(rest)
                self.size += count
                rest = rest[count:]
        except OSError as error:
            raise ACLNetError(
                f'{self.path}.part cannot be written: {error.strerror}; it has {self.size:,} bytes, and the same '
                'command goes on from there'
            ) from None

    def _restart(self) -> None:
        if self.size:
            self.part.truncate(0)
            self.size = 0


def _verify(found: str, path: str, sha256: str | None) -> None:
    """Compare checksums; a download that has another is deleted, since going on with it would lead to nothing."""
    if sha256 is None:
        return
    with open(found, 'rb') as stream:
        actual = _sha256(stream)
    if actual == sha256.lower():
        return
    if found == path:
        raise ACLNetError(f'{path} is there, but its SHA-256 is {actual} and not {sha256}; move it away and try again')
    _remove(found)
    _remove(f'{found}.json')
    raise ACLNetError(
        f'the SHA-256 of what was downloaded for {path} is {actual} and not {sha256}, so it was deleted: it was '
        'damaged on its way, or the file was changed; try again'
    )


def _sha256(stream: IO[bytes]) -> str:
    content = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        content.update(chunk)
    return content.hexdigest()


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
