"""Watching for operations that wait for the device, on a CPU where nothing would be seen of it."""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# their result is a Python number, or a tensor whose shape depends on values: a GPU must have finished before either
_WAITING = ('_local_scalar_dense', 'nonzero', 'nonzero_numpy', 'argwhere', 'masked_select', 'is_nonzero', 'equal',
            'unique', '_unique', '_unique2', 'unique_dim', 'unique_consecutive', 'unique_dim_consecutive', 'bincount',
            'repeat_interleave', 'item', 'histc')  # fmt: skip


_READING = ('item', 'tolist', 'numpy', 'cpu', '__bool__', '__int__', '__float__', '__index__', '__array__')


class NoWaiting:
    """Meanwhile an operation that would wait for a GPU raises an ``AssertionError``; others are counted as ``seen``.

    Operations are watched below autograd, the backward pass included, and reads of tensors by Python above it.
    """

    def __init__(self) -> None:
        self._operations, self._calls = _Operations(), _Calls()

    @property
    def seen(self) -> int:
        return self._operations.seen

    def __enter__(self) -> NoWaiting:
        self._operations.__enter__()
        self._calls.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._calls.__exit__(*error)
        self._operations.__exit__(*error)


class _Calls(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, '__name__', '')
        assert name not in _READING, f'Tensor.{name} waits for the device'
        return func(*args, **(kwargs or {}))


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().partition('::')[2].partition('.')[0]
        by_mask = name.startswith(('index', '_index', '_unsafe_index')) and any(
            isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8)
            for part in args
            if isinstance(part, (list, tuple))
            for index in part
        )
        assert name not in _WAITING and not by_mask, f'{func.name()} waits for the device'
        self.seen += 1
        return func(*args, **(kwargs or {}))
