"""Samples of a packed store, as sequences that read them when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from aclnet.datasets.annotations.packed import Store

__all__ = ['Names', 'Packed']


class _Chosen:
    """Samples of a store, by their positions."""

    def __init__(self, store: Store, rows: np.ndarray) -> None:
        self.store, self.rows = store, rows

    def __len__(self) -> int:
        return len(self.rows)


class Names(_Chosen, Sequence):
    """Identifiers of samples, read when they are asked for."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Names: ...
    def __getitem__(self, index: int | slice) -> str | Names:
        if isinstance(index, slice):
            return Names(self.store, self.rows[index])
        return self.store.name(self.rows[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]  # like a list


class Packed(_Chosen, Sequence):
    """Annotations of a store, read when they are asked for: each time a new dict over the same arrays."""

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Packed: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Packed:
        if isinstance(index, slice):
            return Packed(self.store, self.rows[index])
        return self.store[self.rows[index]]

    def take(self, kept: Sequence[int]) -> Packed:
        """Some of them, by their positions here."""
        return Packed(self.store, self.rows[np.array(kept, np.int64)])

    def is_fit(self, index: int) -> bool:
        """Whether the sample at ``index`` was fit for use when it was packed."""
        return not self.store.unfit or int(self.rows[index]) not in self.store.unfit

    @property
    def names(self) -> Names:
        """Their identifiers."""
        return Names(self.store, self.rows)

    @property
    def labels(self) -> np.ndarray | None:
        """(N,) int64, see ``Store.labels``."""
        return self.store.column('label', rows=self.rows)

    @property
    def shards(self) -> np.ndarray:
        """(N,) number of the shard of each."""
        return self.store.shards[self.rows]

    @property
    def sound(self) -> bool:
        """See ``Store.sound``."""
        return self.store.sound(self.rows)
