"""A library's photos without a query, as far as a policy shows them, and what to filter by."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from kadr.law import verdict
from kadr.law.policy import Policy
from kadr.library.filters import spelled
from kadr.library.mapping import Cluster, clusters
from kadr.library.named_folders import above
from kadr.photos import files, films
from kadr.photos.objects import ObjectPath, is_object, located
from kadr.stores import Selection, Store, Stored, check_whole, folders_of
from kadr.types import Box, Filters, Floats

T = TypeVar("T")
BATCH = 256
"""Photos looked up at once: do they exist, and may they be shown?"""


@dataclass(frozen=True, slots=True)
class Listing:
    """Photos, newest first; `next` is the cursor of the next page, None after the last one."""

    photos: tuple[Stored, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Month:
    """How many photos were taken in a month, YYYY-MM; None: those without a date."""

    name: str | None
    photos: int


@dataclass(frozen=True, slots=True)
class Album:
    """A folder with photos of its own: how many with those below it, and the newest, its cover."""

    folder: Path
    photos: int
    cover: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What the visible photos can be filtered by.

    `folders` maps every folder to the number of photos in it and below it. `first` and `last` are
    when the oldest and the newest were taken, as in `PhotoFacts.taken`; None without any date.
    """

    photos: int
    folders: Mapping[Path, int]
    cameras: tuple[str, ...]
    kinds: tuple[str, ...]
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class OpenedPhoto:
    """A photo's open file; `state` is its size in bytes and modification time in ns."""

    path: Path
    file: BinaryIO
    state: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PhotoObject:
    """A photo in an object store, and the state that it had when it was indexed.

    Its store wasn't asked: whoever reads it compares the state, or the digest.
    """

    path: ObjectPath
    state: tuple[int, int]


