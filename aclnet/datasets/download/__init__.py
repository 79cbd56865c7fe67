"""Getting the benchmarks' files: what there is, and downloads that go on where they stopped."""

from aclnet.datasets.download.catalogue import CATALOGUE, RemoteFile, download, listing
from aclnet.datasets.download.transfer import fetch

__all__ = ['CATALOGUE', 'RemoteFile', 'download', 'fetch', 'listing']
