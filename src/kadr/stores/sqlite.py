"""The library's file: photos, where they lie, their vectors. SQLite; no scanning, no models.

A *photo* is a content, by its digest; a *file* is a path where it lies. A renamed or copied file is
another path of a photo that is known already. What is written together is written in one
transaction, so that a process killed at any instant leaves a library that can be read.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.errors import LibraryError
from kadr.types import Filters, Floats, PhotoFacts, Skipped, Vectors

APPLICATION = 0x6B616472
"""SQLite's application_id of a library: "kadr" in ASCII."""
FORMAT = 1
LOOKUP = 500
"""Keys in one SQL statement; SQLite takes at least 999."""
PAGE = 8192
"""Bytes of a page of the file: seven vectors fit into one, where half as many bytes hold three."""
BLOCK = 256
"""Vectors in one row of the scan."""
WASTE = 0.2
"""The scan is written anew when more of it than this belongs to photos that are gone."""
EARTH = 6371.0
"""Mean radius in kilometres."""

MEMORY = Path(":memory:")
"""The path of a library that lives as long as its process."""

Run: TypeAlias = Callable[..., Any]
"""Runs an SQL statement inside a transaction."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE folders (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE photos (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE,
    encoded INT NOT NULL, problem TEXT,
    kind TEXT, width INT, height INT, taken TEXT, camera TEXT, latitude REAL, longitude REAL,
    hash INT, texts TEXT);
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INT NOT NULL, modified INT NOT NULL,
    photo INT REFERENCES photos (id), problem TEXT, missing INT NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX files_of_photo ON files (photo);
CREATE TABLE vectors (photo INTEGER PRIMARY KEY REFERENCES photos (id), vector BLOB NOT NULL);
CREATE TABLE assessments (
    photo INTEGER PRIMARY KEY REFERENCES photos (id), words TEXT NOT NULL, scene REAL, faces TEXT,
    failed TEXT NOT NULL, probability REAL NOT NULL, version TEXT NOT NULL);
CREATE TABLE rulings (
    digest BLOB PRIMARY KEY, verdict TEXT NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL,
    why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, photos BLOB NOT NULL, scales BLOB NOT NULL, vectors BLOB NOT NULL);
"""
_NOWHERE = "NOT EXISTS (SELECT 1 FROM files WHERE photo = photos.id)"
_WHEN = (
    "coalesce(p.taken, (SELECT strftime('%Y-%m-%dT%H:%M:%S', min(modified) / 1000000000,"
    " 'unixepoch', 'localtime') FROM files WHERE photo = p.id AND NOT missing))"
)
# AUTOINCREMENT never gives a photo's number to another one, so a stale row of the scan can't
# speak for a new photo. Vectors lie apart from facts, which filters read from end to end.


class FileState(NamedTuple):
    """What is known of a path: size in bytes, time of change in ns, and how far it has come."""

    size: int
    modified: int
    settled: bool
    """Its content was encoded, or found to be no readable photo."""
    broken: bool
    missing: bool


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A content to keep: encoded (with facts, hash, vector, joint), or with the problem it has."""

    digest: bytes
    problem: str | None = None
    facts: PhotoFacts | None = None
    hash: int | None = None
    vector: Vectors | None = None
    joint: Vectors | None = None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A path to keep: the digest of its content, or the problem that kept it from being read."""

    path: Path
    size: int
    modified: int
    digest: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A photo of the library: number, hex digest, facts, perceptual hash, and its paths."""

    id: int
    digest: str
    facts: PhotoFacts
    hash: int
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Scan:
    """All vectors of the joint space, rounded to a byte a figure.

    `photos` int64 [n]; row i stands for `vectors[i]` int8 [n, dim] times `scales[i]` float32 [n].
    """

    photos: NDArray[np.int64]
    scales: Vectors
    vectors: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a library holds. `bytes` is the size of its file."""

    photos: int
    files: int
    copies: int
    missing: int
    problems: int
    bytes: int


