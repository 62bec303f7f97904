"""Folders and files, and the photos that they bring: what indexing reads and writes."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kadr.errors import LibraryError
from kadr.photos.objects import located
from kadr.stores import POLICY, FileState, NewFile, NewPhoto
from kadr.stores.columns import (
    below,
    path_of,
    place_folded,
    place_to_json,
    sidecar_columns,
    signed,
    texts_to_json,
)
from kadr.stores.sqlite.log import LogTable
from kadr.stores.sqlite.statements import MARK
from kadr.stores.sqlite.vector_sets import VectorSets
from kadr.stores.sqlite.words import WordTables
from kadr.types import Skipped

_RENAMED = f"UPDATE assessments SET version = '', mark = {MARK} WHERE photo = ?".replace(
    "(version != '')", "0"
)
_NOWHERE = (
    "NOT EXISTS (SELECT 1 FROM files WHERE photo = photos.id) AND digest NOT IN"
    " (SELECT digest FROM decisions WHERE verdict = 'hide')"
)
"""A photo that a person hides stays: its copies must be known when they come."""


class FileTables(VectorSets, LogTable, WordTables):
    """The tables `folders` and `files`, and the rows of `photos` that files bring and leave."""

    def folders(self) -> tuple[Path, ...]:
        """The folders that were indexed."""
        return tuple(path_of(path) for (path,) in self.read("SELECT path FROM folders"))

    def add_folder(self, folder: Path) -> None:
        """Remember a folder. One inside another is no folder of its own."""
        others = self.folders()
        if any(folder == other or folder.is_relative_to(other) for other in others):
            return
        with self.transaction() as run:
            for other in others:
                if other.is_relative_to(folder):
                    run("DELETE FROM folders WHERE path = ?", (os.fsencode(other),))
            run("INSERT INTO folders VALUES (?)", (os.fsencode(folder),))
            self._keep_words(self._photos_at("path >= ? AND path < ?", below(folder)))

    def states(self, folder: Path) -> dict[bytes, FileState]:
        """What is known of the paths below a folder, by path in the file system's bytes."""
        rows = self.read(
            "SELECT path, size, modified, photo IS NOT NULL AND (encoded OR p.problem IS NOT NULL),"
            " photo IS NULL OR p.problem IS NOT NULL, missing, coalesce(sidecar, '')"
            " FROM files f LEFT JOIN photos p ON p.id = f.photo WHERE path >= ? AND path < ?",
            below(folder),
        )
        return {
            path: FileState(size, modified, bool(settled), bool(broken), bool(missing), sidecar)
            for path, size, modified, settled, broken, missing, sidecar in rows
        }

    def state(self, path: Path) -> tuple[int, int] | None:
        """Size in bytes and time of change in ns that a file had when it was indexed."""
        rows = self.read("SELECT size, modified FROM files WHERE path = ?", (os.fsencode(path),))
        return (rows[0][0], rows[0][1]) if rows else None

    def settled(self, digest: bytes) -> bool:
        """Whether this content needs no decoding: it was encoded, or can't be."""
        return bool(
            self.read(
                "SELECT 1 FROM photos WHERE digest = ? AND (encoded OR problem IS NOT NULL)",
                (digest,),
            )
        )

    def problem(self, digest: bytes) -> str | None:
        """Why this content can't be decoded."""
        rows = self.read("SELECT problem FROM photos WHERE digest = ?", (digest,))
        return rows[0][0] if rows else None

    def problems(self) -> list[Skipped]:
        """The files that couldn't be read, and why, by path."""
        rows = self.read(
            "SELECT path, coalesce(f.problem, p.problem) FROM files f LEFT JOIN photos p"
            " ON p.id = f.photo WHERE NOT missing"
            " AND (f.problem IS NOT NULL OR p.problem IS NOT NULL) ORDER BY path"
        )
        return [Skipped(path_of(path), problem) for path, problem in rows]

    def contents(self) -> Iterator[tuple[Path, int, int, str]]:
        """Every file that was read and isn't missing: path, size, time of change in ns, digest."""
        for path, size, modified, digest in self.read(
            "SELECT path, size, modified, digest FROM files f JOIN photos p ON p.id = f.photo"
            " WHERE NOT missing ORDER BY path"
        ):
            yield path_of(path), size, modified, digest.hex()

    def mark(self, paths: Iterable[bytes], *, missing: bool) -> None:
        """Note that files are gone, or are there again. Those gone leave the answers."""
        marked = list(paths)
        with self.transaction() as run:
            for path in marked:
                run("UPDATE files SET missing = ? WHERE path = ?", (missing, path))
            photos = self._photos_of(marked)
            self._keep_words(photos)
            if not missing:  # an assessment may know the other files alone
                for photo in self._with_others(photos):
                    run(_RENAMED, (photo,))

    def keep(self, photos: Sequence[NewPhoto], files: Sequence[NewFile]) -> None:
        """Add photos, then files. A file whose content isn't known by then is left out.

        Contents that lie nowhere then stay until `sweep`: files that swap their names need them.
        """
        with self.transaction() as run:
            encoded = [(self._keep_photo(photo), photo) for photo in photos]
            self._keep_vectors(encoded)
            for number, photo in encoded:
                if photo.parts:
                    parts = np.array(photo.parts, np.uint64).tobytes()
                    run("INSERT OR REPLACE INTO parts VALUES (?, ?)", (number, parts))
            self._put_picture_texts({n: p.picture for n, p in encoded if p.picture is not None})
            self._append([(n, photo.joint) for n, photo in encoded if photo.joint is not None])
            named = [os.fsencode(file.path) for file in files]
            before = self._photos_of(named)
            for file in files:
                self._keep_file(file)
            self._keep_words({number for number, _ in encoded} | before | self._photos_of(named))

    def _keep_vectors(self, numbered: Sequence[tuple[int, NewPhoto]]) -> None:
        vectors = {number: p.vector for number, p in numbered if p.vector is not None}
        blobs = self._blobs("vectors", self.meta("encoder") or "its encoder", vectors)
        self._base.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?)", zip(vectors, blobs, strict=True)
        )
        for encoder in sorted({encoder for _, photo in numbered for encoder in photo.others}):
            self.add_vectors(
                encoder, {n: p.others[encoder] for n, p in numbered if encoder in p.others}
            )

    def update_facts(self, photos: Sequence[NewPhoto]) -> None:
        """Keep other facts and perceptual hashes of contents that are known; all else stays."""
        with self.transaction() as run:
            for photo in photos:
                run(
                    "UPDATE photos SET kind = ?, width = ?, height = ?, taken = ?, camera = ?,"
                    " latitude = ?, longitude = ?, hash = ?, texts = ?, place = ?,"
                    " place_folded = ?, own = NULL WHERE digest = ?",
                    (*_said(photo), photo.digest),
                )
            known = [run("SELECT id FROM photos WHERE digest = ?", (p.digest,)) for p in photos]
            self._keep_words(number for rows in known for (number,) in rows)

    def _with_others(self, photos: Iterable[int]) -> list[int]:
        """Those of these photos that have several files."""
        count = "SELECT count(*) FROM files WHERE photo = ?"
        return [one for one in photos if self._base.execute(count, (one,)).fetchone()[0] > 1]

    def _photos_of(self, paths: Iterable[bytes]) -> set[int]:
        """The photos of files."""
        return {number for path in paths for number in self._photos_at("path = ?", (path,))}

    def _photos_at(self, which: str, values: Sequence[bytes]) -> set[int]:
        statement = f"SELECT photo FROM files WHERE photo IS NOT NULL AND {which}"
        return {number for (number,) in self._base.execute(statement, values)}

    def _keep_photo(self, photo: NewPhoto) -> int:
        row = self._base.execute(
            "INSERT INTO photos (digest, encoded, problem, kind, width, height, taken, camera,"
            " latitude, longitude, hash, texts, place, place_folded)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE SET encoded = excluded.encoded,"
            " problem = excluded.problem, kind = excluded.kind, width = excluded.width,"
            " height = excluded.height, taken = excluded.taken, camera = excluded.camera,"
            " latitude = excluded.latitude, longitude = excluded.longitude, hash = excluded.hash,"
            " texts = excluded.texts, place = excluded.place, place_folded = excluded.place_folded,"
            " own = NULL RETURNING id",
            (
                photo.digest,
                photo.vector is not None,
                photo.problem,
                *_said(photo),
            ),
        ).fetchone()
        return int(row[0])

    def _keep_file(self, file: NewFile) -> None:
        run, path, photo = self._base.execute, os.fsencode(file.path), None
        if file.digest is not None:
            row = run("SELECT id FROM photos WHERE digest = ?", (file.digest,)).fetchone()
            if row is None:
                return
            photo = row[0]
        run(
            "INSERT OR REPLACE INTO files (path, size, modified, photo, problem, missing, sidecar,"
            " sidecar_said) VALUES (?, ?, ?, ?, ?, 0, ?, ?)",
            (path, file.size, file.modified, photo, file.problem, *sidecar_columns(file.sidecar)),
        )
        if photo is not None:  # a new name, or a sidecar, may tell more
            run(_RENAMED, (photo,))

    def prune(self, folder: Path | None = None) -> int:
        """Forget the files that are missing, below a folder or all; how many those were."""
        low, high = below(folder) if folder else (b"", b"\xff")
        return self._forget("missing AND path >= ? AND path < ?", (low, high))

    def remove(self, folder: Path) -> int:
        """Forget a folder and all files below it; how many those were.

        Raises:
            LibraryError: the library knows nothing below it.
        """
        inside = below(folder)
        known = folder in self.folders()
        if not known and not self.read(
            "SELECT 1 FROM files WHERE path >= ? AND path < ? LIMIT 1", inside
        ):
            names = ", ".join(map(str, self.folders())) or "none"
            raise LibraryError(f"{folder} isn't in the library. Its folders: {names}.")
        with self.transaction() as run:
            run("DELETE FROM folders WHERE path = ? OR (path >= ? AND path < ?)",
                (os.fsencode(folder), *inside))  # fmt: skip
            run("DELETE FROM exclusions WHERE folder = ? OR (folder >= ? AND folder < ?)",
                (os.fsencode(folder), *inside))  # fmt: skip
            return self._forget("path >= ? AND path < ?", inside)

    def forget(self, paths: Iterable[Path]) -> int:
        """Forget files; how many of them were known. Where they lie, they stay."""
        with self.transaction():
            return sum(self._forget("path = ?", (os.fsencode(path),)) for path in paths)

    def _forget(self, which: str, values: Sequence[bytes]) -> int:
        with self.transaction() as run:
            left = self._photos_at(which, values)
            gone = run(f"DELETE FROM files WHERE {which}", values).rowcount
            self._drop_orphans()
            self._keep_words(left)
        return int(gone)

    def sweep(self) -> None:
        """Drop the contents that lie nowhere. One whose file is merely missing stays."""
        if self.read(f"SELECT 1 FROM photos WHERE {_NOWHERE} LIMIT 1"):
            with self.transaction():
                self._drop_orphans()

    def _drop_orphans(self) -> None:
        rows = self._base.execute(f"SELECT digest FROM photos WHERE {_NOWHERE}")
        gone = [digest.hex() for (digest,) in rows]
        if gone and self.meta(POLICY) is not None:  # where a law was in force, it is on record
            self.record("forgotten", {"photos": gone})
        among = f"IN (SELECT id FROM photos WHERE {_NOWHERE})"
        for table in ("vectors", *self._set_tables().values(), "assessments", "copies", "parts",
                      "picture_texts"):  # fmt: skip
            self._base.execute(f"DELETE FROM {table} WHERE photo {among}")
        self._base.execute(f"DELETE FROM words WHERE rowid {among}")
        self._base.execute(f"DELETE FROM photos WHERE {_NOWHERE}")
        self._compact()

    def paths(self) -> list[tuple[int | None, bytes]]:
        """Every file that isn't missing: its photo, and its path in the file system's bytes."""
        return self.read("SELECT photo, path FROM files WHERE NOT missing")

    def spelled(self, folder: Path) -> Path:
        """The folder as the library spells its name, in whichever Unicode form it was written."""
        if self.read("SELECT 1 FROM files WHERE path >= ? AND path < ? LIMIT 1", below(folder)):
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
        statement = "SELECT digest FROM files f JOIN photos p ON p.id = f.photo WHERE path IN ({})"
        among = ", ".join("?" * len(paths))
        rows = self.read(statement.format(among), [os.fsencode(path) for path in paths])
        return str(rows[0][0].hex()) if rows else None


def _said(photo: NewPhoto) -> tuple[object, ...]:
    """Facts, hash and texts of a photo, as the columns hold them."""
    facts = photo.facts
    return (
        *(
            (facts.kind, facts.width, facts.height, facts.taken, facts.camera,
             facts.latitude, facts.longitude) if facts else (None,) * 7
        ),
        None if photo.hash is None else signed(photo.hash),
        texts_to_json(facts),
        place_to_json(facts.place if facts else None),
        place_folded(facts.place if facts else None),
    )  # fmt: skip
