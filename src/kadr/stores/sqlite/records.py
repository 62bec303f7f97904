"""What is on record about photos and the law: assessments by the machine, rulings by people.

An assessment belongs to a photo of the library and goes with it. A ruling belongs to a content: it
stays when the photo is forgotten, and holds when it comes back.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple

from kadr.stores.sqlite.connection import Connection
from kadr.types import Assessment, Ruling


class RecordTables(Connection):
    """The tables `assessments`, `copies` and `rulings`."""

    def keep_assessments(self, assessments: Mapping[int, Assessment]) -> None:
        """Keep assessments by the photo's number, in place of older ones."""
        with self.transaction() as run:
            for photo, assessment in assessments.items():
                run("INSERT OR REPLACE INTO assessments VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (photo, *_columns(assessment)))  # fmt: skip

    def assessments(self, photos: Sequence[int]) -> dict[int, Assessment]:
        """The assessments of those photos that have one."""
        statement = (
            "SELECT photo, words, scene, faces, failed, probability, version FROM assessments"
            " WHERE photo IN ({})"
        )
        return {
            photo: Assessment(
                tuple(json.loads(words)),
                scene,
                None if faces is None else tuple(json.loads(faces)),
                tuple(json.loads(failed)),
                probability,
                version,
            )
            for photo, words, scene, faces, failed, probability, version in self.among(
                statement, photos
            )
        }

    def unassessed(self, version: str | None = None) -> list[int]:
        """Photos that were encoded and have no assessment, or none of this version.

        One that was made before the photo got another name has no version.
        """
        known = "SELECT photo FROM assessments WHERE coalesce(version = ?, version != '')"
        rows = self.read(
            f"SELECT id FROM photos WHERE encoded AND id NOT IN ({known}) ORDER BY id",  # noqa: S608
            (version,),
        )
        return [number for (number,) in rows]

    def shown(
        self, below: float, photos: Sequence[int] | None = None, *, faces: bool = False
    ) -> list[int]:
        """Photos, of these or all, that the records allow to be shown: see `Store.shown`."""
        limit, among = repr(float(below)), "" if photos is None else "photo IN ({}) AND"
        looked = "AND faces IS NOT NULL" if faces else ""
        ruled = "SELECT p.id FROM rulings r JOIN photos p ON p.digest = r.digest WHERE r.verdict ="
        statement = (
            f"SELECT photo FROM assessments WHERE {among} probability < {limit}"  # noqa: S608
            f" AND version != '' AND failed = '[]' {looked} AND photo NOT IN ({ruled} 'hide')"
            " AND photo NOT IN"
            " (SELECT c.photo FROM copies c LEFT JOIN rulings r ON r.digest = c.digest"
            f" WHERE coalesce(r.verdict = 'hide', c.probability >= {limit}))"
            f" UNION {ruled} 'allow'"
        )
        if photos is None:
            return [number for (number,) in self.read(statement)]
        return list({number for (number,) in self.among(statement, photos)}.intersection(photos))

    def set_ruling(self, digest: str, ruling: Ruling | None) -> None:
        """Put a decision about a content in force in place of another; None: take it back."""
        key = bytes.fromhex(digest)
        with self.transaction() as run:
            if ruling is None:
                run("DELETE FROM rulings WHERE digest = ?", (key,))
            else:
                values = key, *astuple(ruling)
                run("INSERT OR REPLACE INTO rulings VALUES (?, ?, ?, ?, ?)", values)

    def ruling(self, digest: str) -> Ruling | None:
        """The decision about a content that is in force."""
        rows = self.read(
            "SELECT verdict, who, at, why FROM rulings WHERE digest = ?", (bytes.fromhex(digest),)
        )
        return Ruling(*rows[0]) if rows else None

    def rulings(self, photos: Iterable[int]) -> dict[int, Ruling]:
        """The decisions in force about those photos that have one."""
        statement = (
            "SELECT p.id, r.verdict, r.who, r.at, r.why FROM rulings r"
            " JOIN photos p ON p.digest = r.digest WHERE p.id IN ({})"
        )
        return {row[0]: Ruling(*row[1:]) for row in self.among(statement, list(photos))}

    def all_rulings(self) -> dict[str, Ruling]:
        """Every decision in force, by hex digest, whether its photo is in the library or not."""
        rows = self.read("SELECT digest, verdict, who, at, why FROM rulings ORDER BY at, digest")
        return {row[0].hex(): Ruling(*row[1:]) for row in rows}


def _columns(assessment: Assessment) -> tuple[str | float | None, ...]:
    faces = assessment.faces
    return (
        json.dumps(assessment.words, ensure_ascii=False),
        assessment.scene,
        None if faces is None else json.dumps(faces),
        json.dumps(assessment.failed),
        assessment.probability,
        assessment.version,
    )
