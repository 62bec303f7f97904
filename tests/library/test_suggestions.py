"""A year or month in a query's words, offered as a filter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.errors import KadrError
from kadr.library import filters
from kadr.library.queries import parse
from kadr.library.suggestions import MONTHS, suggested
from kadr.types import Suggestion


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bus in 2021", ("bus", "2021", "2022")),
        ("2021 bus", ("bus", "2021", "2022")),
        ("автобус в 2021", ("автобус", "2021", "2022")),
        ("автобус в 2021 году у моря", ("автобус у моря", "2021", "2022")),
        ("bus in July 2021", ("bus", "2021-07", "2021-08")),
        ("автобус в декабре 1999 года", ("автобус", "1999-12", "2000-01")),
        ("лето мая 2020 г.", ("лето", "2020-05", "2020-06")),
        ("bus in 2021 -car kind:png", ("bus -car kind:png", "2021", "2022")),
        ("bus", None),
        ("2021", None),
        ("in 2021 kind:png", None),
        ("bus in 2021 or 2022", None),
        ("bus 12021", None),
        ("bus in 3021", None),
        ("bus in 2021 after:2020", None),
        ('"bus in 2021"', None),
        ("bus in 2021 + car", None),
        ("maybe 2021 buses", ("maybe buses", "2021", "2022")),
    ],
)
def test_what_is_offered(line: str, expected: tuple[str, str, str] | None) -> None:
    assert suggested(parse([line])) == (expected and Suggestion(*expected))


@given(st.text(st.sampled_from("in 2021mayв:-+\"'")) | st.text())
def test_whatever_is_offered_can_be_asked(line: str) -> None:
    try:
        offered = suggested(parse([line], files=False))
    except KadrError:
        return
    if offered is not None:
        assert parse([offered.query], files=False).text is not None
        assert filters.date(offered.after) < filters.date(offered.before)


def test_each_month_is_known() -> None:
    for number, (english, *_, russian) in enumerate(MONTHS, 1):
        for name in (english.upper(), russian.partition("[")[0] + {5: "й"}.get(number, "")):
            said = name + ("ь" if name.islower() and name[-1] in "рлн" else "")
            found = suggested(parse([f"bus {said} 2021"]))
            assert found is not None
            assert found.after == f"2021-{number:02}", said
