"""What a person decided: what is left out, which photos are no duplicates, and collections."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kadr.stores import Shown
from kadr.stores.columns import path_of
from kadr.stores.postgres.connection import Connection
from kadr.stores.postgres.filters import shown_of_all
from kadr.stores.postgres.texts import from_text, to_text


class PreferenceTables(Connection):
    """The tables `exclusions`, `distinct_photos`, `collections` and `collected`."""

    def excluded(self) -> dict[Path, tuple[str, ...]]:
        """Patterns of what is left out, in order, by the folder that they were given for."""
        patterns: dict[Path, tuple[str, ...]] = {}
        for folder, pattern in self.read("SELECT folder, pattern FROM exclusions ORDER BY id"):
            path = path_of(folder)
            patterns[path] = (*patterns.get(path, ()), from_text(pattern) or "")
        return patterns

    def exclude(self, folder: Path, patterns: Sequence[str]) -> None:
        """Leave out these below a folder from now on, in place of what was left out before."""
        raw = os.fsencode(folder)
        with self.transaction(alone=True) as run:
            run("DELETE FROM exclusions WHERE folder = %s", (raw,))
            self.run_all(
                "INSERT INTO exclusions (folder, pattern) VALUES (%s, %s)",
                [(raw, to_text(pattern)) for pattern in dict.fromkeys(patterns)],
            )

    def distinct(self) -> set[tuple[str, str]]:
        """Pairs of contents that a person called no duplicates: hex digests, the lesser first."""
        rows = self.read("SELECT first, second FROM distinct_photos")
        return {(first.hex(), second.hex()) for first, second in rows}

    def set_distinct(self, pairs: Iterable[tuple[str, str]], *, distinct: bool) -> None:
        """Call pairs of contents, by hex digest, no duplicates; or take that back.

        It holds for contents, wherever they lie, and also after they were forgotten.
        """
        statement = (
            "INSERT INTO distinct_photos VALUES (%s, %s) ON CONFLICT DO NOTHING"
            if distinct
            else "DELETE FROM distinct_photos WHERE first = %s AND second = %s"
        )
        rows = [tuple(bytes.fromhex(digest) for digest in sorted(pair)) for pair in pairs]
        with self.transaction():
            self.run_all(statement, sorted(rows))

    def collections(self, holding: str | None = None) -> tuple[str, ...]:
        """Names of the collections, sorted: of all, or of those that hold a content."""
        if holding is None:
            rows = self.read("SELECT name FROM collections ORDER BY name")
        else:
            rows = self.read(
                "SELECT name FROM collections WHERE id IN"
                " (SELECT collection FROM collected WHERE digest = %s) ORDER BY name",
                (bytes.fromhex(holding),),
            )
        return tuple(from_text(name) or "" for (name,) in rows)

    def collection_sizes(self, shown: Shown | None, name: str | None = None) -> dict[str, int]:
        """How many photos that lie somewhere and may be shown (None: all may) each one holds."""
        law = "" if shown is None else f"AND {shown_of_all(shown)}"
        held = (  # counted before it is joined: each collection would be compared with all rows
            "SELECT h.collection, count(*) AS size FROM collected h JOIN photos p"
            " ON p.digest = h.digest WHERE p.encoded AND h.collection IN"
            " (SELECT id FROM collections WHERE name = coalesce(%s, name)) AND EXISTS"
            f" (SELECT 1 FROM files f WHERE f.photo = p.id AND NOT f.missing) {law}"
            " GROUP BY h.collection"
        )
        statement = (
            f"SELECT k.name, coalesce(s.size, 0) FROM collections k LEFT JOIN ({held}) s"
            " ON s.collection = k.id WHERE k.name = coalesce(%s, k.name) ORDER BY k.name"
        )
        with self.roomy():
            rows = self.read(statement, (to_text(name), to_text(name)))
        return {from_text(one) or "": count for one, count in rows}

    def collected(self, name: str) -> set[str]:
        """The contents of a collection, by hex digest, whether they are in the library or not."""
        rows = self.read(
            "SELECT digest FROM collected WHERE collection ="
            " (SELECT id FROM collections WHERE name = %s)",
            (to_text(name),),
        )
        return {digest.hex() for (digest,) in rows}

    def make_collection(self, name: str) -> None:
        """Make a collection that holds nothing, where there is none of this name."""
        with self.transaction() as run:
            statement = "INSERT INTO collections (name) VALUES (%s) ON CONFLICT DO NOTHING"
            run(statement, (to_text(name),))

    def rename_collection(self, name: str, new: str) -> None:
        """Give a collection a name that no other one has."""
        with self.transaction() as run:
            statement = "UPDATE collections SET name = %s WHERE name = %s"
            run(statement, (to_text(new), to_text(name)))

    def drop_collection(self, name: str) -> None:
        """Forget a collection, if there is one; its photos stay."""
        with self.transaction() as run:
            run("DELETE FROM collections WHERE name = %s", (to_text(name),))

    def collect(self, name: str, digests: Iterable[str], *, collected: bool) -> None:
        """Put contents into a collection that is there, by hex digest; or take them out."""
        statement = (
            "INSERT INTO collected SELECT id, %s FROM collections WHERE name = %s"
            " ON CONFLICT DO NOTHING"
            if collected
            else "DELETE FROM collected WHERE digest = %s AND collection ="
            " (SELECT id FROM collections WHERE name = %s)"
        )
        rows = [(bytes.fromhex(digest), to_text(name)) for digest in sorted(set(digests))]
        with self.transaction():
            self.run_all(statement, rows)
