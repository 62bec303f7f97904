"""What --after, --near, --min-size and --kind take, and what they refuse."""

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.errors import KadrError
from kadr.library import filters, queries
from kadr.stores import MEMORY, Store, open_store
from kadr.types import Filters

CASES = json.loads(Path(__file__).with_name("filters.json").read_text("utf-8"))
"""What is written, and what it means, null where it is refused; the page is tried with them too."""
DATE = "is no date. Write 2024, 2024-05,"
REFUSALS = {
    "after": DATE,
    "before": DATE,
    "near": "such as 55.75,37.62,5",
    "min_size": "is no size. Write pixels: 1024",
    "kind": "Choose from: jpeg, png, webp, gif, tiff, bmp, avif, heic, raw, film.",
    "collection": "is no name of a collection. Write 1 to 100",
}
MOMENTS = st.datetimes().map(lambda moment: moment.replace(microsecond=0))


def test_default_filters_ask_for_nothing() -> None:
    assert Filters() == Filters(None, None, None, None, None, None, 0, 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['filter']}={case['text']}")
def test_what_is_written_means(case: dict[str, Any]) -> None:
    name, text, means = case["filter"], case["text"], case["means"]
    if means is None:
        refused(lambda text: filters.parse(**{name: text}), text, REFUSALS[name])  # type: ignore[arg-type]
    elif name == "min_size":
        parsed = filters.parse(min_size=text)
        assert [parsed.min_width, parsed.min_height] == means
    else:
        parsed = getattr(filters.parse(**{name: text}), name)
        assert parsed == (tuple(means) if name == "near" else means)


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


@pytest.mark.parametrize("text", ["", "2024\0", "\ud800", "9" * 5000])
def test_no_dates(text: str) -> None:
    refused(filters.date, text, REFUSALS["after"])


@pytest.mark.parametrize("text", ["", "0,0," + "9" * 400, "0,0,1\0", "." + ",0,1", "," * 10_000])
def test_no_places(text: str) -> None:
    refused(filters.circle, text, REFUSALS["near"])


def test_no_sizes() -> None:
    refused(filters.size, "", REFUSALS["min_size"])


@pytest.mark.parametrize("text", ["", "jpeg\0", "x" * 1000])
def test_no_kinds(text: str) -> None:
    refused(filters.format_of, text, REFUSALS["kind"])


@given(st.text() | st.text("0123456789-+:T ,.x"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (filters.date, filters.circle, filters.size, filters.format_of):
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


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store(MEMORY, create=True)) as opened:
        yield opened


class TestTypedInTheQuery:
    def test_they_are_those_of_the_options(self, store: Store) -> None:
        query = queries.parse(['dog after:2021 camera:"canon eos" kind:JPG'])
        assert query.text == "dog"
        found = filters.typed(query, None, store)
        assert found == filters.parse(after="2021", camera="canon eos", kind="jpg")

    def test_the_query_counts_where_both_say_something(self, store: Store) -> None:
        given_ = Filters(after="2020-01-01T00:00:00", folder=Path("/p"))
        found = filters.typed(queries.parse(["dog after:2021"]), given_, store)
        assert found == Filters(after="2021-01-01T00:00:00", folder=Path("/p"))
        assert filters.typed(queries.parse(["dog"]), given_, store) is given_
        assert filters.typed(queries.parse(["dog"]), None, store) is None

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("dog after:party", DATE),
            ("dog kind:nice", REFUSALS["kind"]),
            ("dog after:2021 after:2022", "has a filter twice. Leave one of them out."),
        ],
    )
    def test_what_is_no_filter_is_refused(self, line: str, said: str) -> None:
        with pytest.raises(KadrError) as caught:
            filters.said(queries.parse([line]))
        assert said in str(caught.value)
        assert str(caught.value).isprintable()
