"""What a person decided: patterns of what is left out, and which photos are no duplicates."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kadr.stores.columns import path_of
from kadr.stores.sqlite.connection import Connection


class PreferenceTables(Connection):
    """The tables `exclusions` and `distinct_photos`."""

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
