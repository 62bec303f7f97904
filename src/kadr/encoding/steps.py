"""Steps from a photo's file to what a library keeps of it; indexing and encoding take the same.

Nothing here stores anything.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from kadr.encoders import ImageEncoder
from kadr.errors import ImageError
from kadr.photos import files, hashes, sidecar_facts
from kadr.stores import NewFile, NewPhoto
from kadr.types import PhotoFacts, Pixels, Vectors

if TYPE_CHECKING:
    from PIL import Image

Read: TypeAlias = "Callable[[int], tuple[Image.Image, PhotoFacts]]"
"""Gives a photo, no smaller than so many pixels a side, and its facts; raises ImageError."""


@dataclass(frozen=True)
class Encoders:
    """Whose vectors are searched, and the law's own encoder, where it needs another one."""

    image: ImageEncoder
    law: ImageEncoder | None = None

    @property
    def size(self) -> int:
        """Pixels a side that serve both."""
        return max(self.image.size, self.law.size if self.law else 0)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A content as the models want it; `law` are the pixels for the law's own."""

    digest: bytes
    pixels: Pixels
    law: Pixels | None
    facts: PhotoFacts
    hash: int
    parts: tuple[int, ...]


def stated(path: Path) -> NewFile:
    """A file with its size and time of change, or with the problem that there is none."""
    try:
        status = path.stat()
    except OSError as error:
        return NewFile(path, -1, -1, problem=f"can't be read: {error.strerror or error}")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        return NewFile(path, -1, -1, problem="no file but a pipe, a socket or a device")
    return NewFile(path, *files.stamp(status))


def identify(file: NewFile) -> NewFile:
    """The file with its content's digest, its size and time then, and what is said beside it."""
    if file.problem is not None:
        return file
    try:
        with files.opened(file.path) as stream:
            size, modified = files.stamp(os.fstat(stream.fileno()))
            digest = bytes.fromhex(files.digest(stream))
    except OSError as error:
        return replace(file, problem=f"can't be read: {error.strerror or error}")
    said = file.sidecar and sidecar_facts.read_beside(file.path, file.sidecar.state)
    return NewFile(file.path, size, modified, digest, sidecar=said)


def recheck(file: NewFile) -> NewFile:
    """A file that was read after it was identified, or the problem that it changed meanwhile."""
    if files.state(file.path) != (file.size, file.modified):
        return replace(file, digest=None, problem="changed while it was being read")
    return file


def decode(encoders: Encoders, digest: bytes, read: Read) -> Decoded | str:
    """A content as the encoders want it, or why it can't be decoded."""
    try:
        photo, facts = read(encoders.size)
        grey = hashes.reduced(photo)
        return Decoded(
            digest,
            encoders.image.prepare(photo),
            encoders.law.prepare(photo) if encoders.law else None,
            facts,
            hashes.perceptual_hash(grey),
            hashes.part_hashes(grey),
        )
    except ImageError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one odd photo ends nothing
        return f"not a readable photo ({error})"


def law_vectors(
    encoder: ImageEncoder | None, photos: Sequence[Decoded]
) -> list[dict[str, Vectors]]:
    """Of each photo the vector that the law's classifier needs beside the other, by encoder."""
    if encoder is None or not photos:
        return [{} for _ in photos]
    vectors = encoder.encode([photo.law for photo in photos if photo.law is not None])
    return [{encoder.name: vector} for vector in vectors]


def encode(
    encoder: ImageEncoder, photos: Sequence[Decoded], others: Sequence[Mapping[str, Vectors]]
) -> Iterator[NewPhoto]:
    """Photos with their vectors, and with those of other encoders; not yet in a joint space."""
    if not photos:
        return
    vectors = encoder.encode([photo.pixels for photo in photos])
    for photo, vector, more in zip(photos, vectors, others, strict=True):
        yield NewPhoto(
            photo.digest,
            facts=photo.facts,
            hash=photo.hash,
            vector=vector,
            parts=photo.parts,
            others=more,
        )
