"""A library's memory: what is asked of it (`Store`), and one folder for each engine that keeps it.

A *photo* is a content, by its digest; a *file* is a path where it lies. A renamed or copied file is
another path of a photo that is known already.

The file is long because `Store` lists all that an engine must do, a docstring for each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from kadr.errors import LibraryError
from kadr.stores.chain import Entry
from kadr.types import (
    Assessment,
    Filters,
    Floats,
    PhotoFacts,
    PictureText,
    Place,
    Request,
    Ruling,
    Sidecar,
    Skipped,
    Source,
    Vectors,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kadr.stores.words import Recorded, Wanted

ENGINES = {
    "": "kadr.stores.sqlite.store:SqliteStore",
    "postgresql": "kadr.stores.postgres:PostgresStore",
    "postgres": "kadr.stores.postgres:PostgresStore",
}
"""Engines by the scheme of a library's spec; a spec without one is the path of a file."""
MEMORY = ":memory:"
"""The spec of a library that lives as long as its process."""

_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*")
_ADDRESS = re.compile(
    r"^postgres(ql)?:|^[^/\\]+:[^/\\]*@|(^|\s)(password|sslpassword|host|hostaddr|dbname)\s*=",
    re.IGNORECASE,
)
"""What was meant as the address of a server, but isn't written as one."""
_NO_SPEC = "The library's address isn't understood."
_SPECS = "A library is a file, or postgresql://USER@HOST/DATABASE."

PARTS = 7
"""Perceptual hashes of a photo's parts, the first of the whole."""
SWITCHING = "switching"
"""Key of the note that names the model of a switch that isn't finished."""
MOVING = "moving"
"""Key of the note that names the library whose content is on its way into this one."""
IDS = "ids"
"""Key of the note that holds the secret of the ids that are told outside, in hex."""
GAZETTEER = "gazetteer"
"""Key of the note that says by which names all photos' places are called."""
POLICY = "audit.policy"
"""Key of the note that names the policy in force, by its fingerprint."""


class FileState(NamedTuple):
    """What is known of a path: size in bytes, time of change in ns, and how far it has come."""

    size: int
    modified: int
    settled: bool
    """Its content was encoded, or found to be no readable photo."""
    broken: bool
    missing: bool
    sidecar: str
    """`Sidecar.state` of what was read beside it; empty: nothing."""


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A content to keep: encoded (with facts, hash, vector, joint), or with the problem it has.

    `parts` are `kadr.photos.hashes.part_hashes`. `others` are its vectors by encoders that the
    library isn't searched with, by their names. `picture` is the text in it, None where nobody
    looked: what is there then stays.
    """

    digest: bytes
    problem: str | None = None
    facts: PhotoFacts | None = None
    hash: int | None = None
    vector: Vectors | None = None
    joint: Vectors | None = None
    parts: tuple[int, ...] = ()
    others: Mapping[str, Vectors] = field(default_factory=dict)
    picture: PictureText | None = None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A path to keep: the digest of its content, or the problem that kept it from being read.

    `sidecar` is what is said beside it.
    """

    path: Path
    size: int
    modified: int
    digest: bytes | None = None
    problem: str | None = None
    sidecar: Sidecar | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A photo of the library: number, hex digest, facts, perceptual hash, and its paths."""

    id: int
    digest: str
    facts: PhotoFacts
    hash: int
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a library holds. `bytes` is the size of its file."""

    photos: int
    files: int
    copies: int
    missing: int
    problems: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What must be on record of a photo for it to be shown.

    A person allowed it; or nobody ruled on it, its assessment is up to date, whole and less
    probable than `below` (with `faces`: also of faces), and it is a copy of no photo that a person
    hides or, unruled, is as probable as `below`. A disputed photo isn't shown.
    """

    below: float
    faces: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Photos that were encoded, pass the filters and may be shown; `shown` None: all may."""

    filters: Filters = field(default_factory=Filters)
    shown: Shown | None = None


@dataclass(frozen=True)
class Nearest:
    """Photos int64 [n] by their cosine float32 [n], the greatest first, equal ones by number.

    Cosines are right to about 0.005: they choose candidates. `approximate`: an index may have left
    out some that belong here.
    """

    photos: NDArray[np.int64]
    cosines: Vectors
    approximate: bool = False


