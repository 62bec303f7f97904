"""Photos: which there are, which of them are selected, and what the library says of itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.errors import LibraryError
from kadr.stores import IDS, Selection, Shown, Stored, Totals
from kadr.stores.columns import (
    FACTS,
    any_below,
    by_month,
    frames_between,
    path_of,
    place_folded,
    place_to_json,
    unequal,
    unsigned,
)
from kadr.stores.ids import IdCipher
from kadr.stores.postgres.filters import MODIFIED, conditions, local, selected, shown_of_all
from kadr.stores.postgres.filters import shown as condition_of
from kadr.stores.postgres.records import RecordTables
from kadr.stores.postgres.texts import from_text, to_text
from kadr.stores.postgres.vector_sets import VectorSets
from kadr.stores.postgres.words import WordTables, from_row, most_tsquery, tsquery
from kadr.stores.words import TIERS, Recorded, Wanted, with_part
from kadr.types import Filters, Floats, Place

_MEMORY = 100
"""Selections whose size or sample is remembered."""


class PhotoTables(VectorSets, WordTables, RecordTables):
    """The table `photos`, and where its photos lie."""

    def present(
        self, photos: Sequence[int], folders: Sequence[Path] = ()
    ) -> dict[int, tuple[Path, ...]]:
        """Paths of those photos that lie somewhere, or below one of the folders, sorted."""
        places: dict[int, list[Path]] = {}
        is_wanted = any_below(folders)
        rows = self.read(
            "SELECT photo, path FROM files WHERE photo = ANY(%s) AND NOT missing ORDER BY path",
            (list(photos),),
        )
        for number, path in rows:
            if is_wanted(path):
                places.setdefault(number, []).append(path_of(path))
        return {number: tuple(paths) for number, paths in places.items()}

    def stored(self, paths: Mapping[int, tuple[Path, ...]]) -> dict[int, Stored]:
        """The photos of these numbers and paths."""
        rows = self.read(
            f"SELECT id, digest, hash, {FACTS} FROM photos WHERE encoded AND id = ANY(%s)",
            (list(paths),),
        )
        return {
            number: Stored(number, digest.hex(), from_row(facts), unsigned(mark), paths[number])
            for number, digest, mark, *facts in rows
        }

    def number(self, digest: str) -> int | None:
        """The photo of a hex digest that was encoded."""
        return next(iter(self.numbers([bytes.fromhex(digest)])), None)

    def knows(self, digest: str) -> bool:
        """Whether the photo of a hex digest is here: encoded, or waiting for it after a switch."""
        statement = "SELECT 1 FROM photos WHERE digest = %s AND problem IS NULL"
        return bool(self.read(statement, (bytes.fromhex(digest),)))

    def numbers(self, digests: Iterable[bytes]) -> list[int]:
        """The photos of these digests that were encoded."""
        wanted = list(digests)
        known = dict(
            self.read("SELECT digest, id FROM photos WHERE digest = ANY(%s) AND encoded", (wanted,))
        )
        return [known[digest] for digest in wanted if digest in known]

    def frames(self, film: str) -> dict[str, int]:
        """The frames of a film (its hex digest): their digests in order, and their numbers."""
        rows = self.read(
            "SELECT digest, id FROM photos WHERE digest >= %s AND digest <= %s"
            " AND problem IS NULL ORDER BY digest",
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
            raise LibraryError(
                f"{self.name}: its secret of ids is gone. Index into a new database."
            )
        return IdCipher(secret)

    def hashes(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Numbers int64 [n] and perceptual hashes uint64 [n] of all photos that lie somewhere."""
        ((numbers, hashes),) = self.read(
            "SELECT string_agg(int8send(id), '' ORDER BY id),"
            " string_agg(int8send(hash), '' ORDER BY id) FROM photos"
            " WHERE encoded AND hash IS NOT NULL"
            " AND EXISTS (SELECT 1 FROM files WHERE photo = id AND NOT missing)"
        )
        return _numbers(numbers), _numbers(hashes).view(np.uint64)

    def matching(self, filters: Filters, *, newest: bool = False) -> NDArray[np.int64]:
        """Numbers of the photos that pass the filters: int64 [n], sorted, or the newest first.

        Some may lie nowhere any more.
        """
        where, values = conditions(filters)
        if newest:
            moments = self._moments(where, values)
            order = sorted(((when, number) for when, _, number in moments), reverse=True)
            return np.fromiter((number for _, number in order), np.int64, len(order))
        ((numbers,),) = self.read(
            f"SELECT string_agg(int8send(p.id), '' ORDER BY p.id) FROM photos p WHERE {where}",
            values,
        )
        return _numbers(numbers)

    def months(self, selection: Selection) -> list[tuple[str | None, NDArray[np.int64]]]:
        """The selected photos that lie somewhere, by the month they were taken in, newest first."""
        where, values = selected(selection)
        where += " AND EXISTS (SELECT 1 FROM files f WHERE f.photo = p.id AND NOT f.missing)"
        moments = self._moments(where, values)
        order = sorted(moments, key=lambda one: (one[1] is not None, one[0], one[2]), reverse=True)
        return by_month((taken, number) for _, taken, number in order)

    def _moments(self, where: str, values: Sequence[Any]) -> list[tuple[str, str | None, int]]:
        """When photos are of, when they were taken, and their numbers.

        A file's time is local to this process, not to the server.
        """
        rows = self.read(
            "SELECT p.taken, CASE WHEN p.taken IS NULL THEN"
            f" {MODIFIED} END, p.id FROM photos p WHERE {where} ORDER BY 1, 3",
            values,
        )
        return [
            (local(changed) if taken is None else taken, taken, number)
            for taken, changed, number in rows
        ]

    def located(self, selection: Selection) -> tuple[NDArray[np.int64], Floats]:
        """The selected photos that lie somewhere and tell where they were taken, by number."""
        where, values = conditions(selection.filters)
        if selection.shown is not None:
            where += f" AND {shown_of_all(selection.shown)}"
        where += " AND p.latitude IS NOT NULL AND p.longitude IS NOT NULL"
        where += " AND EXISTS (SELECT 1 FROM files f WHERE f.photo = p.id AND NOT f.missing)"
        with self.roomy():
            rows = self.read(
                f"SELECT p.id, p.latitude, p.longitude FROM photos p WHERE {where} ORDER BY p.id",
                values,
            )
        numbers = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return numbers, np.array([row[1:] for row in rows], np.float64).reshape(-1, 2)

    def unplaced(self) -> list[int]:
        """Photos that tell where they were taken, and whose place nobody has named, in order."""
        rows = self.read(
            "SELECT id FROM photos WHERE latitude IS NOT NULL AND place IS NULL ORDER BY id"
        )
        return [number for (number,) in rows]

    def keep_places(self, places: Mapping[int, Place]) -> None:
        """Keep what the places are called where photos were taken, by number."""
        rows = [(place_to_json(place), to_text(place_folded(place)), number)
                for number, place in sorted(places.items())]  # fmt: skip
        with self.transaction():
            self.run_all("UPDATE photos SET place = %s, place_folded = %s WHERE id = %s", rows)
            self._keep_words(places)

    def count(self, selection: Selection) -> int:
        """How many photos are selected."""
        return int(self._remembered(("count", selection, 0), lambda: self._count(selection)))

    def hides(self, shown: Shown) -> bool:
        """Whether there are photos that were encoded and may not be shown."""
        key = "hides", Selection(shown=shown), 0
        return bool(self._remembered(key, lambda: self._hides(shown)))

    def sample(self, selection: Selection, count: int) -> NDArray[np.int64]:
        """At most so many of the selected photos, evenly spaced by number: int64 [n]."""
        key = "sample", selection, count
        found: NDArray[np.int64] = self._remembered(key, lambda: self._sample(selection, count))
        return found

    def _count(self, selection: Selection) -> int:
        where, values = conditions(selection.filters)
        if selection.shown is not None:
            where += f" AND {shown_of_all(selection.shown)}"
        with self.roomy():
            return int(self.read(f"SELECT count(*) FROM photos p WHERE {where}", values)[0][0])

    def _hides(self, shown: Shown) -> bool:
        """Looks at the suspected first, of which most are hidden; all are looked at if none is."""
        one_by_one = condition_of(shown, fence="OFFSET 0")
        suspected = self.read(
            "SELECT 1 FROM assessments a JOIN photos p ON p.id = a.photo WHERE a.probability >= %s"
            f" AND p.encoded AND NOT {one_by_one} LIMIT 1",
            (float(shown.below),),
        )
        if suspected:
            return True
        with self.roomy():
            return bool(
                self.read(
                    f"SELECT 1 FROM photos p WHERE p.encoded AND NOT {shown_of_all(shown)} LIMIT 1"
                )
            )

    def _sample(self, selection: Selection, count: int) -> NDArray[np.int64]:
        total = self.count(selection)
        places = np.linspace(0, total - 1, min(count, total)).astype(np.int64).tolist()
        where, values = selected(selection)
        ((numbers,),) = self.read(
            "SELECT string_agg(int8send(id), '' ORDER BY id) FROM (SELECT p.id,"
            f" row_number() OVER (ORDER BY p.id) - 1 AS place FROM photos p WHERE {where}) s"
            " WHERE place = ANY(%s)",
            (*values, places),
        )
        return _numbers(numbers)

    def _remembered(self, key: tuple[str, Selection, int], make: Callable[[], Any]) -> Any:
        """What was made of the library as it is now, or made anew."""
        now = self.changes()
        if now != self._remembered_of:
            self._remembered_of, self._memory = now, {}
        if key not in self._memory:
            if len(self._memory) >= _MEMORY:
                self._memory.pop(next(iter(self._memory)))
            self._memory[key] = make()
        return self._memory[key]

    _remembered_of: tuple[int, int] = (-1, -1)
    _memory: dict[tuple[str, Selection, int], Any]

    def recorded(self, wanted: Wanted, selection: Selection) -> Recorded:
        """Selected photos on whose record all these words stand, with their tiers."""
        if not wanted.keys:
            return Recorded(np.empty(0, np.int64), np.empty(0, np.int64))
        where, values = selected(selection)
        queries = [tsquery(wanted, tier) for tier in range(len(TIERS))]
        tiers = " + ".join(["(NOT keys @@ %s::tsquery)::int"] * len(queries[:-1]))
        rows = self.read(
            f"SELECT photo, {tiers} FROM words JOIN photos p ON p.id = photo"
            f" WHERE keys @@ %s::tsquery AND {where} ORDER BY photo",
            (*queries, *values),
        )
        found = np.array(rows, np.int64).reshape(len(rows), 2)
        return with_part(found[:, 0], found[:, 1], self._in_part(wanted, where, values))

    def _in_part(self, wanted: Wanted, where: str, values: Sequence[Any]) -> NDArray[np.int64]:
        """Selected photos on whose record most of the words stand, or all; or more than few."""
        if not wanted.most:
            return np.empty(0, np.int64)
        rows = self.read(
            "SELECT photo FROM words JOIN photos p ON p.id = photo"
            f" WHERE keys @@ %s::tsquery AND {where} ORDER BY photo",
            (most_tsquery(wanted), *values),
        )
        return np.array(rows, np.int64).reshape(len(rows))

    def choices(self) -> list[tuple[int, str, str | None, str | None]]:
        """Number, kind, camera and date of every photo that was encoded."""
        rows = self.read("SELECT id, kind, camera, taken FROM photos WHERE encoded ORDER BY id")
        return [(number, from_text(kind) or "", from_text(camera), taken)
                for number, kind, camera, taken in rows]  # fmt: skip

    def totals(self) -> Totals:
        """How much there is."""
        ((files, distinct, missing, problems, bytes_),) = self.read(
            "SELECT count(*) FILTER (WHERE encoded AND NOT missing),"
            " count(DISTINCT photo) FILTER (WHERE encoded AND NOT missing),"
            " count(*) FILTER (WHERE missing),"
            " count(*) FILTER (WHERE NOT missing"
            "  AND (f.problem IS NOT NULL OR p.problem IS NOT NULL)),"
            " (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE c.relkind = 'r'"
            "  AND c.relnamespace = current_schema()::regnamespace)"
            " FROM files f LEFT JOIN photos p ON p.id = f.photo"
        )
        return Totals(distinct, files, files - distinct, missing, problems, int(bytes_))

    def check(self) -> list[str]:
        """Rows that contradict others. Whether its pages are whole the server tells itself."""
        with self.reading():
            return self._contradictions() + self._damages()

    def _contradictions(self) -> list[str]:
        table, (joint, _) = self._table(), self._joint()
        none = "(SELECT NULL::bigint AS photo WHERE false)"
        encoded = "photos p WHERE encoded AND"
        questions = {
            "{} files belong to no photo": "files WHERE photo IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM photos WHERE id = photo)",
            "{} photos that were encoded have no vector":
                f"{encoded} NOT EXISTS (SELECT 1 FROM {table or none} v WHERE v.photo = p.id)",
            "{} vectors belong to no photo": f"{table or none} v WHERE NOT EXISTS"
            " (SELECT 1 FROM photos p WHERE p.id = v.photo AND encoded)",
            "{} photos are not in the joint space, so no search finds them":
                f"{encoded} NOT EXISTS (SELECT 1 FROM {joint or none} v WHERE v.photo = p.id)",
        }  # fmt: skip
        for encoder, one in self._set_tables().items():
            questions[f"{{}} vectors of {encoder} belong to no photo"] = (
                f"{one} v WHERE NOT EXISTS (SELECT 1 FROM photos p WHERE p.id = v.photo)"
            )
        counts = {
            words: self.read(f"SELECT count(*) FROM {what}")[0][0]
            for words, what in questions.items()
        }
        told = [words.format(count) for words, count in counts.items() if count]
        return told + self._unequal()

    def _unequal(self) -> list[str]:
        tables = {"the library's encoder": self._table(), **self._set_tables()}
        found = {
            encoder: self.read(f"SELECT count(*) FROM {table} GROUP BY octet_length(vector)")
            for encoder, table in tables.items()
            if table is not None
        }
        return [
            unequal(encoder, [count for (count,) in lengths])
            for encoder, lengths in found.items()
            if len(lengths) > 1
        ]

    def _damages(self) -> list[str]:
        assessments, rulings = self.damaged()
        problems = []
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
        return problems


def _numbers(raw: bytes | None) -> NDArray[np.int64]:
    """What `string_agg(int8send(...))` gives: int64 [n]."""
    return np.frombuffer(raw or b"", ">i8").astype(np.int64)
