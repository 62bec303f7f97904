"""Which photos are to be encoded: those of a folder, of an object store, or of a list."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.encoding import columns, storage
from kadr.encoding.steps import stated
from kadr.errors import DataError
from kadr.photos import files, folders, object_store, sidecars
from kadr.photos.files import State
from kadr.photos.ignore import Rules
from kadr.photos.objects import NO_PATH, is_spelled

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.parquet import ParquetFile

COLUMNS = ("path", "url")
"""Of a list, the first of these that is there names the photos."""
LONGEST = 4096
"""Bytes of a path; no system opens more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A photo to encode: its path or URL, its size in bytes and time of change in ns.

    `problem` is why it can't be read, where that is known already; size and time are then -1.
    `sidecar` is `Sidecar.state` of what lies beside it; empty: nothing.
    """

    path: str
    size: int
    modified: int
    problem: str | None = None
    sidecar: str = ""

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What differs once the photo, or what is said beside it, has changed."""
        return self.path, self.size, self.modified, self.sidecar


@dataclass(frozen=True)
class Source:
    """Where photos come from: the folder or URL that holds them.

    `listed`: a list named them, one by one; `root` is then the root of all, or their bucket.
    """

    root: str
    listed: bool = False


@dataclass
class Manifest:
    """What a source holds. `left_out` counts by reason; `unreadable` are folders, and why."""

    source: Source
    entries: list[Entry] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def read(place: str, exclude: Sequence[str] = ()) -> Manifest:
    """List a source.

    Args:
        place: a folder, a URL of an object store, or a Parquet file with a column `path` or `url`.
        exclude: patterns as in .gitignore of what is left out below a folder.

    Raises:
        DataError: there is no such place, or it can't be read.
        MissingExtraError: pyarrow is needed and isn't installed.
    """
    if place.endswith(".parquet"):
        return _listed(place)
    if storage.is_url(place):
        return _bucket(place)
    return _folder(Path(place), exclude)


def is_photo(name: str) -> bool:
    """Whether a file is a photo by its name."""
    return folders.is_photo(name)


def _folder(path: Path, exclude: Sequence[str]) -> Manifest:
    try:
        root = files.spelled(path.expanduser().resolve())
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: can't be followed ({error}). Name another.") from error
    rules = Rules(root, {root: exclude} if exclude else None)
    manifest = Manifest(Source(os.fspath(root)))
    for entry in folders.walk(root, rules):
        if entry.met == "photo":
            beside = sidecars.state_beside(entry.path.parent, entry.sidecars)
            manifest.entries.append(_entry(entry.path, beside))
        elif entry.met == "film":
            manifest.left_out[entry.path.suffix[1:].upper()] += 1
        elif entry.met == "unreadable":
            manifest.unreadable.append((os.fspath(entry.path), entry.reason))
        else:
            manifest.left_out[entry.reason] += 1
    if not manifest.entries and not manifest.left_out and not manifest.unreadable:
        raise DataError(f"{path}: no photo below it. Name a folder that holds some.")
    manifest.unreadable += [(os.fspath(path), reason) for path, reason in rules.problems]
    return manifest


def _entry(path: Path, sidecar: str) -> Entry:
    file = stated(path)
    return Entry(os.fspath(path), file.size, file.modified, file.problem, sidecar)


def sidecars_below(listed: Mapping[str, State]) -> Callable[[str], str]:
    """Gives `Sidecar.state` of a photo by its URL; of objects with their states, by their URLs."""
    below: dict[str, list[str]] = {}
    for url in filter(sidecars.is_sidecar, listed):
        folder, _, name = url.rpartition("/")
        below.setdefault(folder, []).append(name)
    found = {folder: sidecars.by_photo(names) for folder, names in below.items()}

    def state(url: str) -> str:
        folder, _, name = url.rpartition("/")
        names = sidecars.of_photo(name, found.get(folder, {}))
        return sidecars.state(names, lambda name: listed.get(f"{folder}/{name}"))

    return state


