"""Where annotations to be checked come from: anything that has splits and gives its annotations one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from aclnet.datasets.annotations.sources import hint
from aclnet.errors import ACLNetError, names
from aclnet.files import load_pickle

__all__ = ['PickleSource', 'Source', 'StoreSource', 'open_source']


class Source(Protocol):
    """An annotation file or store, whatever may be wrong with what is in it.

    Attributes:
        splits: what stands for {name: [identifier]}, or None where there are none.
    """

    splits: Any

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def damage(self) -> Iterable[str]:
        """What the source itself knows to be damaged, a sentence each."""
        ...


class PickleSource:
    """A pickle in PYSKL's format, loaded without running anything that it may hold.

    Raises:
        ACLNetError: the file is missing, damaged, or neither ``dict(split, annotations)`` nor a list.
    """

    def __init__(self, path: str) -> None:
        if not os.path.exists(path):
            raise ACLNetError(f'annotation file {path} does not exist{hint(path)}')
        content = load_pickle(path, 'annotation file')
        self.splits, self.annotations = None, content
        if isinstance(content, dict) and 'annotations' in content:
            self.splits, self.annotations = content.get('split'), content['annotations']
        if not isinstance(self.annotations, list):
            found = f'a dict of {names(content)}' if isinstance(content, dict) else type(content).__name__
            raise ACLNetError(
                f'{path} is no annotation file: it must hold a list of annotations or '
                f'dict(split={{name: [identifier, ...]}}, annotations=[...]), and holds {found}'
            )

    def __len__(self) -> int:
        return len(self.annotations)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.annotations)

    def damage(self) -> Iterable[str]:
        return ()  # a damaged pickle isn't loaded


class StoreSource:
    """A packed store; what cannot be read of it is given as the error that says why.

    Raises:
        ACLNetError: the folder holds no store, or its index is damaged.
    """

    def __init__(self, path: str) -> None:
        from aclnet.datasets.annotations.packed import Store  # here: few data sets are checked as stores

        self.store = Store.open(path)
        self.splits = self.store.splits

    def __len__(self) -> int:
        return len(self.store)

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            try:
                yield self.store[index]
            except ACLNetError as error:
                yield error

    def damage(self) -> Iterable[str]:
        return self.store.verify()


def open_source(path: str | os.PathLike) -> Source:
    """The annotations of ``path``.

    Raises:
        ACLNetError: it cannot be read.
    """
    return StoreSource(os.fspath(path)) if os.path.isdir(path) else PickleSource(os.fspath(path))
