"""The order of the tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
LONG = (ROOT / 'engine', ROOT / 'tools', ROOT / 'docs', ROOT / 'test_distributed.py')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, lest one process works on them in the end while the other waits."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(place) for place in LONG))
