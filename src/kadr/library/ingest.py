"""Flow: folders -> library. Only what is new or changed is read; only new contents are decoded.

Files are compared by size and time of change, contents by SHA-256. A photo is decoded once, also
where the law's classifier needs vectors of another encoder than the matcher's. Hashing and decoding
run on threads ahead of the model; each batch is one transaction, so an interrupted run goes on.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from kadr.encoders import ImageEncoder
from kadr.encoders.vectors import BATCH, in_order
from kadr.encoding.steps import (
    Decoded,
    Encoders,
    Read,
    decode,
    encode,
    identify,
    law_vectors,
    recheck,
)
from kadr.errors import DataError, LibraryError
from kadr.library import films, placing
from kadr.library.changes import Changes, find_changes
from kadr.matcher.bundle import Matcher
from kadr.photos import hashes, reader
from kadr.photos.reader import Reader
from kadr.stores import NewFile, NewPhoto, Store
from kadr.types import PhotoFacts

QUEUE = 3 * BATCH
"""Files that are hashed, and as many that are decoded, ahead of the model: bounds the memory."""
PASSED = 512
"""Files that need no model are written when there are so many."""


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to index.

    `prune`: forget the files that are gone; else they only leave the answers. `retry`: read again
    what couldn't be decoded. `reread`: read again what the files of known photos say of themselves.
    """

    prune: bool = False
    retry: bool = False
    reread: bool = False


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What indexing did, counted in files.

    `encoded` contents were decoded and went through the model; `known` files are new paths of
    contents that the library already had (renamed, copied, back again); `reread` files were read
    again and not encoded; `gone` files are no longer there, or are left out by now; `pruned` files
    were forgotten; `reencoded` photos got vectors of another encoder, and `waiting` ones couldn't,
    for they are gone: they are encoded once they are back; `skipped` files can't be read or are no
    photos; `absent` folders weren't there at all, so nothing was concluded about their files.
    `ignored` counts files and folders that were left out, by the reason; `unsupported` counts files
    by their format, such as "CR2". `films` are those whose frames are known by now; each of these
    is counted as a file.
    """

    files: int = 0
    unchanged: int = 0
    encoded: int = 0
    known: int = 0
    reread: int = 0
    skipped: int = 0
    gone: int = 0
    pruned: int = 0
    reencoded: int = 0
    waiting: int = 0
    films: int = 0
    absent: tuple[Path, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    unsupported: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: "IndexResult") -> "IndexResult":
        """Both together."""
        sums = {
            one.name: getattr(self, one.name) + getattr(other, one.name)
            for one in fields(self)
            if one.name not in {"ignored", "unsupported"}
        }
        return IndexResult(
            **sums,
            ignored=dict(Counter(self.ignored) + Counter(other.ignored)),
            unsupported=dict(Counter(self.unsupported) + Counter(other.unsupported)),
        )


OnProgress: TypeAlias = Callable[[int, int, int], None]
"""Called with the number of files done, skipped among them, and their total."""
OnSkip: TypeAlias = Callable[[Path, str], None]
"""Called with each file or folder that can't be read, and why."""
OnKept: TypeAlias = Callable[[Sequence[int]], None]
"""Called with the numbers of photos that are new, or have a new path, once they are stored."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What more vectors cost: of how many photos at most, about how long, of which encoder.

    `dim` figures a photo are kept, in 4 bytes each. `law`: they are those that the law's classifier
    needs; else the library will be searched with them.
    """

    encoder: str
    photos: int
    seconds: float
    dim: int
    law: bool

    @property
    def bytes(self) -> int:
        """Bytes that the library grows by, at most."""
        return self.photos * self.dim * 4


OnCost: TypeAlias = Callable[[Cost], None]
"""Called with what encoding with another encoder costs, once a first batch has been measured."""


def _silent(*_arguments: object) -> None:
    pass


