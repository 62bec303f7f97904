"""What a person decided: patterns of what is left out, and which photos are no duplicates."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kadr.stores.columns import path_of
from kadr.stores.postgres.connection import Connection
from kadr.stores.postgres.texts import from_text, to_text


class PreferenceTables(Connection):
    """The tables `exclusions` and `distinct_photos`."""

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
