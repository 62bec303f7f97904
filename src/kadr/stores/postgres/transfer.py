"""All that a library holds, to be read and written as it is: for a move to another engine."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from kadr.errors import LibraryError
from kadr.stores import NewFile, NewPhoto
from kadr.stores.chain import Entry
from kadr.stores.columns import FACTS, own_facts, path_of, sidecar_of, unsigned
from kadr.stores.postgres.files import FileTables
from kadr.stores.postgres.filters import START
from kadr.stores.postgres.photos import PhotoTables
from kadr.stores.postgres.texts import from_text
from kadr.stores.postgres.words import from_row
from kadr.types import Vectors

PAGE = 500
"""Photos that are read at once; vectors and all."""
_FILES = (
    "SELECT path, size, modified, digest, f.problem, missing, sidecar_said FROM files f"
    " LEFT JOIN photos p ON p.id = f.photo"
    f" WHERE (substr(path, 1, {START}), path) > (substr(%s, 1, {START}), %s)"
    f" ORDER BY substr(path, 1, {START}), path LIMIT 4096"
)


class Transfer(FileTables, PhotoTables):
    """Reads whole tables, and writes what only a move may."""

    def all_photos(self, after: bytes = b"") -> Iterator[NewPhoto]:
        """Every content of a greater digest, by digest, with all that is kept of it but `joint`."""
        statement = (
            f"SELECT id, digest, problem, encoded, hash, hashes, own, {FACTS} FROM photos"
            f" LEFT JOIN parts p ON p.photo = id WHERE digest > %s ORDER BY digest LIMIT {PAGE}"
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
                from_text(problem),
                None if facts[0] is None else own_facts(from_row(facts), said),
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
        after = b""
        while rows := self.read(_FILES, (after, after)):
            for path, size, modified, digest, problem, missing, said in rows:
                why, beside = from_text(problem), sidecar_of(said)
                yield NewFile(path_of(path), size, modified, digest, why, beside), missing
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
        rows = [
            (bytes.fromhex(of), float(probability), bytes.fromhex(copy))
            for copy, of, probability in copies
        ]
        with self.transaction(alone=True) as run:
            run("DELETE FROM copies")
            statement = "INSERT INTO copies SELECT id, %s, %s FROM photos WHERE digest = %s"
            self.run_all(statement, rows)

    def adopt_log(self, entries: Iterable[Entry]) -> None:
        """Take over another library's audit log, and seal it."""
        with self.durable():
            self._check_key()
            theirs = iter(entries)
            for own in self.entries():
                if next(theirs, None) != own:
                    raise LibraryError(
                        f"{self.name} has an audit log of its own. Name an empty library."
                    )
            while part := list(islice(theirs, PAGE)):
                for entry in part:
                    self._insert(entry)
