"""What is on record about photos and the law: assessments by the machine, rulings by people.

An assessment belongs to a photo of the library and goes with it. A ruling belongs to a content: it
stays when the photo is forgotten, and holds when it comes back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from kadr.stores import Shown
from kadr.stores.columns import assessment_columns, readable_assessments
from kadr.stores.sqlite.connection import Connection
from kadr.stores.sqlite.statements import MARK, RULING_MARK
from kadr.types import Assessment, Request, Ruling


class RecordTables(Connection):
    """The tables `assessments`, `copies`, `rulings` and `requests`."""

    def keep_assessments(self, assessments: Mapping[int, Assessment]) -> None:
        """Keep assessments by the photo's number, in place of older ones."""
        with self.transaction() as run:
            for photo, assessment in assessments.items():
                run(_KEEP, (photo, *assessment_columns(assessment)))
                # What a layer that failed left out makes no copy less suspect.
                least = "max(probability, ?)" if assessment.failed else "?"
                run(f"UPDATE copies SET probability = {least} WHERE digest ="
                    " (SELECT digest FROM photos WHERE id = ?)",
                    (assessment.probability, photo))  # fmt: skip

    def assessments(self, photos: Sequence[int]) -> dict[int, Assessment]:
        """The assessments of those photos that have one."""
        statement = f"SELECT photo, {_ASSESSMENT} FROM sound_assessments WHERE photo IN ({{}})"
        return dict(readable_assessments(self.among(statement, photos)))

    def assessed(self) -> Iterator[tuple[str, Assessment]]:
        """Every assessment that isn't damaged, with the hex digest of its photo."""
        rows = self.read(
            f"SELECT digest, {_ASSESSMENT} FROM sound_assessments a JOIN photos p ON p.id = a.photo"
        )
        return ((digest.hex(), assessment) for digest, assessment in readable_assessments(rows))

    def unassessed(self, version: str | None = None) -> list[int]:
        """Photos that were encoded and have no assessment, or none of this version.

        One that was made before the photo got another name has no version.
        """
        known = "SELECT photo FROM sound_assessments WHERE coalesce(version = ?, version != '')"
        rows = self.read(
            f"SELECT id FROM photos WHERE encoded AND id NOT IN ({known}) ORDER BY id",
            (version,),
        )
        return [number for (number,) in rows]

    def suspected(self, least: float) -> list[int]:
        """Photos that a person hides, or whose assessment is at least so probable, or failed."""
        rows = self.read(
            "SELECT photo FROM assessments WHERE probability >= ? OR failed != '[]'"
            " UNION SELECT p.id FROM decisions r JOIN photos p ON p.digest = r.digest"
            " WHERE r.verdict = 'hide'",
            (least,),
        )
        return [number for (number,) in rows]

    def keep_copies(self, copies: Iterable[tuple[int, int]]) -> None:
        """Put on record of photos whose copies they are: pairs of a copy and of a photo.

        What isn't assessed, or by layers of which one failed, isn't shown, and so is no copy of it.
        """
        with self.transaction() as run:
            for copy, photo in copies:
                run(
                    "INSERT OR REPLACE INTO copies SELECT ?, p.digest,"
                    " CASE WHEN a.failed = '[]' AND a.version != '' THEN a.probability ELSE 1 END"
                    " FROM photos p LEFT JOIN assessments a ON a.photo = p.id WHERE p.id = ?",
                    (copy, photo),
                )

    def shown(self, shown: Shown, photos: Sequence[int]) -> list[int]:
        """Those of these photos that the records allow to be shown."""
        found = self.among(allowed(shown, "photo IN ({}) AND"), photos)
        return list({number for (number,) in found}.intersection(photos))

    def all_shown(self, shown: Shown) -> NDArray[np.int64]:
        """All photos that the records allow to be shown, sorted: int64 [n]."""
        return self.numbered(allowed(shown))

    def set_ruling(self, digest: str, ruling: Ruling | None) -> None:
        """Put a decision about a content in force in place of another; None: take it back."""
        key = bytes.fromhex(digest)
        with self.transaction() as run:
            if ruling is None:
                run("DELETE FROM rulings WHERE digest = ?", (key,))
            else:
                values = key, *astuple(ruling)
                run("INSERT OR REPLACE INTO rulings VALUES (?, ?, ?, ?, ?, NULL)", values)
                run(f"UPDATE rulings SET mark = {RULING_MARK} WHERE digest = ?", (key,))

    def ruling(self, digest: str) -> Ruling | None:
        """The decision about a content that is in force."""
        rows = self.read(
            "SELECT verdict, who, at, why FROM decisions WHERE digest = ?", (bytes.fromhex(digest),)
        )
        return Ruling(*rows[0]) if rows else None

    def rulings(self, photos: Iterable[int]) -> dict[int, Ruling]:
        """The decisions in force about those photos that have one."""
        statement = (
            "SELECT p.id, r.verdict, r.who, r.at, r.why FROM decisions r"
            " JOIN photos p ON p.digest = r.digest WHERE p.id IN ({})"
        )
        return {row[0]: Ruling(*row[1:]) for row in self.among(statement, list(photos))}

    def all_rulings(self) -> dict[str, Ruling]:
        """Every decision in force, by hex digest, whether its photo is in the library or not."""
        rows = self.read("SELECT digest, verdict, who, at, why FROM decisions ORDER BY at, digest")
        return {row[0].hex(): Ruling(*row[1:]) for row in rows}

    def set_request(self, digest: str, request: Request | None) -> None:
        """Open an appeal or a dispute in place of an earlier one; None: close it."""
        key = bytes.fromhex(digest)
        with self.transaction() as run:
            if request is None:
                run("DELETE FROM requests WHERE digest = ?", (key,))
            else:
                values = key, *astuple(request)
                run("INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?)", values)

    def requests(self) -> dict[str, Request]:
        """The open appeals and disputes, by hex digest."""
        rows = self.read("SELECT digest, kind, who, at, why FROM requests ORDER BY at, digest")
        return {row[0].hex(): Request(*row[1:]) for row in rows}

    def request(self, digest: str) -> Request | None:
        """The open appeal or dispute about a content."""
        rows = self.read(
            "SELECT kind, who, at, why FROM requests WHERE digest = ?", (bytes.fromhex(digest),)
        )
        return Request(*rows[0]) if rows else None

    def damaged(self) -> tuple[int, int]:
        """How many assessments and how many rulings aren't what was written."""
        count = "SELECT count(*) FROM "
        (assessments,) = self.read(
            f"{count} assessments WHERE photo NOT IN (SELECT photo FROM sound_assessments)"
        )[0]
        (rulings,) = self.read(f"{count} rulings WHERE mark IS NOT {RULING_MARK}")[0]
        return int(assessments), int(rulings)


