"""Answers as Python and notebooks use them."""

import re
from pathlib import Path

import pandas
import pytest
from PIL import Image

import kadr
from kadr import Library
from kadr.errors import LibraryError
from kadr.types import Answer, Ruling


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in {"red.jpg": "red", "a<b>&.jpg": "blue", "green.jpg": "green"}.items():
        Image.new("RGB", (90, 60), colour).save(folder / name)
    return folder


def test_paths_are_text_or_paths(photos: Path, tmp_path: Path) -> None:
    with Library.open(str(tmp_path / "one.kadr"), model="mini") as library:
        assert library.index(str(photos)).encoded == 3
        assert len(library.similar(str(photos / "red.jpg"))) == 2
        library.exclude(str(photos), ["green.jpg"])
        library.index([str(photos)])
        assert library.totals().missing == 1
        library.set_distinct([str(photos / "red.jpg"), photos / "a<b>&.jpg"])
        assert library.remove(str(photos)) == 3
    with pytest.raises(kadr.errors.KadrError, match="no matcher here"):
        Library.open(":memory:", model=str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_an_answer_is_a_sequence_of_its_hits(photos: Path) -> None:
    with Library.open(":memory:") as library:
        library.index(photos)
        answer = library.search("something red")
        assert list(answer) == list(answer.hits)
        assert answer[0] is answer.hits[0]
        assert len(answer) == 3
        frame = answer.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["path"]) == [str(hit.image.path) for hit in answer]
    assert list(frame["probability"]) == [hit.probability for hit in answer]
    assert list(frame["width"]) == [90, 90, 90]
    assert set(frame["on_record"]) == {""}
    assert repr(answer).startswith("<Answer: ")
    assert len(repr(answer)) < 120
    empty = Answer(()).to_frame()
    assert list(empty.columns) == list(frame.columns)
    assert empty.empty


def test_a_notebook_shows_pictures_and_no_markup_of_names(photos: Path) -> None:
    with Library.open(":memory:") as library:
        library.index(photos)
        html = library.search("something red")._repr_html_()
        similar = library.similar(photos / "red.jpg")._repr_html_()
    assert html is not None
    assert html.count("data:image/jpeg;base64,") == 3
    assert "a&lt;b&gt;&amp;.jpg" in html
    assert "<b>" not in html
    assert not re.search(r'(src|href)="(?!data:image/jpeg)', html)
    assert similar is not None
    assert similar.count("<figure") == 2
    assert Answer(())._repr_html_() is None


def test_a_photo_that_is_hidden_or_gone_by_now_is_not_shown(photos: Path) -> None:
    with Library.open(":memory:", policy="under-16") as library:
        library.index(photos)
        for hit in Library.search(library, "something red"):
            library.rule(
                hit.image.digest, Ruling("allow", "anna", "2026-01-01T00:00:00", "no child")
            )
        answer = library.search("something red")
        shown = answer._repr_html_() or ""
        library.rule(
            answer[0].image.digest, Ruling("hide", "boris", "2026-01-02T00:00:00", "a child")
        )
        answer[1].image.path.unlink()
        later = answer._repr_html_() or ""
        refused = library.search("a little girl")._repr_html_() or ""
    assert later.count("data:image") == shown.count("data:image") - 2
    assert "unavailable in your country" in refused
    assert "data:image" not in refused
    closed = answer._repr_html_() or ""
    assert "data:image" not in closed


def test_what_is_printed_informs(photos: Path, tmp_path: Path) -> None:
    library = Library.open(tmp_path / "one.kadr")
    library.index(photos)
    assert repr(library) == f"<Library {tmp_path / 'one.kadr'}: 3 photos, mini, policy none>"
    assert repr(library.matcher) == "<Matcher mini + mini: 256 dimensions, logistic>"
    library.close()
    assert repr(library) == f"<Library {tmp_path / 'one.kadr'}>"
    with pytest.raises(LibraryError, match="was closed"):
        library.search("red")


def test_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", kadr.__version__)
    assert "mini" in repr(kadr.load_matcher("mini"))
