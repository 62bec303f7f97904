"""Tables of spreadsheets: what is read, what is refused, and what no spreadsheet runs."""

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.data import tables
from kadr.errors import DataError

ROWS = [["beach.jpg", "собака, бежит"], ["a;b.jpg", 'she said "a\tdog"\non two lines']]
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text("=+-@;,\t\r\n \"'|ab", max_size=12) | st.text(letters)


def saved(separator: str, encoding: str, header: list[str] | None = None) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\r\n")
    writer.writerows([header or ["image", "text"], *ROWS])
    return buffer.getvalue().encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", tables.SEPARATORS)
def test_what_spreadsheets_save_is_read(separator: str, encoding: str) -> None:
    table = tables.read(saved(separator, encoding), "pairs.csv", ("image", "text"))
    assert table.columns == ("image", "text")
    assert [list(row.cells) for row in table.rows] == ROWS
    assert [row.number for row in table.rows] == [2, 3]
    assert table.separator == separator


@pytest.mark.parametrize(
    "header", [["Image", " TEXT "], ["IMAGE", "text\u00a0"], ["image ", "Text"]]
)
def test_a_header_counts_without_case_and_spaces(header: list[str]) -> None:
    table = tables.read(saved(";", "utf-8", header), "pairs.csv", ("image", "text"))
    assert table.columns == ("image", "text")


def test_names_of_further_columns_stay_and_query_id_has_a_space() -> None:
    table = tables.read(b"Query ID,My Note \n1,2\n", "t.csv", ("query_id",))
    assert table.columns == ("query_id", "My Note")
    assert table.named(table.rows[0]) == {"query_id": "1", "My Note": "2"}


def test_blank_lines_before_the_header_are_none() -> None:
    table = tables.read(b"\n\r\nimage;text\n\na;b\n", "t.csv", ("image", "text"))
    assert [(row.number, row.cells) for row in table.rows] == [(5, ("a", "b"))]


def test_the_line_that_names_the_separator_is_no_header() -> None:
    table = tables.read(b"sep=;\r\nimage;text\r\na.jpg;1,5\r\n", "t.csv", ("image", "text"))
    assert [row.cells for row in table.rows] == [("a.jpg", "1,5")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "row 1: no column image or text"),
        (b"image\na.jpg\n", "row 1: no column text"),
        (
            b"image,text,Image\na,b,c\n",
            "no column image. The header must name image and text, each once",
        ),
        (
            b'image,text\na,b\nc,"open\n',
            "row 3: can't be read as UTF-8 CSV .unexpected end of data",
        ),
        (b"image,text\na,\xff\n", "row 2: can't be read as UTF-8 CSV .bytes that are no text"),
    ],
)
def test_what_is_no_table_is_said(content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        tables.read(content, "pairs.csv", ("image", "text"))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_data_errors(content: bytes) -> None:
    try:
        tables.read(content, "t.csv", ("image",))
    except DataError:
        return


@pytest.mark.parametrize(
    ("cell", "value"),
    [("3", 3), ("3.0", 3), (" 3,0 ", 3), ("3.", 3), ("0,25", 0.25), ("-1e-3", -0.001)],
)
def test_numbers_of_any_language(cell: str, value: float) -> None:
    assert tables.number(cell) == pytest.approx(value)


@pytest.mark.parametrize(
    "cell", ["", "three", "1,000.5", "nan", "inf", "1_0", "٣", "0x3", "9" * 999]
)
def test_what_is_no_number(cell: str) -> None:
    assert math.isnan(tables.number(cell))


@pytest.mark.parametrize("reader", tables.SEPARATORS)
@pytest.mark.parametrize("writer", [",", ";"])
@given(cells=st.lists(texts, min_size=1, max_size=3))
def test_no_spreadsheet_of_any_language_meets_a_formula(
    writer: str, reader: str, cells: list[str]
) -> None:
    written = tables.write(["head"], [["x", *cells]], separator=writer)
    for row in csv.reader(io.StringIO(written, newline=""), delimiter=reader):
        for cell in row:
            assert not cell.lstrip(' "').startswith(tuple("=+-@＝＋－＠")), written
    # Quotes that begin behind other letters are letters to a reader: look behind each sign too.
    for line in written.splitlines() if reader != writer else ():
        for cell in line.split(reader):
            assert not cell.strip(' \t"').startswith(tuple("=+-@＝＋－＠")), written


@given(texts)
def test_every_text_comes_back(text: str) -> None:
    assert tables.as_meant(tables.harmless(text)) == text


def test_numbers_keep_their_sign_and_plain_texts_are_left_alone() -> None:
    assert (
        tables.write(["a", "b"], [[-0.5, "a dog, well-known"]]) == 'a,b\n-0.5,"a dog, well-known"\n'
    )
    assert tables.harmless("x;=cmd()") == "x;'=cmd()"
    assert tables.harmless("x,=cmd()", ";") == "x,'=cmd()"
    assert tables.harmless("x,=cmd()") == "x,=cmd()"