def allowed(shown: Shown, among: str = "") -> str:
    """SQL for the photos that may be shown, `photo`; `among` narrows those with an assessment."""
    limit, looked = repr(float(shown.below)), "AND faces IS NOT NULL" if shown.faces else ""
    ruled = "SELECT p.id FROM decisions r JOIN photos p ON p.digest = r.digest WHERE r.verdict ="
    disputed = "SELECT digest FROM requests WHERE kind = 'disputed'"
    return (
        f"SELECT photo FROM sound_assessments WHERE {among} probability < {limit}"
        f" AND version != '' AND failed = '[]' {looked} AND photo NOT IN ({ruled} 'hide')"
        " AND photo NOT IN"
        " (SELECT c.photo FROM copies c LEFT JOIN decisions r ON r.digest = c.digest"
        f" WHERE coalesce(r.verdict = 'hide', c.probability >= {limit})"
        f" OR c.digest IN ({disputed}))"
        f" AND photo NOT IN (SELECT id FROM photos WHERE digest IN ({disputed}))"
        f" UNION {ruled} 'allow' AND p.digest NOT IN ({disputed})"
    )


_ASSESSMENT = "words, scene, faces, failed, probability, version"


_KEEP = (
    "INSERT OR REPLACE INTO assessments (photo, words, scene, faces, failed, probability, version,"
    f" mark) SELECT *, {MARK} FROM (SELECT ? AS photo, ? AS words, ? AS scene, ? AS faces,"
    " ? AS failed, ? AS probability, ? AS version)"
)
