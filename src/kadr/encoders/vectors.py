"""Files and texts to vectors: decoding overlaps the model, and nothing is computed twice."""

import hashlib
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import ImageEncoder, LearnedTextEncoder, TextEncoder
from kadr.encoders.joined import JoinedImages, JoinedTexts
from kadr.errors import ImageError, KadrError
from kadr.photos import files as photo_files
from kadr.photos import images
from kadr.types import AnyPath, ImageFile, Skipped, Vectors

BATCH = 16
LOOKUP = 500
"""Keys in one SQL statement; SQLite takes at least 999."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of items done and their total."""

Item = TypeVar("Item")
Result = TypeVar("Result")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors
    (encoder TEXT, key TEXT, vector BLOB, PRIMARY KEY (encoder, key));
CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, size INT, modified INT, digest TEXT);
"""


@dataclass(frozen=True)
class EncodedImages:
    """Photos that could be read, and their vectors row by row; the others with the reason."""

    files: tuple[ImageFile, ...]
    vectors: Vectors
    skipped: tuple[Skipped, ...]


class VectorCache:
    """Vectors by (encoder, content) and digests by (path, size, time), in one SQLite file.

    It is derived data: deleting the file loses nothing but time. A full disk stops the writing,
    not the work; `problem` then says why.
    """

    def __init__(self, path: AnyPath) -> None:
        """Open the cache, making it where there is none; ":memory:" lies in no file.

        Raises:
            KadrError: the file can't be opened or isn't a cache.
        """
        self.problem: str | None = None
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=30)
            self._base.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA
            )
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def vectors(self, encoder: str, keys: Iterable[str]) -> dict[str, Vectors]:
        """The known ones of these keys, with their vectors."""
        rows = self._among(
            "SELECT key, vector FROM vectors WHERE encoder = ? AND key IN ({})", keys, encoder
        )
        return {key: np.frombuffer(blob, dtype=np.float32) for key, blob in rows}

    def keep(self, encoder: str, keys: Sequence[str], vectors: Vectors) -> None:
        """Remember vectors [n, dim] of n keys."""
        rows = ((encoder, key, row.tobytes()) for key, row in zip(keys, vectors, strict=True))
        self._write("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def digests(self, paths: Iterable[str]) -> dict[str, tuple[int, int, str]]:
        """The known ones of these paths, with size, modification time in ns, and digest."""
        rows = self._among(
            "SELECT path, size, modified, digest FROM digests WHERE path IN ({})", paths
        )
        return {path: (size, modified, digest) for path, size, modified, digest in rows}

    def keep_digests(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """Remember (path, size, modification time in ns, digest)."""
        self._write("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)

    def _among(
        self, statement: str, keys: Iterable[str], *values: str
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of a statement whose {} stands for the keys, asked for by and by."""
        for part in _batches(dict.fromkeys(keys), LOOKUP):
            marks = ",".join("?" * len(part))
            yield from self._read(statement.format(marks), (*values, *part))

    def _read(self, statement: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
        try:
            return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> KadrError:
        return KadrError(
            f"{self._path}: the vector cache can't be read ({error}). Delete the file, or name "
            "another with --cache."
        )

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        if self.problem is not None:
            return
        try:
            with self._base:
                self._base.executemany(statement, rows)
        except sqlite3.Error as error:
            self.problem = f"vectors are no longer cached ({error})"


def identify(
    paths: Iterable[Path], root: Path, cache: VectorCache
) -> tuple[list[ImageFile], list[Skipped]]:
    """Digest photos; one whose path, size and time are known is not read again."""
    # Path.resolve() would cost more than the rest.
    places = [(path, os.path.abspath(path)) for path in paths]  # noqa: PTH100
    known = cache.digests(where for _, where in places if _is_text(where))
    files: list[ImageFile] = []
    skipped: list[Skipped] = []
    fresh: list[tuple[str, int, int, str]] = []
    for path, where in places:
        try:
            status = path.stat()
        except OSError as error:
            skipped.append(Skipped(path, f"can't be read: {error.strerror or error}"))
            continue
        state = photo_files.stamp(status)
        if where in known and known[where][:2] == state:
            files.append(ImageFile(path.relative_to(root).as_posix(), known[where][2], path))
            continue
        file = photo_files.identify(path, root)
        if isinstance(file, Skipped):
            skipped.append(file)
        else:
            files.append(file)
            if _is_text(where):
                fresh.append((where, *state, file.digest))
    cache.keep_digests(fresh)
    return files, skipped


class _Known:
    """One image encoder's vectors by digest: those of the cache, and those of this run."""

    def __init__(self, encoder: ImageEncoder, cache: VectorCache, digests: Iterable[str]) -> None:
        self.encoder = encoder
        self._cache = cache
        self._vectors = cache.vectors(encoder.name, digests)

    def __contains__(self, digest: str) -> bool:
        return digest in self._vectors

    def encode(self, pixels: Mapping[str, NDArray[np.uint8]]) -> None:
        """Prepared photos by digest; kept at once."""
        if pixels:
            vectors = self.encoder.encode(list(pixels.values()))
            self._cache.keep(self.encoder.name, list(pixels), vectors)
            self._vectors.update(zip(pixels, vectors, strict=True))

    def rows(self, digests: Sequence[str]) -> Vectors:
        return _stack(self._vectors, digests, self.encoder.dim)


def encode_images(
    encoder: ImageEncoder,
    files: Sequence[ImageFile],
    cache: VectorCache,
    on_progress: Progress | None = None,
) -> EncodedImages:
    """Photos to vectors. Each batch is kept as it is done, so an interrupted run goes on.

    The parts of a joined encoder are kept one by one: what one of them knows isn't computed again.
    """
    report = on_progress or _silent
    parts = encoder.parts if isinstance(encoder, JoinedImages) else (encoder,)
    known = [_Known(part, cache, (file.digest for file in files)) for part in parts]
    unknown = [file for file in files if not all(file.digest in part for part in known)]
    unknown = list({file.digest: file for file in unknown}.values())
    faults: dict[str, str] = {}
    done = len(files) - len(unknown)
    report(done, len(files))
    for batch in _batches(_prepared(known, unknown), BATCH):
        faults.update((file.digest, fault) for file, fault in batch if isinstance(fault, str))
        good = [(file.digest, pixels) for file, pixels in batch if not isinstance(pixels, str)]
        for number, part in enumerate(known):
            part.encode({digest: pixels[number] for digest, pixels in good if number in pixels})
        done += len(batch)
        report(done, len(files))
    readable = tuple(file for file in files if all(file.digest in part for part in known))
    rows = [part.rows([file.digest for file in readable]) for part in known]
    vectors = encoder.join(rows) if isinstance(encoder, JoinedImages) else rows[0]
    skipped = (Skipped(file.path, faults[file.digest]) for file in files if file.digest in faults)
    return EncodedImages(readable, vectors, tuple(skipped))


def encode_texts(
    encoder: TextEncoder,
    texts: Sequence[str],
    cache: VectorCache,
    on_progress: Progress | None = None,
) -> Vectors:
    """Texts to vectors, row by row. The cache holds a text's digest, never the text.

    The parts of a joined encoder are kept one by one. A learned encoder's vectors aren't kept: they
    are cheap, and the next training makes others.
    """
    report = on_progress or _silent
    if isinstance(encoder, JoinedTexts):
        return encoder.join(
            [
                encode_texts(part, texts, cache, _share(report, number, len(encoder.parts)))
                for number, part in enumerate(encoder.parts)
            ]
        )
    learned = isinstance(encoder, LearnedTextEncoder)
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
    known = {} if learned else cache.vectors(encoder.name, keys)
    unknown = {k: t for k, t in zip(keys, texts, strict=True) if k not in known}
    done = len(texts) - len(unknown)
    report(done, len(texts))
    for batch in _batches(unknown.items(), BATCH * 4):
        vectors = encoder.encode([text for _, text in batch])
        fresh = [key for key, _ in batch]
        if not learned:
            cache.keep(encoder.name, fresh, vectors)
        known.update(zip(fresh, vectors, strict=True))
        done += len(batch)
        report(min(done, len(texts)), len(texts))
    return _stack(known, keys, encoder.dim)


_Pixels: TypeAlias = dict[int, NDArray[np.uint8]]
"""A photo as each part of an encoder wants it, by the part's number."""


def _prepared(
    known: Sequence[_Known], files: Sequence[ImageFile]
) -> Iterator[tuple[ImageFile, _Pixels | str]]:
    """Each file with its pixels, or with the reason why it has none, a few ahead of the model."""

    def prepare(file: ImageFile) -> _Pixels | str:
        wanted = {n: part.encoder for n, part in enumerate(known) if file.digest not in part}
        try:
            # Vectors must not depend on who else asks, so only equal sizes share a decoding.
            sizes = {part.size for part in wanted.values()}
            photos = {size: images.decode(file.path, size) for size in sizes}
        except ImageError as error:
            return str(error)
        return {n: part.prepare(photos[part.size]) for n, part in wanted.items()}

    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        yield from in_order(pool, lambda file: (file, prepare(file)), files, BATCH * 3)


def in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[Result]:
    """Results in the order of the items, so many at work or waiting: that bounds the memory."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _stack(known: Mapping[str, Vectors], keys: Sequence[str], dim: int) -> Vectors:
    return np.stack([known[key] for key in keys]) if keys else np.empty((0, dim), np.float32)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _is_text(path: str) -> bool:
    """Whether a path can be stored as UTF-8; file systems allow names that can't."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _share(report: Progress, number: int, parts: int) -> Progress:
    """The progress of one part among several that go through the same items."""
    return lambda done, total: report((number * total + done) // parts, total)


def _silent(_done: int, _total: int) -> None:
    pass