def _bucket(url: str) -> Manifest:
    bucket = storage.Bucket(url)
    manifest = Manifest(Source(bucket.url))
    objects = list(bucket.found())
    beside = sidecars_below({one.url: (one.size, one.modified) for one in objects})
    for one in objects:
        below = one.url.removeprefix(bucket.url).split("/")
        if any(name.startswith(".") for name in below):
            manifest.left_out["hidden"] += 1
        elif not is_spelled(one.url):
            manifest.left_out[NO_PATH] += 1
        elif is_photo(one.url):
            said = beside(one.url)
            manifest.entries.append(Entry(one.url, one.size, one.modified, sidecar=said))
    if not manifest.entries and not manifest.left_out:
        raise DataError(f"{url}: no photo below it. Name a bucket or folder that holds some.")
    return manifest


def _listed(place: str) -> Manifest:
    """Each photo once, in the list's order."""
    names = _names(place)
    wrong = next((name for name in names if not storage.is_url(name) and name[:1] != os.sep), None)
    if wrong is not None:
        raise DataError(f"{place}: {wrong!r} isn't absolute. Write whole paths or URLs.")
    roots = {_top(name) for name in names}
    if len(roots) > 1:
        raise DataError(f"{place}: names {', '.join(sorted(roots)[:3])}. Make one list for each.")
    manifest = Manifest(Source(roots.pop() if roots else os.sep, listed=True))
    photos = [name for name in names if is_photo(name)]
    named = [name for name in names if sidecars.is_sidecar(name)]
    manifest.left_out["not a photo by its name"] += len(names) - len(photos) - len(named)
    manifest.entries = list(_states(manifest.source.root, photos, named))
    manifest.left_out += Counter()  # drops what is zero
    return manifest


def _top(name: str) -> str:
    scheme, mark, rest = name.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if mark else os.sep


def _states(root: str, names: Sequence[str], named: Sequence[str]) -> Iterator[Entry]:
    """The photos of a list. Their sidecars are looked for here; in a store the list names them."""
    if not storage.is_url(root):
        beside, paths = sidecars.Folders(), (Path(os.path.normpath(name)) for name in names)
        yield from (_entry(path, beside.state(path)) for path in paths)
        return
    bucket = storage.Bucket(root)
    states = zip(named, bucket.states(named), strict=True)
    said = sidecars_below({url: (one.size, one.modified) for url, one in states if one})
    names, odd = [n for n in names if is_spelled(n)], [n for n in names if not is_spelled(n)]
    yield from (Entry(name, -1, -1, f"can't be read: {NO_PATH}") for name in odd)
    for name, found in zip(names, bucket.states(names), strict=True):
        if found is None:
            yield Entry(name, -1, -1, "can't be read: there is no such object")
        else:
            yield Entry(found.url, found.size, found.modified, sidecar=said(found.url))


def _names(place: str) -> list[str]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise storage.missing(error) from error

    try:
        folder = storage.opened(place.rpartition("/")[0] or ".")
        with folder.open(place) as source, parquet.ParquetFile(source) as file:
            return list(_named(file, source, place))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{place}: not a readable list ({object_store.line(error)}).") from error


def _named(file: "ParquetFile", source: "NativeFile", place: str) -> Iterator[str]:
    """The names in a list, each once; its other columns stay unread."""
    column = next((name for name in COLUMNS if name in file.schema_arrow.names), None)
    if column is None:
        raise DataError(f"{place}: has no column `path` or `url`. Name the photos in one.")
    met: set[str] = set()
    for batch in columns.batches(file, source, {"": LONGEST}, [column]):
        for value in batch.column(column).to_pylist():
            if not isinstance(value, str | bytes) or not value:
                raise DataError(
                    f"{place}: column {column!r} holds more than paths. Leave out empty rows."
                )
            if (name := os.fsdecode(value)) not in met:
                met.add(name)
                yield name
