"""Sidecars: files beside a photo or film that speak of it as its own file does; whose they are.

`IMG_1.xmp` and `IMG_1.jpg.xmp` belong to `IMG_1.jpg`, in any case. A sidecar goes with its photo:
patterns of what is left out don't concern it.
"""

import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from kadr.photos import files, films, kinds
from kadr.photos.files import State
from kadr.photos.objects import is_object

SUFFIX = ".xmp"
UNREAD: State = (-1, -1)
"""Of a sidecar that can't be read: another state than it has once it can."""

Names: TypeAlias = Mapping[str, Sequence[str]]
"""Names of a folder's sidecars, by what they have in common with those of their photos."""


def is_sidecar(name: str) -> bool:
    """Whether a file is a sidecar by its name."""
    return name[-len(SUFFIX) :].lower() == SUFFIX


def by_photo(names: Iterable[str]) -> Names:
    """The sidecars among the names of a folder's files."""
    found: dict[str, list[str]] = {}
    for name in names:
        if is_sidecar(name):
            found.setdefault(_key(name[: -len(SUFFIX)]), []).append(name)
    return found


def of_photo(photo: str, found: Names) -> tuple[str, ...]:
    """The sidecars of a photo or film by its name, sorted; those of a RAW of the same shot too."""
    if not found:
        return ()
    stem = os.path.splitext(photo)[0]  # noqa: PTH122 - names come by the million
    keys = dict.fromkeys(map(_key, (photo, stem, *(stem + raw for raw in kinds.RAW_SUFFIXES))))
    return tuple(sorted(name for key in keys for name in found.get(key, ())))


def state(names: Sequence[str], state_of: Callable[[str], State | None]) -> str:
    """`Sidecar.state` of sidecars by their names; empty where there are none."""
    if not names:
        return ""
    return json.dumps([[name, *(state_of(name) or UNREAD)] for name in names])


def state_beside(folder: Path, names: Sequence[str]) -> str:
    """`Sidecar.state` of files in a folder."""
    return state(names, lambda name: files.state(folder / name))


class Folders:
    """The sidecars of photos in folders here; lists each folder once."""

    def __init__(self) -> None:
        self._names: dict[Path, Names | None] = {}

    def state(self, photo: Path) -> str:
        """`Sidecar.state` of a photo's, or of a frame's film's.

        Empty where it has none, or lies in an object store. Of a folder that can't be listed, one
        sidecar that can't be read: nobody knows what lies there.
        """
        if is_object(photo):
            return ""
        photo = films.file_of(photo)
        folder = photo.parent
        if folder not in self._names:
            self._names[folder] = _listed(folder)
        names = self._names[folder]
        if names is None:
            return state([photo.name + SUFFIX], lambda _: None)
        return state_beside(folder, of_photo(photo.name, names))


def _listed(folder: Path) -> Names | None:
    try:
        with os.scandir(folder) as entries:
            return by_photo(names_of(entries))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError:
        return None


def names_of(entries: Iterable["os.DirEntry[str]"]) -> list[str]:
    """The names of the sidecars among a folder's entries."""
    return [one.name for one in entries if is_sidecar(one.name) and not _is_folder(one)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: a sidecar that can't be read
        return False


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
