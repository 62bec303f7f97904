"""Parts: each photo in one, each file whole, and nothing that doesn't go together."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.encoding import parts
from kadr.encoding.parts import Output, Part
from kadr.encoding.rows import About, Row
from kadr.encoding.sources import Entry
from kadr.errors import DataError, KadrError
from kadr.stores import PARTS, NewPhoto
from kadr.types import PhotoFacts

ABOUT = About("fake", 2, "/photos")
ENTRIES = st.lists(
    st.builds(Entry, st.text(max_size=3), st.integers(0, 3), st.integers(0, 3)),
    unique_by=lambda entry: entry.key,
)


def entry(name: str, modified: int = 1) -> Entry:
    return Entry(f"/photos/{name}.png", 1, modified)


def row(one: Entry, problem: str | None = None) -> Row:
    if problem is not None:
        return Row(one.path, one.size, one.modified, problem=problem)
    photo = NewPhoto(
        bytes(32),
        facts=PhotoFacts("png", 4, 4, None, None, None, None),
        hash=1,
        vector=np.ones(2, np.float32),
        parts=(1,) * PARTS,
    )
    return Row(one.path, one.size, one.modified, bytes(32), photo=photo)


@given(ENTRIES, st.integers(1, 5), st.randoms())
def test_each_photo_that_isn_t_done_is_in_one_part(
    entries: list[Entry], size: int, random: object
) -> None:
    done = {one.key for one in entries[::2]}
    plan = parts.plan(entries, done, size)
    assert [one for part in plan for one in part.entries] == entries[1::2]
    assert all(len(part.entries) == size for part in plan[:-1])
    assert len({part.name for part in plan}) == len(plan)
    assert [part.name for part in parts.plan(entries, done, size)] == [part.name for part in plan]


def test_a_changed_photo_is_another_part() -> None:
    assert Part((entry("a"),)).name != Part((entry("a", 2),)).name
    assert Part((entry("a"),)).name.isascii()


def test_what_could_not_be_read_is_not_done(tmp_path: Path) -> None:
    output = Output(str(tmp_path))
    one, other = entry("a"), entry("b")
    output.write(Part((one, other)), [row(one), row(other, "can't be read: gone")], ABOUT)
    survey = output.survey()
    assert (survey.about, survey.done, survey.count) == (ABOUT, {one.key}, 2)


def test_nothing_but_part_files_counts(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "new"))
    assert output.names() == []
    assert output.survey().about is None
    output.write(Part((entry("a"),)), [row(entry("a"))], ABOUT)
    (name,) = output.names()
    for other in (".kadr-1.part", "part-1.parquet.tmp", "list.parquet", "part-x"):
        (tmp_path / "new" / other).write_bytes(b"x")
    (tmp_path / "new" / "part-folder.parquet").mkdir()
    os.mkfifo(tmp_path / "new" / "part-pipe.parquet")
    assert output.names() == [name]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, None])
def test_a_damaged_part_is_named(tmp_path: Path, content: bytes | None) -> None:
    output = Output(str(tmp_path))
    output.write(Part((entry("a"),)), [row(entry("a"))], ABOUT)
    (name,) = output.names()
    whole = Path(name).read_bytes()
    Path(name).write_bytes(whole[:-20] if content is None else content)
    with pytest.raises(DataError, match=r"part-.*encode again\.") as error:
        output.survey()
    assert "\n" not in str(error.value)


def test_parts_of_two_runs_do_not_mix(tmp_path: Path) -> None:
    output = Output(str(tmp_path))
    output.write(Part((entry("a"),)), [row(entry("a"))], ABOUT)
    output.write(Part((entry("b"),)), [row(entry("b"))], About("other", 2, "/photos"))
    with pytest.raises(DataError, match="different runs"):
        output.survey()


def test_a_part_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(str(tmp_path))
    output.write(Part((entry("a"),)), [row(entry("a"))], ABOUT)
    monkeypatch.setattr("kadr.encoding.columns.MOST_BYTES", 10)
    with pytest.raises(DataError, match="larger than any part"):
        output.survey()


def test_two_do_not_write_into_one_folder(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "out"))
    with (
        output.writing(),
        pytest.raises(DataError, match="another kadr encode"),
        output.writing(),
    ):
        pass
    with output.writing():
        pass


def test_a_place_that_can_t_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(KadrError, match="file"), Output(str(place)).writing():
            pass
