"""Fixtures of the study's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kadr.encoders.vectors import VectorCache


@pytest.fixture(scope="module")
def cache() -> Iterator[VectorCache]:
    """Give a cache in memory, which the tests of a file share."""
    opened = VectorCache(Path(":memory:"))
    yield opened
    opened.close()
