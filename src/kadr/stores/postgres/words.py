"""Words on record: their keys by source, and all of them in a tsvector whose weights are tiers.

Vectors and queries are written as such, key by key: no configuration of the server's parts or
changes a key.
"""

from collections.abc import Iterable, Sequence

from kadr.stores import words
from kadr.stores.columns import FACTS, facts_of, path_of
from kadr.stores.postgres.connection import Connection
from kadr.stores.postgres.texts import from_text
from kadr.stores.words import MOST_PATHS, NOTE, SOURCES, TIERS, VERSION, Wanted
from kadr.types import PhotoFacts, Source

BATCH = 500
"""Photos whose words are made anew at once."""
_WEIGHTS = "ABCD"
"""One for each of `TIERS`."""
_LYING = (
    "SELECT w.photo, f.path FROM unnest(%s::bigint[]) w (photo) CROSS JOIN LATERAL"
    " (SELECT path FROM files WHERE photo = w.photo AND NOT missing ORDER BY path"
    f" LIMIT {MOST_PATHS}) f"
)
_KEEP = (
    f"INSERT INTO words (photo, {', '.join(SOURCES)}, keys)"
    f" VALUES (%s{', %s' * len(SOURCES)}, %s::tsvector) ON CONFLICT (photo)"
    f" DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in (*SOURCES, 'keys'))}"
)


class WordTables(Connection):
    """The table `words`."""

    def __init__(self, spec: str, *, create: bool = False) -> None:
        self._renamed = set[int]()
        """Photos whose words the transaction makes at its end."""
        super().__init__(spec, create=create)

    def sources(self, wanted: Wanted, photos: Sequence[int]) -> dict[int, tuple[Source, ...]]:
        """Where each of the words stands first, of photos on whose record they all are."""
        rows = self.read(
            f"SELECT photo, {', '.join(SOURCES)} FROM words WHERE photo = ANY(%s)", (list(photos),)
        )
        return {photo: words.sources(wanted, row) for photo, *row in rows}

    def keep_words(self) -> int:
        """Make all photos' words where they are of an older kadr; of how many photos."""
        if self.meta(NOTE) == VERSION:
            return 0
        numbers = [number for (number,) in self.read("SELECT id FROM photos ORDER BY id")]
        for first in range(0, len(numbers), BATCH):
            with self.transaction():
                self._keep_words(numbers[first : first + BATCH])
        self.note(**{NOTE: VERSION})
        return len(numbers)

    def _keep_words(self, photos: Iterable[int]) -> None:
        """Write what is on record of photos at the end of this transaction."""
        self._renamed.update(photos)

    def _write_last(self) -> None:
        """Of two writers that bring files of one photo the second one sees both here."""
        numbers = sorted(self._renamed)
        self._renamed.clear()
        if not numbers:
            return
        roots = [path_of(path) for (path,) in self.read("SELECT path FROM folders")]
        lying: dict[int, list[bytes]] = {}
        for photo, path in self.read(_LYING, (numbers,)):
            lying.setdefault(photo, []).append(path)
        known = self.read(
            f"SELECT id, {FACTS} FROM photos WHERE id = ANY(%s) ORDER BY id", (numbers,)
        )
        rows = []
        for number, *row in known:
            facts = from_row(row) if row[0] else None
            columns = words.columns(facts, map(path_of, lying.get(number, ())), roots)
            rows.append((number, *columns, _tsvector(columns)))
        self.run_all(_KEEP, rows)


def tsquery(wanted: Wanted, tier: int) -> str:
    """The query for photos of a tier or a better one."""
    weights = _WEIGHTS[: tier + 1]
    return " & ".join(
        f"({' | '.join(f'{chr(39)}{key}{chr(39)}:{weights}' for key in any_of)})"
        for any_of in wanted.keys
    )


def _tsvector(columns: Sequence[str]) -> str:
    """Keys with their tiers as weights; each tier is a position, or its weight would be lost."""
    places: dict[str, dict[int, None]] = {}
    for place, column in enumerate(columns, start=1):
        tier = next(number for number, least in enumerate(TIERS) if place <= least)
        for key in column.split():
            places.setdefault(key, {})[tier] = None
    return " ".join(
        f"'{key}':{','.join(f'{tier + 1}{_WEIGHTS[tier]}' for tier in tiers)}"
        for key, tiers in places.items()
    )


def from_row(row: Sequence[object]) -> PhotoFacts:
    """The facts of a row's columns `FACTS`."""
    return facts_of([from_text(value) if isinstance(value, str) else value for value in row])
