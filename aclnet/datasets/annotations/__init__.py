"""Readers of annotations and poses, one per storage."""

from aclnet.datasets.annotations.memcached import MemcachedPoses
from aclnet.datasets.annotations.opening import namespace_of, open_annotations
from aclnet.datasets.annotations.packed import Names, Packed, Store, StoreWriter
from aclnet.datasets.annotations.pickles import AnnotationFile, load_annotations
from aclnet.datasets.annotations.poses import check_poses
from aclnet.datasets.annotations.raw_files import RawFiles

__all__ = ['AnnotationFile', 'MemcachedPoses', 'Names', 'Packed', 'RawFiles', 'Store', 'StoreWriter', 'check_poses',
           'load_annotations', 'namespace_of', 'open_annotations']  # fmt: skip
