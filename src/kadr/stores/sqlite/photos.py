"""Photos: which there are, which of them pass the filters, and what the library says of itself."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadr.stores import Stored, Totals
from kadr.stores.sqlite.filters import WHEN, conditions, distance
from kadr.stores.sqlite.paths import below, path_of
from kadr.stores.sqlite.scan import VectorTables
from kadr.types import Filters, PhotoFacts


class PhotoTables(VectorTables):
    """The table `photos`, and where its photos lie."""

    def present(
        self, photos: Sequence[int], folder: Path | None = None
    ) -> dict[int, tuple[Path, ...]]:
        """Paths of those photos that lie somewhere, or below a folder, by their names."""
        found: dict[int, list[Path]] = {}
        low, high = below(folder) if folder else (b"", b"\xff")
        statement = (
            "SELECT photo, path FROM files WHERE photo IN ({}) AND NOT missing ORDER BY path"
        )
        for number, path in self.among(statement, photos):
            if low <= path < high:
                found.setdefault(number, []).append(path_of(path))
        return {number: tuple(paths) for number, paths in found.items()}

    def stored(self, paths: Mapping[int, tuple[Path, ...]]) -> dict[int, Stored]:
        """The photos of these numbers and paths."""
        statement = (
            "SELECT id, digest, hash, texts, kind, width, height, taken, camera, latitude,"
            " longitude FROM photos WHERE encoded AND id IN ({})"
        )
        found = {}
        for row in self.among(statement, list(paths)):
            number, digest, mark, texts = row[:4]
            kind, width, height, taken, camera, *place = row[4:]
            said = tuple(json.loads(texts)) if texts else ()
            facts = PhotoFacts(kind, width, height, taken, camera, place[0], place[1], said)
            found[number] = Stored(number, digest.hex(), facts, _unsigned(mark), paths[number])
        return found

    def number(self, digest: str) -> int | None:
        """The photo of a hex digest that was encoded."""
        return next(iter(self.numbers([bytes.fromhex(digest)])), None)

    def numbers(self, digests: Iterable[bytes]) -> list[int]:
        """The photos of these digests that were encoded."""
        statement = "SELECT id FROM photos WHERE digest = ? AND encoded"
        return [row[0] for digest in digests for row in self.read(statement, (digest,))]

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
        place = "" if filters.near is None else ", p.latitude, p.longitude"
        order = f"{WHEN} DESC, p.id DESC" if newest else "p.id"
        rows = self.read(
            f"SELECT p.id{place} FROM photos p WHERE {where} ORDER BY {order}",  # noqa: S608
            values,
        )
        numbers = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        if filters.near is None or not rows:
            return numbers
        latitude, longitude, kilometres = filters.near
        places = np.array([row[1:] for row in rows], np.float64)
        return numbers[distance(places, latitude, longitude) <= kilometres]

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
        found = [row[0] for row in self.read("PRAGMA integrity_check") if row[0] != "ok"]
        questions = {
            "{} files belong to no photo": "files WHERE photo IS NOT NULL AND photo NOT IN"
            " (SELECT id FROM photos)",
            "{} photos that were encoded have no vector": "photos WHERE encoded AND id NOT IN"
            " (SELECT photo FROM vectors)",
            "{} vectors belong to no photo": "vectors WHERE photo NOT IN"
            " (SELECT id FROM photos WHERE encoded)",
        }
        for words, what in questions.items():
            (count,) = self.read(f"SELECT count(*) FROM {what}")[0]  # noqa: S608 - fixed text
            if count:
                found.append(words.format(count))
        lost = self._unscanned()
        if lost:
            found.append(f"{lost} photos are not in the scan, so no search finds them")
        return found


def _unsigned(number: int | None) -> int:
    return (number or 0) % (1 << 64)
