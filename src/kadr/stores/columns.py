"""How an engine's columns hold what isn't theirs: paths, hashes, texts, assessments."""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.errors import LibraryError
from kadr.photos import films
from kadr.photos.objects import located
from kadr.types import (
    Assessment,
    PhotoFacts,
    PictureText,
    Place,
    Sidecar,
    TextLine,
    Vectors,
)


def path_of(raw: bytes) -> Path:
    """A path from its bytes: a file's, or an object's URL."""
    return located(os.fsdecode(raw))


def below(folder: Path) -> tuple[bytes, bytes]:
    """All paths below a folder are >= the first and < the second."""
    start = os.fsencode(folder).rstrip(os.sep.encode()) + os.sep.encode()
    return start, start[:-1] + bytes([start[-1] + 1])


def frames_between(film: str) -> tuple[bytes, bytes]:
    """The digests of a film's frames are >= the first and <= the second; see `films.digest`."""
    start = bytes.fromhex(film[: films.PREFIX])
    rest = 32 - len(start)
    return start + b"\0" * rest, start + b"\xff" * rest


def any_below(folders: Sequence[Path]) -> Callable[[bytes], bool]:
    """Whether a path is below one of these folders; below none, any path will do."""
    spans = [below(folder) for folder in folders]
    return lambda path: not spans or any(low <= path < high for low, high in spans)


def folded(text: str | None) -> str | None:
    """In one case and one Unicode form; SQLite's lower() knows ASCII alone."""
    return text and unicodedata.normalize("NFC", text.casefold())


def signed(number: int) -> int:
    """A hash of 64 bits as the whole number that a column takes."""
    return number - (1 << 64) if number >= 1 << 63 else number


def unsigned(number: int | None) -> int:
    """The hash of such a number; 0 where there is none."""
    return (number or 0) % (1 << 64)


def texts_to_json(facts: PhotoFacts | None) -> str | None:
    """Texts as a list in JSON, which ends with null where words lack; None where it is empty."""
    if facts is None or (not facts.texts and facts.texts_complete):
        return None
    return json.dumps([*facts.texts, *([] if facts.texts_complete else [None])])


def texts_from_json(column: str | None) -> tuple[tuple[str, ...], bool]:
    """Such texts, and whether they are complete."""
    said = json.loads(column) if column else []
    return tuple(text for text in said if text is not None), None not in said


def vectors_to_bytes(vectors: Iterable[Vectors], size: int | None, whose: str) -> list[bytes]:
    """One encoder's vectors float32 [dim] as columns hold them: all of one length.

    Args:
        vectors: to be kept.
        size: bytes of one that is there already; None: there is none.
        whose: they are, for what is said: "library: encoder".

    Raises:
        LibraryError: one is of another length, with which no other could be compared.
    """
    rows = [np.asarray(vector, np.float32).tobytes() for vector in vectors]
    wanted = size if size is not None else len(rows[0]) if rows else 0
    other = next((row for row in rows if len(row) != wanted), None)
    if other is not None:
        raise LibraryError(
            f"{whose}: vectors of {wanted // 4} figures, and one of {len(other) // 4} is to be "
            "added. Encode it again, with this kadr and this library's model."
        )
    return rows


def unequal(encoder: str, counts: Sequence[int]) -> str:
    """What is wrong with vectors of several lengths, of each of which there are so many."""
    return (
        f"{sum(counts) - max(counts)} vectors of {encoder} are of another length than the others."
        " Encode anew: kadr index --reencode"
    )


