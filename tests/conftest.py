"""The order of the tests, and what several of them share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent
LONG = (ROOT / 'engine', ROOT / 'tools', ROOT / 'docs', ROOT / 'test_distributed.py')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, lest one process works on them in the end while the other waits."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(place) for place in LONG))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch computes with one thread, as the processes do that it is compared with."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