def folders_of(filters: Filters) -> tuple[Path, ...]:
    """The folders below one of which a photo's file is wanted; empty: anywhere."""
    return filters.folders or (() if filters.folder is None else (filters.folder,))


def rounded(joint: Vectors) -> tuple[Vectors, NDArray[np.int8]]:
    """Rows [n, dim] as a scale [n] and bytes [n, dim]: each row uses the whole range."""
    import numpy as np

    scales = np.maximum(np.abs(joint).max(axis=1, initial=0), 1e-12) / 127
    return scales.astype(np.float32), np.round(joint / scales[:, None]).astype(np.int8)


class Store(Protocol):
    """One library, opened. Not for several threads at once.

    Every method raises LibraryError where the library can't be read or written. What one method
    writes is kept together or not at all, whatever crashes; `durable` joins several.
    """

    @property
    def name(self) -> str:
        """The library's spec without a password, as messages name it."""
        ...

    @property
    def file(self) -> Path | None:
        """The library's file; None where it lives elsewhere."""
        ...

    @property
    def readonly(self) -> bool:
        """Whether the library may only be read: every method that writes raises LibraryError."""
        ...

    def close(self) -> None:
        """Close the library."""
        ...

    # Turns and moments.

    def writing(
        self, on_wait: Callable[[], None] | None = None, folders: Sequence[Path] = ()
    ) -> AbstractContextManager[None]:
        """Be the only process that indexes; `on_wait` is called once where another one is.

        With `folders`, which are indexed, an engine may let others index that hold none of these
        and lie in none.
        """
        ...

    def reading(self) -> AbstractContextManager[None]:
        """What is read within is of one instant, whatever another process writes meanwhile."""
        ...

    def durable(self) -> AbstractContextManager[None]:
        """What is written within is kept together or not at all, and outlives a loss of power.

        Nobody else writes meanwhile. May be nested.
        """
        ...

    def changes(self) -> tuple[int, int]:
        """Differs once the library has changed, whoever changed it."""
        ...

    def meta(self, key: str) -> str | None:
        """What is noted under a key, such as `encoder`, `model` or `space`."""
        ...

    def note(self, **values: str | None) -> None:
        """Note values in place of older ones; None: nothing any more."""
        ...

    # Folders and files.

    def folders(self) -> tuple[Path, ...]:
        """The folders that were indexed."""
        ...

    def add_folder(self, folder: Path) -> None:
        """Remember a folder; one inside another is not remembered by itself."""
        ...

    def states(self, folder: Path) -> dict[bytes, FileState]:
        """What is known of the paths below a folder, by path in the file system's bytes."""
        ...

    def state(self, path: Path) -> tuple[int, int] | None:
        """Size in bytes and time of change in ns that a file had when it was indexed."""
        ...

    def settled(self, digest: bytes) -> bool:
        """Whether this content needs no decoding: it was encoded, or can't be."""
        ...

    def problem(self, digest: bytes) -> str | None:
        """Why this content can't be decoded."""
        ...

    def problems(self) -> list[Skipped]:
        """The files that couldn't be read, and why, by path."""
        ...

    def contents(self) -> Iterator[tuple[Path, int, int, str]]:
        """Every file that was read and isn't missing: path, size, time of change in ns, digest."""
        ...

    def paths(self) -> list[tuple[int | None, bytes]]:
        """Every file that isn't missing: its photo, and its path in the file system's bytes."""
        ...

    def digest_at(self, *paths: Path) -> str | None:
        """The hex digest of the photo that lies, or lay, at one of these paths."""
        ...

    def mark(self, paths: Iterable[bytes], *, missing: bool) -> None:
        """Note that files are gone, or are there again. Missing files leave the answers."""
        ...

    def keep(self, photos: Sequence[NewPhoto], files: Sequence[NewFile]) -> None:
        """Add photos, then files. A file whose content isn't known by then is left out.

        Contents that lie nowhere then stay until `sweep`: files that swap their names need them.
        What is said beside files that aren't missing is a part of their photos' facts.

        Raises:
            LibraryError: a vector is of another length than its encoder's others; none is kept.
        """
        ...

    def update_facts(self, photos: Sequence[NewPhoto]) -> None:
        """Keep other facts and perceptual hashes of contents that are known; all else stays.

        Facts are those of the content alone, without what is said beside its files.
        """
        ...

    def prune(self, folder: Path | None = None) -> int:
        """Forget the missing files, below a folder or all; returns how many."""
        ...

    def remove(self, folder: Path) -> int:
        """Forget a folder and all files below it; returns how many.

        Raises:
            LibraryError: the library knows nothing below it.
        """
        ...

    def forget(self, paths: Iterable[Path]) -> int:
        """Forget files; returns how many were known. The files themselves stay."""
        ...

    def sweep(self) -> None:
        """Drop the contents that lie nowhere. One whose file is merely missing stays."""
        ...

    def spelled(self, folder: Path) -> Path:
        """The folder as the library spells its name, in whichever Unicode form it was written."""
        ...

    # Photos.

    def present(
        self, photos: Sequence[int], folders: Sequence[Path] = ()
    ) -> dict[int, tuple[Path, ...]]:
        """Paths of those photos that lie somewhere, or below one of the folders, sorted."""
        ...

    def stored(self, paths: Mapping[int, tuple[Path, ...]]) -> dict[int, Stored]:
        """The photos of these numbers and paths."""
        ...

    def number(self, digest: str) -> int | None:
        """The photo of a hex digest that was encoded."""
        ...

    def knows(self, digest: str) -> bool:
        """Whether the photo of a hex digest is here: encoded, or waiting for it after a switch."""
        ...

    def numbers(self, digests: Iterable[bytes]) -> list[int]:
        """The photos of these digests that were encoded."""
        ...

    def frames(self, film: str) -> dict[str, int]:
        """The frames of a film (its hex digest): their digests in order, and their numbers.

        Those too that wait for being encoded after a switch, or whose film is gone.
        """
        ...

    def public_id(self, number: int) -> int:
        """The id by which a photo is named outside: below 2^53, and it says nothing of the number.

        It stays the same for as long as the photo is in the library.
        """
        ...

    def by_public_id(self, id_: int) -> int:
        """The number of such an id, whether there is a photo of it or not."""
        ...

    def hashes(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Numbers int64 [n] and perceptual hashes uint64 [n] of all photos that lie somewhere."""
        ...

    def matching(self, filters: Filters, *, newest: bool = False) -> NDArray[np.int64]:
        """Numbers of the photos that pass the filters: int64 [n], sorted, or the newest first.

        Some may lie nowhere any more.
        """
        ...

    def months(self, selection: Selection) -> list[tuple[str | None, NDArray[np.int64]]]:
        """The selected photos that lie somewhere, by the month they were taken in, newest first.

        Months as YYYY-MM with their photos int64 [n]; those without a date come last, under None,
        by when their file was changed.
        """
        ...

    def located(self, selection: Selection) -> tuple[NDArray[np.int64], Floats]:
        """The selected photos that lie somewhere and tell where they were taken, by number.

        Numbers int64 [n], and latitude and longitude in degrees [n, 2].
        """
        ...

    def unplaced(self) -> list[int]:
        """Photos that tell where they were taken, and whose place nobody has named, in their order.

        Such are those that a sidecar has moved.
        """
        ...

    def keep_places(self, places: Mapping[int, Place]) -> None:
        """Keep what the places are called where photos were taken, by number, in place of before.

        Words on record go with it.
        """
        ...

    def count(self, selection: Selection) -> int:
        """About how many photos are selected: some that are gone by now may be counted."""
        ...

    def hides(self, shown: Shown) -> bool:
        """Whether there are photos that were encoded and may not be shown."""
        ...

    def sample(self, selection: Selection, count: int) -> NDArray[np.int64]:
        """At most so many of the selected photos, evenly spaced by number: int64 [n]."""
        ...

    def nearest(self, vector: Vectors, selection: Selection, first: int, count: int) -> Nearest:
        """Places `first` to `first + count` of the selected photos by their cosine with a vector.

        While the library doesn't change, equal calls give equal answers, and no photo is in two
        places. Some photos may lie nowhere any more.

        Args:
            vector: a unit vector float32 [dim] of the joint space.
            selection: the photos that are looked at.
            first: the place that is wanted first, from 0.
            count: how many places are wanted.
        """
        ...

    def cosines(self, vector: Vectors, selection: Selection, photos: NDArray[np.int64]) -> Nearest:
        """Those of these photos that are selected, by their cosine with a unit vector."""
        ...

    def recorded(self, wanted: Wanted, selection: Selection) -> Recorded:
        """Selected photos on whose record all these words stand, with their tiers.

        Also those on whose record most of them stand, if that may do, and they are few.
        """
        ...

    def sources(
        self, wanted: Wanted, photos: Sequence[int]
    ) -> dict[int, tuple[Source | None, ...]]:
        """Where each of the words stands first on the record of photos; None: nowhere."""
        ...

    def keep_words(self) -> int:
        """Make all photos' words on record where they are of an older kadr; of how many photos.

        Whatever else writes facts, files or folders keeps them with it.
        """
        ...

    def unread(self, engine: str, *, retry: bool = False) -> list[int]:
        """Photos that were encoded, lie somewhere, and in which this engine read no text yet.

        With `retry` also those that it couldn't read.
        """
        ...

    def picture_texts(self, photos: Sequence[int]) -> dict[int, PictureText]:
        """The text in those of these photos in which some engine looked for it."""
        ...

    def keep_picture_texts(self, texts: Mapping[int, PictureText]) -> None:
        """Keep the text in photos, by number, in place of what was read before.

        Words on record go with it. A photo that is gone by now is left out.
        """
        ...

    def choices(self) -> list[tuple[int, str, str | None, str | None]]:
        """Number, kind, camera and date of every photo that was encoded."""
        ...

    def totals(self) -> Totals:
        """How much there is."""
        ...

    def check(self) -> list[str]:
        """What is wrong inside the library: damage, and rows that contradict each other."""
        ...

    # Vectors. Searches use those of the library's encoder, which is noted under `encoder`. Beside
    # them there may be vector sets of others: of one that is on its way, and the law's.

    def vectors(
        self, photos: Sequence[int], encoder: str | None = None
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Numbers int64 [n] and encoder vectors float32 [n, dim] of those that are there.

        Those of the library's encoder, or of another one that is named.
        """
        ...

    def every_vector(self) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """All photos and their encoder vectors, some thousand at a time, by number."""
        ...

    def vector_sets(self) -> dict[str, int]:
        """How many photos have a vector beside that of the library's encoder, by encoder."""
        ...

    def add_vectors(self, encoder: str, vectors: Mapping[int, Vectors]) -> None:
        """Keep vectors float32 [dim] of an encoder that isn't the library's, by photo.

        A photo that is gone by now is left out.

        Raises:
            LibraryError: one is of another length than the encoder's others; none is kept.
        """
        ...

    def drop_vectors(self, encoder: str) -> None:
        """Forget the vector set of an encoder that isn't the library's, if there is one."""
        ...

    def lacking(self, encoder: str) -> list[int]:
        """Photos that were encoded, lie somewhere, and have no vector of this encoder."""
        ...

    def switch_encoder(
        self,
        encoder: str,
        joint: Callable[[Vectors], Vectors],
        *,
        model: str,
        space: str,
        keep: bool,
    ) -> int:
        """Make a vector set the one that is searched, in one transaction; how many photos lack it.

        Those wait for being encoded again. All that isn't vectors stays, assessments too.

        Args:
            encoder: whose set it is; noted.
            joint: maps its vectors into the joint space.
            model: noted.
            space: the joint space, noted.
            keep: keep the vectors of the encoder before as a set; else they are forgotten.
        """
        ...

    def rescan(self, joint: Callable[[Vectors], Vectors], **notes: str) -> None:
        """Write what `nearest` reads anew for another joint space, and the notes that go with it.

        `joint` maps encoder vectors into it.
        """
        ...

    def fingerprints(
        self, after: int, encoder: str
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64], Vectors]]:
        """What photos are known again by, of the numbers above `after`, some thousand at a time.

        Numbers [n], perceptual hashes [n, PARTS] (all the whole's where those of parts aren't
        known), vectors of an encoder [n, dim] (zero where there is none; dim 0 without any).
        """
        ...

    # What a person decided about folders, duplicates and collections.

    def excluded(self) -> dict[Path, tuple[str, ...]]:
        """Patterns of what is left out, in order, by the folder that they were given for."""
        ...

    def exclude(self, folder: Path, patterns: Sequence[str]) -> None:
        """Leave out these below a folder from now on, in place of what was left out before."""
        ...

    def distinct(self) -> set[tuple[str, str]]:
        """Pairs of contents that a person called no duplicates: hex digests, the lesser first."""
        ...

    def set_distinct(self, pairs: Iterable[tuple[str, str]], *, distinct: bool) -> None:
        """Call pairs of contents, by hex digest, no duplicates; or take that back.

        It holds for contents, wherever they lie, and also after they were forgotten.
        """
        ...

    def collections(self, holding: str | None = None) -> tuple[str, ...]:
        """Names of all collections, or of those that hold a content (hex digest), sorted."""
        ...

    def collection_sizes(self, shown: Shown | None, name: str | None = None) -> dict[str, int]:
        """How many photos that lie somewhere and may be shown (None: all may) each one holds.

        Of all collections, by name, or of one that is there.
        """
        ...

    def collected(self, name: str) -> set[str]:
        """The contents of a collection, by hex digest, whether they are in the library or not."""
        ...

    def make_collection(self, name: str) -> None:
        """Make a collection that holds nothing, where there is none of this name."""
        ...

    def rename_collection(self, name: str, new: str) -> None:
        """Give a collection a name that no other one has."""
        ...

    def drop_collection(self, name: str) -> None:
        """Forget a collection, if there is one; its photos stay."""
        ...

    def collect(self, name: str, digests: Iterable[str], *, collected: bool) -> None:
        """Put contents, by hex digest, into a collection that is there; or take them out.

        It holds for contents, wherever they lie, and also after they were forgotten.
        """
        ...

    # The law.

    def assessments(self, photos: Sequence[int]) -> dict[int, Assessment]:
        """The assessments of those photos that have one; a damaged one is none."""
        ...

    def keep_assessments(self, assessments: Mapping[int, Assessment]) -> None:
        """Keep assessments by the photo's number, in place of older ones."""
        ...

    def assessed(self) -> Iterator[tuple[str, Assessment]]:
        """Every assessment that isn't damaged, with the hex digest of its photo."""
        ...

    def unassessed(self, version: str | None = None) -> list[int]:
        """Photos that were encoded and have no assessment, or none of this version.

        One that was made before the photo got another name has no version.
        """
        ...

    def suspected(self, least: float) -> list[int]:
        """Photos that a person hides, or whose assessment is at least so probable."""
        ...

    def keep_copies(self, copies: Iterable[tuple[int, int]]) -> None:
        """Put on record of photos whose copies they are: pairs of a copy and of a photo.

        It stays when that photo is forgotten, with the probability that it had.
        """
        ...

    def shown(self, shown: Shown, photos: Sequence[int]) -> list[int]:
        """Those of these photos that the records allow to be shown."""
        ...

    def ruling(self, digest: str) -> Ruling | None:
        """The decision about a content that is in force; a damaged one hides."""
        ...

    def rulings(self, photos: Iterable[int]) -> dict[int, Ruling]:
        """The decisions in force about those photos that have one."""
        ...

    def all_rulings(self) -> dict[str, Ruling]:
        """Every decision in force, by hex digest, whether its photo is in the library or not."""
        ...

    def set_ruling(self, digest: str, ruling: Ruling | None) -> None:
        """Put a decision about a content in force in place of an earlier one; None: take it back.

        It stays when the photo is forgotten, and holds when it comes back.
        """
        ...

    def set_request(self, digest: str, request: Request | None) -> None:
        """Open an appeal or a dispute in place of an earlier one; None: close it.

        A disputed photo isn't shown.
        """
        ...

    def request(self, digest: str) -> Request | None:
        """The open appeal or dispute about a content."""
        ...

    def requests(self) -> dict[str, Request]:
        """The open appeals and disputes, by hex digest, the oldest first."""
        ...

    def record(self, event: str, facts: Mapping[str, Any]) -> Entry:
        """Add an entry to the audit log. Within `durable`, together with what it tells of."""
        ...

    def entries(self, *events: str) -> Iterator[Entry]:
        """The audit log, or its entries of these events, in order.

        What was changed is left out, and, where the key is there to tell, what the library hasn't
        sealed.
        """
        ...

    def record_problem(self) -> str | None:
        """Why nothing can be put on record here; None where it can, or nothing may be written."""
        ...

    def log_problems(self) -> list[str]:
        """What is wrong with the audit log: entries that were changed, removed, added or moved."""
        ...

    # All that there is, for a move to another engine.

    def all_photos(self, after: bytes = b"") -> Iterator[NewPhoto]:
        """Every content of a greater digest, by digest, with all that is kept of it but `joint`.

        Its facts are its own, without what is said beside its files.
        """
        ...

    def all_files(self) -> Iterator[tuple[NewFile, bool]]:
        """Every file, by path in the file system's bytes, and whether it is missing."""
        ...

    def copies(self) -> Iterator[tuple[str, str, float]]:
        """What is on record of copies, sorted: copy, photo, and how probably it shows a child.

        Both by hex digest; the photo may be forgotten by now.
        """
        ...

    def put_copies(self, copies: Iterable[tuple[str, str, float]]) -> None:
        """Put copies on record as `copies` tells of them, in place of all that are."""
        ...

    def adopt_log(self, entries: Iterable[Entry]) -> None:
        """Take over another library's audit log, and seal it.

        Raises:
            LibraryError: this library's own log isn't a beginning of that one.
        """
        ...


