"""The joint space: vectors of half precision, compared one by one where few are, else by HNSW.

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical
navigable small world graphs", 2018; pgvector goes on searching where a filter takes much away.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.errors import LibraryError, LibraryUnavailableError
from kadr.stores import Nearest, Selection
from kadr.stores.postgres.connection import TIMEOUT
from kadr.stores.postgres.filters import conditions, selected, shown
from kadr.stores.postgres.statements import put_note
from kadr.stores.postgres.vectors import VectorTables
from kadr.types import Filters, Vectors

EXACT = 1_000_000
"""A selection of no more photos is compared one by one: quicker than the graph, and exact."""
GRAPH = 4000
"""Photos that the graph gives, of which the nearest come first; those beyond are looked up one by
one. It gives them roughly in order: texts lie apart from photos in the joint space, and of the 250
nearest to a text the first thousand that it gives hold 0.9."""
_GRAPH = "hnsw (vector halfvec_ip_ops) WITH (m = 24, ef_construction = 128)"
_EF_SEARCH = 1000
"""pgvector takes no more."""
_PARTITIONS = 4
"""Of the table, by number: four small graphs are made in less time than one large."""
_ASK = 256
"""Changes of the library after which it is asked again how large selections are."""
SCANNED = 400_000
"""Photos that the graph may look at before the rest is compared one by one."""
_IS_BROKEN = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"
_LARGEST = 4000
"""Dimensions of half precision that pgvector indexes."""


class JointTables(VectorTables):
    """The table of the joint space."""

    def nearest(self, vector: Vectors, selection: Selection, first: int, count: int) -> Nearest:
        """Places `first` to `first + count` of the selected photos by their cosine."""
        with self.reading():
            table, indexed = self._joint()
            if table is None or count <= 0:
                return _nearest([])
            query = _literal(vector)
            if not indexed or not self._is_large(selection):
                return _nearest(self._exact(table, query, selection, (first, count)))
            found = self._by_graph(table, query, selection)
            rows = found[first : first + count]
            if len(rows) < count:
                places = max(0, first - len(found)), count - len(rows)
                known = [photo for photo, _ in found]
                rows += self._exact(table, query, selection, places, known)
            return _nearest(rows, approximate=True)

    def _is_large(self, selection: Selection) -> bool:
        """Whether more photos were selected, when last asked, than are compared one by one.

        Hidden ones don't count: by the order of the answers one could tell that they are there. A
        selection's photos are found either way; so it is asked again after some hundred changes.
        """
        changes = self.changes()
        now = changes[0], changes[1] // _ASK
        if now != self._large_of or len(self._large) > _ASK:
            self._large_of, self._large = now, {}
        if selection not in self._large:
            self._large[selection] = self._are_many(Selection(selection.filters)) and (
                selection.shown is None or self._are_many(selection)
            )
        return self._large[selection]

    def _are_many(self, selection: Selection) -> bool:
        where, values = selected(selection)
        ((count,),) = self.read(
            f"SELECT count(*) FROM (SELECT 1 FROM photos p WHERE {where} LIMIT {EXACT + 1}) s",
            values,
        )
        return int(count) > EXACT

    _large_of: tuple[int, int] = (-1, -1)
    _large: dict[Selection, bool]

    def cosines(self, vector: Vectors, selection: Selection, photos: NDArray[np.int64]) -> Nearest:
        """Those of these photos that are selected, by their cosine with a unit vector."""
        with self.reading():
            table, _ = self._joint()
            if table is None or not len(photos):
                return _nearest([])
            where, values = selected(selection)
            return _nearest(
                self.read(
                    f"SELECT photo, -(vector <#> %s::halfvec) FROM {table} JOIN photos p"
                    f" ON p.id = photo WHERE p.id = ANY(%s) AND {where} ORDER BY 2 DESC, 1",
                    (_literal(vector), photos.tolist(), *values),
                )
            )

    def _joint(self) -> tuple[str | None, bool]:
        """The table, None before there is one, and whether its graph can be used."""
        number, indexed = self.read(
            "SELECT joint, EXISTS (SELECT 1 FROM pg_index WHERE indisvalid AND indexrelid ="
            " to_regclass('joint_graph_' || joint::text)) FROM kadr"
        )[0]
        return (None if number is None else f"joint_{number}"), bool(indexed)

    def _exact(
        self,
        table: str,
        query: str,
        selection: Selection,
        places: tuple[int, int],
        but: Sequence[int] = (),
    ) -> list[tuple[int, float]]:
        """Places (the first, how many) of a selection but some photos, compared one by one."""
        if selection.filters == Filters():
            return self._exact_of_all(table, query, selection, places, but)
        where, values = conditions(selection.filters)
        # The law looks at the nearest until there are enough: its records are many.
        law = "true" if selection.shown is None else shown(selection.shown, fence="OFFSET 0")
        return self.read(
            f"WITH s AS MATERIALIZED (SELECT p.id, p.digest FROM photos p WHERE {where})"
            " SELECT id, cosine FROM (SELECT id, digest, -(vector <#> %s::halfvec) AS cosine"
            f" FROM {table} JOIN s ON s.id = photo WHERE NOT photo = ANY(%s)"
            f" ORDER BY cosine DESC, id OFFSET 0) p WHERE {law} ORDER BY cosine DESC, id"
            " LIMIT %s OFFSET %s",
            (*values, query, list(but), places[1], places[0]),
        )

    def _exact_of_all(
        self,
        table: str,
        query: str,
        selection: Selection,
        places: tuple[int, int],
        but: Sequence[int],
    ) -> list[tuple[int, float]]:
        """The same without filters: the vectors alone are read, and the nearest looked up."""
        where, values = selected(selection, fence="OFFSET 0")
        return self.read(
            "SELECT id, cosine FROM (SELECT photo AS id, -(vector <#> %s::halfvec) AS cosine"
            f" FROM {table} WHERE NOT photo = ANY(%s) ORDER BY cosine DESC, photo OFFSET 0) near"
            " WHERE EXISTS (SELECT 1 FROM photos p WHERE p.id = near.id"
            f" AND {where} OFFSET 0) ORDER BY cosine DESC, id LIMIT %s OFFSET %s",
            (query, list(but), *values, places[1], places[0]),
        )

    def _by_graph(self, table: str, query: str, selection: Selection) -> list[tuple[int, float]]:
        """The first places by the graph: always as many, so that pages fit together."""
        self.run(
            "SELECT set_config('hnsw.ef_search', %s, true),"
            " set_config('hnsw.iterative_scan', 'relaxed_order', true),"
            " set_config('hnsw.max_scan_tuples', %s, true),"
            " set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)",
            (str(_EF_SEARCH), str(SCANNED)),
        )
        where, values = selected(selection, fence="OFFSET 0")
        rows = self.read(
            f"SELECT photo, -(vector <#> %s::halfvec) FROM {table} j WHERE EXISTS (SELECT 1 FROM"
            f" photos p WHERE p.id = j.photo AND {where} OFFSET 0)"
            " ORDER BY vector <#> %s::halfvec LIMIT %s",
            (query, *values, query, GRAPH),
        )
        self.run(
            "SELECT set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true)"
        )
        return sorted(rows, key=lambda row: (-row[1], row[0]))

    # Writing it.

    def rescan(self, joint: Callable[[Vectors], Vectors], **notes: str) -> None:
        """Write the joint space anew, and the notes that go with it.

        Others may search and write meanwhile, but for the last moment.
        """
        self._adopt(self._table(), joint, notes)

    def _adopt(
        self,
        source: str | None,
        joint: Callable[[Vectors], Vectors],
        notes: dict[str, str],
        change: Callable[[], Any] = lambda: None,
    ) -> Any:
        """Make a joint space of a table of vectors, then take it into use; what `change` gives."""
        table = self._prepared(source, joint) if source and not self._within else None
        with self.durable():
            result = change()
            table = self._completed(table, self._table(), joint)
            self._replace_joint(table)
            for key, value in sorted(notes.items()):
                put_note(self.run, key, value)
        return result

    def _prepared(self, source: str, joint: Callable[[Vectors], Vectors]) -> str | None:
        """A table of what is there by now, which nobody reads yet, with its graph."""
        self._check_writable()
        with self._block("BEGIN ISOLATION LEVEL READ COMMITTED"):  # no other writer waits for it
            table = self._fill(None, self._rows_of(source), joint)
            if table is not None:
                self.run("INSERT INTO unused_tables VALUES (%s)", (table,))
                self._index(table)
        return table

    def _completed(
        self, table: str | None, source: str | None, joint: Callable[[Vectors], Vectors]
    ) -> str | None:
        """The same once nobody else writes: without what went, with what came meanwhile."""
        if source is None:
            return table
        if table is None:
            table = self._fill(None, self._rows_of(source), joint)
        else:
            gone = f"NOT EXISTS (SELECT 1 FROM {source} s WHERE s.photo = t.photo)"
            self.run(f"DELETE FROM {table} t WHERE {gone}")
            came = [
                number
                for (number,) in self.read(
                    f"SELECT photo FROM {source} s WHERE NOT EXISTS"
                    f" (SELECT 1 FROM {table} t WHERE t.photo = s.photo)"
                )
            ]
            if came:
                rows = dict(
                    self.read(f"SELECT photo, vector FROM {source} WHERE photo = ANY(%s)", (came,))
                )
                matrix = np.stack([np.frombuffer(rows[number], np.float32) for number in came])
                self._put_joint(table, came, joint(matrix))
        if table is not None:
            self._index(table)
        return table

    def _fill(
        self,
        table: str | None,
        pages: Iterator[tuple[NDArray[np.int64], Vectors]],
        joint: Callable[[Vectors], Vectors],
    ) -> str | None:
        for numbers, vectors in pages:
            rows = joint(vectors)
            table = table or self._make_joint(rows.shape[1])
            self._put_joint(table, numbers.tolist(), rows)
        return table

    def _make_joint(self, dim: int) -> str:
        (number,) = self.read("SELECT nextval('table_numbers')")[0]
        columns = f"photo bigint PRIMARY KEY, vector halfvec({dim}) NOT NULL"
        self.run(f"CREATE TABLE joint_{number} ({columns}) PARTITION BY HASH (photo)")
        for part in range(_PARTITIONS):
            self.run(
                f"CREATE TABLE joint_{number}_{part} PARTITION OF joint_{number}"
                f" FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {part})"
            )
        return f"joint_{number}"

    def _put_joint(self, table: str, numbers: Sequence[int], vectors: Vectors) -> None:
        half = np.asarray(vectors).astype(">f2")
        head = struct.pack(">hh", half.shape[1], 0)
        self.put(table, "vector", numbers, [head + row.tobytes() for row in half])

    def _replace_joint(self, table: str | None) -> None:
        """Name another table the joint space; who reads an earlier instant still needs the old."""
        self.run(
            "INSERT INTO unused_tables"
            " SELECT 'joint_' || joint::text FROM kadr WHERE joint IS NOT NULL"
        )
        self.run("DELETE FROM unused_tables WHERE name = %s", (table,))
        self.run("UPDATE kadr SET joint = %s", (table and int(table.rpartition("_")[2]),))

    def _append_joint(self, rows: Sequence[tuple[int, Vectors]]) -> None:
        """Add photos to the joint space, which begins with them where there is none."""
        if not rows:
            return
        vectors = np.stack([vector for _, vector in rows])
        (number,) = self.read("SELECT joint FROM kadr")[0]
        if number is None:
            self._first_of("joint", vectors.shape[1])
            (number,) = self.read("SELECT joint FROM kadr")[0]
        self._put_joint(f"joint_{number}", [photo for photo, _ in rows], vectors)

    def _first_of(self, column: str, dim: int = 0) -> None:
        """Make the library's first table of vectors; of two writers one, the other waits for it."""
        (number,) = self.read(f"SELECT {column} FROM kadr FOR UPDATE")[0]
        if number is None:
            made = self._make_joint(dim) if column == "joint" else f"_{self._make_table()}"
            self.run(f"UPDATE kadr SET {column} = %s", (int(made.rpartition("_")[2]),))

    def _index_where_large(self, highest: int) -> None:
        """Make the graph once there may be more photos than are compared one by one.

        Others search and write meanwhile; within a transaction it is left to the next `sweep`.
        """
        if highest <= EXACT or self._open:
            return
        table, indexed = self._joint()
        if table is None or indexed or not (megabytes := self._memory_for(table)):
            return
        key = (self._lock_key(b"graph"),)
        if self.read("SELECT pg_try_advisory_lock(%s)", key)[0][0]:  # else another one is at it
            try:
                self._index_beside(table, megabytes)
            finally:
                self._base.bound = type(self._base).bound
                with suppress(LibraryError):  # it ended with the connection
                    self.run("SELECT set_config('statement_timeout', %s, false)", (f"{TIMEOUT}s",))
                    self.run("SELECT pg_advisory_unlock(%s)", key)

    def _index_beside(self, table: str, megabytes: int) -> None:
        """Make each partition's graph while it is written to; all together are the table's."""
        name = _graph_of(table)
        self._be_patient(megabytes, 2, local=False)
        self.run(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} USING {_GRAPH}")
        for part in range(_PARTITIONS):
            one = f"{name}_{part}"
            if self.read(_IS_BROKEN, (one,)):  # of a process that was killed
                self.run(f"DROP INDEX {one}")
            make = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {one} ON {table}_{part} USING {_GRAPH}"
            try:
                self.run(make)
            except LibraryUnavailableError:
                raise
            except LibraryError:  # see _index
                self.run(f"DROP INDEX IF EXISTS {one}")
                self._be_patient(megabytes, 0, local=False)
                self.run(make)
            self.run(f"ALTER INDEX {name} ATTACH PARTITION {one}")

    def _index(self, table: str) -> None:
        """Make the graph of a table that nobody else knows, where it holds that many photos."""
        name, megabytes = _graph_of(table), self._memory_for(table)
        if not megabytes or self.read("SELECT to_regclass(%s)", (name,))[0][0]:
            return
        # A container may lack the shared memory that several workers need.
        for workers in (2, 0):
            with suppress(*([LibraryError] if workers else [])), self._savepoint():
                self._be_patient(megabytes, workers, local=True)
                self.run(f"CREATE INDEX {name} ON {table} USING {_GRAPH}")
                break

    def _memory_for(self, table: str) -> int:
        """Megabytes that making the graph takes, from 64 to 2048; 0 where there is to be none."""
        rows, dim = self.read(f"SELECT count(*), max(vector_dims(vector)) FROM {table}")[0]
        if rows <= EXACT or dim > _LARGEST:
            return 0
        return int(min(max(rows // _PARTITIONS * (2 * dim + 600) >> 20, 64), 2048))

    def _be_patient(self, megabytes: int, workers: int, *, local: bool) -> None:
        """Let the server take its time, and memory; `local`: until the transaction ends."""
        self._base.bound = None
        self.run(
            "SELECT set_config('statement_timeout', '0', %s),"
            " set_config('maintenance_work_mem', %s, %s),"
            " set_config('max_parallel_maintenance_workers', %s, %s)",
            (local, f"{megabytes}MB", local, str(workers), local),
        )


def _graph_of(table: str) -> str:
    """The name of a table's graph."""
    return table.replace("joint_", "joint_graph_")


def _literal(vector: Vectors) -> str:
    """A vector as pgvector reads it."""
    if not np.isfinite(vector).all():
        raise LibraryError("A query's vector isn't finite. Name another model, or report it.")
    return "[" + ",".join(f"{figure:.6g}" for figure in vector.tolist()) + "]"


def _nearest(rows: Sequence[tuple[int, float]], *, approximate: bool = False) -> Nearest:
    photos = np.array([photo for photo, _ in rows], np.int64)
    cosines = np.array([cosine for _, cosine in rows], np.float32)
    return Nearest(photos, cosines, approximate)
