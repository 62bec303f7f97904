"""Vector sets: vectors of encoders that the library isn't searched with, and the switch to one."""

from collections.abc import Callable, Mapping

from kadr.stores.columns import vectors_to_bytes
from kadr.stores.sqlite.scan import VectorTables
from kadr.types import Vectors


class VectorSets(VectorTables):
    """The table `vector_sets`, and one table of vectors for each of its rows."""

    def vector_sets(self) -> dict[str, int]:
        """How many photos have a vector beside that of the library's encoder, by encoder."""
        return {
            encoder: int(self.read(f"SELECT count(*) FROM {table}")[0][0])
            for encoder, table in self._set_tables().items()
        }

    def _set_tables(self) -> dict[str, str]:
        rows = self.read("SELECT encoder, id FROM vector_sets ORDER BY id")
        return {encoder: f"vectors_{number}" for encoder, number in rows}

    def add_vectors(self, encoder: str, vectors: Mapping[int, Vectors]) -> None:
        """Keep vectors of an encoder that isn't the library's, by photo."""
        with self.transaction() as run:
            table = self._table(encoder) or self._make_set(encoder)
            for photo, blob in zip(vectors, self._blobs(table, encoder, vectors), strict=True):
                run(
                    f"INSERT OR REPLACE INTO {table} SELECT id, ? FROM photos WHERE id = ?",
                    (blob, photo),
                )

    def _blobs(self, table: str, encoder: str, vectors: Mapping[int, Vectors]) -> list[bytes]:
        """Vectors as a table holds them. Raises LibraryError where they don't fit its others."""
        first = self.read(f"SELECT length(vector) FROM {table} LIMIT 1")
        size = first[0][0] if first else None
        return vectors_to_bytes(vectors.values(), size, f"{self.name}: {encoder}")

    def _make_set(self, encoder: str) -> str:
        table = self._name_set(encoder)
        self._base.execute(
            f"CREATE TABLE {table}"
            " (photo INTEGER PRIMARY KEY REFERENCES photos (id), vector BLOB NOT NULL)"
        )
        return table

    def _name_set(self, encoder: str) -> str:
        """Give a new set the table's name that it will have."""
        row = self._base.execute(
            "INSERT INTO vector_sets (encoder) VALUES (?) RETURNING id", (encoder,)
        ).fetchone()
        return f"vectors_{row[0]}"

    def drop_vectors(self, encoder: str) -> None:
        """Forget the vector set of an encoder that isn't the library's, if there is one."""
        with self.transaction() as run:
            table = self._set_tables().get(encoder)
            if table is not None:
                run(f"DROP TABLE {table}")
                run("DELETE FROM vector_sets WHERE encoder = ?", (encoder,))

    def lacking(self, encoder: str) -> list[int]:
        """Photos that were encoded, lie somewhere, and have no vector of this encoder."""
        table = self._table(encoder)
        known = "" if table is None else f"AND id NOT IN (SELECT photo FROM {table})"
        rows = self.read(
            f"SELECT id FROM photos WHERE encoded {known}"
            " AND id IN (SELECT photo FROM files WHERE NOT missing) ORDER BY id"
        )
        return [number for (number,) in rows]

    def switch_encoder(
        self,
        encoder: str,
        joint: Callable[[Vectors], Vectors],
        *,
        model: str,
        space: str,
        keep: bool,
    ) -> int:
        """Make a vector set the one that is searched; how many photos lack it."""
        with self.transaction() as run:
            before = self.meta("encoder")
            table = self._set_tables().get(encoder) or self._make_set(encoder)
            if keep and before is not None:
                run(f"ALTER TABLE vectors RENAME TO {self._name_set(before)}")
            else:
                run("DROP TABLE vectors")
            run(f"ALTER TABLE {table} RENAME TO vectors")
            run("DELETE FROM vector_sets WHERE encoder = ?", (encoder,))
            lost = self._match_photos()
            self.rescan(joint, encoder=encoder, model=model, space=space)
        return lost

    def _match_photos(self) -> int:
        """Let those photos wait that have no vector any more, and those no longer that have one."""
        run = self._base.execute
        run("DELETE FROM vectors WHERE photo IN (SELECT id FROM photos WHERE problem IS NOT NULL)")
        lost = run(
            "UPDATE photos SET encoded = 0 WHERE encoded AND id NOT IN (SELECT photo FROM vectors)"
        ).rowcount
        run("UPDATE photos SET encoded = 1 WHERE NOT encoded AND id IN (SELECT photo FROM vectors)")
        return int(lost)