def open_store(spec: str | Path, *, create: bool = False, moving: bool = False) -> Store:
    """Open a library, or make it.

    Args:
        spec: the path of a file, MEMORY, or the URL of a server's database.
        create: make the library where there is none.
        moving: open it also while a move into it isn't finished; only the move itself may.

    Raises:
        LibraryError: there is none and `create` is false, it is something else, the server can't
            be reached, or a move into it isn't finished.
    """
    store = cast(Store, _engine(str(spec))(str(spec), create=create))
    try:
        if not moving:
            check_whole(store)
    except LibraryError:
        store.close()
        raise
    return store


def check_whole(store: Store) -> None:
    """Raise LibraryError while another library's content is on its way into this one."""
    source = store.meta(MOVING)
    if source is not None:
        raise LibraryError(
            f"{store.name}: its move isn't finished. Go on with it: kadr library move --from "
            f"{source} --to {store.name}"
        )


def exists(spec: str | Path) -> bool:
    """Whether there is a library, as far as can be told without opening a file.

    Raises:
        LibraryError: the server can't be reached.
    """
    return bool(_engine(str(spec)).exists(str(spec)))


def formats(spec: str | Path) -> tuple[int, int]:
    """A library's format, and the one that opening it brings it to. It stays as it is.

    Raises:
        LibraryError: there is no library, or it is newer than this kadr.
    """
    return cast(tuple[int, int], _engine(str(spec)).formats(str(spec)))