@dataclass(frozen=True)
class IndexCallbacks:
    """What is called while indexing."""

    progress: OnProgress = _silent
    skip: OnSkip = _silent
    kept: OnKept = _silent
    cost: OnCost = _silent
    read: Reader = reader.read
    """Opens photos."""


def adopt(store: Store, matcher: Matcher, model: str) -> None:
    """Make the library this matcher's.

    Args:
        store: the library.
        matcher: whose vectors it is to hold.
        model: the matcher's folder, noted for the searches to come.

    Raises:
        LibraryError: its vectors are another encoder's.
    """
    encoder = store.meta("encoder")
    if encoder is not None and encoder != matcher.image_encoder.name:
        from kadr.matcher.installed import named

        raise LibraryError(
            f"{store.name} holds vectors of {named(encoder)}, this matcher makes those of "
            f"{named(matcher.image_encoder.name)}. Encode its photos again: kadr index --model "
            "MODEL --reencode"
        )
    fit(store, matcher, encoder=matcher.image_encoder.name, model=model)


def fit(store: Store, matcher: Matcher, **notes: str) -> None:
    """Bring the scan into the matcher's joint space, where it is in another one, and note that."""
    space = matcher.alignment.digest()
    if store.meta("space") != space:
        store.rescan(
            lambda vectors: matcher.alignment.images(vectors).vectors, space=space, **notes
        )
    elif notes:
        store.note(**notes)


def ingest(
    store: Store,
    matcher: Matcher,
    roots: Sequence[Path],
    options: IndexOptions | None = None,
    callbacks: IndexCallbacks | None = None,
    law: ImageEncoder | None = None,
) -> IndexResult:
    """Bring the library in step with folders.

    Args:
        store: the library, `writing` held, of this matcher (`adopt`).
        matcher: encodes.
        roots: absolute; below them everything is compared, beside them nothing is touched. What
            the library knows of one that isn't there, or can't be read, is kept.
        options: how to index.
        callbacks: report progress and each file that is skipped.
        law: encodes too, for the law's classifier, where that needs another encoder.

    Raises:
        LibraryError: the library can't be written.
    """
    options, callbacks = options or IndexOptions(), callbacks or IndexCallbacks()
    encoders = Encoders(matcher.image_encoder, law)
    result = IndexResult()
    store.keep_words()
    for folder in roots:
        try:
            scanned = _bring_in_step(store, matcher, encoders, folder, options, callbacks)
        except DataError:
            result = result.plus(IndexResult(absent=(folder,)))
            continue
        result = result.plus(scanned)
        if options.prune and not scanned.files and store.states(folder):  # as an empty mount point
            result = result.plus(IndexResult(absent=(folder,)))
        elif options.prune:
            result = result.plus(IndexResult(pruned=store.prune(folder)))
    placing.rename(store)
    store.sweep()
    return result


def _bring_in_step(
    store: Store,
    matcher: Matcher,
    encoders: Encoders,
    folder: Path,
    options: IndexOptions,
    callbacks: IndexCallbacks,
) -> IndexResult:
    states = store.states(folder)
    changes = find_changes(store, folder, states, retry=options.retry, reread=options.reread)
    for one in changes.skipped:
        callbacks.skip(one.path, one.reason)
    gone = changes.gone(states)
    store.mark(gone, missing=True)
    store.mark(changes.back, missing=False)
    unchanged = len(changes.seen) - len(changes.replaced) - len(changes.changed)
    steps = _decoded(store, changes.changed, partial(_decode, encoders, callbacks.read), options)
    batches = _kept(store, matcher, encoders.law, _batches(steps), callbacks, len(changes.changed))
    total = unchanged + len(changes.changed)
    added = _count(store, batches, (unchanged, total + len(changes.films)), callbacks, changes.same)
    film_reader = films.FilmReader(store, encoders, partial(joined, matcher))
    added = added.plus(_films(film_reader, changes, options, callbacks, total))
    return replace(
        added,
        files=len(changes.seen) - len(changes.replaced) + added.files,
        films=added.films + changes.known_films,
        unchanged=unchanged - changes.broken,
        skipped=added.skipped + changes.broken,
        gone=len(gone),
        ignored=dict(changes.ignored),
        unsupported=dict(changes.unsupported),
    )


