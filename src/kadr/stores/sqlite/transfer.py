"""All that a library holds, to be read and written as it is: for a move to another engine."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from kadr.errors import LibraryError
from kadr.stores import NewFile, NewPhoto
from kadr.stores.chain import Entry
from kadr.stores.columns import FACTS, facts_of, own_facts, path_of, sidecar_of, unsigned
from kadr.stores.sqlite.files import FileTables
from kadr.stores.sqlite.photos import PhotoTables
from kadr.stores.sqlite.statements import insert
from kadr.types import Vectors

BATCH = 500
"""Photos that are read at once; vectors and all."""


class Transfer(FileTables, PhotoTables):
    """Reads whole tables, and writes what only a move may."""

    def all_photos(self, after: bytes = b"") -> Iterator[NewPhoto]:
        """Every content of a greater digest, by digest, with all that is kept of it but `joint`."""
        statement = (
            f"SELECT id, digest, problem, encoded, hash, hashes, own, {FACTS} FROM photos"
            f" LEFT JOIN parts p ON p.photo = id WHERE digest > ? ORDER BY digest LIMIT {BATCH}"
        )
        while rows := self.read(statement, (after,)):
            yield from self._whole(rows)
            after = rows[-1][1]

    def _whole(self, rows: list[Any]) -> Iterator[NewPhoto]:
        numbers = [row[0] for row in rows]
        own = self._by_number(numbers)
        texts = self.picture_texts(numbers)
        sets = {encoder: self._by_number(numbers, encoder) for encoder in self.vector_sets()}
        for number, digest, problem, encoded, mark, parts, said, *facts in rows:
            yield NewPhoto(
                digest,
                problem,
                None if facts[0] is None else own_facts(facts_of(facts), said),
                None if mark is None else unsigned(mark),
                own.get(number) if encoded else None,
                parts=() if parts is None else tuple(np.frombuffer(parts, np.uint64).tolist()),
                others={encoder: of[number] for encoder, of in sets.items() if number in of},
                picture=texts.get(number),
            )

    def _by_number(self, numbers: list[int], encoder: str | None = None) -> dict[int, Vectors]:
        known, vectors = self.vectors(numbers, encoder)
        return dict(zip(known.tolist(), vectors, strict=True))

    def all_files(self) -> Iterator[tuple[NewFile, bool]]:
        """Every file, by path in the file system's bytes, and whether it is missing."""
        statement = (
            "SELECT path, size, modified, digest, f.problem, missing, sidecar_said FROM files f"
            " LEFT JOIN photos p ON p.id = f.photo WHERE path > ? ORDER BY path LIMIT 4096"
        )
        after = b""
        while rows := self.read(statement, (after,)):
            for path, size, modified, digest, problem, missing, said in rows:
                file = NewFile(path_of(path), size, modified, digest, problem, sidecar_of(said))
                yield file, bool(missing)
            after = rows[-1][0]

    def copies(self) -> Iterator[tuple[str, str, float]]:
        """What is on record of copies, sorted: copy, photo, and how probably it shows a child."""
        for copy, of, probability in self.read(
            "SELECT p.digest, c.digest, c.probability FROM copies c JOIN photos p ON p.id = c.photo"
            " ORDER BY p.digest, c.digest"
        ):
            yield copy.hex(), of.hex(), probability

    def put_copies(self, copies: Iterable[tuple[str, str, float]]) -> None:
        """Put copies on record as `copies` tells of them, in place of all that are."""
        with self.transaction() as run:
            run("DELETE FROM copies")
            for copy, of, probability in copies:
                run(
                    "INSERT INTO copies SELECT id, ?, ? FROM photos WHERE digest = ?",
                    (bytes.fromhex(of), probability, bytes.fromhex(copy)),
                )

    def adopt_log(self, entries: Iterable[Entry]) -> None:
        """Take over another library's audit log, and seal it."""
        with self.durable():
            theirs = iter(entries)
            for own in self.entries():
                if next(theirs, None) != own:
                    raise LibraryError(
                        f"{self.name} has an audit log of its own. Name an empty library."
                    )
            while part := list(islice(theirs, BATCH)):
                for entry in part:
                    insert(self._base.execute, self._sealer, entry)
