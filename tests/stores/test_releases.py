"""What each released version made is opened, brought up to date and searched by this one."""

import gzip
import shutil
from pathlib import Path

import pytest

from kadr import Library, load_matcher
from kadr.types import Filters

RELEASES = sorted(path for path in (Path(__file__).parents[1] / "releases").iterdir())


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


@pytest.fixture
def library(release: Path, tmp_path: Path) -> Path:
    """A library of that version, in a folder of its own."""
    with (
        gzip.open(release / "photos.kadr.gz") as packed,
        (tmp_path / "photos.kadr").open("wb") as plain,
    ):
        shutil.copyfileobj(packed, plain)
    shutil.copy(release / "photos.kadr.audit.key", tmp_path)
    shutil.copytree(release / "photos", tmp_path / "photos")
    return tmp_path / "photos.kadr"


def test_its_library_is_searched_under_the_law(library: Path) -> None:
    for _ in range(2):  # as it was, and brought up to date
        with Library.open(library, policy="under-16", create=False) as opened:
            assert opened.totals().photos == 5
            assert opened.index(library.parent / "photos").encoded == 0, "their vectors are there"
            answer = opened.search("a red ball")
            assert len(answer) == 4, "one is hidden by a person"
            assert answer.withheld is not None
            assert all(hit.image.path.name.endswith("ball 2021-05-17.jpg") for hit in answer)
            assert len(opened.search("grey", filters=Filters(collection="balls"))) == 4
            assert opened.store.log_problems() == []
            assert list(opened.store.check()) == []
    with Library.open(library, create=False) as opened:
        answer = opened.search("red ball")
        assert answer[0].image.path.name.startswith("red")
        assert {word.source for word in answer[0].on_record} == {"name"}


def test_its_matcher_scores(release: Path, library: Path) -> None:
    matcher = load_matcher(release / "matcher")
    assert matcher.text_spec == "tfidf"
    with Library.open(library, model=matcher, create=False) as opened:
        opened.index(library.parent / "photos")
        assert len(opened.search("a red circle")) == 5
