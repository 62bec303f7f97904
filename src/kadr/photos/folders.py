"""Folders of photos: a walk through what is below one."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from kadr.errors import DataError
from kadr.photos import kinds, sidecars
from kadr.photos.ignore import FILE, LINK, MARK, Levels, Rules
from kadr.photos.objects import is_object

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff"}
    | {".bmp", ".avif", ".heic", ".heif", ".hif"}
)

Met: TypeAlias = Literal["photo", "film", "ignored", "unsupported", "unreadable"]


_SHOTS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".heic", ".heif", ".hif"})
"""What cameras and phones write beside a RAW of the same shot."""
PAIRED = "RAW beside its JPEG"
"""Why a RAW is ignored whose shot is there as a JPEG or HEIC of the same name."""
LIVE = "MOV beside its photo"
"""Why the seconds around a phone's photo (Live Photo) are ignored: they show what it shows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder that a walk met, and why it isn't a photo to read.

    `reason` is the rule by which it is ignored, the format that isn't supported (such as "CR2"), or
    what the system says of a folder that can't be listed. Ignored folders stand for all in them.
    `sidecars` are the names of those of a photo or film.
    """

    path: Path
    met: Met
    reason: str = ""
    sidecars: tuple[str, ...] = ()


def scan(folder: Path, on_unreadable: Callable[[Path, str], None] | None = None) -> Iterator[Path]:
    """Paths of the photos below a folder, in a stable order.

    `ignore.Rules` says what is left out. `on_unreadable` is called with each subfolder that can't
    be listed, and the reason.

    Raises:
        DataError: the folder doesn't exist or can't be read.
    """
    for entry in walk(folder, Rules(folder)):
        if entry.met == "photo":
            yield entry.path
        elif entry.met == "unreadable" and on_unreadable is not None:
            on_unreadable(entry.path, entry.reason)


def walk(folder: Path, rules: Rules) -> Iterator[Entry]:
    """What is below a folder, in a stable order; nothing below what `rules` ignore.

    Links to folders aren't followed, so loops of links do no harm.

    Raises:
        DataError: the folder doesn't exist or can't be read.
    """
    check(folder)
    root = os.fspath(folder)
    waiting = [(root, rules.above(folder))]  # os.walk() recurses, and fails 1,000 folders deep
    while waiting:
        parent, inherited = waiting.pop()
        try:
            with os.scandir(parent) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            names = {entry.name for entry in entries}
            levels = rules.inside(parent, inherited, has_file=FILE in names)
        except OSError as error:
            reason = error.strerror or str(error)
            if parent == root:
                hint = "Check its permissions."
                raise DataError(f"{folder}: can't be read ({reason}). {hint}") from error
            yield Entry(Path(parent), "unreadable", reason)
            continue
        if parent != rules.root and MARK in names and rules.obeys_mark(parent, levels):
            yield Entry(Path(parent), "ignored", MARK)
            continue
        subfolders = []
        met = []
        for entry in entries:
            is_folder = _is_folder(entry)
            judged = _judge(entry, rules, levels, is_folder=is_folder)
            if judged is not None:
                met.append(judged)
            elif is_folder:
                subfolders.append((entry.path, levels))
        found = sidecars.by_photo(sidecars.names_of(entries))
        for one in _paired(met):
            speaks = one.met in {"photo", "film"}
            beside = sidecars.of_photo(one.path.name, found) if speaks else ()
            yield replace(one, sidecars=beside) if beside else one
        waiting += reversed(subfolders)


def is_photo(name: str) -> bool:
    """Whether a file is by its name a photo that can be read here."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - names come by the million
    return suffix in SUFFIXES or (suffix in kinds.RAW_SUFFIXES and kinds.reads_raw())


def is_film(name: str) -> bool:
    """Whether a file is by its name a film whose frames can be read here."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - names come by the million
    return suffix in kinds.FILM_SUFFIXES and kinds.reads_films()


def _paired(entries: Sequence[Entry]) -> Iterator[Entry]:
    """A folder's files, but of each shot one: the JPEG, not the RAW or the MOV beside it."""
    seconds = {id(one): why for one in entries if (why := _why_second(one))}
    if not seconds:
        yield from entries
        return
    parts = [_split(one) for one in entries if one.met == "photo"]
    shots = {stem for stem, suffix in parts if suffix in _SHOTS}
    for one in entries:
        paired = id(one) in seconds and _split(one)[0] in shots
        yield Entry(one.path, "ignored", seconds[id(one)]) if paired else one


def _why_second(entry: Entry) -> str | None:
    """Why a file would be ignored beside a JPEG or HEIC of the same name; None: it wouldn't."""
    suffix = _split(entry)[1]
    if entry.met == "film":
        return LIVE if suffix == ".mov" else None
    return PAIRED if entry.met == "photo" and suffix in kinds.RAW_SUFFIXES else None


def _split(entry: Entry) -> tuple[str, str]:
    """A name without its suffix, and the suffix, both without regard to case."""
    return os.path.splitext(entry.path.name.casefold())  # noqa: PTH122


def check(folder: Path) -> None:
    """Raises DataError where a folder isn't there, or isn't on this machine."""
    if is_object(folder):
        raise DataError(
            f"{folder}: kadr index reads folders. Photos in object storage are encoded first: "
            f"kadr encode {folder} --to OUT, then kadr index --from OUT"
        )
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where a parent is shut
        if os.path.isfile(folder):  # noqa: PTH113
            raise DataError(f"{folder}: a file, not a folder. Name the folder that holds it.")
        raise DataError(f"{folder}: no such folder. Name a folder that holds photos.")


def _judge(
    entry: os.DirEntry[str], rules: Rules, levels: Levels, *, is_folder: bool
) -> Entry | None:
    """What a walk says of an entry; None for folders to walk into, and what is of no interest."""
    film = is_film(entry.name)
    photo = film or is_photo(entry.name)
    linked = not is_folder and _is_link(entry) and os.path.isdir(entry.path)  # noqa: PTH112
    if not is_folder and not photo and not linked:
        kind = kinds.by_name(entry.name)
        if kind is None or rules.reason(entry.path, levels, is_folder=False):
            return None
        return Entry(Path(entry.path), "unsupported", kind.format)
    reason = rules.reason(entry.path, levels, is_folder=is_folder or linked)
    if reason or linked:
        return Entry(Path(entry.path), "ignored", reason or LINK)
    if is_folder or not photo:
        return None
    return Entry(Path(entry.path), "film" if film else "photo")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # on file systems that have to be asked once more
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return False
