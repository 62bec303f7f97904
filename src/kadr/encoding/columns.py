"""Columns of a stranger's Parquet file, read in bounded memory.

A file of a few KB can name one long value a million times. So what is text or bytes is read as
numbers of a dictionary, a few rows at a time, and counted before it is written out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

ROWS = 250
"""Read at once."""
MOST_ROWS = 100_000
"""Of a part; more are nobody's."""
MOST_VALUES = 2**28
"""Of all columns of a part together, those of lists counted one by one."""
MOST_BYTES = 2**32
"""Of a part's values in memory, as its footer counts them."""


def is_huge(noted: Any) -> bool:
    """Whether a file's footer tells of more than a part holds."""
    groups = [noted.row_group(number) for number in range(noted.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    values = sum(
        group.column(number).num_values for group in groups for number in range(group.num_columns)
    )
    return bool(noted.num_rows > MOST_ROWS or size > MOST_BYTES or values > MOST_VALUES)


def batches(
    file: "ParquetFile", source: Any, most: Mapping[str, int], names: Sequence[str] | None = None
) -> "Iterator[pa.RecordBatch]":
    """A file's rows, some at a time, what is text or bytes as dictionaries.

    Args:
        file: whose footer was read.
        source: the same file, open.
        most: bytes that a row of a column may hold, on average over the rows that are read at once;
            under "" those of all other columns.
        names: of the columns; None: all.

    Raises:
        ValueError: a column holds more.
    """
    from pyarrow import parquet

    said = (file.schema.column(number) for number in range(len(file.schema)))
    coded = [one.path for one in said if one.physical_type == "BYTE_ARRAY"]
    with parquet.ParquetFile(source, metadata=file.metadata, read_dictionary=coded) as again:
        for batch in again.iter_batches(ROWS, columns=names):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if _written(column) > batch.num_rows * most.get(name, most[""]):
                    raise ValueError(f"the values of column {name!r} are too long")
            yield batch


def _written(column: "pa.Array") -> int:
    """Bytes of a column's texts, those in lists and structures too, once each is written out."""
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = compute.binary_length(column.dictionary).cast(pa.int64())
        return int(compute.sum(lengths.take(column.indices)).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_written(column.field(number)) for number in range(kind.num_fields))
    return _written(column.flatten()) if pa.types.is_list(kind) else 0
