"""Rows: what goes into a file comes out of it, and a stranger's file is told in one line."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from kadr.encoding import rows
from kadr.encoding.rows import About, Row
from kadr.errors import DataError
from kadr.photos.texts import line
from kadr.stores import PARTS, NewPhoto
from kadr.types import Assessment, PhotoFacts, Sidecar

DIM = 3
ABOUT = About("fake", DIM, "/photos", law_encoder="law", law_dim=2, layers="1")
WORDS = st.text(max_size=20).map(lambda text: line(text, 100))
FIGURES = st.floats(allow_nan=False, allow_infinity=False, width=32)
BITS = st.integers(0, 2**64 - 1)
PROBABILITIES = st.floats(0, 1)
NAMES = st.text(
    st.characters(codec=None, exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
)

facts = st.builds(
    PhotoFacts,
    st.sampled_from(["jpeg", "heic"]),
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.none() | st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat()),
    st.none() | WORDS,
    st.just(None),
    st.just(None),
    st.lists(WORDS, max_size=3).map(tuple),
    st.booleans(),
)
assessments = st.builds(
    Assessment,
    st.lists(WORDS, max_size=2).map(tuple),
    st.none() | PROBABILITIES,
    st.none() | st.lists(st.floats(0, 120), max_size=2).map(tuple),
    st.lists(st.sampled_from(["words", "scene", "faces"]), max_size=2, unique=True).map(tuple),
    PROBABILITIES,
    WORDS,
)


sidecars = st.builds(
    Sidecar,
    st.text(st.characters(codec="ascii"), min_size=1, max_size=9),
    st.lists(WORDS, max_size=3).map(tuple),
    st.booleans(),
    st.none() | st.just("2019-07-01T10:11:12"),
    st.just(-60.5),
    st.just(5.25),
)


@st.composite
def photo_rows(draw: st.DrawFn) -> Row:
    digest = draw(st.binary(min_size=32, max_size=32))
    photo = NewPhoto(
        digest,
        facts=draw(facts),
        hash=draw(BITS),
        vector=np.array(draw(st.lists(FIGURES, min_size=DIM, max_size=DIM)), np.float32),
        parts=tuple(draw(st.lists(BITS, min_size=PARTS, max_size=PARTS))),
        others={"law": np.array(draw(st.lists(FIGURES, min_size=2, max_size=2)), np.float32)},
    )
    path = f"/photos/x{draw(NAMES).replace('/', '_')}.png"
    size, modified = draw(st.integers(0, 2**63 - 1)), draw(st.integers(-(2**63), 2**63 - 1))
    assessment = draw(st.none() | assessments)
    said = draw(st.none() | sidecars)
    return Row(path, size, modified, digest, photo=photo, assessment=assessment, sidecar=said)


def plain(row: Row) -> tuple[object, ...]:
    """A row without arrays, to be compared."""
    photo = row.photo
    if photo is None or photo.vector is None:
        return (row,)
    vectors = photo.vector.tobytes(), {n: v.tobytes() for n, v in photo.others.items()}
    return replace(row, photo=replace(photo, vector=None, others={})), vectors


def written(table: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return parquet.ParquetFile(sink).read()


@given(st.lists(photo_rows(), max_size=4))
def test_rows_come_back_as_they_were(given_rows: list[Row]) -> None:
    table = written(rows.to_table(given_rows, ABOUT))
    assert rows.about(table.schema, "here") == ABOUT
    found = list(rows.from_table(table, ABOUT, "here"))
    assert list(map(plain, found)) == list(map(plain, given_rows))


def test_files_without_a_photo_come_back_too() -> None:
    said = [
        Row("/photos/\udcff.png", 3, 5, None, "can't be read: Permission denied"),
        Row("/photos/b.png", 3, 5, bytes(32), "not a readable photo (the file is empty)"),
    ]
    assert list(rows.from_table(written(rows.to_table(said, ABOUT)), ABOUT, "here")) == said


def good() -> pa.Table:
    photo = NewPhoto(
        bytes(32),
        facts=PhotoFacts("png", 4, 4, None, None, None, None),
        hash=1,
        vector=np.ones(DIM, np.float32),
        parts=(1,) * PARTS,
        others={"law": np.ones(2, np.float32)},
    )
    seen = Assessment((), 0.5, None, (), 0.5, "1")
    said = Sidecar("[]", ("by the sea",))
    row = Row("/photos/a.png", 1, 1, bytes(32), photo=photo, assessment=seen, sidecar=said)
    return rows.to_table([row], ABOUT)


def noting(**changes: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        note = json.loads(table.schema.metadata[b"kadr"]) | changes
        return table.replace_schema_metadata({b"kadr": json.dumps(note).encode()})

    return change


def having(name: str, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        column = pa.array([value], table.schema.field(name).type)
        return table.set_column(place, pa.field(name, column.type), column)

    return change


def typed(name: str, column: pa.Array) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, column)


BESIDE = {"texts": [], "complete": True, "taken": None, "latitude": None, "longitude": None}
NAN, ENDLESS = float("nan"), float("inf")
SEEN = {"words": [], "scene": 0.5, "faces": None, "failed": [], "probability": 0.5, "version": "1"}
DAMAGES: dict[str, Callable[[pa.Table], pa.Table]] = {
    "no note": lambda table: table.replace_schema_metadata(None),
    "a note that is no JSON": lambda table: table.replace_schema_metadata({b"kadr": b"{"}),
    "a note of another version": noting(format=1),
    "a note of other fields": noting(more=1),
    "no dimensions": noting(dim=0),
    "dimensions that are a text": noting(dim="3"),
    "other dimensions": noting(dim=4),
    "a longer vector": having("vector", [1.0] * 4),
    "no encoder": noting(encoder=""),
    "the law's encoder without figures": noting(law_dim=0),
    "a column less": lambda table: table.drop_columns(["hash"]),
    "a column twice": lambda table: table.append_column("hash", table.column("hash")),
    "vectors in float64": typed("vector", pa.array([[1.0] * 3], pa.list_(pa.float64()))),
    "vectors that are texts": typed("vector", pa.array(["1, 1, 1"])),
    "a digest of another length": typed("digest", pa.array([b"1"], pa.binary())),
    "no digest": having("digest", None),
    "no vector": having("vector", None),
    "a vector that isn't finite": having("vector", [1, NAN, 1]),
    "an endless vector": having("vector", [1, ENDLESS, 1]),
    "the law's vector missing": having("law_vector", None),
    "the law's vector not finite": having("law_vector", [NAN, 1]),
    "no hash": having("hash", None),
    "no hashes of parts": having("parts", None),
    "no path": having("path", b""),
    "a path that no system opens": having("path", b"/photos/" + b"a" * 4096 + b".png"),
    "a root that is no text": noting(root=5),
    "a root with a NUL": noting(root="/a\0b"),
    "a root that is no whole path": noting(root="photos"),
    "a root of a strange kind": noting(root="ftp://x"),
    "an encoder that is a list": noting(encoder=["x"]),
    "the law's encoder with a NUL": noting(law_encoder="a\0b"),
    "dimensions that aren't whole": noting(dim=3.0),
    "endless dimensions": noting(law_dim=float("inf")),
    "a size below 0": having("size", -1),
    "no size": having("size", None),
    "no time": having("modified", None),
    "a text that is missing": having("texts", [None]),
    "a word that is missing": having("assessment", SEEN | {"words": [None]}),
    "no words": having("assessment", SEEN | {"words": None}),
    "no version": having("assessment", SEEN | {"version": None}),
    "a version without end": having("assessment", SEEN | {"version": "v" * 10**6}),
    "an age that is missing": having("assessment", SEEN | {"faces": [None]}),
    "a day that there isn't": having("taken", "2024-99-99T99:99:99"),
    "digits of another script": having("taken", "٢٠٢٤-٠١-٠١T٠٠:٠٠:٠٠"),
    "a path that is no photo's": having("path", b"/photos/passwd"),
    "a path with a NUL": having("path", b"/photos/a\0.png"),
    "a format that nobody reads": having("kind", "svg"),
    "no size in pixels": having("width", None),
    "a negative size": having("height", -1),
    "a date that is none": having("taken", "yesterday"),
    "half a place": having("latitude", 5.0),
    "texts without end": having("texts", ["x" * 9_000] * 20),
    "no texts": having("texts", None),
    "a probability above 1": having("assessment", SEEN | {"probability": 2.0}),
    "a probability that isn't a number": having("assessment", SEEN | {"probability": NAN}),
    "no probability": having("assessment", SEEN | {"probability": None}),
    "a sidecar without a state": having("sidecar_state", ""),
    "a state without a sidecar": having("sidecar", None),
    "a state in no ASCII": having("sidecar_state", "é"),
    "a state without end": having("sidecar_state", "x" * 200_000),
    "a sidecar's text that is missing": having("sidecar", BESIDE | {"texts": [None]}),
    "a sidecar's texts without end": having("sidecar", BESIDE | {"texts": ["x" * 9_000] * 20}),
    "a sidecar's date that is none": having("sidecar", BESIDE | {"taken": "2024-99-99T99:99:99"}),
    "half a place beside it": having("sidecar", BESIDE | {"latitude": 5.0}),
    "a place that isn't on Earth": having("sidecar", BESIDE | {"latitude": NAN, "longitude": 1.0}),
    "an age below 0": having("assessment", SEEN | {"faces": [-1.0]}),
    "a layer that there isn't": having("assessment", SEEN | {"failed": ["mind"]}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_stranger_s_file_is_told_in_one_line(damage: Callable[[pa.Table], pa.Table]) -> None:
    assert len(list(rows.from_table(good(), ABOUT, "part.parquet"))) == 1
    table = written(damage(good()))
    with pytest.raises(DataError, match=r"^part\.parquet: ") as error:
        list(rows.from_table(table, rows.about(table.schema, "part.parquet"), "part.parquet"))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(("encode again.", "or update kadr."))
