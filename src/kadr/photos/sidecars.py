"""Sidecars: files beside a photo that speak of it as its own file does, and whose they are.

`IMG_1.xmp` and `IMG_1.jpg.xmp` belong to `IMG_1.jpg`, in any case. A sidecar goes with its photo:
patterns of what is left out don't concern it.
"""

import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from kadr.photos import files, kinds
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
    """The sidecars of a photo by its name, sorted: its own, and those of a RAW of the same shot."""
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
        self._names: dict[Path, Names] = {}

    def state(self, photo: Path) -> str:
        """`Sidecar.state` of a photo's; empty where it has none, or lies in an object store."""
        if is_object(photo):
            return ""
        folder = photo.parent
        if folder not in self._names:
            self._names[folder] = by_photo(_listed(folder))
        return state_beside(folder, of_photo(photo.name, self._names[folder]))


def _listed(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return names_of(entries)
    except OSError:
        return []


def names_of(entries: Iterable["os.DirEntry[str]"]) -> list[str]:
    """The names of the sidecars among a folder's entries."""
    return [one.name for one in entries if is_sidecar(one.name) and not one.is_dir()]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
