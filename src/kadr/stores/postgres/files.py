"""Folders and files, and the photos that they bring: what indexing reads and writes."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kadr.errors import LibraryError
from kadr.photos.objects import located
from kadr.stores import POLICY, FileState, NewFile, NewPhoto
from kadr.stores.columns import (
    below,
    folded,
    path_of,
    place_folded,
    place_to_json,
    sidecar_columns,
    signed,
    texts_to_json,
)
from kadr.stores.postgres.filters import lies_below
from kadr.stores.postgres.log import LogTable
from kadr.stores.postgres.statements import MARK
from kadr.stores.postgres.texts import from_text, to_text
from kadr.stores.postgres.vector_sets import VectorSets
from kadr.stores.postgres.words import WordTables
from kadr.types import Skipped

_FACTS = ("kind", "width", "height", "taken", "camera", "camera_folded", "latitude", "longitude",
          "hash", "texts", "place", "place_folded")  # fmt: skip
_OTHERS = ("encoded", "problem", *_FACTS)
_KEEP = (
    f"INSERT INTO photos (id, digest, {', '.join(_OTHERS)}) VALUES (%s, %s{', %s' * len(_OTHERS)})"
    f" ON CONFLICT (digest) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _OTHERS)},"
    " own = NULL RETURNING id"
)
_KEEP_FILE = (
    "INSERT INTO files (path, size, modified, photo, problem, missing, sidecar, sidecar_said)"
    " VALUES (%s, %s, %s, %s, %s, false, %s, %s) ON CONFLICT (sha256(path)) DO UPDATE SET"
    " size = excluded.size, modified = excluded.modified, photo = excluded.photo,"
    " problem = excluded.problem, missing = false, sidecar = excluded.sidecar,"
    " sidecar_said = excluded.sidecar_said"
)
_NO_VERSION = MARK.replace("(version <> '')::int", "0")
_RENAMED = f"UPDATE assessments SET version = '', mark = {_NO_VERSION} WHERE photo = ANY(%s)"
_NOWHERE = (
    "NOT EXISTS (SELECT 1 FROM files f WHERE f.photo = p.id) AND NOT EXISTS"
    " (SELECT 1 FROM decisions r WHERE r.digest = p.digest AND r.verdict = 'hide')"
)
"""A photo that a person hides stays: its copies must be known when they come."""
_WHOLE = (1 << 63) - 1
_AMONG = "sha256(f.path) = ANY(%s)"
BATCH = 256
"""Photos that are kept at once by who indexes; of more, as in a move, `sweep` makes the graph."""


class FileTables(VectorSets, LogTable, WordTables):
    """The tables `folders` and `files`, and the rows of `photos` that files bring and leave."""

    def folders(self) -> tuple[Path, ...]:
        """The folders that were indexed."""
        return tuple(path_of(path) for (path,) in self.read("SELECT path FROM folders ORDER BY 1"))

    def add_folder(self, folder: Path) -> None:
        """Remember a folder. One inside another is no folder of its own."""
        if any(folder.is_relative_to(other) for other in self.folders()):
            return
        with self.transaction(alone=True) as run:
            others = self.folders()
            if any(folder.is_relative_to(other) for other in others):
                return
            inside = [os.fsencode(other) for other in others if other.is_relative_to(folder)]
            run("DELETE FROM folders WHERE path = ANY(%s)", (inside,))
            run("INSERT INTO folders VALUES (%s)", (os.fsencode(folder),))
            self._keep_words(self._photos_at(*lies_below(folder)))

    def states(self, folder: Path) -> dict[bytes, FileState]:
        """What is known of the paths below a folder, by path in the file system's bytes."""
        inside, values = lies_below(folder)
        rows = self.read(
            "SELECT path, size, modified, photo IS NOT NULL AND (encoded OR p.problem IS NOT NULL),"
            " photo IS NULL OR p.problem IS NOT NULL, missing, coalesce(sidecar, '')"
            f" FROM files f LEFT JOIN photos p ON p.id = f.photo WHERE {inside}",
            values,
        )
        return {path: FileState(*state) for path, *state in rows}

    def state(self, path: Path) -> tuple[int, int] | None:
        """Size in bytes and time of change in ns that a file had when it was indexed."""
        rows = self.read(
            "SELECT size, modified FROM files WHERE sha256(path) = %s", (_key(os.fsencode(path)),)
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def settled(self, digest: bytes) -> bool:
        """Whether this content needs no decoding: it was encoded, or can't be."""
        return bool(
            self.read(
                "SELECT 1 FROM photos WHERE digest = %s AND (encoded OR problem IS NOT NULL)",
                (digest,),
            )
        )

    def problem(self, digest: bytes) -> str | None:
        """Why this content can't be decoded."""
        rows = self.read("SELECT problem FROM photos WHERE digest = %s", (digest,))
        return from_text(rows[0][0]) if rows else None

    def problems(self) -> list[Skipped]:
        """The files that couldn't be read, and why, by path."""
        rows = self.read(
            "SELECT path, coalesce(f.problem, p.problem) FROM files f LEFT JOIN photos p"
            " ON p.id = f.photo WHERE NOT missing"
            " AND (f.problem IS NOT NULL OR p.problem IS NOT NULL) ORDER BY path"
        )
        return [Skipped(path_of(path), from_text(problem) or "") for path, problem in rows]

    def contents(self) -> Iterator[tuple[Path, int, int, str]]:
        """Every file that was read and isn't missing: path, size, time of change in ns, digest."""
        for path, size, modified, digest in self.read(
            "SELECT path, size, modified, digest FROM files f JOIN photos p ON p.id = f.photo"
            " WHERE NOT missing ORDER BY path"
        ):
            yield path_of(path), size, modified, digest.hex()

    def paths(self) -> list[tuple[int | None, bytes]]:
        """Every file that isn't missing: its photo, and its path in the file system's bytes."""
        return self.read("SELECT photo, path FROM files WHERE NOT missing ORDER BY path")

    def mark(self, paths: Iterable[bytes], *, missing: bool) -> None:
        """Note that files are gone, or are there again. Those gone leave the answers."""
        keys = sorted(map(_key, paths))
        with self.transaction(alone=self._any_sidecar()) as run:
            run("UPDATE files SET missing = %s WHERE sha256(path) = ANY(%s)", (missing, keys))
            photos = self._photos_at(_AMONG, (keys,))
            self._keep_words(photos)
            if not missing:  # an assessment may know the other files alone
                run(_RENAMED, (self._with_others(photos),))

    def keep(self, photos: Sequence[NewPhoto], files: Sequence[NewFile]) -> None:
        """Add photos, then files. A file whose content isn't known by then is left out.

        Contents that lie nowhere then stay until `sweep`: files that swap their names need them.
        """
        with self.transaction(alone=self._any_sidecar(files)):
            numbered = self._keep_photos(photos)
            self._keep_vectors(numbered)
            keys = [_key(os.fsencode(file.path)) for file in files]
            before = self._photos_at(_AMONG, (keys,))
            self._keep_files(sorted(files, key=lambda file: os.fsencode(file.path)))
            now = self._photos_at(_AMONG, (keys,))
            self._keep_words({number for number, _ in numbered} | before | now)
        if len(photos) <= BATCH:
            self._index_where_large(max((number for number, _ in numbered), default=0))

    def _keep_photos(self, photos: Sequence[NewPhoto]) -> list[tuple[int, NewPhoto]]:
        """Write the rows of photos; new ones are numbered in this order.

        They are written by digest: of two writers none waits for a row of one that waits for it.
        """
        numbers = self.read(
            "SELECT nextval('photos_id_seq') FROM generate_series(1, %s::int)", (len(photos),)
        )
        ordered = sorted(
            ((photo, number) for photo, (number,) in zip(photos, numbers, strict=True)),
            key=lambda one: one[0].digest,
        )
        values = [
            (number, p.digest, p.vector is not None, to_text(p.problem), *_said(p))
            for p, number in ordered
        ]
        rows = self.run_all(_KEEP, values, returning=True)
        found = [(number, photo) for (number,), (photo, _) in zip(rows, ordered, strict=True)]
        return sorted(found, key=lambda one: one[0])

    def _keep_vectors(self, numbered: Sequence[tuple[int, NewPhoto]]) -> None:
        found = {number: photo.vector for number, photo in numbered if photo.vector is not None}
        if found:
            if self._table() is None:
                self._first_of("vectors")
            table = self._table()
            assert table is not None
            self._put_vectors(table, self.meta("encoder") or "its encoder", found)
        self._put_picture_texts({n: p.picture for n, p in numbered if p.picture is not None})
        self._append_joint([(n, photo.joint) for n, photo in numbered if photo.joint is not None])
        parts = [(n, np.array(p.parts, np.uint64).tobytes()) for n, p in numbered if p.parts]
        self.put("parts", "hashes", [number for number, _ in parts], [raw for _, raw in parts])
        for encoder in sorted({encoder for _, photo in numbered for encoder in photo.others}):
            self.add_vectors(
                encoder, {n: p.others[encoder] for n, p in numbered if encoder in p.others}
            )

    def _keep_files(self, files: Sequence[NewFile]) -> None:
        digests = [file.digest for file in files if file.digest is not None]
        known = dict(self.read("SELECT digest, id FROM photos WHERE digest = ANY(%s)", (digests,)))
        there = [file for file in files if file.digest is None or file.digest in known]
        self.run_all(
            _KEEP_FILE,
            [
                (
                    os.fsencode(file.path),
                    file.size,
                    min(file.modified, _WHOLE),
                    file.digest and known[file.digest],
                    to_text(file.problem),
                    *sidecar_columns(file.sidecar),
                )
                for file in there
            ],
        )
        named = sorted({known[file.digest] for file in there if file.digest is not None})
        self.run(_RENAMED, (named,))  # a new name, or a sidecar, may tell more

    def update_facts(self, photos: Sequence[NewPhoto]) -> None:
        """Keep other facts and perceptual hashes of contents that are known; all else stays."""
        with self.transaction(alone=self._any_sidecar()):
            self.run_all(
                f"UPDATE photos SET {', '.join(f'{column} = %s' for column in _FACTS)}, own = NULL"
                " WHERE digest = %s",
                [
                    (*_said(photo), photo.digest)
                    for photo in sorted(photos, key=lambda photo: photo.digest)
                ],
            )
            digests = [photo.digest for photo in photos]
            rows = self.read("SELECT id FROM photos WHERE digest = ANY(%s)", (digests,))
            self._keep_words(number for (number,) in rows)

    def _with_others(self, photos: Iterable[int]) -> list[int]:
        """Those of these photos that have several files, sorted."""
        rows = self.read(
            "SELECT photo FROM files WHERE photo = ANY(%s) GROUP BY photo HAVING count(*) > 1"
            " ORDER BY photo",
            (list(photos),),
        )
        return [photo for (photo,) in rows]

    def _photos_at(self, which: str, values: Sequence[Any]) -> set[int]:
        """The photos of files `f`."""
        statement = f"SELECT photo FROM files f WHERE photo IS NOT NULL AND {which}"
        return {number for (number,) in self.read(statement, values)}

    def prune(self, folder: Path | None = None) -> int:
        """Forget the files that are missing, below a folder or all; how many those were."""
        inside, values = lies_below(folder)
        return self._forget(f"missing AND {inside}", values)

    def remove(self, folder: Path) -> int:
        """Forget a folder and all files below it; how many those were.

        Raises:
            LibraryError: the library knows nothing below it.
        """
        inside, values = lies_below(folder)
        if folder not in self.folders() and not self.read(
            f"SELECT 1 FROM files f WHERE {inside} LIMIT 1", values
        ):
            names = ", ".join(map(str, self.folders())) or "none"
            raise LibraryError(f"{folder} isn't in the library. Its folders: {names}.")
        own = os.fsencode(folder), *below(folder)
        with self.transaction(alone=True) as run:
            for table, path in (("folders", "path"), ("exclusions", "folder")):
                run(f"DELETE FROM {table} WHERE {path} = %s OR ({path} >= %s AND {path} < %s)", own)
            return self._forget(inside, values)

    def forget(self, paths: Iterable[Path]) -> int:
        """Forget files; how many of them were known. Where they lie, they stay."""
        keys = [_key(os.fsencode(path)) for path in paths]
        return self._forget("sha256(path) = ANY(%s)", (keys,))

    def _forget(self, which: str, values: Sequence[Any]) -> int:
        with self.transaction(alone=True) as run:
            left = self._photos_at(which, values)
            gone = run(f"DELETE FROM files f WHERE {which}", values).rowcount
            self._drop_orphans()
            self._keep_words(left)
        return int(gone)

    def sweep(self) -> None:
        """Drop the contents that lie nowhere. One whose file is merely missing stays.

        Where another process indexes they stay too, for it may just have found one again. The graph
        of the joint space is made where it is due.
        """
        if not self._readonly:
            (highest,) = self.read("SELECT coalesce(max(id), 0) FROM photos")[0]
            self._index_where_large(int(highest))
        if self.read(f"SELECT 1 FROM photos p WHERE {_NOWHERE} LIMIT 1"):
            with self.transaction(alone=True):
                self._drop_orphans()
        self._drop_unused()

    def _drop_orphans(self) -> None:
        if not self._try_alone():
            return
        rows = self.read(f"SELECT id, digest FROM photos p WHERE {_NOWHERE} ORDER BY digest")
        if not rows:
            return
        if self.meta(POLICY) is not None:  # where a law was in force, it is on record
            self.record("forgotten", {"photos": [digest.hex() for _, digest in rows]})
        numbers = [number for number, _ in rows]
        tables = [self._table(), self._joint()[0], *self._set_tables().values(),
                  "assessments", "copies", "parts", "words", "picture_texts"]  # fmt: skip
        for table in filter(None, tables):
            self.run(f"DELETE FROM {table} WHERE photo = ANY(%s)", (numbers,))
        self.run("DELETE FROM photos WHERE id = ANY(%s)", (numbers,))

    def spelled(self, folder: Path) -> Path:
        """The folder as the library spells its name, in whichever Unicode form it was written."""
        inside, values = lies_below(folder)
        if self.read(f"SELECT 1 FROM files f WHERE {inside} LIMIT 1", values):
            return folder
        wanted = [unicodedata.normalize("NFC", part) for part in folder.parts]
        if all(part.isascii() for part in wanted):
            return folder
        for (path,) in self.read("SELECT path FROM files"):
            start = path_of(path).parts[: len(wanted)]
            if [unicodedata.normalize("NFC", part) for part in start] == wanted:
                return located(Path(*start))
        return folder

    def digest_at(self, *paths: Path) -> str | None:
        """The hex digest of the photo that lies, or lay, at one of these paths."""
        rows = self.read(
            "SELECT digest FROM files f JOIN photos p ON p.id = f.photo"
            " WHERE sha256(path) = ANY(%s) ORDER BY path LIMIT 1",
            ([_key(os.fsencode(path)) for path in paths],),
        )
        return str(rows[0][0].hex()) if rows else None


def _key(path: bytes) -> bytes:
    """By what a path is found, however long it is."""
    return hashlib.sha256(path).digest()


def _said(photo: NewPhoto) -> tuple[object, ...]:
    """Facts, hash and texts of a photo, as the columns `_FACTS` hold them."""
    facts = photo.facts
    said: tuple[object, ...] = (None,) * 8
    if facts is not None:
        said = (
            to_text(facts.kind), facts.width, facts.height, to_text(facts.taken),
            to_text(facts.camera), to_text(folded(facts.camera)), facts.latitude, facts.longitude,
        )  # fmt: skip
    place = facts.place if facts else None
    return (
        *said, None if photo.hash is None else signed(photo.hash), texts_to_json(facts),
        place_to_json(place), to_text(place_folded(place)),
    )  # fmt: skip
