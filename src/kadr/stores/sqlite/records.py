"""What is on record about photos and the law: assessments by the machine, rulings by people.

They lie in the library's file. An assessment belongs to a photo of the library and goes with it. A
ruling belongs to a content: it stays when the photo is forgotten, and holds when it comes back.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple

from kadr.stores.sqlite.connection import Connection, Run
from kadr.types import Assessment, Ruling


def keep(store: Connection, assessments: Mapping[int, Assessment]) -> None:
    """Note assessments by the photo's number, in place of older ones."""
    with store.transaction() as run:
        for photo, found in assessments.items():
            run(
                "INSERT OR REPLACE INTO assessments VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    photo,
                    json.dumps(found.words, ensure_ascii=False),
                    found.scene,
                    None if found.faces is None else json.dumps(found.faces),
                    json.dumps(found.failed),
                    found.probability,
                    found.version,
                ),
            )


def assessments(store: Connection, photos: Sequence[int]) -> dict[int, Assessment]:
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
        for photo, words, scene, faces, failed, probability, version in store.among(
            statement, photos
        )
    }


def shown(
    store: Connection, below: float, photos: Sequence[int] | None = None, *, faces: bool = False
) -> list[int]:
    """Numbers of the photos, of these or all, that may be shown: `kadr.law.verdict` as a question.

    Args:
        store: the library.
        below: the probability that an assessment must stay below.
        photos: the numbers that are asked about.
        faces: whether faces must have been looked for.
    """
    limit, among = repr(float(below)), "" if photos is None else "photo IN ({}) AND"
    looked = "AND faces IS NOT NULL" if faces else ""
    ruled = "SELECT p.id FROM rulings r JOIN photos p ON p.digest = r.digest WHERE r.verdict ="
    statement = (
        f"SELECT photo FROM assessments WHERE {among} probability < {limit}"  # noqa: S608
        f" AND version != '' AND failed = '[]' {looked} AND photo NOT IN ({ruled} 'hide')"
        " AND photo NOT IN (SELECT c.photo FROM copies c LEFT JOIN rulings r ON r.digest = c.digest"
        f" WHERE coalesce(r.verdict = 'hide', c.probability >= {limit}))"
        f" UNION {ruled} 'allow'"
    )
    if photos is None:
        return [number for (number,) in store.read(statement)]
    return list({number for (number,) in store.among(statement, photos)}.intersection(photos))


def due(store: Connection, version: str | None = None) -> list[int]:
    """Photos that were encoded and have no assessment; of this version, where one is given.

    One that was made before the photo got another name has no version.
    """
    known = "SELECT photo FROM assessments WHERE coalesce(version = ?, version != '')"
    rows = store.read(
        f"SELECT id FROM photos WHERE encoded AND id NOT IN ({known}) ORDER BY id",  # noqa: S608
        (version,),
    )
    return [number for (number,) in rows]


def rule(run: Run, digest: str, ruling: Ruling) -> None:
    """Note a person's decision about a content, in place of an earlier one; within a transaction.

    `kadr.law.review` calls it, so that the audit log tells of it in the same transaction.
    """
    values = bytes.fromhex(digest), *astuple(ruling)
    run("INSERT OR REPLACE INTO rulings VALUES (?, ?, ?, ?, ?)", values)


def withdraw(run: Run, digest: str) -> None:
    """Take a decision back, so that the assessment counts again; within a transaction."""
    run("DELETE FROM rulings WHERE digest = ?", (bytes.fromhex(digest),))


def ruling(store: Connection, digest: str) -> Ruling | None:
    """The decision about a content that is in force."""
    rows = store.read(
        "SELECT verdict, who, at, why FROM rulings WHERE digest = ?", (bytes.fromhex(digest),)
    )
    return Ruling(*rows[0]) if rows else None


def rulings(store: Connection, photos: Iterable[int]) -> dict[int, Ruling]:
    """The decisions about those photos that people decided about."""
    statement = (
        "SELECT p.id, r.verdict, r.who, r.at, r.why FROM rulings r"
        " JOIN photos p ON p.digest = r.digest WHERE p.id IN ({})"
    )
    return {row[0]: Ruling(*row[1:]) for row in store.among(statement, list(photos))}


def all_rulings(store: Connection) -> dict[str, Ruling]:
    """Every decision, by hex digest, whether its photo is in the library or not."""
    rows = store.read("SELECT digest, verdict, who, at, why FROM rulings ORDER BY at, digest")
    return {row[0].hex(): Ruling(*row[1:]) for row in rows}
