"""Flow: folders -> library. Only what is new or changed is read; only new contents are decoded.

Files are compared by size and time of change, contents by SHA-256. Hashing and decoding run on
threads ahead of the model; each batch is one transaction, so an interrupted run goes on.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from kadr.encoders.vectors import BATCH, in_order
from kadr.errors import DataError, ImageError, LibraryError
from kadr.matcher.bundle import Matcher
from kadr.photos import files, folders, images
from kadr.stores import FileState, NewFile, NewPhoto, Store
from kadr.types import PhotoFacts, Pixels

QUEUE = 3 * BATCH
"""Files that are hashed, and as many that are decoded, ahead of the model: bounds the memory."""
PASSED = 512
"""Files that need no model are written when there are so many."""


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What indexing did, counted in files.

    `encoded` contents were decoded and went through the model; `known` files are new paths of
    contents that the library already had (renamed, copied, back again); `gone` files are no longer
    there; `pruned` files were forgotten; `skipped` files can't be read or are no photos; `absent`
    folders weren't there at all, so nothing was concluded about their files.
    """

    files: int = 0
    unchanged: int = 0
    encoded: int = 0
    known: int = 0
    skipped: int = 0
    gone: int = 0
    pruned: int = 0
    absent: tuple[Path, ...] = ()

    def plus(self, other: "IndexResult") -> "IndexResult":
        """Both together."""
        return IndexResult(
            *(
                getattr(self, name) + getattr(other, name)
                for name in (
                    "files", "unchanged", "encoded", "known", "skipped", "gone", "pruned", "absent"
                )
            )
        )  # fmt: skip


OnProgress: TypeAlias = Callable[[int, int, int], None]
"""Called with the number of files done, skipped among them, and their total."""
OnSkip: TypeAlias = Callable[[Path, str], None]
"""Called with each file or folder that can't be read, and why."""


OnKept: TypeAlias = Callable[[Sequence[int]], None]
"""Called with the numbers of photos that are new, or have a new path, once they are stored."""


def _silent(*_arguments: object) -> None:
    pass


@dataclass(frozen=True)
class IndexCallbacks:
    """What is called while indexing."""

    progress: OnProgress = _silent
    skip: OnSkip = _silent
    kept: OnKept = _silent


def check(folder: Path) -> None:
    """Raises DataError where a folder isn't there or can't be listed."""
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where a parent is shut
        raise DataError(f"{folder}: no such folder. Name a folder that holds photos.")


def adopt(store: Store, matcher: Matcher, model: str, *, reencode: bool = False) -> None:
    """Make the library this matcher's.

    Args:
        store: the library.
        matcher: whose vectors it is to hold.
        model: the matcher's folder, noted for the searches to come.
        reencode: forget the vectors where they are another encoder's.

    Raises:
        LibraryError: they are, and `reencode` is false.
    """
    encoder = store.meta("encoder")
    if encoder not in {None, matcher.image_encoder.name}:
        if not reencode:
            raise LibraryError(
                f"{store.path} holds vectors of {encoder}, this matcher makes those of "
                f"{matcher.image_encoder.name}. Encode its photos again: kadr index --reencode"
            )
        store.forget_vectors()
    store.note(encoder=matcher.image_encoder.name, model=model)
    fit(store, matcher)


def fit(store: Store, matcher: Matcher) -> None:
    """Bring the scan into the matcher's joint space, where it is in another one."""
    space = matcher.alignment.digest()
    if store.meta("space") != space:
        store.rescan(lambda vectors: matcher.alignment.images(vectors).vectors, space)


