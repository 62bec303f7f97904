"""Words on record, in a full-text table whose row is the photo's number."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from kadr.stores import words
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
from kadr.stores.sqlite.connection import Connection
from kadr.stores.words import MOST_PATHS, NOTE, SOURCES, TIERS, VERSION, Wanted
from kadr.types import PhotoFacts, PictureText, Source

BATCH = 500
"""Photos whose words are made anew at once."""


class WordTables(Connection):
    """The tables `words` and `picture_texts`."""

    def sources(
        self, wanted: Wanted, photos: Sequence[int]
    ) -> dict[int, tuple[Source | None, ...]]:
        """Where each of the words stands first on the record of photos; None: nowhere."""
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

    def unread(self, engine: str, *, retry: bool = False) -> list[int]:
        """Photos that were encoded, lie somewhere, and in which this engine read no text yet."""
        rows = self.read(
            "SELECT id FROM photos WHERE encoded AND id IN (SELECT photo FROM files WHERE NOT"
            " missing) AND id NOT IN (SELECT photo FROM picture_texts WHERE engine = ?"
            " AND (problem IS NULL OR NOT ?)) ORDER BY id",
            (engine, retry),
        )
        return [number for (number,) in rows]

    def picture_texts(self, photos: Sequence[int]) -> dict[int, PictureText]:
        """The text in those of these photos in which some engine looked for it."""
        statement = f"SELECT photo, {PICTURE_TEXT} FROM picture_texts WHERE photo IN ({{}})"
        return {photo: picture_text_of(row) for photo, *row in self.among(statement, photos)}

    def keep_picture_texts(self, texts: Mapping[int, PictureText]) -> None:
        """Keep the text in photos, by number, in place of what was read before."""
        with self.transaction():
            self._put_picture_texts(texts)
            self._keep_words(texts)

    def _put_picture_texts(self, texts: Mapping[int, PictureText]) -> None:
        self._base.executemany(
            f"INSERT OR REPLACE INTO picture_texts (photo, {PICTURE_TEXT})"
            " SELECT id, ?, ?, ? FROM photos WHERE id = ?",
            ((*picture_text_columns(text), number) for number, text in texts.items()),
        )

    def _tier(self, wanted: Wanted, tier: int) -> str:
        """The query for photos of a tier or a better one."""
        among = "{" + " ".join(SOURCES[: TIERS[tier]]) + "}"
        return _all(wanted.keys, f"{among} : ")

    def _most(self, wanted: Wanted) -> str:
        """The query for photos on whose record most of the words stand."""
        return " OR ".join(f"({_all(keys)})" for keys in wanted.most)

    def _keep_words(self, photos: Iterable[int]) -> None:
        """Write what is on record of photos now, within a transaction."""
        numbers = sorted(set(photos))
        roots = [path_of(path) for (path,) in self._base.execute("SELECT path FROM folders")]
        facts, texts = self._join_sidecars(numbers), self.picture_texts(numbers)
        rows = (
            (number, *words.columns(facts[number], map(path_of, self._lying(number)), roots,
                                    texts.get(number)))
            for number in numbers
            if number in facts
        )  # fmt: skip
        self._base.executemany("DELETE FROM words WHERE rowid = ?", ((one,) for one in numbers))
        self._base.executemany(
            f"INSERT INTO words (rowid, {', '.join(SOURCES)}) VALUES (?{', ?' * len(SOURCES)})",
            rows,
        )

    def _join_sidecars(self, numbers: Sequence[int]) -> dict[int, PhotoFacts | None]:
        """Bring the facts of photos in step with what is said beside their files; all facts."""
        known = self.among(f"SELECT id, own, {FACTS} FROM photos WHERE id IN ({{}})", numbers)
        facts = dict[int, PhotoFacts | None]()
        for number, own, *row in known:
            before = facts_of(row) if row[0] else None
            facts[number] = now = before and self._with_sidecars(number, before, own)
            if before is None or now is None or now == before:
                continue
            content = own_facts(before, own)
            self._base.execute(
                "UPDATE photos SET taken = ?, latitude = ?, longitude = ?, texts = ?, place = ?,"
                " place_folded = ?, own = ? WHERE id = ?",
                (now.taken, now.latitude, now.longitude, texts_to_json(now),
                 place_to_json(now.place), place_folded(now.place),
                 None if now == placed(content, now) else own_to_json(content), number),
            )  # fmt: skip
        return facts

    def _with_sidecars(self, photo: int, facts: PhotoFacts, own: str | None) -> PhotoFacts:
        said = self._base.execute(
            "SELECT sidecar_said FROM files WHERE photo = ? AND sidecar IS NOT NULL"
            f" AND NOT missing ORDER BY path LIMIT {MOST_SIDECARS + 1}",
            (photo,),
        )
        now = with_sidecars(own_facts(facts, own), [one for (one,) in said])
        return placed(now, facts)

    def _lying(self, photo: int) -> Iterator[bytes]:
        for (path,) in self._base.execute(
            f"SELECT path FROM files WHERE photo = ? AND NOT missing ORDER BY path"
            f" LIMIT {MOST_PATHS}",
            (photo,),
        ):
            yield path


def _all(keys: Sequence[Sequence[str]], among: str = "") -> str:
    """The query for any key of each word, `among` some columns."""
    return " AND ".join(
        f"{among}({' OR '.join(f'{chr(34)}{key}{chr(34)}' for key in any_of)})" for any_of in keys
    )
