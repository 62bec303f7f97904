"""What is on record about photos and the law: assessments by the machine, rulings by people.

An assessment belongs to a photo of the library and goes with it. A ruling belongs to a content: it
stays when the photo is forgotten, and holds when it comes back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kadr.stores import Shown
from kadr.stores.columns import assessment_columns, readable_assessments
from kadr.stores.postgres import filters
from kadr.stores.postgres.connection import Connection
from kadr.stores.postgres.statements import MARK, RULING_MARK
from kadr.stores.postgres.texts import from_text, to_text
from kadr.types import Assessment, Request, Ruling

_ASSESSMENT = "words, scene, faces, failed, probability, version"
_KEEP = f"""
INSERT INTO assessments (photo, {_ASSESSMENT}, mark)
SELECT one.*, {MARK} FROM (SELECT p.id AS photo, %s::text AS words, %s::float8 AS scene,
    %s::text AS faces, %s::text AS failed, %s::float8 AS probability, %s::text AS version
    FROM photos p WHERE p.id = %s) one
ON CONFLICT (photo) DO UPDATE SET words = excluded.words, scene = excluded.scene,
    faces = excluded.faces, failed = excluded.failed, probability = excluded.probability,
    version = excluded.version, mark = excluded.mark
"""
_COPY = """
INSERT INTO copies SELECT c.id, p.digest,
    CASE WHEN a.failed = '[]' AND a.version <> '' THEN a.probability ELSE 1 END
    FROM photos c, photos p LEFT JOIN assessments a ON a.photo = p.id
    WHERE c.id = %s AND p.id = %s
