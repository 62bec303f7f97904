"""How a photo's file becomes pixels: in this process, or where memory and time are limited."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kadr.errors import ImageError
from kadr.photos import files, films, object_store
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
            path: its file, a frame of a film (`kadr.photos.films`), or an object.
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
    frame = films.frame(path)
    file = path if frame is None else frame.film
    try:
        before = files.identity(file)
        if digest is not None and files.digest(path) != digest:
            raise ImageError("changed since it was indexed")
        photo = images.read(path, size) if frame is None else _shown(frame, size)
        if files.identity(file) != before:
            raise ImageError("changed while it was read")
    except OSError as error:
        raise ImageError(f"can't be read ({error.strerror or error})") from error
    return photo


def _shown(frame: films.FramePath, size: int) -> "tuple[Image.Image, PhotoFacts]":
    from kadr.photos import video

    return video.frame(frame.film, frame.at, size)


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
