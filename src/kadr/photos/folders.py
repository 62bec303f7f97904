"""Folders of photos: which of their files may be photos."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from kadr.errors import DataError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff"}
    | {".bmp", ".avif", ".heic", ".heif", ".hif"}
)


def scan(folder: Path, on_unreadable: Callable[[Path, str], None] | None = None) -> Iterator[Path]:
    """Paths of the photos below a folder, in a stable order.

    Hidden files and folders are skipped, and links to folders aren't followed, so loops of links do
    no harm. `on_unreadable` is called with each subfolder that can't be listed, and the reason.

    Raises:
        DataError: the folder doesn't exist or can't be read.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where a parent is shut
        raise DataError(f"{folder}: no such folder. Name a folder that holds photos.")
    waiting = [os.fspath(folder)]  # os.walk() recurses, and fails 1,000 folders deep
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = error.strerror or str(error)
            if parent == os.fspath(folder):
                hint = "Check its permissions."
                raise DataError(f"{folder}: can't be read ({reason}). {hint}") from error
            if on_unreadable is not None:
                on_unreadable(Path(parent), reason)
            continue
        seen = [entry for entry in entries if not entry.name.startswith(".")]
        yield from (Path(entry.path) for entry in seen if _may_be_photo(entry))
        waiting += [entry.path for entry in reversed(seen) if _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # on file systems that have to be asked once more
        return False


def _may_be_photo(entry: os.DirEntry[str]) -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
    return suffix in SUFFIXES and not os.path.isdir(entry.path)  # noqa: PTH112