def ingest(
    store: Store,
    matcher: Matcher,
    folders: Sequence[Path],
    *,
    prune: bool = False,
    retry: bool = False,
    callbacks: IndexCallbacks | None = None,
) -> IndexResult:
    """Bring the library in step with folders.

    Args:
        store: the library, `writing` held, of this matcher (`adopt`).
        matcher: encodes.
        folders: absolute; below them everything is compared, beside them nothing is touched.
        prune: forget the files that are gone; else they only leave the answers.
        retry: read again what couldn't be decoded.
        callbacks: report progress and each file that is skipped.

    Raises:
        DataError: a folder can't be read at all.
        LibraryError: the library can't be written.
    """
    callbacks = callbacks or IndexCallbacks()
    result = IndexResult()
    for folder in folders:
        if not os.path.isdir(folder):  # noqa: PTH112
            result = result.plus(IndexResult(absent=(folder,)))
            continue
        scanned = _bring_in_step(store, matcher, folder, retry=retry, callbacks=callbacks)
        result = result.plus(scanned)
        if prune and not scanned.files and store.states(folder):  # as an empty mount point looks
            result = result.plus(IndexResult(absent=(folder,)))
        elif prune:
            result = result.plus(IndexResult(pruned=store.prune(folder)))
    store.sweep()
    return result


@dataclass(frozen=True, slots=True)
class _ScannedFile:
    """A file as it is now."""

    path: Path
    size: int
    modified: int
    digest: bytes | None = None
    problem: str | None = None

    def row(self) -> NewFile:
        return NewFile(self.path, self.size, self.modified, self.digest, self.problem)


def _bring_in_step(
    store: Store, matcher: Matcher, folder: Path, *, retry: bool, callbacks: IndexCallbacks
) -> IndexResult:
    states = store.states(folder)
    closed: list[bytes] = []

    def on_unreadable(path: Path, reason: str) -> None:
        closed.append(os.fsencode(path) + os.sep.encode())
        callbacks.skip(path, reason)

    seen: set[bytes] = set()
    changed: list[_ScannedFile] = []
    back: list[bytes] = []
    broken = 0
    for file in _walk(folder, on_unreadable):
        path = os.fsencode(file.path)
        seen.add(path)
        state = states.get(path)
        if _same(state, file, retry=retry):
            assert state is not None
            broken += state.broken
            if state.missing:
                back.append(path)
        else:
            changed.append(file)
    # A folder that can't be read says nothing of the files in it.
    gone = [
        path
        for path, state in states.items()
        if path not in seen and not state.missing and not path.startswith(tuple(closed))
    ]
    store.mark(gone, missing=True)
    store.mark(back, missing=False)
    unchanged = len(seen) - len(changed)
    steps = _decoded(store, matcher, changed, retry=retry)
    batches = _kept(store, matcher, _batches(steps), callbacks)
    added = _count(store, batches, (unchanged, unchanged + len(changed)), callbacks)
    return replace(added, files=len(seen), unchanged=unchanged - broken, gone=len(gone)).plus(
        IndexResult(skipped=broken)
    )


def _walk(folder: Path, on_unreadable: OnSkip) -> Iterator[_ScannedFile]:
    for path in folders.scan(folder, on_unreadable):
        try:
            status = path.stat()
        except OSError as error:
            yield _ScannedFile(path, -1, -1, problem=f"can't be read: {error.strerror or error}")
            continue
        if stat.S_ISREG(status.st_mode):
            yield _ScannedFile(path, status.st_size, status.st_mtime_ns)


