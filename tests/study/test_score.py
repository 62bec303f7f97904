"""Pairs from a table, their scores, and the table again."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kadr.data import tables
from kadr.encoders.vectors import VectorCache
from kadr.errors import DataError
from kadr.matcher import bundle as matcher
from kadr.study import score
from kadr.study.score import Pairs, Scores
from kadr.types import Score

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1)
some_rows = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5)
figures = st.none() | st.builds(Score, st.floats(0, 1), st.floats(-1, 1))


@pytest.fixture(scope="module")
def mini() -> matcher.Matcher:
    return matcher.load()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("red.png", "red"), ("blue.png", "blue")):
        Image.new("RGB", (32, 32), colour).save(folder / name)
    return folder


def pairs(*rows: tuple[str, str]) -> Pairs:
    return Pairs(score.COLUMNS, tuple({"image": image, "text": text} for image, text in rows))


def test_each_pair_is_scored_as_the_matcher_does(
    mini: matcher.Matcher, cache: VectorCache, photos: Path
) -> None:
    rows = (("red.png", "A red car ."), ("blue.png", "The sea ."), ("red.png", "The sea ."))
    told: list[tuple[str, int, int]] = []
    found = score.score(pairs(*rows), photos, mini, cache, lambda *progress: told.append(progress))
    assert found.skipped == ()
    assert {stage for stage, _, _ in told} == {"photos", "texts"}
    for row, one in zip(rows, found.scores, strict=True):
        (alone,) = score.score(pairs(row), photos, mini, cache).scores
        assert one is not None
        assert alone is not None
        assert one.probability == pytest.approx(alone.probability, abs=1e-6)
        assert one.similarity == pytest.approx(alone.similarity, abs=1e-6)
    assert len({one.similarity for one in found.scores if one is not None}) == 3


def test_unreadable_photos_keep_their_place_and_are_named_once(
    mini: matcher.Matcher, cache: VectorCache, photos: Path
) -> None:
    (photos / "broken.png").write_bytes(b"x")
    names = ("gone.png", "broken.png", "red.png", "/etc/hostname", "gone.png", "a\0b.png")
    found = score.score(pairs(*((name, "a") for name in names)), photos, mini, cache)
    assert [one is not None for one in found.scores] == [False, False, True, False, False, False]
    assert [item.path for item in found.skipped] == [
        Path("/etc/hostname"),
        photos / "a\0b.png",
        photos / "gone.png",
        photos / "broken.png",
    ]
    assert "not a name below" in found.skipped[0].reason


def test_no_photo_can_be_read(mini: matcher.Matcher, cache: VectorCache, photos: Path) -> None:
    assert score.score(pairs(("gone.png", "a")), photos, mini, cache).scores == (None,)


def test_missing_folder(mini: matcher.Matcher, cache: VectorCache, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        score.score(pairs(("a.png", "a")), tmp_path / "none", mini, cache)


@given(some_rows, st.data())
def test_a_written_table_is_read_again(
    rows: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    columns = ("note", "image", "text")
    table = Pairs(columns, tuple(dict(zip(columns, row, strict=True)) for row in rows))
    found = Scores(tuple(data.draw(figures) for _ in rows), ())
    written = list(csv.DictReader(io.StringIO(score.to_csv(table, found)), strict=True))
    for row, source, one in zip(written, table.rows, found.scores, strict=True):
        harmless = {name: tables.harmless(text) for name, text in source.items()}
        assert {name: row[name] for name in columns} == harmless
        if one is None:
            assert (row["probability"], row["similarity"]) == ("", "")
        else:
            assert float(row["probability"]) == pytest.approx(one.probability, abs=1e-6)
            assert float(row["similarity"]) == pytest.approx(one.similarity, abs=1e-6)


def test_old_figures_are_replaced() -> None:
    table = Pairs(
        ("probability", "image", "text"), ({"probability": "1", "image": "a", "text": "b"},)
    )
    written = score.to_csv(table, Scores((Score(0.25, 0.5),), ()))
    assert written == "probability,image,text,similarity\n0.250000,a,b,0.500000\n"


def test_reading_keeps_further_columns_and_a_byte_order_mark_is_none_of_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("\ufeffimage,text,note\na.jpg,кот,1\n", encoding="utf-8")
    assert score.read_pairs(path) == Pairs(
        ("image", "text", "note"), ({"image": "a.jpg", "text": "кот", "note": "1"},)
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        score.read_pairs(tmp_path / "none.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_pairs_as_a_spreadsheet_saves_them(tmp_path: Path, separator: str, encoding: str) -> None:
    path = tmp_path / "pairs.csv"
    rows = [[" Image ", "TEXT", "Note"], ["a.jpg", "собака, бежит; быстро", "0,5"]]
    quoted = "\r\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    path.write_bytes(quoted.encode(encoding))
    pairs = score.read_pairs(path)
    assert pairs.columns == ("image", "text", "Note")
    assert pairs.rows == ({"image": "a.jpg", "text": "собака, бежит; быстро", "Note": "0,5"},)
    written = score.to_csv(pairs, Scores((None,), ()))
    assert written.splitlines()[0] == separator.join([*pairs.columns, *score.ADDED])


def test_a_ragged_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("image,text\na,b\nc\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 3: expected 2 columns"):
        score.read_pairs(tmp_path / "pairs.csv")


@pytest.mark.parametrize("name", ["../outside.png", "{root}/outside.png", "link.png", "out/outside.png",
                                  "x/../../outside.png"])  # fmt: skip
def test_no_photo_outside_the_folder_is_read(
    mini: matcher.Matcher, cache: VectorCache, photos: Path, name: str
) -> None:
    Image.new("RGB", (32, 32), "green").save(photos.parent / "outside.png")
    (photos / "link.png").symlink_to(photos.parent / "outside.png")
    (photos / "out").symlink_to(photos.parent)
    rows = pairs((name.format(root=photos.parent), "a"), ("red.png ", "a"))
    scores = score.score(rows, photos, mini, cache)
    assert [one is not None for one in scores.scores] == [False, True]
    assert "not a name below" in scores.skipped[0].reason


def test_no_cell_of_the_scores_is_a_formula() -> None:
    rows = ({"image": "=cmd.jpg", "text": "x;=cmd()"},)
    written = score.to_csv(Pairs(score.COLUMNS, rows), Scores((Score(0.5, -0.25),), ()))
    assert written.splitlines()[1] == "'=cmd.jpg,x;'=cmd(),0.500000,-0.250000"
