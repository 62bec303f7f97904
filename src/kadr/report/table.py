"""A comparison as one table. Markdown, CSV, page and terminal all print this one."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from kadr.report import undefined
from kadr.report.wording import MISSING, Wording
from kadr.study.compare import Comparison, Row
from kadr.types import Interval

MAIN = ("image_encoder", "text_encoder", "features", "classifier")
LABELS = ("experts", "expert_weight", "judges", "policy", "alignment")
CHOICES = (*MAIN, *LABELS, "test_share", "seed", "search")
"""Fields of a combination's config, as the columns stand."""

LEVEL = 0.05
"""Holm-adjusted p-values below this tell two combinations apart."""

Standing: TypeAlias = Literal["best", "same", "worse", "unknown", "baseline"]
"""Against the best row; `same` means that the data can't tell them apart."""
MARKS: dict[Standing, str] = {"same": "≈", "unknown": "?"}

Value: TypeAlias = float | Interval | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure and its interval, or a head and its settings, as printed; `span` may be empty."""

    value: str
    span: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of figures: its name in texts.toml and the CSV, and where a row holds it."""

    key: str
    of: Callable[[Row], Value]
    kind: Literal["number", "interval"] = "interval"
    digits: int = 3


@dataclass(frozen=True, slots=True)
class Header:
    """A column's name and hint."""

    key: str
    name: str
    hint: str
    is_figure: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row as printed: one cell under each header."""

    standing: Standing
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A comparison in a person's language; `caption` holds what all rows share."""

    headers: tuple[Header, ...]
    lines: tuple[Line, ...]
    caption: str
    legend: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


FIRST = ("rank", "roc_auc", "difference", "p", "unseen_roc_auc", "average_precision", "recall_10")
"""Figures of a page's first table; the others would not fit beside them."""


def _behind(row: Row) -> Interval | None:
    found = row.behind
    return Interval(found.value, found.low, found.high) if found else None


def _recall(key: str) -> Callable[[Row], Interval | None]:
    return lambda row: getattr(row.retrieval, key) if row.retrieval else None


FIGURES = (
    Figure("roc_auc", lambda row: row.seen.roc_auc),
    Figure("difference", _behind),
    Figure("p", lambda row: row.behind.p if row.behind else None, "number"),
    Figure("unseen_roc_auc", lambda row: row.unseen.roc_auc if row.unseen else None),
    Figure("average_precision", lambda row: row.seen.average_precision),
    Figure("tau_c", lambda row: row.seen.tau_c),
    Figure("brier", lambda row: row.seen.brier),
    Figure("expected_calibration_error", lambda row: row.seen.expected_calibration_error),
    Figure("recall_1", _recall("recall_1")),
    Figure("recall_5", _recall("recall_5")),
    Figure("recall_10", _recall("recall_10")),
    Figure("validation", lambda row: row.validation, "number"),
    Figure("seconds", lambda row: row.seconds if row.config else None, "number", 1),
    Figure("microseconds", lambda row: row.microseconds if row.config else None, "number", 1),
)


def build(comparison: Comparison, say: Wording) -> Table:
    """Print every row, the best first, baselines at the foot."""
    rows, columns = comparison.rows, _columns(comparison.rows)
    lines = [
        Line(standing(row, place), (*_choices(row, place, columns, say), *_figures(row, say)))
        for place, row in enumerate(rows, start=1)
    ]
    lines += [
        Line("baseline", (*_baseline(row, columns, say), *_figures(row, say)))
        for row in comparison.baselines
    ]
    return Table(
        tuple(_headers(columns, say)),
        tuple(lines),
        " ".join(_caption(rows, columns, say)),
        tuple(_legend(lines[: len(rows)], say)),
        tuple((say.plain(name), say.plain(why)) for name, why in comparison.failed.items()),
    )


def halves(table: Table, say: Wording) -> tuple[Table, Table]:
    """A table as two that fit a page: choices and the first figures; names and the others."""
    first, others = list[int](), list[int]()
    for place, header in enumerate(table.headers):
        mine = first if header.key in FIRST or not header.is_figure else others
        mine.append(place)
    names = [place for place, header in enumerate(table.headers) if not header.is_figure]
    rank, combination = table.headers[0], Header("name", say("table.name"), "", is_figure=False)
    return (
        replace(
            table,
            headers=tuple(table.headers[place] for place in first),
            lines=tuple(
                replace(line, cells=tuple(line.cells[place] for place in first))
                for line in table.lines
            ),
        ),
        replace(
            table,
            headers=(rank, combination, *(table.headers[place] for place in others)),
            lines=tuple(
                replace(
                    line,
                    cells=(
                        line.cells[0],
                        Cell(" · ".join(filter(None, (line.cells[n].value for n in names)))),
                        *(line.cells[place] for place in others),
                    ),
                )
                for line in table.lines
            ),
            caption=say("table.others"),
        ),
    )


