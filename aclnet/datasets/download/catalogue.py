"""The files of the benchmarks: where they are, where they go, and which of them only a person can fetch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from aclnet.datasets.annotations.sources import KINETICS_POSES, PYSKL, SOURCES
from aclnet.datasets.download.transfer import fetch
from aclnet.errors import ACLNetError, nearest

__all__ = ['CATALOGUE', 'RemoteFile', 'download', 'listing']


@dataclass(frozen=True)
class RemoteFile:
    """A file of a benchmark.

    Attributes:
        path: where the configs expect it.
        url: of the file, or of the page where a person gets it.
        by_hand: what to do on that page, as the middle of a sentence; None where the file can be downloaded.
        sha256: of its content, if known.
    """

    path: str
    url: str
    by_hand: str | None = None
    sha256: str | None = None


def _public(folder: str, name: str) -> RemoteFile:
    return RemoteFile(f'data/{folder}/{name}', SOURCES[name])


_CONVERT = 'then convert it as data/README.md says'
_KPFILES = RemoteFile(
    'data/k400/kpfiles.zip',
    KINETICS_POSES,
    "click 'Download' on Dropbox's page, save kpfiles.zip as {path}, and unpack it there on Linux",
)
#: name → files; of none of them do the owners publish a checksum
CATALOGUE: dict[str, tuple[RemoteFile, ...]] = {
    'ntu60': (_public('nturgbd', 'ntu60_3danno.pkl'),),
    'ntu120': (_public('nturgbd', 'ntu120_3danno.pkl'),),
    'finegym': (_public('finegym', 'gym_hrnet.pkl'),),
    'k400': (_public('k400', 'k400_hrnet.pkl'), _KPFILES),
    'pku_mmd': (
        RemoteFile(
            'data/pku/pku_mmd.pkl',
            SOURCES['pku_mmd.pkl'],
            "click 'Download' on Google Drive's page, confirm that it is too large to be scanned, save it as {path}",
        ),
    ),
    'nw_ucla': (
        RemoteFile(
            'data/nw_ucla/nw_ucla.pkl',
            'https://wangjiangb.github.io/my_data.html',
            f"follow the authors' link to the skeleton data of NW-UCLA, {_CONVERT}, to {{path}}",
        ),
    ),
    'utd_mhad': (
        RemoteFile(
            'data/utd_mhad/utd_mhad.pkl',
            'https://personal.utdallas.edu/~kehtar/UTD-MHAD.html',
            f'follow the link to the skeleton data of UTD-MHAD, {_CONVERT}, to {{path}}',
        ),
    ),
    'ntu_raw': (
        RemoteFile(
            'data/nturgbd/nturgb+d_skeletons',
            'https://rose1.ntu.edu.sg/dataset/actionRecognition/',
            "register, wait for the owners' answer, download the archives of 3D skeletons, unpack them in {path}, "
            f'{_CONVERT}',
        ),
    ),
}


def listing() -> str:
    """A line per file: name, how to get it, where it goes."""
    rows = [
        (name, 'by hand' if file.by_hand else 'download', file.path, file.url)
        for name, files in CATALOGUE.items()
        for file in files
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return '\n'.join('  '.join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]) for row in rows)


def download(name: str, out: str | None = None, sha256: str | None = None, mirror: str | None = None) -> list[str]:
    """Fetch the files of a benchmark that can be fetched; those that are there already are left alone.

    Args:
        name: key of ``CATALOGUE``.
        out: folder to save them in; by default where the configs expect them, below the working directory.
        sha256: that the file must have; only where there is one file.
        mirror: address that stands in for that of PYSKL's files.

    Returns:
        the paths of the files.

    Raises:
        ACLNetError: there is no such name, a download failed, or a file is to be fetched by hand; that comes last.
    """
    if name not in CATALOGUE:
        raise ACLNetError(f"there is no data set '{name}'{nearest(name, CATALOGUE)} (known: {', '.join(CATALOGUE)})")
    public = [file for file in CATALOGUE[name] if file.by_hand is None]
    if sha256 is not None and len(public) != 1:
        raise ACLNetError(f"--sha256 is of one file, and '{name}' has {len(public)} to download")
    paths, left = [], []
    for file in CATALOGUE[name]:
        path = os.path.join(out, os.path.basename(file.path)) if out else file.path
        if file.by_hand is None:
            url = file.url.replace(PYSKL, mirror.rstrip('/')) if mirror else file.url
            fetch(url, path, sha256 or file.sha256)
            paths.append(path)
        elif os.path.exists(path) or os.path.exists(path.removesuffix('.zip')):
            paths.append(path)
        else:
            left.append(
                f'{os.path.basename(path)} is to be fetched by hand: open {file.url}, {file.by_hand.format(path=path)}'
            )
    for path in paths:
        print(path)
    if left:
        raise ACLNetError('; '.join(left))
    return paths