class Catalogue:
    """The part of a library that a policy shows. Slow answers are cached until it changes."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self._order: tuple[object, NDArray[np.int64]] | None = None
        self._by_month: tuple[object, tuple[Month, ...], NDArray[np.int64]] | None = None
        self._facets: tuple[object, Facets] | None = None
        self._collections: tuple[object, Mapping[str, int]] | None = None
        self._located: tuple[object, NDArray[np.int64], Floats] | None = None
        self._covers: tuple[object, Mapping[str, int]] | None = None
        self._albums: tuple[object, tuple[Album, ...]] | None = None

    def newest(self, limit: int, cursor: int = 0, filters: Filters | None = None) -> Listing:
        """Photos that pass the filters, newest first; `cursor` is 0 or a listing's `next`."""
        with self._reading():
            return self._listed(limit, cursor, spelled(self._store, filters))

    def months(self, filters: Filters | None = None) -> tuple[Month, ...]:
        """The photos that pass the filters by month, newest first, those without a date last."""
        with self._reading():
            return self._timeline(spelled(self._store, filters))[0]

    def by_time(self, start: int, limit: int, filters: Filters | None = None) -> tuple[Stored, ...]:
        """Photos from a place on, in the order of `months`, counted from 0."""
        with self._reading():
            wanted = spelled(self._store, filters)
            numbers = self._timeline(wanted)[1][start : start + limit].tolist()
            seen = self._seen(numbers, folders_of(wanted))
            return tuple(seen[number] for number in numbers if number in seen)

    def map(
        self, box: Box, zoom: int, filters: Filters | None = None
    ) -> tuple[int, tuple[Cluster, ...], Mapping[int, Stored]]:
        """Photos that pass the filters, on a map.

        How many tell where they were taken; the clusters of a part of the map at a zoom
        (`kadr.library.mapping`); and the photos that are their covers, by number.
        """
        with self._reading():
            wanted = spelled(self._store, filters)
            key = self._store.changes(), wanted
            if self._located is None or self._located[0] != key:
                shown = verdict.shown(self._policy)
                self._located = (key, *self._store.located(Selection(wanted, shown)))
            _, numbers, places = self._located
            found = clusters(numbers, places, box, zoom)
            covers = self._store.stored({one.cover: () for one in found})
        return len(numbers), tuple(found), covers

    def _timeline(self, filters: Filters) -> tuple[tuple[Month, ...], NDArray[np.int64]]:
        key = self._store.changes(), filters
        if self._by_month is None or self._by_month[0] != key:
            found = self._store.months(Selection(filters, verdict.shown(self._policy)))
            months = tuple(Month(name, len(numbers)) for name, numbers in found)
            order = np.concatenate([np.empty(0, np.int64), *(numbers for _, numbers in found)])
            self._by_month = key, months, order
        return self._by_month[1:]

    def hidden(self) -> int:
        """How many photos of the library the policy hides, whatever is asked for."""
        with self._reading():
            return self._store.totals().photos - self.facets().photos

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """An instant at which all is here: a move may have begun since the library was opened."""
        with self._store.reading():
            check_whole(self._store)
            yield

    def _listed(self, limit: int, cursor: int, wanted: Filters) -> Listing:
        order, photos = self._newest(wanted), list[Stored]()
        for start in range(cursor, len(order), BATCH):
            part = order[start : start + BATCH].tolist()
            seen = self._seen(part, folders_of(wanted))
            for place, number in enumerate(part, start):
                if number not in seen:
                    continue
                if len(photos) == limit:
                    return Listing(tuple(photos), place)
                photos.append(seen[number])
        return Listing(tuple(photos), None)

    def _newest(self, filters: Filters) -> NDArray[np.int64]:
        key = self._store.changes(), filters
        if self._order is None or self._order[0] != key:
            self._order = key, self._store.matching(filters, newest=True)
        return self._order[1]

    def _seen(self, numbers: Sequence[int], folders: Sequence[Path] = ()) -> dict[int, Stored]:
        hidden = verdict.hidden(self._store, self._policy, numbers)
        shown = [number for number in numbers if number not in hidden]
        return self._store.stored(self._store.present(shown, folders))

    def visible(self, numbers: Sequence[int]) -> dict[int, Stored]:
        """Those of these photos that lie somewhere and that the policy shows."""
        with self._reading():
            return self._seen(numbers)

    def photo(self, number: int) -> Stored | None:
        """A photo, hidden or not; None where there is none, or none of its files."""
        with self._reading():
            return self._store.stored(self._store.present([number])).get(number)

    def hides(self, number: int) -> bool:
        """Whether the policy hides a photo."""
        with self._reading():
            return bool(verdict.hidden(self._store, self._policy, [number]))

    def withholds(self, path: Path, digest: str) -> bool:
        """Whether the policy hides any frame of the film that a photo is a frame of.

        Then the film isn't played, though its other frames are shown.
        """
        if films.frame_named(path) is None:
            return False
        with self._reading():
            frames = self._store.frames(digest)
            return bool(verdict.hidden(self._store, self._policy, list(frames.values())))

    def open(self, photo: Stored) -> OpenedPhoto | PhotoObject | None:
        """Open a file of the photo, in a folder of the library, as it was when indexed.

        None where each of its files changed, is gone, or is a link to one that lies elsewhere: what
        wasn't assessed isn't shown. Size and time of change tell; the digest is left to who reads.
        """
        folders = self._store.folders()
        for path in photo.paths:
            state = self._store.state(path)
            if state is None or not _is_inside(path, folders):
                continue
            if is_object(path):
                return PhotoObject(path, state)
            if files.state(path) != state:
                continue
            try:
                file = films.file_of(path).open("rb")
            except OSError:
                continue
            if files.state(file.fileno()) == state:
                return OpenedPhoto(path, file, state)
            file.close()
        return None

    def facets(self) -> Facets:
        """What the visible photos can be filtered by."""
        with self._reading():
            self._facets = self._current(self._facets, self._count)
            return self._facets[1]

    def collections(self) -> Mapping[str, int]:
        """How many photos that may be seen are in each collection, by name."""
        with self._reading():
            shown = verdict.shown(self._policy)
            sizes = partial(self._store.collection_sizes, shown)
            self._collections = self._current(self._collections, sizes)
            return self._collections[1]

    def covers(self) -> Mapping[str, int]:
        """The newest photo that may be seen of each collection that holds any, by name."""
        with self._reading():
            self._covers = self._current(self._covers, self._find_covers)
            return self._covers[1]

    def _find_covers(self) -> Mapping[str, int]:
        order = self._timeline(Filters())[1]
        rank = dict(zip(order.tolist(), range(len(order)), strict=True))
        covers = dict[str, int]()
        for name in self._store.collections():
            digests = map(bytes.fromhex, self._store.collected(name))
            held = [number for number in self._store.numbers(digests) if number in rank]
            if held:
                covers[name] = min(held, key=rank.__getitem__)
        return covers

    def size(self, collection: str) -> int:
        """How many photos that may be seen are in a collection; 0 where it is gone."""
        with self._reading():
            sizes = self._store.collection_sizes(verdict.shown(self._policy), collection)
            return sizes.get(collection, 0)

    def albums(self) -> tuple[Album, ...]:
        """The folders that hold visible photos themselves."""
        with self._reading():
            self._albums = self._current(self._albums, self._find_albums)
            return self._albums[1]

    def _current(self, known: tuple[object, T] | None, make: Callable[[], T]) -> tuple[object, T]:
        """What was made of the library, with the state that it is of; anew where that changed."""
        key = self._store.changes()
        return known if known is not None and known[0] == key else (key, make())

    def _find_albums(self) -> tuple[Album, ...]:
        places = self._timeline(Filters())[1].tolist()
        rank = {number: place for place, number in enumerate(places)}
        covers: dict[bytes, int] = {}
        for number, path in self._store.paths():
            if number is not None and number in rank:
                folder = os.path.dirname(path)  # noqa: PTH120
                if folder not in covers or rank[number] < rank[covers[folder]]:
                    covers[folder] = number
        counts = self.facets().folders
        found = ((located(os.fsdecode(folder)), cover) for folder, cover in covers.items())
        return tuple(Album(folder, counts.get(folder, 1), cover) for folder, cover in found)

    def _count(self) -> Facets:
        """Reads columns, not photos: half a million of those would take a gigabyte."""
        cameras, kinds, dates = set[str](), set[str](), list[str]()
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
        """The visible photos that have a file, and how many of them each folder holds."""
        allowed = set(self._store.matching(Filters()).tolist())
        allowed -= verdict.hidden(self._store, self._policy, sorted(allowed))
        holding: dict[int, set[bytes]] = {}
        for number, path in self._store.paths():
            if number is not None and number in allowed:
                holding.setdefault(number, set()).add(os.path.dirname(path))  # noqa: PTH120
        folders, roots = Counter[Path](), self._store.folders()
        for together, count in Counter(map(frozenset, holding.values())).items():
            paths = (located(os.fsdecode(folder)) / "photo" for folder in together)
            for folder in {folder for path in paths for folder in above(path, roots)}:
                folders[folder] += count
        return set(holding), folders


def _is_inside(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a file really lies in one of these folders, wherever links lead."""
    try:
        real = films.file_of(path).resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return any(real.is_relative_to(folder) for folder in folders)
