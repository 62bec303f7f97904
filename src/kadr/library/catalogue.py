"""A library's photos as they may be seen without a query, and what they can be chosen by."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kadr.law import verdict
from kadr.law.policy import Policy
from kadr.photos import files
from kadr.stores.sqlite import Store, Stored
from kadr.types import Filters

LOOK = 256
"""Photos that are asked at once whether they lie somewhere and may be seen."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Photos, newest first; `next` is the cursor of the next page, None after the last one."""

    photos: tuple[Stored, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Facets:
    """What the photos that may be seen can be chosen by.

    `folders` maps every folder with photos in it or below it to their number. `first` and `last`
    are when photos were taken, in the form of `PhotoFacts.taken`; None where none says it.
    """

    photos: int
    folders: Mapping[Path, int]
    cameras: tuple[str, ...]
    kinds: tuple[str, ...]
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A photo's file, opened; size in bytes and time of change in ns, as when it was indexed."""

    path: Path
    file: BinaryIO
    state: tuple[int, int]


class Catalogue:
    """What a policy shows of a library. What takes long is kept until the library changes."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self._order: tuple[object, NDArray[np.int64]] | None = None
        self._facets: tuple[object, Facets] | None = None

    def newest(self, limit: int, cursor: int = 0, filters: Filters | None = None) -> Listing:
        """Photos that pass the filters, newest first; `cursor` is 0 or a listing's `next`."""
        order, found = self._newest(filters or Filters()), list[Stored]()
        for start in range(cursor, len(order), LOOK):
            part = order[start : start + LOOK].tolist()
            seen = self._seen(part, filters.folder if filters else None)
            for place, number in enumerate(part, start):
                if number not in seen:
                    continue
                if len(found) == limit:
                    return Listing(tuple(found), place)
                found.append(seen[number])
        return Listing(tuple(found), None)

    def _newest(self, filters: Filters) -> NDArray[np.int64]:
        key = self._store.changes(), filters
        if self._order is None or self._order[0] != key:
            self._order = key, self._store.matching(filters, newest=True)
        return self._order[1]

    def _seen(self, numbers: Sequence[int], folder: Path | None = None) -> dict[int, Stored]:
        hidden = verdict.hidden(self._store, self._policy, numbers)
        shown = [number for number in numbers if number not in hidden]
        return self._store.stored(self._store.present(shown, folder))

    def photo(self, number: int) -> Stored | None:
        """A photo, hidden or not; None where there is none, or none of its files."""
        return self._store.stored(self._store.present([number])).get(number)

    def hides(self, number: int) -> bool:
        """Whether the policy hides a photo."""
        return bool(verdict.hidden(self._store, self._policy, [number]))

    def open(self, photo: Stored) -> "OpenedFile | None":
        """A file of the photo that is as it was indexed, opened: nothing unknown is shown.

        None where each of its files changed or went away.
        """
        for path in photo.paths:
            state = self._store.state(path)
            if state is None or files.state(path) != state:
                continue
            try:
                file = path.open("rb")
            except OSError:
                continue
            if files.state(file.fileno()) == state:
                return OpenedFile(path, file, state)
            file.close()
        return None

    def facets(self) -> Facets:
        """What can be chosen by."""
        key = self._store.changes()
        if self._facets is None or self._facets[0] != key:
            self._facets = key, self._count()
        return self._facets[1]

    def _count(self) -> Facets:
        """Reads columns, not photos: of half a million these would take a gigabyte."""
        cameras, kinds, dates = set[str](), set[str](), list[str]()
        with self._store.reading():
            shown, folders = self._folders()
            for number, kind, camera, taken in self._store.choices():
                if number in shown:
                    kinds.add(kind)
                    cameras.update([camera] if camera else ())
                    dates += [taken] if taken else []
        return Facets(
            len(shown),
            dict(sorted(folders.items())),
            tuple(sorted(cameras)),
            tuple(sorted(kinds)),
            min(dates, default=None),
            max(dates, default=None),
        )

    def _folders(self) -> tuple[set[int], Counter[Path]]:
        """Photos that may be seen and lie somewhere, and how many of them each folder holds."""
        allowed = set(self._store.matching(Filters()).tolist())
        allowed -= verdict.hidden(self._store, self._policy, sorted(allowed))
        holding: dict[int, set[bytes]] = {}
        for number, path in self._store.paths():
            if number is not None and number in allowed:
                holding.setdefault(number, set()).add(os.path.dirname(path))  # noqa: PTH120
        folders, roots = Counter[Path](), self._store.folders()
        for together, count in Counter(map(frozenset, holding.values())).items():
            paths = (Path(os.fsdecode(folder), "photo") for folder in together)
            for folder in {folder for path in paths for folder in above(path, roots)}:
                folders[folder] += count
        return set(holding), folders


def above(path: Path, roots: Sequence[Path]) -> list[Path]:
    """The folders that hold a file, up to the indexed one; its own where none was indexed."""
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return [folder for folder in path.parents if folder.is_relative_to(root)]