def fingerprints_of(
    rows: Sequence[Sequence[Any]], none: bytes, parts: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], Vectors]:
    """Numbers [n], hashes [n, parts] and vectors [n, dim] of photos.

    Args:
        rows: of each photo its number, its hash, its parts' hashes or None, its vector or None.
        none: what stands for a vector that is missing.
        parts: how many hashes a photo has.
    """
    hashes = np.array([(row[1],) * parts for row in rows], np.int64).view(np.uint64)
    for place, row in enumerate(rows):
        if row[2] is not None:
            hashes[place] = np.frombuffer(row[2], np.uint64)
    matrix = np.frombuffer(b"".join(row[3] or none for row in rows), np.float32)
    return (
        np.array([row[0] for row in rows], np.int64),
        hashes,
        matrix.reshape(len(rows), len(none) // 4),
    )


def by_month(
    rows: Iterable[tuple[str | None, int]],
) -> list[tuple[str | None, NDArray[np.int64]]]:
    """Photos by the month of their dates: rows of a date and a number, in their order."""
    months = groupby(rows, lambda row: None if row[0] is None else row[0][:7])
    return [(month, np.array([row[1] for row in of], np.int64)) for month, of in months]


FACTS = "kind, width, height, taken, camera, latitude, longitude, texts, place"


def facts_of(row: Sequence[Any]) -> PhotoFacts:
    """What the columns FACTS of a photo say."""
    kind, width, height, taken, camera, latitude, longitude, column, said = row
    texts, complete = texts_from_json(column)
    return PhotoFacts(
        kind, width, height, taken, camera, latitude, longitude, texts, complete,
        place_from_json(said),
    )  # fmt: skip


def place_to_json(place: Place | None) -> str | None:
    """A place's names as lists in JSON; None where nothing is known."""
    return json.dumps(astuple(place)) if place else None


def place_from_json(column: str | None) -> Place | None:
    """The names of such a column."""
    return Place(*map(tuple, json.loads(column))) if column else None


def place_folded(place: Place | None) -> str | None:
    """All words of a place's names with a space before each, as `place_begins` looks for them."""
    return "".join(map(place_begins, place.all())) if place else None


def place_begins(text: str) -> str:
    """What stands in such a column where a name, or a word in one, begins with a text."""
    return " " + " ".join(re.findall(r"[^\W_]+", folded(text) or "")).replace("ё", "е")


MOST_SIDECARS = 1000
"""Files of one photo whose sidecars are joined; of more, its words are incomplete."""


def own_facts(facts: PhotoFacts, own: str | None) -> PhotoFacts:
    """What a content says of itself, by its columns' facts and by `own_to_json`."""
    if own is None:
        return facts
    *said, column = json.loads(own)
    texts, complete = texts_from_json(column)
    taken, latitude, longitude = said
    return replace(
        facts,
        taken=taken,
        latitude=latitude,
        longitude=longitude,
        texts=texts,
        texts_complete=complete,
    )


def own_to_json(facts: PhotoFacts) -> str:
    """What a content says of itself, where sidecars say more; in ASCII."""
    return json.dumps([facts.taken, facts.latitude, facts.longitude, texts_to_json(facts)])


def with_sidecars(facts: PhotoFacts, columns: Sequence[str]) -> PhotoFacts:
    """A content's own facts with what is said beside its files, `MOST_SIDECARS` and one at most."""
    from kadr.photos.sidecar_facts import joined  # no search pays for it

    if not columns:
        return facts
    beside = [_sidecar(column) for column in columns[:MOST_SIDECARS]]
    whole = joined(facts, beside)
    return whole if len(columns) <= MOST_SIDECARS else replace(whole, texts_complete=False)


def placed(now: PhotoFacts, before: PhotoFacts) -> PhotoFacts:
    """Joined facts with the place that they had, unless they lie elsewhere now: it needs a name."""
    moved = (now.latitude, now.longitude) != (before.latitude, before.longitude)
    return replace(now, place=None if moved else before.place)


def sidecar_columns(sidecar: Sidecar | None) -> tuple[str | None, str | None]:
    """Its state, and what it says, in ASCII; None both where there is none."""
    if sidecar is None:
        return None, None
    return sidecar.state, json.dumps(asdict(sidecar))


def sidecar_of(said: str | None) -> Sidecar | None:
    """The sidecar of the second of such columns."""
    return None if said is None else _sidecar(said)


def _sidecar(said: str) -> Sidecar:
    values = json.loads(said)
    return Sidecar(**{**values, "texts": tuple(values["texts"])})


PICTURE_TEXT = "engine, lines, problem"


def picture_text_columns(text: PictureText) -> tuple[str, str, str | None]:
    """The columns PICTURE_TEXT of a photo; lines are a list in JSON, in ASCII."""
    return text.engine, json.dumps([astuple(line) for line in text.lines]), text.problem


def picture_text_of(row: Sequence[Any]) -> PictureText:
    """The text of such columns."""
    engine, column, problem = row
    left_to_right = json.loads(column)
    lines = (TextLine(text, sure, tuple(region)) for text, sure, region in left_to_right)
    return PictureText(engine, tuple(lines), problem)


def assessment_columns(assessment: Assessment) -> tuple[str | float | None, ...]:
    """Words, scene, faces, failed, probability and version; lists are JSON."""
    faces = assessment.faces
    return (
        json.dumps(assessment.words),
        assessment.scene,
        None if faces is None else json.dumps(faces),
        json.dumps(assessment.failed),
        assessment.probability,
        assessment.version,
    )


def readable_assessments(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, Assessment]]:
    """Assessments with what stands before them, without those that damage made unreadable."""
    for key, words, scene, faces, failed, probability, version in rows:
        with suppress(ValueError, TypeError):
            yield (
                key,
                Assessment(
                    tuple(json.loads(words)),
                    scene,
                    None if faces is None else tuple(json.loads(faces)),
                    tuple(json.loads(failed)),
                    probability,
                    version,
                ),
            )