def _films(
    reader: films.FilmReader,
    changes: Changes,
    options: IndexOptions,
    callbacks: IndexCallbacks,
    done: int,
) -> IndexResult:
    """Bring films in step, one after the other; `done` are the files before them."""
    result = IndexResult()
    for left, film in zip(reversed(range(len(changes.films))), changes.films, strict=True):
        brought = reader.bring(film, retry=options.retry, again=options.reread)
        callbacks.kept(brought.kept)
        if brought.problem is not None:
            callbacks.skip(film.file.path, brought.problem)
        result = result.plus(_counted(brought, options, same=film.same))
        now = done + result.files
        callbacks.progress(now, result.skipped, now + left)
    return result


def _counted(brought: films.Brought, options: IndexOptions, *, same: bool) -> IndexResult:
    """A film's frames as files, or the film that has none as one that is skipped."""
    if brought.problem is not None:
        return IndexResult(files=1, skipped=1)
    count, read = len(brought.kept), brought.encoded
    if options.reread:
        return IndexResult(files=count, reread=read, known=count - read, films=1)
    if same:  # what lies beside it was read
        return IndexResult(files=count, encoded=read, reread=count - read, films=1)
    return IndexResult(files=count, encoded=read, known=count - read, films=1)


@dataclass(frozen=True, slots=True)
class _Reread:
    """What is said of a content that is encoded already."""

    digest: bytes
    facts: PhotoFacts
    hash: int


_Step: TypeAlias = tuple[NewFile, Decoded | _Reread | str | None]
"""A file with its decoded content, or why it can't be decoded, or None where it needn't be."""
_Decode: TypeAlias = Callable[[NewFile, "type[Decoded] | type[_Reread]"], _Step]


def _kept(
    store: Store,
    matcher: Matcher,
    law: ImageEncoder | None,
    batches: Iterable[list[_Step]],
    callbacks: IndexCallbacks,
    most: int,
) -> Iterator[list[_Step]]:
    """Encode batches and store them; of `most` files at most.

    What the law's vectors cost is told by the second batch: the first one starts the model.
    """
    told_at = 1 if most <= BATCH else 2
    measured = 0
    for batch in batches:
        decoded = [step for _, step in batch if isinstance(step, Decoded)]
        started = time.monotonic()
        others = law_vectors(law, decoded)
        measured += bool(decoded)
        if law is not None and decoded and measured == told_at:
            seconds = (time.monotonic() - started) / len(decoded) * most
            callbacks.cost(Cost(law.name, most, seconds, law.dim, law=True))
        encoded = encode(matcher.image_encoder, decoded, others)
        photos = [*placing.named(joined(matcher, encoded)), *_broken(batch)]
        stored = _store(store, batch, photos)
        callbacks.kept(store.numbers(file.digest for file, _ in stored if file.digest is not None))
        yield stored


def _store(store: Store, batch: list[_Step], photos: list[NewPhoto]) -> list[_Step]:
    """Store a batch; a file whose values can't be stored is refused, and ends nothing."""
    reread = [
        NewPhoto(step.digest, facts=step.facts, hash=step.hash)
        for _, step in batch
        if isinstance(step, _Reread)
    ]
    try:
        store.update_facts(placing.named(reread))
        store.keep(photos, [file for file, _ in batch])
    except (ValueError, OverflowError) as error:
        if len(batch) == 1:
            # Size and time of no file: it is read again, for the reason may be gone by then.
            file = NewFile(batch[0][0].path, -1, -1, problem=f"can't be stored ({error})")
            store.keep([], [file])
            return [(file, None)]
        return [
            stored
            for step in batch
            for stored in _store(store, [step], [p for p in photos if p.digest == step[0].digest])
        ]
    return batch