def default_spec() -> str:
    """KADR_LIBRARY, else library.kadr in the user's data folder."""
    named = os.environ.get("KADR_LIBRARY")
    if named:
        return named
    from platformdirs import user_data_path

    return str(user_data_path("kadr") / "library.kadr")


def named(spec: str | Path) -> str:
    """A library's spec as messages name it: without a password."""
    return str(_engine(str(spec)).named(str(spec)))


def beside(spec: str | Path) -> Path:
    """The path that a library's secrets are named after: its file, or one in the user's folder."""
    return cast(Path, _engine(str(spec)).beside(str(spec)))


def _engine(spec: str) -> Any:
    scheme = spec.partition("://")[0] if "://" in spec else ""
    if not scheme and spec.startswith(tuple(f"{one}:" for one in ENGINES if one)):
        raise LibraryError(
            f"{spec.partition(':')[0]}: lacks its slashes. An address is "
            "postgresql://USER@HOST/DATABASE; a file of that name is ./NAME."
        )
    if scheme not in ENGINES:
        what = f"{scheme}:// isn't known." if _SCHEME.fullmatch(scheme) else _NO_SPEC
        raise LibraryError(f"{what} {_SPECS}")
    if not scheme and _ADDRESS.search(spec):  # a path would be told, and a password with it
        raise LibraryError(f"{_NO_SPEC} {_SPECS}")
    module, _, name = ENGINES[scheme].partition(":")
    return getattr(import_module(module), name)
