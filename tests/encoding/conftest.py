"""Fixtures of encoding: a model of fakes on disk, photos."""

from pathlib import Path

import pytest

from encoded_photos import shelf
from kadr.matcher import bundle
from libraries import colour_matcher


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.save(colour_matcher(), tmp_path_factory.mktemp("model") / "colours")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return shelf(tmp_path / "photos")
