"""Flow: photos of a library -> their vectors by another encoder, and the switch to that one.

The vectors that are searched stay until all are there. Each batch is kept at once: stopped or
killed, it goes on where it was.
"""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from kadr.encoders import ImageEncoder
from kadr.encoders.vectors import BATCH, in_order
from kadr.errors import LibraryError
from kadr.library.ingest import Cost, IndexCallbacks
from kadr.matcher.bundle import Matcher
from kadr.photos.reader import Reader
from kadr.stores import SWITCHING, Store, Stored
from kadr.types import Pixels

QUEUE = 3 * BATCH
"""Photos that are decoded ahead of the model: bounds the memory."""
LOOKUP = 256
"""Photos whose paths are asked for at once."""


@dataclass(frozen=True, slots=True)
class Reencoded:
    """How many photos were encoded again, and how many couldn't be read, or lie nowhere."""

    encoded: int = 0
    waiting: int = 0


def switch(
    store: Store, matcher: Matcher, model: str, callbacks: IndexCallbacks, keep: str | None
) -> Reencoded:
    """Encode all photos that can be read by a matcher's encoder, then search with that one.

    What can't be read waits, and is encoded by the first indexing that finds it.

    Args:
        store: the library, `writing` held, with vectors of another encoder.
        matcher: whose vectors it is to hold.
        model: the matcher's folder, noted for the searches to come.
        callbacks: report cost and progress.
        keep: the encoder whose vectors are kept beside; None: none.

    Raises:
        LibraryError: not one photo can be read, or the library can't be written.
    """
    encoder, alignment = matcher.image_encoder, matcher.alignment
    forget_sets(store, {encoder.name, keep})
    store.note(**{SWITCHING: model if model != store.meta("model") else None})
    encoded = encode_lacking(store, encoder, store.lacking(encoder.name), callbacks)
    unread, read = len(store.lacking(encoder.name)), store.vector_sets().get(encoder.name, 0)
    if unread > read:
        raise LibraryError(
            f"{store.name}: {unread:,} of its photos can't be read, as where a disk is unplugged, "
            "and could no longer be found. It stays as it is. Plug the disk in and run it again, "
            "or forget what is gone: kadr index --prune"
        )
    waiting = store.switch_encoder(
        encoder.name,
        lambda vectors: alignment.images(vectors).vectors,
        model=model,
        space=alignment.digest(),
        keep=store.meta("encoder") == keep,
    )
    store.note(**{SWITCHING: None})
    return Reencoded(encoded, waiting)


def forget_sets(store: Store, but: set[str | None]) -> None:
    """Forget vector sets, such as those of a switch that wasn't finished, but those of some."""
    store.note(**{SWITCHING: None})
    for name in store.vector_sets().keys() - but:
        store.drop_vectors(name)


def encode_lacking(
    store: Store,
    encoder: ImageEncoder,
    photos: Sequence[int],
    callbacks: IndexCallbacks,
    *,
    law: bool = False,
) -> int:
    """Add photos to an encoder's vector set; how many could be read.

    What it will cost is told once a batch has been measured: the second where there is one, since
    the first one waits for the model to start.
    """
    done = encoded = 0
    known, started = store.vector_sets().get(encoder.name, 0), time.monotonic()
    decoded = _decoded(store, encoder, photos, callbacks.read)
    while batch := list(islice(decoded, BATCH)):
        encoded += _keep(store, encoder, batch)
        now = time.monotonic()
        if done == BATCH or (not done and len(photos) <= BATCH):
            seconds = (now - started) / len(batch) * len(photos)
            callbacks.cost(Cost(encoder.name, len(photos), seconds, encoder.dim, law=law))
        done, started = done + len(batch), now
        callbacks.progress(known + done, done - encoded, known + len(photos))
    return encoded


def _keep(store: Store, encoder: ImageEncoder, batch: Sequence[tuple[int, Pixels | None]]) -> int:
    there = {number: pixels for number, pixels in batch if pixels is not None}
    if there:
        vectors = encoder.encode(list(there.values()))
        store.add_vectors(encoder.name, dict(zip(there, vectors, strict=True)))
    return len(there)


def _decoded(
    store: Store, encoder: ImageEncoder, photos: Sequence[int], read: Reader
) -> Iterator[tuple[int, Pixels | None]]:
    """Each photo as the encoder wants it, or None where it can't be read; in order, some ahead."""
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        yield from in_order(pool, partial(_decode, encoder, read), _stored(store, photos), QUEUE)


def _stored(store: Store, photos: Sequence[int]) -> Iterator[Stored]:
    for start in range(0, len(photos), LOOKUP):
        part = photos[start : start + LOOKUP]
        known = store.stored(store.present(part))
        yield from (known[number] for number in part if number in known)


def _decode(encoder: ImageEncoder, read: Reader, photo: Stored) -> tuple[int, Pixels | None]:
    for path in photo.paths:
        pixels = _read(encoder, read, path, photo.digest)
        if pixels is not None:
            return photo.id, pixels
    return photo.id, None


def _read(encoder: ImageEncoder, read: Reader, path: Path, digest: str) -> Pixels | None:
    try:
        return encoder.prepare(read(path, encoder.size, digest)[0])
    except Exception:  # noqa: BLE001 - one odd photo ends nothing
        return None
