"""Words on record, in a full-text table whose row is the photo's number."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from kadr.stores import words
from kadr.stores.columns import FACTS, facts_of, path_of
from kadr.stores.sqlite.connection import Connection
from kadr.stores.words import MOST_PATHS, NOTE, SOURCES, TIERS, VERSION, Wanted
from kadr.types import Source

BATCH = 500
"""Photos whose words are made anew at once."""


class WordTables(Connection):
    """The table `words`."""

    def sources(self, wanted: Wanted, photos: Sequence[int]) -> dict[int, tuple[Source, ...]]:
        """Where each of the words stands first, of photos on whose record they all are."""
        statement = f"SELECT rowid, {', '.join(SOURCES)} FROM words WHERE rowid IN ({{}})"
        return {photo: words.sources(wanted, row) for photo, *row in self.among(statement, photos)}

    def keep_words(self) -> int:
        """Make all photos' words where they are of an older kadr; of how many photos."""
        if self.meta(NOTE) == VERSION:
            return 0
        numbers = [number for (number,) in self.read("SELECT id FROM photos ORDER BY id")]
        left = iter(numbers)
        while part := list(islice(left, BATCH)):
            with self.transaction():
                self._keep_words(part)
        self.note(**{NOTE: VERSION})
        return len(numbers)

    def _tier(self, wanted: Wanted, tier: int) -> str:
        """The query for photos of a tier or a better one."""
        among = "{" + " ".join(SOURCES[: TIERS[tier]]) + "}"
        return " AND ".join(
            f"{among} : ({' OR '.join(f'{chr(34)}{key}{chr(34)}' for key in any_of)})"
            for any_of in wanted.keys
        )

    def _keep_words(self, photos: Iterable[int]) -> None:
        """Write what is on record of photos now, within a transaction."""
        numbers = sorted(set(photos))
        roots = [path_of(path) for (path,) in self._base.execute("SELECT path FROM folders")]
        known = self.among(f"SELECT id, {FACTS} FROM photos WHERE id IN ({{}})", numbers)
        facts = {number: facts_of(row) if row[0] else None for number, *row in known}
        rows = (
            (number, *words.columns(facts[number], map(path_of, self._lying(number)), roots))
            for number in numbers
            if number in facts
        )
        self._base.executemany("DELETE FROM words WHERE rowid = ?", ((one,) for one in numbers))
        self._base.executemany(
            f"INSERT INTO words (rowid, {', '.join(SOURCES)}) VALUES (?{', ?' * len(SOURCES)})",
            rows,
        )

    def _lying(self, photo: int) -> Iterator[bytes]:
        for (path,) in self._base.execute(
            f"SELECT path FROM files WHERE photo = ? AND NOT missing ORDER BY path"
            f" LIMIT {MOST_PATHS}",
            (photo,),
        ):
            yield path
