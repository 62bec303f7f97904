"""What a person decided: what is left out, which photos are no duplicates, and collections."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kadr.stores import Shown
from kadr.stores.columns import path_of
from kadr.stores.sqlite.connection import Connection
from kadr.stores.sqlite.records import allowed


class PreferenceTables(Connection):
    """The tables `exclusions`, `distinct_photos`, `collections` and `collected`."""

    def excluded(self) -> dict[Path, tuple[str, ...]]:
        """Patterns of what is left out, in order, by the folder that they were given for."""
        patterns: dict[Path, tuple[str, ...]] = {}
        for folder, pattern in self.read("SELECT folder, pattern FROM exclusions ORDER BY rowid"):
            path = path_of(folder)
            patterns[path] = (*patterns.get(path, ()), pattern)
        return patterns

    def exclude(self, folder: Path, patterns: Sequence[str]) -> None:
        """Leave out these below a folder from now on, in place of what was left out before."""
        raw = os.fsencode(folder)
        with self.transaction() as run:
            run("DELETE FROM exclusions WHERE folder = ?", (raw,))
            for pattern in dict.fromkeys(patterns):
                run("INSERT INTO exclusions VALUES (?, ?)", (raw, pattern))

    def distinct(self) -> set[tuple[str, str]]:
        """Pairs of contents that a person called no duplicates: hex digests, the lesser first."""
        rows = self.read("SELECT first, second FROM distinct_photos")
        return {(first.hex(), second.hex()) for first, second in rows}

    def set_distinct(self, pairs: Iterable[tuple[str, str]], *, distinct: bool) -> None:
        """Call pairs of contents, by hex digest, no duplicates; or take that back.

        It holds for contents, wherever they lie, and also after they were forgotten.
        """
        statement = (
            "INSERT OR IGNORE INTO distinct_photos VALUES (?, ?)"
            if distinct
            else "DELETE FROM distinct_photos WHERE first = ? AND second = ?"
        )
        with self.transaction() as run:
            for pair in pairs:
                run(statement, tuple(bytes.fromhex(digest) for digest in sorted(pair)))

    def collections(self, holding: str | None = None) -> tuple[str, ...]:
        """Names of the collections, sorted: of all, or of those that hold a content."""
        if holding is None:
            rows = self.read("SELECT name FROM collections ORDER BY name")
        else:
            rows = self.read(
                "SELECT name FROM collections WHERE id IN"
                " (SELECT collection FROM collected WHERE digest = ?) ORDER BY name",
                (bytes.fromhex(holding),),
            )
        return tuple(name for (name,) in rows)

    def collection_sizes(self, shown: Shown | None, name: str | None = None) -> dict[str, int]:
        """How many photos that lie somewhere and may be shown (None: all may) each one holds."""
        law = "" if shown is None else f"AND p.id IN ({allowed(shown)})"
        held = (  # by itself: joined to all collections, the law would be asked for every row
            "SELECT h.collection FROM collected h JOIN photos p ON p.digest = h.digest WHERE"
            f" p.encoded AND p.id IN (SELECT photo FROM files WHERE NOT missing) {law}"
        )
        rows = self.read(
            f"SELECT k.name, count(s.collection) FROM collections k LEFT JOIN ({held}) s"
            " ON s.collection = k.id WHERE ?1 IS NULL OR k.name = ?1 GROUP BY k.id ORDER BY k.name",
            (name,),
        )
        return dict(rows)

    def collected(self, name: str) -> set[str]:
        """The contents of a collection, by hex digest, whether they are in the library or not."""
        rows = self.read(
            "SELECT digest FROM collected WHERE collection ="
            " (SELECT id FROM collections WHERE name = ?)",
            (name,),
        )
        return {digest.hex() for (digest,) in rows}

    def make_collection(self, name: str) -> None:
        """Make a collection that holds nothing, where there is none of this name."""
        with self.transaction() as run:
            run("INSERT OR IGNORE INTO collections (name) VALUES (?)", (name,))

    def rename_collection(self, name: str, new: str) -> None:
        """Give a collection a name that no other one has."""
        with self.transaction() as run:
            run("UPDATE collections SET name = ? WHERE name = ?", (new, name))

    def drop_collection(self, name: str) -> None:
        """Forget a collection, if there is one; its photos stay."""
        with self.transaction() as run:
            run(
                "DELETE FROM collected WHERE collection ="
                " (SELECT id FROM collections WHERE name = ?)",
                (name,),
            )
            run("DELETE FROM collections WHERE name = ?", (name,))

    def collect(self, name: str, digests: Iterable[str], *, collected: bool) -> None:
        """Put contents into a collection that is there, by hex digest; or take them out."""
        statement = (
            "INSERT OR IGNORE INTO collected SELECT id, ? FROM collections WHERE name = ?"
            if collected
            else "DELETE FROM collected WHERE digest = ? AND collection ="
            " (SELECT id FROM collections WHERE name = ?)"
        )
        with self.transaction() as run:
            for digest in digests:
                run(statement, (bytes.fromhex(digest), name))