def _same(state: FileState | None, file: _ScannedFile, *, retry: bool) -> bool:
    return (
        state is not None
        and (state.size, state.modified) == (file.size, file.modified)
        and state.settled
        and not (retry and state.broken)
    )


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A content as the model wants it."""

    digest: bytes
    pixels: Pixels
    facts: PhotoFacts
    hash: int


_Step: TypeAlias = tuple[_ScannedFile, _Decoded | str | None]
"""A file with its decoded content, or why it can't be decoded, or None where it needn't be."""


def _kept(
    store: Store, matcher: Matcher, batches: Iterable[list[_Step]], callbacks: IndexCallbacks
) -> Iterator[list[_Step]]:
    """Encode batches and store them."""
    for batch in batches:
        pixels = [step for _, step in batch if isinstance(step, _Decoded)]
        store.keep(
            [*_encode(matcher, pixels), *_broken(batch)],
            [file.row() for file, _ in batch],
        )
        callbacks.kept(store.numbers(file.digest for file, _ in batch if file.digest is not None))
        yield batch


def _count(
    store: Store, batches: Iterable[list[_Step]], span: tuple[int, int], callbacks: IndexCallbacks
) -> IndexResult:
    """Count what was stored, and report it; `span`: how many are done already, and the total."""
    done = skipped = encoded = 0
    before, total = span
    callbacks.progress(before, 0, total)
    for batch in batches:
        for file, _ in batch:
            problem = file.problem or (file.digest and store.problem(file.digest))
            if problem:
                skipped += 1
                callbacks.skip(file.path, problem)
        encoded += sum(isinstance(step, _Decoded) for _, step in batch)
        done += len(batch)
        callbacks.progress(before + done, skipped, total)
    return IndexResult(encoded=encoded, skipped=skipped, known=done - encoded - skipped)


def _encode(matcher: Matcher, photos: Sequence[_Decoded]) -> Iterator[NewPhoto]:
    if not photos:
        return
    vectors = matcher.image_encoder.encode([photo.pixels for photo in photos])
    joint = matcher.alignment.images(vectors).vectors
    for photo, vector, place in zip(photos, vectors, joint, strict=True):
        yield NewPhoto(photo.digest, None, photo.facts, photo.hash, vector, place)


def _broken(batch: Iterable[_Step]) -> Iterator[NewPhoto]:
    for file, step in batch:
        if isinstance(step, str) and file.digest is not None:
            yield NewPhoto(file.digest, problem=step)


def _decoded(
    store: Store, matcher: Matcher, changed: Iterable[_ScannedFile], *, retry: bool
) -> Iterator[_Step]:
    """Every file, hashed, and decoded where its content is new; in order, some ahead."""
    met: set[bytes] = set()

    def needed(file: _ScannedFile) -> tuple[_ScannedFile, bool]:
        digest = file.digest
        if digest is None or digest in met:
            return file, False
        if store.settled(digest) and not (retry and store.problem(digest)):
            return file, False
        met.add(digest)
        return file, True

    def decode(item: tuple[_ScannedFile, bool]) -> _Step:
        file, wanted = item
        return _decode(matcher, file) if wanted else (file, None)

    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        hashed = in_order(pool, _identify, changed, QUEUE)
        yield from in_order(pool, decode, map(needed, hashed), QUEUE)


def _identify(file: _ScannedFile) -> _ScannedFile:
    """The file with the digest of its content, and with the size and time it had then."""
    if file.problem is not None:
        return file
    try:
        with file.path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            digest = bytes.fromhex(files.digest(stream))
    except OSError as error:
        return replace(file, problem=f"can't be read: {error.strerror or error}")
    return _ScannedFile(file.path, status.st_size, status.st_mtime_ns, digest)


def _decode(matcher: Matcher, file: _ScannedFile) -> _Step:
    assert file.digest is not None
    encoder = matcher.image_encoder
    step: _Decoded | str
    try:
        photo, facts = images.read(file.path, encoder.size)
        pixels, mark = encoder.prepare(photo), images.perceptual_hash(photo)
        step = _Decoded(file.digest, pixels, facts, mark)
    except ImageError as error:
        step = str(error)
    if files.state(file.path) != (file.size, file.modified):
        return replace(file, digest=None, problem="changed while it was being read"), None
    return file, step


def _batches(steps: Iterable[_Step]) -> Iterator[list[_Step]]:
    """As many as the model takes at once, or many that need no model."""
    batch: list[_Step] = []
    wanted = 0
    for step in steps:
        batch.append(step)
        wanted += isinstance(step[1], _Decoded)
        if wanted == BATCH or len(batch) >= PASSED:
            yield batch
            batch, wanted = [], 0
    if batch:
        yield batch