def _count(
    store: Store,
    batches: Iterable[list[_Step]],
    span: tuple[int, int],
    callbacks: IndexCallbacks,
    same: set[bytes],
) -> IndexResult:
    """Count what was stored, and report it; `span`: how many are done already, and the total."""
    done = skipped = encoded = reread = 0
    before, total = span
    callbacks.progress(before, 0, total)
    for batch in batches:
        for file, step in batch:
            problem = file.problem or (file.digest and store.problem(file.digest))
            if problem:
                skipped += 1
                callbacks.skip(file.path, problem)
            elif isinstance(step, Decoded):
                encoded += 1
            else:
                reread += os.fsencode(file.path) in same
        done += len(batch)
        callbacks.progress(before + done, skipped, total)
    known = done - encoded - skipped - reread
    return IndexResult(encoded=encoded, skipped=skipped, reread=reread, known=known)


def joined(matcher: Matcher, photos: Iterable[NewPhoto]) -> list[NewPhoto]:
    """Encoded photos with their places in the matcher's joint space."""
    encoded = [(photo, photo.vector) for photo in photos if photo.vector is not None]
    if not encoded:
        return []
    joint = matcher.alignment.images(np.stack([vector for _, vector in encoded])).vectors
    return [replace(photo, joint=place) for (photo, _), place in zip(encoded, joint, strict=True)]


def _broken(batch: Iterable[_Step]) -> Iterator[NewPhoto]:
    for file, step in batch:
        if isinstance(step, str) and file.digest is not None:
            yield NewPhoto(file.digest, problem=step)


def _decoded(
    store: Store, changed: Iterable[NewFile], decode_new: _Decode, options: IndexOptions
) -> Iterator[_Step]:
    """Every file, hashed, and decoded where its content is new; in order, some ahead."""
    met: set[bytes] = set()

    def needed(file: NewFile) -> tuple[NewFile, type[Decoded] | type[_Reread] | None]:
        digest = file.digest
        if digest is None or digest in met:
            return file, None
        wanted: type[Decoded] | type[_Reread] = Decoded
        if store.settled(digest):
            broken = store.problem(digest) is not None
            if not (options.retry if broken else options.reread):
                return file, None
            wanted = Decoded if broken else _Reread
        met.add(digest)
        return file, wanted

    def decode(item: tuple[NewFile, type[Decoded] | type[_Reread] | None]) -> _Step:
        file, wanted = item
        return (file, None) if wanted is None else decode_new(file, wanted)

    # More threads than cores would spend their time waiting for each other and for the model.
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        hashed = in_order(pool, identify, changed, QUEUE)
        yield from in_order(pool, decode, map(needed, hashed), QUEUE)


def _decode(
    encoders: Encoders, read: Reader, file: NewFile, wanted: type[Decoded] | type[_Reread]
) -> _Step:
    assert file.digest is not None
    step: Decoded | _Reread | str | None
    if wanted is _Reread:
        step = _reread(file.digest, partial(read, file.path), encoders.size)
    else:
        step = decode(encoders, file.digest, partial(read, file.path))
    known = recheck(file)
    return known, step if known.problem is None else None


def _reread(digest: bytes, read: Read, size: int) -> _Reread | None:
    """What a known content says of itself; None where it can't be read any more."""
    try:
        photo, facts = read(size)
        return _Reread(digest, facts, hashes.perceptual_hash(photo))
    except Exception:  # noqa: BLE001 - one odd photo ends no indexing
        return None


def _batches(steps: Iterable[_Step]) -> Iterator[list[_Step]]:
    """As many as the model takes at once, or many that need no model."""
    batch: list[_Step] = []
    wanted = 0
    for step in steps:
        batch.append(step)
        wanted += isinstance(step[1], Decoded)
        if wanted == BATCH or len(batch) >= PASSED:
            yield batch
            batch, wanted = [], 0
    if batch:
        yield batch
