"""Tables for spreadsheets: one reader of what they save, one writer of what they don't run.

A spreadsheet separates columns by the sign that its language has left (comma, semicolon, tab),
saves UTF-16 as readily as UTF-8, and runs a cell that begins like a formula.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kadr.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
UNREADABLE = re.compile(r"[\x00\udc80-\udcff]")
"""What `decode` leaves where bytes are no text."""
_STRANGE = re.compile(r"[\udc80-\udcff]")

_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_HINT = re.compile(r"sep=(?P<sign>[,;\t|])\r?(?:\n|$)")
"""The line that some spreadsheets put before the header."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_FORMULA = frozenset("=+-@＝＋－＠")
_QUOTES = frozenset("\"'")


def decode(content: bytes) -> str:
    """Text in UTF-8 or UTF-16, with or without a mark; `UNREADABLE` letters for other bytes."""
    encoding = _MARKS.get(content[:2]) or _unmarked(content[:4])
    if encoding is None:
        return content.decode("utf-8-sig", errors="surrogateescape")
    text = content.decode(encoding, errors="replace")
    return text.removeprefix("\ufeff").replace("\ufffd", "\udcff")


def _unmarked(begin: bytes) -> str | None:
    """UTF-16 without a mark, by the zeros beside the letters of a header."""
    zeros = [byte == 0 for byte in begin]
    if zeros == [False, True] * 2:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False] * 2 else None


def hinted(text: str) -> tuple[str, str | None]:
    """The text without a spreadsheet's `sep=;` line, and the separator that it names."""
    hint = _HINT.match(text)
    return (text, None) if hint is None else (text[hint.end() :], hint["sign"])


def plain_name(column: str) -> str:
    """A column's name without regard to case and spaces: `Query ID` is query_id."""
    return "_".join(column.lower().split())


def separator(header: str, required: Sequence[str], usual: str = ",") -> str:
    """The sign that splits a header into the required columns; the usual one where none does."""
    for sign in dict.fromkeys((usual, *SEPARATORS)):
        names = Counter(map(plain_name, split(header, sign)))
        if all(names[column] == 1 for column in required):
            return sign
    return usual


def split(line: str, sign: str) -> list[str]:
    """The cells of one line; as it stands where its quotes make no sense."""
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=sign, strict=True))
        except csv.Error:
            pass
    return line.split(sign)


class HeaderError(DataError):
    """A table's header doesn't name a column that is needed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row by its columns, and its line in the file. `cells` are as many as it has."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. Required columns have their plain names, others those of the file."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    separator: str = ","

    def named(self, row: Row) -> dict[str, str]:
        """The cells of a row by column; missing ones are empty."""
        cells = (*row.cells, *[""] * (len(self.columns) - len(row.cells)))
        return dict(zip(self.columns, cells, strict=False))


def read(content: bytes | str, name: str, required: Sequence[str]) -> Table:
    """Read a table with a header; cells may be quoted and hold line ends.

    Args:
        content: the file.
        name: what messages call it.
        required: columns that the header must name, each once, in any case and order.

    Raises:
        HeaderError: a required column is missing.
        DataError: the file is no such table.
    """
    text, sign = hinted(decode(content) if isinstance(content, bytes) else content)
    if strange := _STRANGE.search(text):
        row = text.count("\n", 0, strange.start()) + 1
        raise _refused(name, row, "bytes that are no text")
    text = text.removeprefix("\ufeff")
    first = next(filter(str.strip, io.StringIO(text)), "")
    sign = sign or separator(first.rstrip("\r\n"), required)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
    rows, number = list[Row](), 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(number, tuple(cells)))
            number = reader.line_num + 1
    except csv.Error as error:
        raise _refused(name, number, str(error)) from error
    header = tuple(_column(cell, required) for cell in (rows[0].cells if rows else ()))
    unclear = [column for column in required if header.count(column) != 1]
    if unclear:
        raise HeaderError(
            f"{name}, row 1: no column {' or '.join(sorted(unclear))}. The header must name "
            f"{' and '.join(required)}, each once."
        )
    return Table(header, tuple(rows[1:]), sign)


def _refused(name: str, row: int, why: str) -> DataError:
    return DataError(f"{name}, row {row}: can't be read as UTF-8 CSV ({why}). Save it as such.")


def _column(cell: str, required: Sequence[str]) -> str:
    plain = plain_name(cell)
    return plain if plain in required else cell.strip()


def write(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    separator: str = ",",
    line_end: str = "\n",
) -> str:
    """A table as CSV. Texts are made harmless; numbers, which aren't texts, stay as they are."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator=line_end)
    for row in (header, *rows):
        writer.writerow(
            harmless(cell, separator) if isinstance(cell, str) else cell for cell in row
        )
    return buffer.getvalue()


def harmless(text: str, separator: str = ",") -> str:
    """A cell that no spreadsheet runs: an apostrophe stands before what looks like a formula.

    It does so at the beginning, and behind each sign at which a spreadsheet of another language
    would end the cell, for there the quotes around it count for nothing.
    """
    parts, begin = list[str](), 0
    for at in _formulas(text, separator):
        parts.append(text[begin:at])
        begin = at
    return "'".join([*parts, text[begin:]])


def as_meant(cell: str) -> str:
    """The text that `harmless` made into this cell of a table with commas."""
    parts, begin = list[str](), 0
    for at in _formulas(cell, ","):
        if at > begin and cell[at - 1] == "'":
            parts.append(cell[begin : at - 1])
            begin = at
    return "".join([*parts, cell[begin:]])


def _formulas(text: str, separator: str) -> Iterator[int]:
    """Where a formula would begin. An apostrophe before it leaves it where it is."""
    ends = {";", "|", "\t", *_LINE_ENDS} | ({","} - {separator})
    cell, fresh = True, True  # nothing but spaces and quotes since a cell's, the text's beginning
    for at, letter in enumerate(text):
        if (cell and letter in _FORMULA) or (fresh and letter in "\t\r\n"):
            yield at
        blank = letter.isspace() or letter in _QUOTES
        cell = letter in ends or (cell and blank)
        fresh = fresh and blank and letter not in "\t\r\n"


def number(cell: str) -> float:
    """A number with a decimal point or comma, as `3`, `3.0` and `3,0`; NaN where it is none."""
    return float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell.strip()) else math.nan
