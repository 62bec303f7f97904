"""Photos in an object store by their names: s3://bucket/folder/photo.jpg, used as a path."""

import os
import re
from pathlib import Path, PosixPath
from typing import TypeGuard

SCHEMES = ("s3", "gs", "az")
"""Amazon S3 and whatever speaks like it, Google Cloud Storage, Azure Blob Storage."""
_URL = re.compile(rf"(?:{'|'.join(SCHEMES)}):/{{1,2}}(?!/|$)")
"""With one slash or two: `pathlib` makes one of both, as where an option of the command line is a
path. No path of a file in a library begins so, for those are absolute."""


class ObjectPath(PosixPath):
    """An object's URL: its parts are the scheme, the bucket and the names of the key.

    It is written with two slashes wherever it is shown or kept, and leads to no file here.
    """

    def __str__(self) -> str:
        plain = super().__str__()
        return plain.replace(":/", "://", 1) if _URL.match(plain) else plain

    def __fspath__(self) -> str:
        return str(self)

    def absolute(self) -> "ObjectPath":
        """Itself."""
        return self

    def resolve(self, strict: bool = False) -> "ObjectPath":  # noqa: ARG002 - Path's
        """Itself: an object store has no links."""
        return self


def located(place: str | os.PathLike[str]) -> Path:
    """The path of a file or folder here, or of an object."""
    text = os.fspath(place)
    return ObjectPath(text) if _URL.match(text) else Path(text)


def is_object(path: Path) -> TypeGuard[ObjectPath]:
    """Whether a path is an object's, or that of a folder of objects."""
    return isinstance(path, ObjectPath)


NO_PATH = "no path can have its key, which holds // or a lone dot"


def is_spelled(url: str) -> bool:
    """Whether a URL's key can be a path: `pathlib` drops names that are empty or a dot."""
    return os.fspath(located(url)) == url
