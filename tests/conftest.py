"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def archive() -> Path:
    """Give the folder of the real archive; skip the test where there is none."""
    data = os.environ.get("KADR_DATA")
    if not data:
        pytest.skip("KADR_DATA is unset: it names the folder that holds search_by_query/")
    folder = Path(data) / "search_by_query"
    if not folder.is_dir():
        pytest.fail(f"KADR_DATA names {data}, which holds no search_by_query/")
    return folder


@pytest.fixture
def plain_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let photos be named by their numbers, for tests that know the order of indexing."""
    monkeypatch.setattr("kadr.stores.ids.IdCipher.encrypt", lambda _, number: number)
    monkeypatch.setattr("kadr.stores.ids.IdCipher.decrypt", lambda _, number: number)
