"""Vectors of photos: the encoder's, and the scan, which holds those of the joint space."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadr.stores import PARTS, rounded
from kadr.stores.columns import fingerprints_of
from kadr.stores.sqlite.connection import Connection
from kadr.stores.sqlite.statements import put_note
from kadr.types import Vectors

BLOCK = 256
"""Vectors in one row of the scan."""
WASTE = 0.2
"""The scan is written anew when more of it than this belongs to photos that are gone."""


@dataclass(frozen=True)
class Scan:
    """All vectors of the joint space, rounded to a byte a figure.

    `photos` int64 [n]; row i stands for `vectors[i]` int8 [n, dim] times `scales[i]` float32 [n].
    """

    photos: NDArray[np.int64]
    scales: Vectors
    vectors: NDArray[np.int8]


class VectorTables(Connection):
    """The tables `vectors` and `blocks`, and what is read of other vector sets."""

    def vectors(
        self, photos: Sequence[int], encoder: str | None = None
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Numbers int64 [n] and encoder vectors float32 [n, dim] of those that are there."""
        table = "vectors" if encoder is None else self._table(encoder)
        if table is None:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        statement = f"SELECT photo, vector FROM {table} WHERE photo IN ({{}})"
        known = dict(self.among(statement, photos))
        kept = [number for number in photos if number in known]
        matrix = np.frombuffer(b"".join(known[n] for n in kept), np.float32)
        return np.array(kept, np.int64), matrix.reshape(len(kept), -1 if kept else 0)

    def every_vector(self) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """All photos and their encoder vectors, some thousand at a time, by number."""
        after = 0
        while rows := self.read(
            "SELECT photo, vector FROM vectors WHERE photo > ? ORDER BY photo LIMIT 4096", (after,)
        ):
            after = rows[-1][0]
            matrix = np.frombuffer(b"".join(blob for _, blob in rows), np.float32)
            yield np.array([n for n, _ in rows], np.int64), matrix.reshape(len(rows), -1)

    def _table(self, encoder: str) -> str | None:
        """The table that holds an encoder's vectors; None where there are none of it."""
        if encoder == self.meta("encoder"):
            return "vectors"
        rows = self.read("SELECT id FROM vector_sets WHERE encoder = ?", (encoder,))
        return f"vectors_{rows[0][0]}" if rows else None

    def fingerprints(
        self, after: int, encoder: str
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64], Vectors]]:
        """Numbers above `after`, hashes of the whole and the parts, encoder vectors or zeros."""
        table, vector, joined, none = self._table(encoder), "NULL", "", b""
        if table is not None:
            vector, joined = "vector", f"LEFT JOIN {table} v ON v.photo = id"
            first = self.read(f"SELECT vector FROM {table} LIMIT 1")
            none = bytes(len(first[0][0])) if first else b""
        statement = (
            f"SELECT id, hash, hashes, {vector} FROM photos LEFT JOIN parts p ON p.photo = id"
            f" {joined} WHERE id > ? AND hash IS NOT NULL ORDER BY id LIMIT 4096"
        )
        while rows := self.read(statement, (after,)):
            after = rows[-1][0]
            yield fingerprints_of(rows, none, PARTS)

    def blocks(self) -> Iterator[Scan]:
        """The scan, some hundred photos at a time; each block may lie where the last one lay."""
        try:
            for numbers, scales, vectors in self._base.execute(
                "SELECT photos, scales, vectors FROM blocks"
            ):
                photos = np.frombuffer(numbers, np.int64)
                rows = np.frombuffer(vectors, np.int8).reshape(len(photos), -1)
                yield Scan(photos, np.frombuffer(scales, np.float32), rows)
        except (sqlite3.Error, ValueError) as error:
            raise self._broken(error) from error

    def scan(self) -> Scan:
        """The rounded vectors of all photos; some may be of photos that are gone."""
        with self.reading():
            ((rows, bytes_),) = self.read(
                "SELECT coalesce(sum(length(photos)), 0) / 8, coalesce(sum(length(vectors)), 0)"
                " FROM blocks"
            )
            photos, scales = np.empty(rows, np.int64), np.empty(rows, np.float32)
            vectors = np.empty((rows, bytes_ // rows if rows else 0), np.int8)
            done = 0
            for block in self.blocks():
                part = slice(done, done + len(block.photos))
                photos[part], scales[part], vectors[part] = (
                    block.photos, block.scales, block.vectors
                )  # fmt: skip
                done = part.stop
        return Scan(photos, scales, vectors)

    def rescan(self, joint: Callable[[Vectors], Vectors], **notes: str) -> None:
        """Write the scan anew for another joint space, and the notes that go with it."""
        with self.transaction() as run:
            run("DELETE FROM blocks")
            for numbers, vectors in self.every_vector():
                self._append(list(zip(numbers.tolist(), joint(vectors), strict=True)))
            for key, value in notes.items():
                put_note(run, key, value)

    def _append(self, rows: Sequence[tuple[int, Vectors]]) -> None:
        """Add photos to the scan: first into its last block, while that has room."""
        if not rows:
            return
        numbers = np.array([number for number, _ in rows], np.int64)
        scales, vectors = rounded(np.stack([vector for _, vector in rows]))
        last = self._base.execute(
            "SELECT id, photos, scales, vectors FROM blocks ORDER BY id DESC LIMIT 1"
        ).fetchone()
        block = 1
        if last is not None and len(last[1]) // 8 < BLOCK:
            block = last[0]
            numbers = np.concatenate([np.frombuffer(last[1], np.int64), numbers])
            scales = np.concatenate([np.frombuffer(last[2], np.float32), scales])
            old = np.frombuffer(last[3], np.int8).reshape(-1, vectors.shape[1])
            vectors = np.concatenate([old, vectors])
        elif last is not None:
            block = last[0] + 1
        for start in range(0, len(numbers), BLOCK):
            part = slice(start, start + BLOCK)
            self._base.execute(
                "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)",
                (block, *(array[part].tobytes() for array in (numbers, scales, vectors))),
            )
            block += 1

    def _compact(self) -> None:
        """Write the scan anew where much of it belongs to photos that are gone."""
        (alive,) = self._base.execute("SELECT count(*) FROM vectors").fetchone()
        (rows,) = self._base.execute(
            "SELECT coalesce(sum(length(photos)), 0) / 8 FROM blocks"
        ).fetchone()
        if rows - alive <= WASTE * rows:
            return
        there = {number for (number,) in self._base.execute("SELECT photo FROM vectors")}
        blocks = self._base.execute("SELECT photos, scales, vectors FROM blocks").fetchall()
        self._base.execute("DELETE FROM blocks")
        for numbers, scales, vectors in blocks:
            photos = np.frombuffer(numbers, np.int64)
            matrix = np.frombuffer(vectors, np.int8).reshape(len(photos), -1)
            exact = matrix * np.frombuffer(scales, np.float32)[:, None]
            kept = [(n, row) for n, row in zip(photos.tolist(), exact, strict=True) if n in there]
            self._append(kept)

    def _unscanned(self) -> int:
        there = {number for (number,) in self.read("SELECT photo FROM vectors")}
        return len(there - set(self.scan().photos.tolist()))
