"""Words on record: their keys by source, and all of them in a tsvector whose weights are tiers.

Vectors and queries are written as such, key by key: no configuration of the server's parts or
changes a key.
"""

from collections.abc import Iterable, Mapping, Sequence

from kadr.stores import NewFile, words
from kadr.stores.columns import (
    FACTS,
    MOST_SIDECARS,
    PICTURE_TEXT,
    facts_of,
    own_facts,
    own_to_json,
    path_of,
    picture_text_columns,
    picture_text_of,
    place_folded,
    place_to_json,
    placed,
    texts_to_json,
    with_sidecars,
)
from kadr.stores.postgres.connection import Connection
from kadr.stores.postgres.texts import from_text, to_text
from kadr.stores.words import MOST_PATHS, NOTE, SOURCES, TIERS, VERSION, Wanted
from kadr.types import PhotoFacts, PictureText, Source

BATCH = 500
"""Photos whose words are made anew at once."""
_WEIGHTS = "ABCD"
"""One for each of `TIERS`."""
_LYING = (
    "SELECT w.photo, f.path FROM unnest(%s::bigint[]) w (photo) CROSS JOIN LATERAL"
    " (SELECT path FROM files WHERE photo = w.photo AND NOT missing ORDER BY path"
    f" LIMIT {MOST_PATHS}) f"
)
_SAID = (
    "SELECT w.photo, f.sidecar_said FROM unnest(%s::bigint[]) w (photo) CROSS JOIN LATERAL"
    " (SELECT path, sidecar_said FROM files WHERE photo = w.photo AND sidecar IS NOT NULL"
    f" AND NOT missing ORDER BY path LIMIT {MOST_SIDECARS + 1}) f ORDER BY w.photo, f.path"
)
_JOIN = (
    "UPDATE photos SET taken = %s, latitude = %s, longitude = %s, texts = %s, place = %s,"
    " place_folded = %s, own = %s WHERE id = %s"
)
_KEEP = (
    f"INSERT INTO words (photo, {', '.join(SOURCES)}, keys)"
    f" VALUES (%s{', %s' * len(SOURCES)}, %s::tsvector) ON CONFLICT (photo)"
    f" DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in (*SOURCES, 'keys'))}"
)


_KEEP_TEXT = (
    f"INSERT INTO picture_texts (photo, {PICTURE_TEXT}) SELECT id, %s, %s, %s FROM photos"
    " WHERE id = %s ON CONFLICT (photo) DO UPDATE SET engine = excluded.engine,"
    " lines = excluded.lines, problem = excluded.problem"
)


class WordTables(Connection):
    """The tables `words` and `picture_texts`."""

    def __init__(self, spec: str, *, create: bool = False) -> None:
        self._renamed = set[int]()
        """Photos whose words the transaction makes at its end."""
        super().__init__(spec, create=create)

    def sources(
        self, wanted: Wanted, photos: Sequence[int]
    ) -> dict[int, tuple[Source | None, ...]]:
        """Where each of the words stands first on the record of photos; None: nowhere."""
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
            with self.transaction(alone=self._any_sidecar()):
                self._keep_words(numbers[first : first + BATCH])
        self.note(**{NOTE: VERSION})
        return len(numbers)

    def unread(self, engine: str, *, retry: bool = False) -> list[int]:
        """Photos that were encoded, lie somewhere, and in which this engine read no text yet."""
        rows = self.read(
            "SELECT id FROM photos WHERE encoded AND EXISTS (SELECT 1 FROM files WHERE photo = id"
            " AND NOT missing) AND NOT EXISTS (SELECT 1 FROM picture_texts t WHERE t.photo = id"
            " AND engine = %s AND (t.problem IS NULL OR NOT %s)) ORDER BY id",
            (to_text(engine), retry),
        )
        return [number for (number,) in rows]

    def picture_texts(self, photos: Sequence[int]) -> dict[int, PictureText]:
        """The text in those of these photos in which some engine looked for it."""
        rows = self.read(
            f"SELECT photo, {PICTURE_TEXT} FROM picture_texts WHERE photo = ANY(%s)",
            (list(photos),),
        )
        return {photo: picture_text_of([from_text(one) for one in row]) for photo, *row in rows}

    def keep_picture_texts(self, texts: Mapping[int, PictureText]) -> None:
        """Keep the text in photos, by number, in place of what was read before."""
        with self.transaction(alone=self._any_sidecar()):
            self._put_picture_texts(texts)
            self._keep_words(texts)

    def _put_picture_texts(self, texts: Mapping[int, PictureText]) -> None:
        rows = [
            (*map(to_text, picture_text_columns(text)), number)
            for number, text in sorted(texts.items())
        ]
        self.run_all(_KEEP_TEXT, rows)

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
        rows = []
        texts = self.picture_texts(numbers)
        for number, facts in self._join_sidecars(numbers).items():
            paths = map(path_of, lying.get(number, ()))
            columns = words.columns(facts, paths, roots, texts.get(number))
            rows.append((number, *columns, _tsvector(columns)))
        self.run_all(_KEEP, rows)

    def _any_sidecar(self, files: Sequence[NewFile] = ()) -> bool:
        """Whether there are any, or come with these files.

        Facts are then written last of all, so that two writers could wait for each other's photos:
        each must write alone.
        """
        if any(file.sidecar is not None for file in files):
            return True
        return bool(self.read("SELECT 1 FROM files WHERE sidecar IS NOT NULL LIMIT 1"))

    def _join_sidecars(self, numbers: Sequence[int]) -> dict[int, PhotoFacts | None]:
        """Bring the facts of photos in step with what is said beside their files; all facts."""
        said: dict[int, list[str]] = {}
        for photo, one in self.read(_SAID, (list(numbers),)):
            said.setdefault(photo, []).append(one)
        known = self.read(
            f"SELECT id, own, {FACTS} FROM photos WHERE id = ANY(%s) ORDER BY id", (list(numbers),)
        )
        facts = dict[int, PhotoFacts | None]()
        changed = []
        for number, own, *row in known:
            before = from_row(row) if row[0] else None
            content = before and own_facts(before, own)
            if before is None or content is None:
                facts[number] = None
                continue
            now = facts[number] = placed(with_sidecars(content, said.get(number, ())), before)
            if now != before:
                kept = None if now == placed(content, now) else own_to_json(content)
                where = to_text(now.taken), now.latitude, now.longitude
                place = place_to_json(now.place), to_text(place_folded(now.place))
                changed.append((*where, texts_to_json(now), *place, kept, number))
        self.run_all(_JOIN, changed)
        return facts


def tsquery(wanted: Wanted, tier: int) -> str:
    """The query for photos of a tier or a better one."""
    return _all(wanted.keys, _WEIGHTS[: tier + 1])


def most_tsquery(wanted: Wanted) -> str:
    """The query for photos on whose record most of the words stand."""
    return " | ".join(f"({_all(keys, _WEIGHTS)})" for keys in wanted.most)


def _all(keys: Sequence[Sequence[str]], weights: str) -> str:
    """The query for any key of each word, of such weights."""
    return " & ".join(
        f"({' | '.join(f'{chr(39)}{key}{chr(39)}:{weights}' for key in any_of)})" for any_of in keys
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
