"""A comparison as CSV for machines, as Markdown, as a page, and for the terminal."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.data import tables
from kadr.photos import files
from kadr.report import contrasts, output, table
from kadr.report.table import CHOICES, FIGURES, Cell, Line, Table
from kadr.report.wording import Wording, one_line, shortened
from kadr.study.compare import Comparison, Row
from kadr.types import Interval

if TYPE_CHECKING:
    from kadr.report.plots import Plot

WIDTH = 110
"""Columns of a terminal that the text fits."""
SHOWN, NAME = 30, 28
"""Rows, and letters of a name, that the text shows; the files show all."""
IN_TERMINAL = ("roc_auc", "difference", "unseen_roc_auc", "average_precision", "recall_10")
WITH_INTERVAL = "roc_auc"

MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")


@dataclass(frozen=True)
class Section:
    """What a page shows of a comparison: the whole table in two, and what is said of it."""

    table: Table
    tables: tuple[Table, Table]
    sentences: tuple[str, ...]
    plots: "tuple[Plot, ...]"


def write(comparison: Comparison, folder: Path, *, language: str) -> tuple[Path, ...]:
    """Write all files; `kadr.report.write_comparison` says more.

    Raises:
        KadrError: a file can't be written.
    """
    say = Wording(language)
    made = {
        "comparison.csv": _csv(comparison).encode("utf-8"),
        "comparison.md": _markdown(comparison, say).encode("utf-8"),
        "comparison.html": output.render(
            "comparison.html.j2", say=say, compared=section(comparison, say)
        ),
    }
    return tuple(files.save(folder / name, data) for name, data in made.items())


def section(comparison: Comparison, say: Wording) -> Section:
    """The comparison's part of a page."""
    from kadr.report import plots

    built = table.build(comparison, say)
    return Section(
        built,
        table.halves(built, say),
        contrasts.draw(comparison, say),
        plots.comparison(comparison.rows, say),
    )


def text(comparison: Comparison, say: Wording) -> str:
    """The best rows and the conclusions, for a terminal of `WIDTH` columns."""
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    built = table.build(comparison, say)
    kept = [
        place
        for place, header in enumerate(built.headers)
        if header.key == "rank" or not header.is_figure or header.key in IN_TERMINAL
    ]
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for header in (built.headers[place] for place in kept):
        grid.add_column(
            Text(say(f"short.{header.key}")),
            no_wrap=header.is_figure,
            overflow="fold",
        )
    for line in _head(built):
        grid.add_row(*(Text(_short(built, line, place)) for place in kept))
    file = io.StringIO()
    console = Console(file=file, width=WIDTH, color_system=None, force_jupyter=False)
    console.print(grid)
    hidden = len(comparison.rows) - SHOWN
    if hidden > 0:
        console.print(Text(say("table.more", count=say.count(hidden))))
    for note in built.legend:
        console.print(Text(note))
    says = Grid.grid(padding=(0, 1, 0, 0))
    for sentence in (*contrasts.draw(comparison, say), built.caption):
        says.add_row("-", Text(sentence))
    console.print()
    console.print(says)
    lines = file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _head(built: Table) -> Iterator[Line]:
    """The rows that the terminal shows: the first ones, and all baselines."""
    ranked = [line for line in built.lines if line.standing != "baseline"]
    yield from ranked[:SHOWN]
    yield from (line for line in built.lines if line.standing == "baseline")


def _short(built: Table, line: Line, place: int) -> str:
    cell, header = line.cells[place], built.headers[place]
    return _joined(cell) if header.key == WITH_INTERVAL else shortened(cell.value, NAME)


def _joined(cell: Cell) -> str:
    return f"{cell.value} {cell.span}".rstrip()


def _markdown(comparison: Comparison, say: Wording) -> str:
    built = table.build(comparison, say)
    names = [_escaped(header.name) for header in built.headers]
    rules = ["---:" if header.is_figure else "---" for header in built.headers]
    rows = [[_escaped(_joined(cell)) for cell in line.cells] for line in built.lines]
    parts = [
        f"# {say('page.comparison')}",
        "\n".join(f"- {_escaped(sentence)}" for sentence in contrasts.draw(comparison, say)),
        _escaped(built.caption),
        "\n".join(f"| {' | '.join(cells)} |" for cells in (names, rules, *rows)),
        *(_escaped(note) for note in built.legend),
    ]
    if built.failed:
        parts.append(f"## {say('table.failed')}")
        parts.append("\n".join(f"- {_escaped(f'{name}: {why}')}" for name, why in built.failed))
    return "\n\n".join(part for part in parts if part) + "\n"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    plain = MARKDOWN.sub(r"\\\1", text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _csv(comparison: Comparison) -> str:
    """One header; a row per combination, baseline and failure. Empty is undefined."""
    counted = ("pairs", "images", "matches")
    head = ["rank", "standing", "name", *CHOICES, "settings", *counted]
    header = [*head, *(name for figure in FIGURES for name in _names(figure)), "reason"]
    lines: list[Sequence[object]] = []
    for place, row in enumerate((*comparison.rows, *comparison.baselines), start=1):
        stands = table.standing(row, place)
        first = "" if stands == "baseline" else place
        texts = [row.name, *(table.choice(row, key) for key in CHOICES), table.settings(row)]
        counts = [getattr(row.seen, key) for key in counted]
        numbers = [number for figure in FIGURES for number in _numbers(figure, row)]
        lines.append([first, stands, *map(_plain, texts), *counts, *numbers, ""])
    width = len(CHOICES) + 1 + len(counted) + sum(len(_names(figure)) for figure in FIGURES)
    for name, why in comparison.failed.items():
        lines.append(["", "failed", _plain(name), *[""] * width, _plain(why)])
    return tables.write(header, lines)


def _names(figure: table.Figure) -> tuple[str, ...]:
    key = figure.key
    return (key,) if figure.kind == "number" else (key, f"{key}_low", f"{key}_high")


def _numbers(figure: table.Figure, row: Row) -> Iterator[object]:
    """As many as the figure has columns, in full precision."""
    value = figure.of(row)
    if isinstance(value, Interval):
        found = [value.value, value.low, value.high]
    else:
        found = [math.nan if value is None else value] * len(_names(figure))
    yield from (float(number) if math.isfinite(number) else "" for number in found)


def _plain(value: object) -> object:
    """A text on one line, a number as it is; empty where there is none."""
    if value is None:
        return ""
    return one_line(value) if isinstance(value, str) else value
