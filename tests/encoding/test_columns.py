"""Columns: small files that would fill the memory are refused, and others are read whole."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from kadr.encoding import columns, rows, sources
from kadr.encoding.parts import Output
from kadr.encoding.rows import About
from kadr.errors import DataError

ABOUT = About("fake", 3, "/p")


def repeated(value: bytes, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([value]))


def part(folder: Path, count: int, **given: Any) -> Output:
    """A part of rows without photos, its values as given; typed as plain ones."""
    schema = rows.schema(ABOUT)
    filled: dict[str, Any] = {"path": repeated(b"/p/a.png", count)}
    filled |= dict.fromkeys(("size", "modified"), pa.array([1] * count, pa.int64()))
    filled |= {"problem": pa.array(["no photo"] * count), "sidecar_state": pa.array([""] * count)}
    filled |= given
    table = pa.table({f.name: filled.get(f.name, pa.nulls(count, f.type)) for f in schema})
    folder.mkdir()
    name = folder / "part-1.parquet"
    with parquet.ParquetWriter(name, table.schema, compression="zstd", store_schema=False) as file:
        file.add_key_value_metadata({"kadr": schema.metadata[b"kadr"].decode()})
        file.write_table(table)
    return Output(str(folder))


LONG = b"/p/" + b"a" * 2**20 + b".png"


def test_a_long_path_that_is_named_often(tmp_path: Path) -> None:
    output = part(tmp_path / "out", 5000, path=repeated(LONG, 5000))
    before = pa.total_allocated_bytes()
    with pytest.raises(DataError, match="values of column 'path' are too long"):
        output.survey()
    with pytest.raises(DataError, match="values of column 'path' are too long"):
        list(output.rows(output.names()[0]))
    assert pa.total_allocated_bytes() - before < 50 * 2**20


def test_a_long_text_in_a_list(tmp_path: Path) -> None:
    texts = pa.array([["x" * 2**20]] * 300, pa.list_(pa.string()))
    output = part(tmp_path / "out", 300, texts=texts)
    assert output.survey().count == 300, "the keys alone are read"
    with pytest.raises(DataError, match="values of column 'texts' are too long"):
        list(output.rows(output.names()[0]))


@pytest.mark.parametrize("name", ["path", "size", "modified", "sidecar_state"])
def test_a_row_without_its_key(tmp_path: Path, name: str) -> None:
    kind = {"path": pa.binary(), "sidecar_state": pa.string()}.get(name, pa.int64())
    output = part(tmp_path / "out", 2, **{name: pa.nulls(2, kind)})
    with pytest.raises(DataError, match="a row lacks its path"):
        output.survey()


def test_more_rows_than_a_part_has(tmp_path: Path) -> None:
    output = part(tmp_path / "out", columns.MOST_ROWS + 1)
    with pytest.raises(DataError, match="larger than any part"):
        output.survey()


def test_more_values_than_a_part_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = part(tmp_path / "out", 2, parts=pa.array([[0] * 5000, [0]], pa.list_(pa.uint64())))
    assert output.survey().count == 2
    monkeypatch.setattr(columns, "MOST_VALUES", 5000)
    with pytest.raises(DataError, match="larger than any part"):
        output.survey()


def test_a_list_of_a_long_path(tmp_path: Path) -> None:
    named = tmp_path / "list.parquet"
    table = pa.table({"path": repeated(LONG, 5000), "other": [0] * 5000})
    parquet.write_table(table, named, store_schema=False)
    with pytest.raises(DataError, match=r"list\.parquet: .*'path' are too long"):
        sources.read(str(named))


def test_what_is_of_any_length_on_average(tmp_path: Path) -> None:
    """Rows come in their order, whatever their values share."""
    values = [b"/p/%d.png" % (number % 700) for number in range(1500)]
    sink = io.BytesIO()
    parquet.write_table(pa.table({"path": values, "more": values}), sink, row_group_size=400)
    with parquet.ParquetFile(sink) as file:
        found = [
            value
            for batch in columns.batches(file, sink, {"": 100}, ["path"])
            for value in batch.column("path").to_pylist()
        ]
    assert found == values
