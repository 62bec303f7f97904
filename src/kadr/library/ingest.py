"""Flow: folders -> library. Only what is new or changed is read; only new contents are decoded.

Files are compared by size and time of change, contents by SHA-256. Hashing and decoding run on
threads ahead of the model; each batch is one transaction, so an interrupted run goes on.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from kadr.encoders.vectors import BATCH, in_order
from kadr.errors import DataError, ImageError, LibraryError
from kadr.matcher.bundle import Matcher
from kadr.photos import files, images
from kadr.stores import FileState, NewFile, NewPhoto, Store
from kadr.types import PhotoFacts, Pixels

QUEUE = 3 * BATCH
"""Files that are hashed, and as many that are decoded, ahead of the model: bounds the memory."""
PASSED = 512
"""Files that need no model are written when there are so many."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an indexing found, in files.

    `encoded` contents were decoded and went through the model; `known` files are new paths of
    contents that were there (renamed, copied, seen again); `gone` files are no longer there;
    `pruned` files were forgotten; `skipped` files can't be read or are no photos; `absent` folders
    weren't there at all, so nothing is said of their files.
    """

    files: int = 0
    unchanged: int = 0
    encoded: int = 0
    known: int = 0
    skipped: int = 0
    gone: int = 0
    pruned: int = 0
    absent: tuple[Path, ...] = ()

    def plus(self, other: "Outcome") -> "Outcome":
        """Both together."""
        return Outcome(
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
"""Called with the numbers of photos that are new, or lie at a new path, as they are kept."""


@dataclass(frozen=True)
class Watcher:
    """Who is told of what goes on."""

    progress: OnProgress = field(default=lambda _done, _skipped, _total: None)
    skip: OnSkip = field(default=lambda _path, _reason: None)
    kept: OnKept = field(default=lambda _photos: None)


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
    watcher: Watcher | None = None,
) -> Outcome:
    """Bring the library in step with folders.

    Args:
        store: the library, `writing` held, of this matcher (`adopt`).
        matcher: encodes.
        folders: absolute; below them everything is compared, beside them nothing is touched.
        prune: forget the files that are gone; else they only leave the answers.
        retry: read again what couldn't be decoded.
        watcher: is told of progress and of each file that is skipped.

    Raises:
        DataError: a folder can't be read at all.
        LibraryError: the library can't be written.
    """
    watcher = watcher or Watcher()
    outcome = Outcome()
    for folder in folders:
        if not os.path.isdir(folder):  # noqa: PTH112
            outcome = outcome.plus(Outcome(absent=(folder,)))
            continue
        found = _bring_in_step(store, matcher, folder, retry=retry, tell=watcher)
        outcome = outcome.plus(found)
        if prune and not found.files and store.states(folder):  # as an empty mount point looks
            outcome = outcome.plus(Outcome(absent=(folder,)))
        elif prune:
            outcome = outcome.plus(Outcome(pruned=store.prune(folder)))
    store.sweep()
    return outcome


@dataclass(frozen=True, slots=True)
class _Found:
    """A file as it is now."""

    path: Path
    size: int
    modified: int
    digest: bytes | None = None
    problem: str | None = None

    def row(self) -> NewFile:
        return NewFile(self.path, self.size, self.modified, self.digest, self.problem)


def _bring_in_step(
    store: Store, matcher: Matcher, folder: Path, *, retry: bool, tell: Watcher
) -> Outcome:
    states = store.states(folder)
    closed: list[bytes] = []

    def shut(path: Path, reason: str) -> None:
        closed.append(os.fsencode(path) + os.sep.encode())
        tell.skip(path, reason)

    seen: set[bytes] = set()
    changed: list[_Found] = []
    back: list[bytes] = []
    broken = 0
    for found in _walk(folder, shut):
        path = os.fsencode(found.path)
        seen.add(path)
        state = states.get(path)
        if _same(state, found, retry=retry):
            assert state is not None
            broken += state.broken
            if state.missing:
                back.append(path)
        else:
            changed.append(found)
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
    batches = _kept(store, matcher, _batches(steps), tell)
    added = _count(store, batches, (unchanged, unchanged + len(changed)), tell)
    return replace(added, files=len(seen), unchanged=unchanged - broken, gone=len(gone)).plus(
        Outcome(skipped=broken)
    )


def _walk(folder: Path, shut: OnSkip) -> Iterator[_Found]:
    for path in images.scan(folder, shut):
        try:
            status = path.stat()
        except OSError as error:
            yield _Found(path, -1, -1, problem=f"can't be read: {error.strerror or error}")
            continue
        if stat.S_ISREG(status.st_mode):
            yield _Found(path, status.st_size, status.st_mtime_ns)


def _same(state: FileState | None, found: _Found, *, retry: bool) -> bool:
    return (
        state is not None
        and (state.size, state.modified) == (found.size, found.modified)
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


_Step: TypeAlias = tuple[_Found, _Decoded | str | None]
"""A file with its decoded content, or why it can't be decoded, or None where it needn't be."""


def _kept(
    store: Store, matcher: Matcher, batches: Iterable[list[_Step]], tell: Watcher
) -> Iterator[list[_Step]]:
    """Encode batches and keep them."""
    for batch in batches:
        pixels = [step for _, step in batch if isinstance(step, _Decoded)]
        store.keep(
            [*_encode(matcher, pixels), *_broken(batch)],
            [found.row() for found, _ in batch],
        )
        tell.kept(store.numbers(found.digest for found, _ in batch if found.digest is not None))
        yield batch


def _count(
    store: Store, batches: Iterable[list[_Step]], span: tuple[int, int], tell: Watcher
) -> Outcome:
    """Count what was kept, and tell of it; `span` is how many are done already, and the total."""
    done = skipped = encoded = 0
    before, total = span
    tell.progress(before, 0, total)
    for batch in batches:
        for found, _ in batch:
            problem = found.problem or (found.digest and store.problem(found.digest))
            if problem:
                skipped += 1
                tell.skip(found.path, problem)
        encoded += sum(isinstance(step, _Decoded) for _, step in batch)
        done += len(batch)
        tell.progress(before + done, skipped, total)
    return Outcome(encoded=encoded, skipped=skipped, known=done - encoded - skipped)


def _encode(matcher: Matcher, photos: Sequence[_Decoded]) -> Iterator[NewPhoto]:
    if not photos:
        return
    vectors = matcher.image_encoder.encode([photo.pixels for photo in photos])
    joint = matcher.alignment.images(vectors).vectors
    for photo, vector, place in zip(photos, vectors, joint, strict=True):
        yield NewPhoto(photo.digest, None, photo.facts, photo.hash, vector, place)


def _broken(batch: Iterable[_Step]) -> Iterator[NewPhoto]:
    for found, step in batch:
        if isinstance(step, str) and found.digest is not None:
            yield NewPhoto(found.digest, problem=step)


def _decoded(
    store: Store, matcher: Matcher, changed: Iterable[_Found], *, retry: bool
) -> Iterator[_Step]:
    """Every file, hashed, and decoded where its content is new; in order, some ahead."""
    met: set[bytes] = set()

    def needed(found: _Found) -> tuple[_Found, bool]:
        digest = found.digest
        if digest is None or digest in met:
            return found, False
        if store.settled(digest) and not (retry and store.problem(digest)):
            return found, False
        met.add(digest)
        return found, True

    def decode(item: tuple[_Found, bool]) -> _Step:
        found, wanted = item
        return _decode(matcher, found) if wanted else (found, None)

    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        hashed = in_order(pool, _identify, changed, QUEUE)
        yield from in_order(pool, decode, map(needed, hashed), QUEUE)


def _identify(found: _Found) -> _Found:
    """The file with the digest of its content, and with the size and time it had then."""
    if found.problem is not None:
        return found
    try:
        with found.path.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return replace(found, problem=f"can't be read: {error.strerror or error}")
    return _Found(found.path, status.st_size, status.st_mtime_ns, digest)


def _decode(matcher: Matcher, found: _Found) -> _Step:
    assert found.digest is not None
    encoder = matcher.image_encoder
    step: _Decoded | str
    try:
        photo, facts = images.read(found.path, encoder.size)
        pixels, mark = encoder.prepare(photo), images.perceptual_hash(photo)
        step = _Decoded(found.digest, pixels, facts, mark)
    except ImageError as error:
        step = str(error)
    if files.state(found.path) != (found.size, found.modified):
        return replace(found, digest=None, problem="changed while it was being read"), None
    return found, step


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
