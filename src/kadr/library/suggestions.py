"""A year or month that a query's words name, offered as a filter: "bus in 2021"."""

import re

from kadr.errors import KadrError
from kadr.library.queries import Expression, parse
from kadr.types import Suggestion

MONTHS = (
    ("january", "jan", "январ[ьяе]"),
    ("february", "feb", "феврал[ьяе]"),
    ("march", "mar", "март[ае]?"),
    ("april", "apr", "апрел[ьяе]"),
    ("may", "ма[йяе]"),
    ("june", "jun", "июн[ьяе]"),
    ("july", "jul", "июл[ьяе]"),
    ("august", "aug", "август[ае]?"),
    ("september", "sep", "сентябр[ьяе]"),
    ("october", "oct", "октябр[ьяе]"),
    ("november", "nov", "ноябр[ьяе]"),
    ("december", "dec", "декабр[ьяе]"),
)
"""Patterns of what each month is called; Russian in the cases that follow a preposition."""
_MONTH = "|".join(name for names in MONTHS for name in names)
_DATE = re.compile(
    rf"(?:^|(?<=\s))(?:(?:in|from|of|during|в|за|с)\s+)?(?:({_MONTH})\s+)?"
    r"((?:19|20)[0-9]{2})(?:\s+(?:года|году|год|г\.?))?(?=\s|$)",
    re.IGNORECASE,
)
_FILTERS = frozenset({"after", "before"})


def suggested(query: Expression) -> Suggestion | None:
    """The query without the one year or month that its text names, and the span of that.

    None for sums and pictures, where something is quoted, and where nothing is left of the query.
    """
    filtered = _FILTERS.intersection(key for key, _ in query.filters)
    dates = list(_DATE.finditer(query.source))
    if query.text is None or filtered or len(dates) != 1 or set(query.source) & set("\"'«“"):
        return None
    (date,) = dates
    left = " ".join((query.source[: date.start()] + query.source[date.end() :]).split())
    if not _is_text(left):
        return None
    after, before = _span(int(date[2]), date[1])
    return Suggestion(left, after, before)


def _is_text(words: str) -> bool:
    try:
        return parse([words], files=False).text is not None
    except KadrError:
        return False


def _span(year: int, month: str | None) -> tuple[str, str]:
    """The first moment of a year or month, and of the next one, as filters write them."""
    if month is None:
        return f"{year}", f"{year + 1}"
    number = next(n for n, names in enumerate(MONTHS, 1) if _is_called(month, names))
    following = f"{year + 1}-01" if number == 12 else f"{year}-{number + 1:02}"
    return f"{year}-{number:02}", following


def _is_called(month: str, names: tuple[str, ...]) -> bool:
    return re.fullmatch("|".join(names), month, re.IGNORECASE) is not None
