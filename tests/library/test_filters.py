"""What --after, --near, --min-size and --kind take, and what they refuse."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.errors import KadrError
from kadr.library import filters
from kadr.types import Filters

MOMENTS = st.datetimes().map(lambda moment: moment.replace(microsecond=0))


def test_default_filters_ask_for_nothing() -> None:
    assert Filters() == Filters(None, None, None, None, None, None, 0, 0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024", "2024-01-01T00:00:00"),
        ("2024-05", "2024-05-01T00:00:00"),
        ("2024-02-29", "2024-02-29T00:00:00"),
        ("2024-05-17T12:30", "2024-05-17T12:30:00"),
        (" 2024-05-17 12:30:59 ", "2024-05-17T12:30:59"),
        ("0001", "0001-01-01T00:00:00"),
    ],
)
def test_dates(text: str, moment: str) -> None:
    assert filters.date(text) == moment


@given(MOMENTS, MOMENTS)
def test_moments_sort_as_texts(one: datetime, other: datetime) -> None:
    texts = filters.date(one.isoformat()), filters.date(other.isoformat())
    assert texts == (one.isoformat(), other.isoformat())
    assert (texts[0] < texts[1]) == (one < other)


@given(st.dates())
def test_a_shorter_date_is_the_first_moment_of_it(day: Any) -> None:
    text = day.isoformat()
    assert filters.date(text[:4]) <= filters.date(text[:7]) <= filters.date(text)
    month = datetime.fromisoformat(filters.date(text[:7]))
    assert month == datetime(day.year, day.month, 1)
    if month > datetime(1, 1, 1):
        assert (month - timedelta(seconds=1)).month != day.month


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "24", "20245", "2024-13", "2024-00", "2023-02-29", "2024-5", "2024/05",
     "17.05.2024", "2024-05-17T", "2024-05-17T24:00", "2024-05-17T12:60", "2024-05-17T12:30:60",
     "2024-05-17T12:30Z", "0000", "٢٠٢٤", "2024\0", "\ud800", "-2024", "9" * 5000],
)  # fmt: skip
def test_no_dates(text: str) -> None:
    refused(filters.date, text, "is no date. Write 2024, 2024-05,")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("55.75,37.62,5", (55.75, 37.62, 5)),
        (" -90 , +180. , .5 ", (-90, 180, 0.5)),
        ("0,0,20037", (0, 0, 20037)),
    ],
)
def test_places(text: str, place: tuple[float, float, float]) -> None:
    assert filters.place(text) == place


@pytest.mark.parametrize(
    "text",
    ["", "55.75", "55.75,37.62", "55.75,37.62,0", "55.75,37.62,-1", "90.1,0,1", "0,-180.5,1",
     "nan,0,1", "0,0,inf", "0,0,1e3", "0,0," + "9" * 400, "1_0,0,1", "55,75,37,62,5", "55°45',37,5",
     "N55,E37,5", "55.75 37.62 5", "0,0,5km", "٥,0,1", "0,0,1\0", "." + ",0,1", "," * 10_000],
)  # fmt: skip
def test_no_places(text: str) -> None:
    refused(filters.place, text, "such as 55.75,37.62,5")


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("1024", (1024, 1024)),
        ("1920x1080", (1920, 1080)),
        (" 1X2 ", (1, 2)),
        ("1×2", (1, 2)),
        ("1х2", (1, 2)),
    ],
)
def test_sizes(text: str, least: tuple[int, int]) -> None:
    assert filters.size(text) == least


@pytest.mark.parametrize(
    "text", ["", "0", "0x5", "5x0", "-5", "1.5", "x", "5x", "x5", "1x2x3", "2MP", "9" * 10, "٥"]
)
def test_no_sizes(text: str) -> None:
    refused(filters.size, text, "is no size. Write pixels: 1024")


@pytest.mark.parametrize(
    ("text", "name"),
    [*((name, name) for name in filters.KINDS), ("JPG", "jpeg"), (".jpe", "jpeg"),
     ("jfif", "jpeg"), ("tif", "tiff"), (" HEIF ", "heic")],
)  # fmt: skip
def test_kinds(text: str, name: str) -> None:
    assert filters.format_of(text) == name


@pytest.mark.parametrize("text", ["", ".", "..png", "pdf", "jpeg\0", "фото", "x" * 1000])
def test_no_kinds(text: str) -> None:
    refused(filters.format_of, text, "Choose from: jpeg, png, webp, gif, tiff, bmp, avif, heic.")


@given(st.text() | st.text("0123456789-+:T ,.x"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (filters.date, filters.place, filters.size, filters.format_of):
        with contextlib.suppress(KadrError):
            parse(text)


def refused(parse: Callable[[str], object], text: str, said: str) -> None:
    with pytest.raises(KadrError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_all_that_is_written_becomes_one_filter() -> None:
    assert filters.parse() == filters.parse(after="", near="", kind="", min_size="") == Filters()
    written = filters.parse(
        after="2023", before="2024-05", folder=Path("/photos"), camera="Canon",
        near="55.75,37.62,5", kind=".JPG", min_size="640x480",
    )  # fmt: skip
    assert written == Filters(
        "2023-01-01T00:00:00", "2024-05-01T00:00:00", Path("/photos"), "Canon",
        (55.75, 37.62, 5), "jpeg", 640, 480,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["after", "before", "near", "kind", "min_size"])
def test_what_cannot_be_understood_is_refused_wherever_it_stands(name: str) -> None:
    with pytest.raises(KadrError, match="'!'"):
        filters.parse(**{name: "!"})  # type: ignore[arg-type]
