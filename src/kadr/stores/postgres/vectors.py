"""Vectors of photos by their encoders, exact to the bit, and how rows of them are written."""

import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kadr.stores import PARTS
from kadr.stores.columns import fingerprints_of, vectors_to_bytes
from kadr.stores.postgres.connection import Connection
from kadr.types import Vectors

_PAGE = 4096
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"


class VectorTables(Connection):
    """The table of the library's encoder, and what is read of other vector sets."""

    def vectors(
        self, photos: Sequence[int], encoder: str | None = None
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Numbers int64 [n] and encoder vectors float32 [n, dim] of those that are there."""
        table = self._table(encoder)
        if table is None:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        wanted = list(photos)
        known = dict(
            self.read(f"SELECT photo, vector FROM {table} WHERE photo = ANY(%s)", (wanted,))
        )
        kept = [number for number in wanted if number in known]
        matrix = np.frombuffer(b"".join(known[n] for n in kept), np.float32)
        return np.array(kept, np.int64), matrix.reshape(len(kept), -1 if kept else 0)

    def every_vector(self) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """All photos and their encoder vectors, some thousand at a time, by number."""
        table = self._table()
        if table is not None:
            yield from self._rows_of(table)

    def _rows_of(self, table: str) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        statement = f"SELECT photo, vector FROM {table} WHERE photo > %s ORDER BY photo LIMIT %s"
        after = 0
        while rows := self.read(statement, (after, _PAGE)):
            after = rows[-1][0]
            matrix = np.frombuffer(b"".join(blob for _, blob in rows), np.float32)
            yield np.array([n for n, _ in rows], np.int64), matrix.reshape(len(rows), -1)

    def _table(self, encoder: str | None = None) -> str | None:
        """The table that holds an encoder's vectors, or the library's; None where there is none."""
        if encoder is None or encoder == self.meta("encoder"):
            (number,) = self.read("SELECT vectors FROM kadr")[0]
            return None if number is None else f"vectors_{number}"
        rows = self.read("SELECT id FROM vector_sets WHERE encoder = %s", (encoder,))
        return f"vectors_{rows[0][0]}" if rows else None

    def _make_table(self) -> int:
        """Make a table of vectors; its number. They aren't compressed: nothing would be gained."""
        (number,) = self.read("SELECT nextval('table_numbers')")[0]
        self.run(
            f"CREATE TABLE vectors_{number} (photo bigint PRIMARY KEY, vector bytea NOT NULL);"
        )
        self.run(f"ALTER TABLE vectors_{number} ALTER vector SET STORAGE EXTERNAL")
        return int(number)

    def _put_vectors(self, table: str, encoder: str, vectors: Mapping[int, Vectors]) -> None:
        """Write vectors in place of older ones of these photos.

        Raises:
            LibraryError: one is of another length than the table's others.
        """
        first = self.read(f"SELECT octet_length(vector) FROM {table} LIMIT 1")
        size = first[0][0] if first else None
        rows = vectors_to_bytes(vectors.values(), size, f"{self.name}: {encoder}")
        self.put(table, "vector", list(vectors), rows)

    def put(self, table: str, column: str, numbers: Sequence[int], values: Sequence[bytes]) -> None:
        """Write a column's values, as PostgreSQL sends them, in place of those photos' rows."""
        if not numbers:
            return
        self.run(f"DELETE FROM {table} WHERE photo = ANY(%s)", (list(numbers),))
        copy = f"COPY {table} (photo, {column}) FROM STDIN (FORMAT binary)"
        self.copy(copy, _binary(numbers, values))

    def fingerprints(
        self, after: int, encoder: str
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64], Vectors]]:
        """Numbers above `after`, hashes of the whole and the parts, encoder vectors or zeros.

        Who writes at this moment is waited for: a lower number would otherwise come after a higher
        one, and never be asked for.
        """
        if not self._within and not self._readonly:
            with self._block("BEGIN ISOLATION LEVEL READ COMMITTED"):
                self._wait_for_writers(alone=True)
        table, vector, joined, none = self._table(encoder), "NULL::bytea", "", b""
        if table is not None:
            vector, joined = "vector", f"LEFT JOIN {table} v ON v.photo = id"
            first = self.read(f"SELECT vector FROM {table} LIMIT 1")
            none = bytes(len(first[0][0])) if first else b""
        statement = (
            f"SELECT id, hash, hashes, {vector} FROM photos LEFT JOIN parts p ON p.photo = id"
            f" {joined} WHERE id > %s AND hash IS NOT NULL ORDER BY id LIMIT %s"
        )
        while rows := self.read(statement, (after, _PAGE)):
            after = rows[-1][0]
            yield fingerprints_of(rows, none, PARTS)


def _binary(numbers: Sequence[int], values: Sequence[bytes]) -> Iterator[bytes]:
    """Rows of a number and a value in COPY's binary format."""
    yield _HEADER
    for number, value in zip(numbers, values, strict=True):
        yield struct.pack(">hiqi", 2, 8, number, len(value)) + value
    yield _END
