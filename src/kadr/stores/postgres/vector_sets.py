"""Vector sets: vectors of encoders that the library isn't searched with, and the switch to one."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from kadr.errors import LibraryUnavailableError
from kadr.stores.postgres.joint import JointTables
from kadr.types import Vectors

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_PATIENCE = "200ms"
"""How long the dropping of a table waits for its readers; other readers of it wait behind."""


class VectorSets(JointTables):
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
        with self.transaction():
            table = self._table(encoder) or self._make_set(encoder)
            known = self.read(
                "SELECT id FROM photos WHERE id = ANY(%s) ORDER BY id", (list(vectors),)
            )
            there = [number for (number,) in known]
            self._put_vectors(table, encoder, {number: vectors[number] for number in there})

    def _make_set(self, encoder: str) -> str:
        """Make a set; of two writers the second one waits, and takes the first one's."""
        self.run("SELECT 1 FROM kadr FOR UPDATE")
        table = self._table(encoder)
        if table is None:
            number = self._make_table()
            self.run("INSERT INTO vector_sets VALUES (%s, %s)", (number, encoder))
            table = f"vectors_{number}"
        return table

    def drop_vectors(self, encoder: str) -> None:
        """Forget the vector set of an encoder that isn't the library's, if there is one."""
        with self.transaction(alone=True) as run:
            table = self._set_tables().get(encoder)
            if table is not None:
                run("INSERT INTO unused_tables VALUES (%s)", (table,))  # others may read it yet
                run("DELETE FROM vector_sets WHERE encoder = %s", (encoder,))

    def _drop_unused(self) -> None:
        """Drop the tables that a switch or another joint space left, unless somebody reads them.

        One by one, and without the writers' lock: a reader that stays in its transaction must
        stall nobody. Within a transaction it is left to the next `sweep`.
        """
        if self._open or self._readonly:
            return
        for (table,) in self.read("SELECT name FROM unused_tables ORDER BY name"):
            with suppress(LibraryUnavailableError), self._block(_BEGIN):
                if self._try_alone():
                    self.run("SELECT set_config('lock_timeout', %s, true)", (_PATIENCE,))
                    self.run(f"DROP TABLE IF EXISTS {table}")
                    self.run("DELETE FROM unused_tables WHERE name = %s", (table,))

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
        notes = {"encoder": encoder, "model": model, "space": space}
        source = self._set_tables().get(encoder)
        return int(self._adopt(source, joint, notes, lambda: self._switch(encoder, keep=keep)))

    def _switch(self, encoder: str, *, keep: bool) -> int:
        before, old = self.meta("encoder"), self._table()
        table = self._set_tables().get(encoder) or self._make_set(encoder)
        self.run("DELETE FROM vector_sets WHERE encoder = %s", (encoder,))
        if keep and before is not None:
            number = _number(old) if old else self._make_table()
            self.run("INSERT INTO vector_sets VALUES (%s, %s)", (number, before))
        elif old is not None:
            self.run("INSERT INTO unused_tables VALUES (%s)", (old,))
        self.run("UPDATE kadr SET vectors = %s", (_number(table),))
        return self._match_photos(table)

    def _match_photos(self, table: str) -> int:
        """Let those photos wait that have no vector any more, and those no longer that have one."""
        self.run(
            f"DELETE FROM {table} WHERE photo IN (SELECT id FROM photos WHERE problem IS NOT NULL)"
        )
        there = f"EXISTS (SELECT 1 FROM {table} v WHERE v.photo = id)"
        lost = self.run(f"UPDATE photos SET encoded = false WHERE encoded AND NOT {there}").rowcount
        self.run(f"UPDATE photos SET encoded = true WHERE NOT encoded AND {there}")
        return int(lost)

    def lacking(self, encoder: str) -> list[int]:
        """Photos that were encoded, lie somewhere, and have no vector of this encoder."""
        table = self._table(encoder)
        known = f"AND NOT EXISTS (SELECT 1 FROM {table} v WHERE v.photo = id)" if table else ""
        rows = self.read(
            f"SELECT id FROM photos WHERE encoded {known}"
            " AND EXISTS (SELECT 1 FROM files WHERE photo = id AND NOT missing) ORDER BY id"
        )
        return [number for (number,) in rows]


def _number(table: str) -> int:
    return int(table.rpartition("_")[2])