class Store:
    """One library file, opened. Not for several threads at once."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the library, or make it.

        Raises:
            LibraryError: there is none and `create` is false, or the file is something else.
        """
        self.path = path
        self.dropped: list[str] = []
        """Hex digests of the photos that were forgotten since somebody emptied this list."""
        if not create and not os.path.exists(path):  # noqa: PTH110 - Path.exists() raises
            raise LibraryError(f"{path}: no library here. Make one: kadr index FOLDER")
        try:
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._open(create=create)
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error

    def _open(self, *, create: bool) -> None:
        run = self._base.execute
        if create and self._is_empty():
            with self.writing():  # SQLite doesn't wait for another one that turns the log on
                self._make()
        run("BEGIN")  # both of one instant: another process may be making it
        application, version = (
            run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        run("COMMIT")
        if application != APPLICATION:
            raise LibraryError(f"{self.path} isn't a library of kadr. Name another file.")
        if version != FORMAT:
            raise LibraryError(
                f"{self.path} has format {version}, this kadr reads {FORMAT}. Install the kadr "
                "that made it, or index into a new file."
            )
        run("PRAGMA synchronous=NORMAL")
        run("PRAGMA temp_store=MEMORY")
        self._base.create_function("folded", 1, _folded, deterministic=True)

    def _is_empty(self) -> bool:
        return self._base.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def _make(self) -> None:
        self._base.execute(f"PRAGMA page_size={PAGE}")
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("BEGIN IMMEDIATE")  # another process may be making it too
        if self._is_empty():
            for statement in _SCHEMA.strip().split(";\n"):
                self._base.execute(statement)
            self._base.execute(f"PRAGMA application_id={APPLICATION}")
            self._base.execute(f"PRAGMA user_version={FORMAT}")
        self._base.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    @contextmanager
    def writing(self, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only process that indexes. Another one's turn ends at its death at the latest.

        Args:
            on_wait: called once where another process is at it.

        Raises:
            LibraryError: the library's folder can't be written to.
        """
        if self.path == MEMORY:
            yield
            return
        from filelock import FileLock, Timeout

        lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                (on_wait or _nothing)()
                lock.acquire()
        except OSError as error:
            raise self._broken(error) from error
        try:
            yield
        finally:
            lock.release()

    # What the library is for.

    def meta(self, key: str) -> str | None:
        """What is noted under a key: `encoder`, `model`, `space`."""
        row = self.read("SELECT value FROM meta WHERE key = ?", (key,))
        return row[0][0] if row else None

    def note(self, **values: str) -> None:
        """Note what the vectors were made with."""
        with self.transaction() as run:
            for key, value in values.items():
                run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def changes(self) -> tuple[int, int]:
        """Differs when the library was changed since: by another connection, or by this one."""
        return int(self.read("PRAGMA data_version")[0][0]), self._base.total_changes

    # Folders and files.

    def folders(self) -> tuple[Path, ...]:
        """The folders that were indexed."""
        return tuple(_path(path) for (path,) in self.read("SELECT path FROM folders"))

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

    def states(self, folder: Path) -> dict[bytes, FileState]:
        """What is known of the paths below a folder, by path in the file system's bytes."""
        rows = self.read(
            "SELECT path, size, modified, photo IS NOT NULL AND (encoded OR p.problem IS NOT NULL),"
            " photo IS NULL OR p.problem IS NOT NULL, missing"
            " FROM files f LEFT JOIN photos p ON p.id = f.photo WHERE path >= ? AND path < ?",
            _below(folder),
        )
        return {
            path: FileState(size, modified, bool(settled), bool(broken), bool(missing))
            for path, size, modified, settled, broken, missing in rows
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

    def mark(self, paths: Iterable[bytes], *, missing: bool) -> None:
        """Note that files are gone, or are there again. Those gone leave the answers."""
        with self.transaction() as run:
            for path in paths:
                run("UPDATE files SET missing = ? WHERE path = ?", (missing, path))

    def keep(self, photos: Sequence[NewPhoto], files: Sequence[NewFile]) -> None:
        """Add photos, then files. A file whose content isn't known by then is left out.

        Contents that lie nowhere then stay until `sweep`: files that swap their names need them.
        """
        with self.transaction() as run:
            encoded = [(self._keep_photo(photo), photo) for photo in photos]
            for number, photo in encoded:
                if photo.vector is not None:
                    blob = np.asarray(photo.vector, np.float32).tobytes()
                    run("INSERT OR REPLACE INTO vectors VALUES (?, ?)", (number, blob))
            self._append([(n, photo.joint) for n, photo in encoded if photo.joint is not None])
            for file in files:
                self._keep_file(file)

    def _keep_photo(self, photo: NewPhoto) -> int:
        facts = photo.facts
        row = self._base.execute(
            "INSERT INTO photos (digest, encoded, problem, kind, width, height, taken, camera,"
            " latitude, longitude, hash, texts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE SET encoded = excluded.encoded,"
            " problem = excluded.problem, kind = excluded.kind, width = excluded.width,"
            " height = excluded.height, taken = excluded.taken, camera = excluded.camera,"
            " latitude = excluded.latitude, longitude = excluded.longitude, hash = excluded.hash,"
            " texts = excluded.texts RETURNING id",
            (
                photo.digest,
                photo.vector is not None,
                photo.problem,
                *(
                    (facts.kind, facts.width, facts.height, facts.taken, facts.camera,
                     facts.latitude, facts.longitude) if facts else (None,) * 7
                ),
                None if photo.hash is None else _signed(photo.hash),
                json.dumps(facts.texts) if facts and facts.texts else None,
            ),
        ).fetchone()  # fmt: skip
        return int(row[0])

    def _keep_file(self, file: NewFile) -> None:
        run, path, photo = self._base.execute, os.fsencode(file.path), None
        if file.digest is not None:
            found = run("SELECT id FROM photos WHERE digest = ?", (file.digest,)).fetchone()
            if found is None:
                return
            photo = found[0]
        run(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, 0)",
            (path, file.size, file.modified, photo, file.problem),
        )
        if photo is not None:  # a new name may tell more
            run("UPDATE assessments SET version = '' WHERE photo = ?", (photo,))

    def prune(self, folder: Path | None = None) -> int:
        """Forget the files that are missing, below a folder or all; how many those were."""
        low, high = _below(folder) if folder else (b"", b"\xff")
        return self._forget("missing AND path >= ? AND path < ?", (low, high))

    def remove(self, folder: Path) -> int:
        """Forget a folder and all files below it; how many those were.

        Raises:
            LibraryError: the library knows nothing below it.
        """
        below = _below(folder)
        known = folder in self.folders()
        if not known and not self.read(
            "SELECT 1 FROM files WHERE path >= ? AND path < ? LIMIT 1", below
        ):
            names = ", ".join(map(str, self.folders())) or "none"
            raise LibraryError(f"{folder} isn't in the library. Its folders: {names}.")
        with self.transaction() as run:
            run("DELETE FROM folders WHERE path = ? OR (path >= ? AND path < ?)",
                (os.fsencode(folder), *below))  # fmt: skip
        return self._forget("path >= ? AND path < ?", below)

    def forget(self, paths: Iterable[Path]) -> int:
        """Forget files; how many of them were known. Where they lie, they stay."""
        return sum(self._forget("path = ?", (os.fsencode(path),)) for path in paths)

    def _forget(self, which: str, values: Sequence[bytes]) -> int:
        with self.transaction() as run:
            gone = run(f"DELETE FROM files WHERE {which}", values).rowcount  # noqa: S608
            self._drop_orphans()
        return int(gone)

    def sweep(self) -> None:
        """Drop the contents that lie nowhere. One whose file is merely missing stays."""
        if self.read(f"SELECT 1 FROM photos WHERE {_NOWHERE} LIMIT 1"):  # noqa: S608
            with self.transaction():
                self._drop_orphans()

    def _drop_orphans(self) -> None:
        rows = self._base.execute(f"SELECT digest FROM photos WHERE {_NOWHERE}")  # noqa: S608
        self.dropped += [digest.hex() for (digest,) in rows]
        among = f"IN (SELECT id FROM photos WHERE {_NOWHERE})"  # noqa: S608
        for table in ("vectors", "assessments"):
            self._base.execute(f"DELETE FROM {table} WHERE photo {among}")  # noqa: S608
        self._base.execute(f"DELETE FROM photos WHERE {_NOWHERE}")  # noqa: S608
        self._compact()

    # Vectors.

    def _append(self, rows: Sequence[tuple[int, Vectors]]) -> None:
        """Add photos to the scan: first into its last block, while that has room."""
        if not rows:
            return
        numbers = np.array([number for number, _ in rows], np.int64)
        scales, vectors = rounded(np.stack([vector for _, vector in rows]))
        last = self._base.execute(
            "SELECT id, photos, scales, vectors FROM blocks ORDER BY id DESC LIMIT 1"
        ).fetchone()
        block = 1
        if last is not None and len(last[1]) // 8 < BLOCK:
            block = last[0]
            numbers = np.concatenate([np.frombuffer(last[1], np.int64), numbers])
            scales = np.concatenate([np.frombuffer(last[2], np.float32), scales])
            old = np.frombuffer(last[3], np.int8).reshape(-1, vectors.shape[1])
            vectors = np.concatenate([old, vectors])
        elif last is not None:
            block = last[0] + 1
        for start in range(0, len(numbers), BLOCK):
            part = slice(start, start + BLOCK)
            self._base.execute(
                "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)",
                (block, *(array[part].tobytes() for array in (numbers, scales, vectors))),
            )
            block += 1

    def blocks(self) -> Iterator[Scan]:
        """The scan, some hundred photos at a time; each block may lie where the last one lay."""
        try:
            for numbers, scales, vectors in self._base.execute(
                "SELECT photos, scales, vectors FROM blocks"
            ):
                photos = np.frombuffer(numbers, np.int64)
                rows = np.frombuffer(vectors, np.int8).reshape(len(photos), -1)
                yield Scan(photos, np.frombuffer(scales, np.float32), rows)
        except (sqlite3.Error, ValueError) as error:
            raise self._broken(error) from error

    def scan(self) -> Scan:
        """The rounded vectors of all photos; some may be of photos that are gone."""
        with self.reading():
            ((rows, bytes_),) = self.read(
                "SELECT coalesce(sum(length(photos)), 0) / 8, coalesce(sum(length(vectors)), 0)"
                " FROM blocks"
            )
            photos, scales = np.empty(rows, np.int64), np.empty(rows, np.float32)
            vectors = np.empty((rows, bytes_ // rows if rows else 0), np.int8)
            done = 0
            for block in self.blocks():
                part = slice(done, done + len(block.photos))
                photos[part], scales[part], vectors[part] = (
                    block.photos, block.scales, block.vectors
                )  # fmt: skip
                done = part.stop
        return Scan(photos, scales, vectors)

    def vectors(self, photos: Sequence[int]) -> tuple[NDArray[np.int64], Vectors]:
        """Numbers int64 [n] and encoder vectors float32 [n, dim] of those that are there."""
        rows = list(self.among("SELECT photo, vector FROM vectors WHERE photo IN ({})", photos))
        known = dict(rows)
        kept = [number for number in photos if number in known]
        matrix = np.frombuffer(b"".join(known[n] for n in kept), np.float32)
        return np.array(kept, np.int64), matrix.reshape(len(kept), -1 if kept else 0)

    def every_vector(self) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """All photos and their encoder vectors, some thousand at a time, by number."""
        after = 0
        while rows := self.read(
            "SELECT photo, vector FROM vectors WHERE photo > ? ORDER BY photo LIMIT 4096", (after,)
        ):
            after = rows[-1][0]
            matrix = np.frombuffer(b"".join(blob for _, blob in rows), np.float32)
            yield np.array([n for n, _ in rows], np.int64), matrix.reshape(len(rows), -1)

    def rescan(self, joint: Callable[[Vectors], Vectors], space: str) -> None:
        """Write the scan anew for another joint space; `joint` maps encoder vectors into it."""
        with self.transaction() as run:
            run("DELETE FROM blocks")
            for numbers, vectors in self.every_vector():
                self._append(list(zip(numbers.tolist(), joint(vectors), strict=True)))
            run("INSERT OR REPLACE INTO meta VALUES ('space', ?)", (space,))

    def forget_vectors(self) -> None:
        """Make every photo wait for being encoded again."""
        with self.transaction() as run:
            for table in ("vectors", "assessments", "blocks"):
                run(f"DELETE FROM {table}")  # noqa: S608
            run("UPDATE photos SET encoded = 0")

    def _compact(self) -> None:
        """Write the scan anew where much of it belongs to photos that are gone."""
        (alive,) = self._base.execute("SELECT count(*) FROM vectors").fetchone()
        (rows,) = self._base.execute(
            "SELECT coalesce(sum(length(photos)), 0) / 8 FROM blocks"
        ).fetchone()
        if rows - alive <= WASTE * rows:
            return
        there = {number for (number,) in self._base.execute("SELECT photo FROM vectors")}
        blocks = self._base.execute("SELECT photos, scales, vectors FROM blocks").fetchall()
        self._base.execute("DELETE FROM blocks")
        for numbers, scales, vectors in blocks:
            photos = np.frombuffer(numbers, np.int64)
            matrix = np.frombuffer(vectors, np.int8).reshape(len(photos), -1)
            exact = matrix * np.frombuffer(scales, np.float32)[:, None]
            kept = [(n, row) for n, row in zip(photos.tolist(), exact, strict=True) if n in there]
            self._append(kept)

    # Answers.

    def present(
        self, photos: Sequence[int], folder: Path | None = None
    ) -> dict[int, tuple[Path, ...]]:
        """Paths of those photos that lie somewhere, or below a folder, by their names."""
        found: dict[int, list[Path]] = {}
        low, high = _below(folder) if folder else (b"", b"\xff")
        statement = (
            "SELECT photo, path FROM files WHERE photo IN ({}) AND NOT missing ORDER BY path"
        )
        for number, path in self.among(statement, photos):
            if low <= path < high:
                found.setdefault(number, []).append(_path(path))
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
        where, values = _conditions(filters)
        place = "" if filters.near is None else ", p.latitude, p.longitude"
        order = f"{_WHEN} DESC, p.id DESC" if newest else "p.id"
        rows = self.read(
            f"SELECT p.id{place} FROM photos p WHERE {where} ORDER BY {order}",  # noqa: S608
            values,
        )
        numbers = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        if filters.near is None or not rows:
            return numbers
        latitude, longitude, kilometres = filters.near
        places = np.array([row[1:] for row in rows], np.float64)
        return numbers[_distance(places, latitude, longitude) <= kilometres]

    # What the library says of itself.

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
        return Totals(distinct, files, files - distinct, missing, problems, self._bytes())

    def _bytes(self) -> int:
        if self.path == MEMORY:
            return int(self.read("PRAGMA page_count")[0][0] * self.read("PRAGMA page_size")[0][0])
        size = 0
        for suffix in ("", "-wal"):
            file = self.path.with_name(self.path.name + suffix)
            size += file.stat().st_size if file.exists() else 0
        return size

    def problems(self) -> list[Skipped]:
        """The files that couldn't be read, and why, by path."""
        rows = self.read(
            "SELECT path, coalesce(f.problem, p.problem) FROM files f LEFT JOIN photos p"
            " ON p.id = f.photo WHERE NOT missing"
            " AND (f.problem IS NOT NULL OR p.problem IS NOT NULL) ORDER BY path"
        )
        return [Skipped(_path(path), problem) for path, problem in rows]

    def contents(self) -> Iterator[tuple[Path, int, int, str]]:
        """Every file that was read and isn't missing: path, size, time of change in ns, digest."""
        for path, size, modified, digest in self.read(
            "SELECT path, size, modified, digest FROM files f JOIN photos p ON p.id = f.photo"
            " WHERE NOT missing ORDER BY path"
        ):
            yield _path(path), size, modified, digest.hex()

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

    def _unscanned(self) -> int:
        there = {number for (number,) in self.read("SELECT photo FROM vectors")}
        return len(there - set(self.scan().photos.tolist()))

    # How all of it reads and writes.

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read within is of one instant, whatever another process writes meanwhile."""
        if self._base.in_transaction:
            yield
            return
        self.read("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):  # nothing was written; a broken file has been told
                self._base.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """Run statements that are kept together or not at all; gives what runs them."""
        try:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base.execute
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def among(self, statement: str, keys: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """Rows of a statement whose {} stands for the keys, asked for by and by."""
        numbers = iter(dict.fromkeys(keys))
        while part := list(islice(numbers, LOOKUP)):
            yield from self.read(statement.format(",".join("?" * len(part))), part)

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement."""
        try:
            return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> LibraryError:
        text = str(error)
        if "not a database" in text:
            return LibraryError(f"{self.path} isn't a library of kadr. Name another file.")
        if "full" in text:
            return LibraryError(
                f"{self.path}: the disk is full. What was indexed so far is kept; make room and "
                "run it again."
            )
        if "readonly" in text or "unable to open" in text or isinstance(error, PermissionError):
            return LibraryError(
                f"{self.path}: can't be opened for writing ({text}). Check the permissions of the "
                "file and its folder, or name another with --library."
            )
        return LibraryError(
            f"{self.path}: the library can't be read ({text}). Look at it with kadr library verify."
        )


def _conditions(filters: Filters) -> tuple[str, list[Any]]:
    """SQL for what photos `p` must be."""
    conditions: list[tuple[str, Sequence[Any]]] = [("p.encoded", ())]
    if filters.after is not None:
        conditions.append((f"{_WHEN} >= ?", (filters.after,)))
    if filters.before is not None:
        conditions.append((f"{_WHEN} < ?", (filters.before,)))
    if filters.folder is not None:
        below = "SELECT photo FROM files WHERE path >= ? AND path < ? AND NOT missing"
        conditions.append((f"p.id IN ({below})", _below(filters.folder)))
    if filters.camera is not None:
        conditions.append(("instr(folded(p.camera), ?)", (filters.camera.casefold(),)))
    if filters.near is not None:
        conditions.append(("p.latitude IS NOT NULL AND p.longitude IS NOT NULL", ()))
    if filters.kind is not None:
        conditions.append(("p.kind = ?", (filters.kind,)))
    if filters.min_width:
        conditions.append(("p.width >= ?", (filters.min_width,)))
    if filters.min_height:
        conditions.append(("p.height >= ?", (filters.min_height,)))
    return " AND ".join(text for text, _ in conditions), [v for _, vs in conditions for v in vs]


def _distance(places: Floats, latitude: float, longitude: float) -> Floats:
    """Great-circle distance in km from places [n, 2] in degrees (haversine formula)."""
    there, here = np.radians(places), np.radians([latitude, longitude])
    half = np.sin((there - here) / 2) ** 2
    chord = half[:, 0] + np.cos(here[0]) * np.cos(there[:, 0]) * half[:, 1]
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))


def rounded(joint: Vectors) -> tuple[Vectors, NDArray[np.int8]]:
    """Rows [n, dim] as a scale [n] and bytes [n, dim]: each row uses the whole range."""
    scales = np.maximum(np.abs(joint).max(axis=1, initial=0), 1e-12) / 127
    return scales.astype(np.float32), np.round(joint / scales[:, None]).astype(np.int8)


def _folded(text: str | None) -> str | None:
    """In one case; SQLite's lower() knows that of ASCII alone."""
    return text and text.casefold()


def _below(folder: Path) -> tuple[bytes, bytes]:
    """All paths below a folder are >= the first and < the second."""
    start = os.fsencode(folder).rstrip(os.sep.encode()) + os.sep.encode()
    return start, start[:-1] + bytes([start[-1] + 1])


def _path(raw: bytes) -> Path:
    return Path(os.fsdecode(raw))


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _unsigned(number: int | None) -> int:
    return (number or 0) % (1 << 64)


def _nothing() -> None:
    pass