ON CONFLICT (photo, digest) DO UPDATE SET probability = excluded.probability
"""


class RecordTables(Connection):
    """The tables `assessments`, `copies`, `rulings` and `requests`."""

    def keep_assessments(self, assessments: Mapping[int, Assessment]) -> None:
        """Keep assessments by the photo's number, in place of older ones."""
        ordered = sorted(assessments.items())
        with self.transaction():
            self.run_all(
                _KEEP,
                [(*map(_text, assessment_columns(one)), photo) for photo, one in ordered],
            )
            # What a layer that failed left out makes no copy less suspect.
            self.run_all(
                "UPDATE copies SET probability = CASE WHEN %s THEN greatest(probability, %s)"
                " ELSE %s END WHERE digest = (SELECT digest FROM photos WHERE id = %s)",
                [
                    (bool(one.failed), float(one.probability), float(one.probability), photo)
                    for photo, one in ordered
                ],
            )

    def assessments(self, photos: Sequence[int]) -> dict[int, Assessment]:
        """The assessments of those photos that have one."""
        statement = f"SELECT photo, {_ASSESSMENT} FROM sound_assessments WHERE photo = ANY(%s)"
        return dict(readable_assessments(map(_texts, self.read(statement, (list(photos),)))))

    def assessed(self) -> Iterator[tuple[str, Assessment]]:
        """Every assessment that isn't damaged, with the hex digest of its photo."""
        rows = self.read(
            f"SELECT digest, {_ASSESSMENT} FROM sound_assessments a JOIN photos p ON p.id = a.photo"
            " ORDER BY p.id"
        )
        return ((key.hex(), one) for key, one in readable_assessments(map(_texts, rows)))

    def unassessed(self, version: str | None = None) -> list[int]:
        """Photos that were encoded and have no assessment, or none of this version.

        One that was made before the photo got another name has no version.
        """
        known = (
            "SELECT 1 FROM sound_assessments a WHERE a.photo = p.id"
            " AND coalesce(version = %s, version <> '')"
        )
        rows = self.read(
            f"SELECT id FROM photos p WHERE encoded AND NOT EXISTS ({known}) ORDER BY id",
            (to_text(version),),
        )
        return [number for (number,) in rows]

    def suspected(self, least: float) -> list[int]:
        """Photos that a person hides, or whose assessment is at least so probable, or failed."""
        rows = self.read(
            "SELECT photo FROM assessments WHERE probability >= %s OR failed <> '[]'"
            " UNION SELECT p.id FROM decisions r JOIN photos p ON p.digest = r.digest"
            " WHERE r.verdict = 'hide' ORDER BY 1",
            (float(least),),
        )
        return [number for (number,) in rows]

    def keep_copies(self, copies: Iterable[tuple[int, int]]) -> None:
        """Put on record of photos whose copies they are: pairs of a copy and of a photo.

        What isn't assessed, or by layers of which one failed, isn't shown, and so is no copy of it.
        """
        with self.transaction():
            self.run_all(_COPY, sorted(copies))

    def shown(self, shown: Shown, photos: Sequence[int]) -> list[int]:
        """Those of these photos that the records allow to be shown."""
        rows = self.read(
            f"SELECT p.id FROM photos p WHERE p.id = ANY(%s) AND {filters.shown(shown)}"
            " ORDER BY p.id",
            (list(photos),),
        )
        return [number for (number,) in rows]

    def set_ruling(self, digest: str, ruling: Ruling | None) -> None:
        """Put a decision about a content in force in place of another; None: take it back."""
        key = bytes.fromhex(digest)
        with self.transaction() as run:
            run("DELETE FROM rulings WHERE digest = %s", (key,))
            if ruling is not None:
                run(
                    f"INSERT INTO rulings SELECT one.*, {RULING_MARK} FROM (SELECT %s AS digest,"
                    " %s::text AS verdict, %s::text, %s::text, %s::text) one"
                    " ON CONFLICT (digest) DO UPDATE SET verdict = excluded.verdict,"
                    " who = excluded.who, at = excluded.at, why = excluded.why,"
                    " mark = excluded.mark",
                    (key, *map(to_text, (ruling.verdict, ruling.who, ruling.when, ruling.why))),
                )

    def ruling(self, digest: str) -> Ruling | None:
        """The decision about a content that is in force."""
        rows = self.read(
            "SELECT verdict, who, at, why FROM decisions WHERE digest = %s",
            (bytes.fromhex(digest),),
        )
        return Ruling(*_texts(rows[0])) if rows else None

    def rulings(self, photos: Iterable[int]) -> dict[int, Ruling]:
        """The decisions in force about those photos that have one."""
        rows = self.read(
            "SELECT p.id, r.verdict, r.who, r.at, r.why FROM decisions r"
            " JOIN photos p ON p.digest = r.digest WHERE p.id = ANY(%s)",
            (list(photos),),
        )
        return {row[0]: Ruling(*_texts(row[1:])) for row in rows}

    def all_rulings(self) -> dict[str, Ruling]:
        """Every decision in force, by hex digest, whether its photo is in the library or not."""
        rows = self.read("SELECT digest, verdict, who, at, why FROM decisions ORDER BY at, digest")
        return {row[0].hex(): Ruling(*_texts(row[1:])) for row in rows}

    def set_request(self, digest: str, request: Request | None) -> None:
        """Open an appeal or a dispute in place of an earlier one; None: close it."""
        key = bytes.fromhex(digest)
        with self.transaction() as run:
            if request is None:
                run("DELETE FROM requests WHERE digest = %s", (key,))
                return
            run(
                "INSERT INTO requests VALUES (%s, %s, %s, %s, %s) ON CONFLICT (digest) DO UPDATE"
                " SET kind = excluded.kind, who = excluded.who, at = excluded.at,"
                " why = excluded.why",
                (key, *map(to_text, (request.kind, request.who, request.when, request.why))),
            )

    def requests(self) -> dict[str, Request]:
        """The open appeals and disputes, by hex digest."""
        rows = self.read("SELECT digest, kind, who, at, why FROM requests ORDER BY at, digest")
        return {row[0].hex(): Request(*_texts(row[1:])) for row in rows}

    def request(self, digest: str) -> Request | None:
        """The open appeal or dispute about a content."""
        rows = self.read(
            "SELECT kind, who, at, why FROM requests WHERE digest = %s", (bytes.fromhex(digest),)
        )
        return Request(*_texts(rows[0])) if rows else None

    def damaged(self) -> tuple[int, int]:
        """How many assessments and how many rulings aren't what was written."""
        ((assessments, rulings),) = self.read(
            f"SELECT (SELECT count(*) FROM assessments WHERE ({MARK}) IS DISTINCT FROM mark),"
            f" (SELECT count(*) FROM rulings WHERE mark IS DISTINCT FROM {RULING_MARK})"
        )
        return int(assessments), int(rulings)


def _text(value: str | float | None) -> str | float | None:
    return to_text(value) if isinstance(value, str) else value


def _texts(row: Sequence[Any]) -> list[Any]:
    return [from_text(value) if isinstance(value, str) else value for value in row]