def _legend(lines: Sequence[Line], say: Wording) -> Iterator[str]:
    """What the marks mean, and why figures are missing; the best row differs from none."""
    standings = dict.fromkeys(line.standing for line in lines if line.standing in MARKS)
    yield from (say(f"table.{key}", mark=MARKS[key]) for key in standings)
    for place, figure in enumerate(FIGURES, start=-len(FIGURES)):
        compared = figure.key in {"difference", "p"}
        if not compared and any(line.cells[place].value == MISSING for line in lines):
            yield f"{MISSING} {say(f'figures.{figure.key}')}: {undefined.reason(figure.key, say)}."


def differing(rows: Sequence[Row]) -> tuple[str, ...]:
    """The choices in which rows differ."""
    return tuple(key for key in CHOICES if len({choice(row, key) for row in rows}) > 1)


def _columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """The choices that get a column; the head does where its settings differ, too."""
    shown = {*differing(rows)}
    if len({settings(row) for row in rows}) > 1:
        shown.add("classifier")
    return tuple(key for key in CHOICES if key in shown) or MAIN


def choice(row: Row, key: str) -> object:
    """What a row chose; None for a baseline."""
    return getattr(row.config, key) if row.config else None


def standing(row: Row, place: int) -> Standing:
    """How a row at that place, from 1, stands against the best."""
    if row.config is None:
        return "baseline"
    if place == 1:
        return "best"
    if row.behind is None or not math.isfinite(row.behind.p):
        return "unknown"
    return "same" if row.behind.p >= LEVEL else "worse"


def settings(row: Row) -> str:
    """A head's settings by the library's own names, such as C=0.01."""
    return ", ".join(f"{key}={value:g}" for key, value in row.settings.items())


def cell(figure: Interval | None, say: Wording) -> Cell:
    """A figure and its interval."""
    if figure is None:
        return Cell(say.number(math.nan))
    return Cell(say.number(figure.value), say.span(figure))


def p_value(p: float, say: Wording) -> str:
    """A p-value, never printed as nought."""
    return f"<{say.number(0.001)}" if p < 0.001 else say.number(p)


def _headers(columns: Sequence[str], say: Wording) -> Iterator[Header]:
    yield Header("rank", say("table.rank"), "", is_figure=True)
    for key in columns:
        yield Header(key, say(f"training.{key}"), "", is_figure=False)
    for figure in FIGURES:
        key = figure.key
        yield Header(key, say(f"figures.{key}"), say(f"hints.{key}"), is_figure=True)


def _choices(row: Row, place: int, columns: Sequence[str], say: Wording) -> Iterator[Cell]:
    yield Cell(f"{place} {MARKS.get(standing(row, place), '')}".rstrip())
    for key in columns:
        yield Cell(
            say.plain(choice(row, key)),
            settings(row) if key == "classifier" else "",
        )


def _baseline(row: Row, columns: Sequence[str], say: Wording) -> Iterator[Cell]:
    yield Cell("")
    yield Cell(say.name("baselines", row.name))
    yield from [Cell("")] * (len(columns) - 1)


def _figures(row: Row, say: Wording) -> Iterator[Cell]:
    for figure in FIGURES:
        value = figure.of(row)
        if value is None or isinstance(value, Interval):
            yield cell(value, say)
        else:
            small = figure.key == "p"
            yield Cell(p_value(value, say) if small else say.number(value, figure.digits))


def _caption(rows: Sequence[Row], columns: Sequence[str], say: Wording) -> Iterator[str]:
    """What was measured on, and in what all rows agree."""
    if not rows:
        yield say("table.nothing")
        return
    first = rows[0]
    yield say(
        "table.pairs",
        pairs=say.count(first.seen.pairs),
        images=say.count(first.seen.images),
        matches=say.count(first.seen.matches),
    )
    if found := next((row.retrieval for row in rows if row.retrieval), None):
        yield say("table.queries", queries=say.count(found.queries), images=say.count(found.images))
    yield say("table.intervals")
    shared = [
        f"{say(f'training.{key}').lower()}: {say.plain(choice(first, key))}"
        for key in CHOICES
        if key not in columns
    ]
    if shared:
        yield say("table.shared", choices="; ".join(shared))
