"""How a photo's file becomes pixels: in this process, or where memory and time are limited."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kadr.errors import ImageError
from kadr.photos import files, object_store
from kadr.photos.objects import ObjectPath, is_object
from kadr.types import PhotoFacts

if TYPE_CHECKING:
    from PIL import Image


class Reader(Protocol):
    """Reads photos' files; `read` is one, a service has another."""

    def __call__(
        self, path: Path, size: int, digest: str | None = None
    ) -> "tuple[Image.Image, PhotoFacts]":
        """The photo and its facts, as `kadr.photos.images.read` gives them.

        Args:
            path: its file, or an object.
            size: see `kadr.photos.images.decode`.
            digest: SHA-256 that the file must have; None: any.

        Raises:
            ImageError: it can't be read, or holds something else.
        """
        ...


def read(path: Path, size: int, digest: str | None = None) -> "tuple[Image.Image, PhotoFacts]":
    """Read a photo in this process; see `Reader`."""
    from kadr.photos import images  # a search needs no decoder

    if is_object(path):
        return decoded(fetched(path), path.name, size, digest)
    try:
        before = identity(path)
        if digest is not None and files.digest(path) != digest:
            raise ImageError("changed since it was indexed")
        photo = images.read(path, size)
        if identity(path) != before:
            raise ImageError("changed while it was read")
    except OSError as error:
        raise ImageError(f"can't be read ({error.strerror or error})") from error
    return photo


def fetched(
    path: ObjectPath, most: int | None = None, seconds: float = object_store.SECONDS
) -> bytes:
    """An object's content, of at most so many bytes; None: as many as are read of a file.

    Raises:
        ImageError: it can't be read, or not within some seconds.
        MissingExtraError: what reads objects isn't installed.
    """
    from kadr.photos import images

    try:
        return object_store.fetched(path, images.MAX_BYTES if most is None else most, seconds)
    except OSError as error:
        raise ImageError(f"can't be read ({object_store.line(error)})") from error


def decoded(
    content: bytes, name: str, size: int, digest: str | None = None
) -> "tuple[Image.Image, PhotoFacts]":
    """A photo of an object's content and name; otherwise as `Reader`."""
    from kadr.photos import images

    if digest is not None and files.digest(content) != digest:
        raise ImageError("changed since it was indexed")
    return images.read(content, size, name=name)


def identity(file: Path | int) -> tuple[int, ...]:
    """What differs once a file was replaced or written to; nobody can set the time of that.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(file)  # noqa: PTH116 - of a descriptor too
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )  # fmt: skip
