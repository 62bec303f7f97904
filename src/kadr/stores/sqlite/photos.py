"""Photos: which there are, which of them pass the filters, and what the library says of itself."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadr.errors import LibraryError
from kadr.stores import IDS, Selection, Stored, Totals
from kadr.stores.columns import (
    FACTS,
    any_below,
    by_month,
    facts_of,
    frames_between,
    path_of,
    place_folded,
    place_to_json,
    unequal,
    unsigned,
)
from kadr.stores.ids import IdCipher
from kadr.stores.sqlite.filters import WHEN, conditions, distance
from kadr.stores.sqlite.records import RecordTables, allowed
from kadr.stores.sqlite.vector_sets import VectorSets
from kadr.stores.sqlite.words import WordTables
from kadr.types import Filters, Floats, Place


class PhotoTables(VectorSets, WordTables, RecordTables):
    """The table `photos`, and where its photos lie."""

    def present(
        self, photos: Sequence[int], folders: Sequence[Path] = ()
    ) -> dict[int, tuple[Path, ...]]:
        """Paths of those photos that lie somewhere, or below one of the folders, sorted."""
        places: dict[int, list[Path]] = {}
        is_wanted = any_below(folders)
        statement = (
            "SELECT photo, path FROM files WHERE photo IN ({}) AND NOT missing ORDER BY path"
        )
        for number, path in self.among(statement, photos):
            if is_wanted(path):
                places.setdefault(number, []).append(path_of(path))
        return {number: tuple(paths) for number, paths in places.items()}

    def stored(self, paths: Mapping[int, tuple[Path, ...]]) -> dict[int, Stored]:
        """The photos of these numbers and paths."""
        statement = f"SELECT id, digest, hash, {FACTS} FROM photos WHERE encoded AND id IN ({{}})"
        return {
            number: Stored(number, digest.hex(), facts_of(row), unsigned(mark), paths[number])
            for number, digest, mark, *row in self.among(statement, list(paths))
        }

    def number(self, digest: str) -> int | None:
        """The photo of a hex digest that was encoded."""
        return next(iter(self.numbers([bytes.fromhex(digest)])), None)

    def knows(self, digest: str) -> bool:
        """Whether the photo of a hex digest is here: encoded, or waiting for it after a switch."""
        statement = "SELECT 1 FROM photos WHERE digest = ? AND problem IS NULL"
        return bool(self.read(statement, (bytes.fromhex(digest),)))

    def numbers(self, digests: Iterable[bytes]) -> list[int]:
        """The photos of these digests that were encoded."""
        statement = "SELECT id FROM photos WHERE digest = ? AND encoded"
        return [row[0] for digest in digests for row in self.read(statement, (digest,))]

    def frames(self, film: str) -> dict[str, int]:
        """The frames of a film (its hex digest): their digests in order, and their numbers."""
        rows = self.read(
            "SELECT digest, id FROM photos WHERE digest >= ? AND digest <= ? AND problem IS NULL"
            " ORDER BY digest",
            frames_between(film),
        )
        return {digest.hex(): number for digest, number in rows}

    def public_id(self, number: int) -> int:
        """The id by which a photo is named outside: it says nothing, and stays the same."""
        return self._ids.encrypt(number)

    def by_public_id(self, id_: int) -> int:
        """The number of such an id, whether there is a photo of it or not."""
        return self._ids.decrypt(id_)

    @cached_property
    def _ids(self) -> IdCipher:
        secret = bytes.fromhex(self.meta(IDS) or "")
        if len(secret) < 16:  # without it, ids would tell what they must not
            raise LibraryError(f"{self.path}: its secret of ids is gone. Index into a new file.")
        return IdCipher(secret)

    def hashes(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Numbers int64 [n] and perceptual hashes uint64 [n] of all photos that lie somewhere."""
        rows = self.read(
            "SELECT id, hash FROM photos WHERE encoded AND hash IS NOT NULL AND id IN"
            " (SELECT photo FROM files WHERE NOT missing) ORDER BY id"
        )
        numbers, hashes = zip(*rows, strict=True) if rows else ((), ())
        return np.array(numbers, np.int64), np.array(hashes, np.int64).view(np.uint64)

    def matching(self, filters: Filters, *, newest: bool = False) -> NDArray[np.int64]:
        """Numbers of the photos that pass the filters: int64 [n], sorted, or the newest first.

        Some may lie nowhere any more: whoever shows photos asks where they lie in any case, and to
        ask it here of each of half a million would take a second.
        """
        where, values = conditions(filters)
        if filters.near is None and not newest:
            return self.numbered(f"SELECT p.id AS photo FROM photos p WHERE {where}", values)
        place = "" if filters.near is None else ", p.latitude, p.longitude"
        order = f"{WHEN} DESC, p.id DESC" if newest else "p.id"
        rows = self.read(f"SELECT p.id{place} FROM photos p WHERE {where} ORDER BY {order}", values)
        numbers = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        if filters.near is None or not rows:
            return numbers
        latitude, longitude, kilometres = filters.near
        places = np.array([row[1:] for row in rows], np.float64)
        return numbers[distance(places, latitude, longitude) <= kilometres]

    def months(self, selection: Selection) -> list[tuple[str | None, NDArray[np.int64]]]:
        """The selected photos that lie somewhere, by the month they were taken in, newest first."""
        filters = selection.filters
        where, values = conditions(filters)
        where += " AND EXISTS (SELECT 1 FROM files WHERE photo = p.id AND NOT missing)"
        if selection.shown is not None:
            where += f" AND p.id IN ({allowed(selection.shown)})"
        rows = self.read(
            f"SELECT p.taken, p.id FROM photos p WHERE {where}"
            f" ORDER BY p.taken IS NULL, {WHEN} DESC, p.id DESC",
            values,
        )
        if filters.near is not None:
            near = set(self.matching(filters).tolist())
            rows = [row for row in rows if row[1] in near]
        return by_month(rows)

    def located(self, selection: Selection) -> tuple[NDArray[np.int64], Floats]:
        """The selected photos that lie somewhere and tell where they were taken, by number."""
        filters = selection.filters
        where, values = conditions(filters)
        where += " AND p.latitude IS NOT NULL AND p.longitude IS NOT NULL"
        where += " AND EXISTS (SELECT 1 FROM files WHERE photo = p.id AND NOT missing)"
        if selection.shown is not None:
            where += f" AND p.id IN ({allowed(selection.shown)})"
        rows = self.read(
            f"SELECT p.id, p.latitude, p.longitude FROM photos p WHERE {where} ORDER BY p.id",
            values,
        )
        numbers = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        places = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2)
        if filters.near is not None:
            latitude, longitude, kilometres = filters.near
            near = distance(places, latitude, longitude) <= kilometres
            numbers, places = numbers[near], places[near]
        return numbers, places

    def unplaced(self) -> list[int]:
        """Photos that tell where they were taken, and whose place nobody has named, in order."""
        rows = self.read(
            "SELECT id FROM photos WHERE latitude IS NOT NULL AND place IS NULL ORDER BY id"
        )
        return [number for (number,) in rows]

    def keep_places(self, places: Mapping[int, Place]) -> None:
        """Keep what the places are called where photos were taken, by number."""
        with self.transaction() as run:
            for number, place in places.items():
                run("UPDATE photos SET place = ?, place_folded = ? WHERE id = ?",
                    (place_to_json(place), place_folded(place), number))  # fmt: skip
            self._keep_words(places)

    def choices(self) -> list[tuple[int, str, str | None, str | None]]:
        """Number, kind, camera and date of every photo that was encoded."""
        return self.read("SELECT id, kind, camera, taken FROM photos WHERE encoded")

    def totals(self) -> Totals:
        """How much there is."""
        count = "SELECT count(*) FROM "
        files, distinct, missing, problems = (
            self.read(count + what)[0][0]
            for what in (
                "files f JOIN photos p ON p.id = f.photo WHERE encoded AND NOT missing",
                "(SELECT DISTINCT photo FROM files f JOIN photos p ON p.id = f.photo"
                " WHERE encoded AND NOT missing)",
                "files WHERE missing",
                "files f LEFT JOIN photos p ON p.id = f.photo"
                " WHERE NOT missing AND (f.problem IS NOT NULL OR p.problem IS NOT NULL)",
            )
        )
        return Totals(distinct, files, files - distinct, missing, problems, self.bytes())

    def check(self) -> list[str]:
        """What is wrong inside the file: SQLite's own check, and rows that contradict others."""
        with self.reading():
            return self._check()

    def _check(self) -> list[str]:
        problems = [row[0] for row in self.read("PRAGMA integrity_check") if row[0] != "ok"]
        questions = {
            "{} files belong to no photo": "files WHERE photo IS NOT NULL AND photo NOT IN"
            " (SELECT id FROM photos)",
            "{} photos that were encoded have no vector": "photos WHERE encoded AND id NOT IN"
            " (SELECT photo FROM vectors)",
            "{} vectors belong to no photo": "vectors WHERE photo NOT IN"
            " (SELECT id FROM photos WHERE encoded)",
        }
        for words, what in questions.items():
            (count,) = self.read(f"SELECT count(*) FROM {what}")[0]
            if count:
                problems.append(words.format(count))
        problems += self._unequal()
        for encoder, table in self._set_tables().items():
            (count,) = self.read(
                f"SELECT count(*) FROM {table} WHERE photo NOT IN (SELECT id FROM photos)"
            )[0]
            if count:
                problems.append(f"{count} vectors of {encoder} belong to no photo")
        assessments, rulings = self.damaged()
        if assessments:
            problems.append(
                f"{assessments} assessments are damaged, so that under a law their photos wait for"
                " a person. kadr index makes them anew"
            )
        if rulings:
            problems.append(
                f"{rulings} decisions are damaged, so that under a law their photos are hidden."
                " Decide anew"
            )
        lost = self._unscanned()
        if lost:
            problems.append(f"{lost} photos are not in the scan, so no search finds them")
        return problems

    def _unequal(self) -> list[str]:
        tables = {"the library's encoder": "vectors", **self._set_tables()}
        found = {
            encoder: self.read(f"SELECT count(*) FROM {table} GROUP BY length(vector)")
            for encoder, table in tables.items()
        }
        return [
            unequal(encoder, [count for (count,) in lengths])
            for encoder, lengths in found.items()
            if len(lengths) > 1
        ]
