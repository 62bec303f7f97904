"""What is left out below a folder of photos: hidden and system folders, and a person's patterns.

One function decides, for whoever walks a folder and whoever watches it.
"""

import os
import stat
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from kadr.errors import DataError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

FILE = ".kadrignore"
"""A file of patterns, as in .gitignore, for the folder that it is in."""
MARK = ".nomedia"
"""Android's mark of a folder whose pictures are nobody's photos."""
LINK = "link to a folder"

_SYSTEM = frozenset(
    {"@eadir", "@recycle", "#recycle", "#snapshot", "@recently-snapshot", "@tmp", "@__thumb"}
    | {"@synoresource", "~snapshot", "$recycle.bin", "recycler", "recycled", "lost.dir"}
    | {"system volume information", "lost+found", "__macosx", "ipod photo cache"}
)
"""Names of folders that NAS, Windows, Linux and macOS keep for themselves, in lower case."""
_BUNDLES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary")
_BUNDLES_NAMED = frozenset({"iphoto library"})
_ORIGINALS = frozenset({"originals", "masters", "modified"})
"""The only folders in a library of Apple's Photos, iPhoto or Aperture that hold no previews."""
_PREVIEWS = (".lrdata",)
"""How the names of folders of previews end: those of Lightroom."""

_BYTES, _LINES, _STARS = 2**16, 1000, 4
"""Limits of a file of patterns; the last, of stars between two slashes: many take long to match."""


@dataclass(frozen=True, slots=True)
class _Level:
    """Patterns, the folder that they are relative to, and where they come from."""

    folder: str
    spec: "GitIgnoreSpec"
    source: str

    def decides(self, path: str, *, is_folder: bool) -> bool | None:
        """True leaves a path out, False takes it in; None: no pattern matches."""
        below = path[len(self.folder) :].lstrip(os.sep) + ("/" if is_folder else "")
        return self.spec.check_file(_composed(below)).include


Levels: TypeAlias = tuple[_Level, ...]
"""The patterns that apply in a folder; later ones outrank earlier ones."""


class Rules:
    """Decides what is left out below a folder of photos.

    Hidden and system folders and files are; `patterns` of a person and those in .kadrignore files
    leave out more, or with `!` take something in all the same. As in git, the last pattern that
    matches decides, those of inner folders come last, and nothing below a folder that is left out
    is looked at. Names are compared in Unicode's composed form.
    """

    def __init__(self, root: Path, patterns: Mapping[Path, Sequence[str]] | None = None) -> None:
        """Rules for what is below `root`, which itself is always taken in.

        Args:
            root: the folder.
            patterns: those of a person, by the folder that they were given for.

        Raises:
            DataError: a pattern means nothing.
        """
        self.root = os.fspath(root)
        self.problems: list[tuple[Path, str]] = []
        """.kadrignore files with a line that means nothing, and which."""
        self._patterns = {
            os.fspath(folder): compiled(lines) for folder, lines in (patterns or {}).items()
        }

    def excludes(self, path: Path) -> str | None:
        """Why a path below the root is left out, by its own name or a folder's; None: it isn't.

        Raises:
            OSError: a .kadrignore can't be read.
        """
        if not path.is_relative_to(self.root):
            return None
        levels, folder = self.inside(self.root, ()), self.root
        parts = path.relative_to(self.root).parts
        for place, name in enumerate(parts, start=1):
            folder = os.path.join(folder, name)  # noqa: PTH118
            is_folder = place < len(parts) or os.path.isdir(folder)  # noqa: PTH112
            reason = self.reason(folder, levels, is_folder=is_folder)
            if reason is None and is_folder and os.path.islink(folder):  # noqa: PTH114
                reason = LINK
            if reason is not None:
                return reason
            if is_folder:
                levels = self.inside(folder, levels)
                marked = os.path.exists(os.path.join(folder, MARK))  # noqa: PTH110, PTH118
                if marked and self.obeys_mark(folder, levels):
                    return MARK
        return None

    def above(self, folder: Path) -> Levels:
        """The patterns of the folders that hold a folder, from the root on.

        Raises:
            OSError: a .kadrignore can't be read.
        """
        levels: Levels = ()
        path = Path(self.root)
        for name in folder.relative_to(path).parts if folder.is_relative_to(path) else ():
            levels = self.inside(os.fspath(path), levels)
            path /= name
        return levels

    def inside(self, folder: str, levels: Levels, *, has_file: bool = True) -> Levels:
        """The patterns that apply in a folder, given those of the folder that holds it.

        Raises:
            OSError: its .kadrignore can't be read.
        """
        if folder in self._patterns:
            levels = (*levels, _Level(folder, self._patterns[folder], "--exclude"))
        lines = _read(os.path.join(folder, FILE)) if has_file else None  # noqa: PTH118
        if lines is None:
            return levels
        return (*levels, _Level(folder, self._compiled(lines, folder), FILE))

    def reason(self, path: str, levels: Levels, *, is_folder: bool) -> str | None:
        """Why an entry of a folder with these patterns is left out; None: it isn't."""
        name = os.path.basename(path)  # noqa: PTH119
        for level in reversed(levels):
            include = level.decides(path, is_folder=is_folder)
            if include is not None:
                return level.source if include else None
        if name.startswith("."):
            return "hidden"
        return "system folder" if is_folder and _is_system(path) else None

    def obeys_mark(self, folder: str, levels: Levels) -> bool:
        """Whether a .nomedia in a folder counts: not where a pattern takes it in, `!.nomedia`."""
        mark = os.path.join(folder, MARK)  # noqa: PTH118
        decisions = (level.decides(mark, is_folder=False) for level in reversed(levels))
        return next((one for one in decisions if one is not None), True)

    def _compiled(self, lines: Sequence[str], folder: str) -> "GitIgnoreSpec":
        good = []
        for number, line in enumerate(lines, start=1):
            try:
                compiled([line])
                good.append(line)
            except DataError as error:
                self.problems.append((Path(folder, FILE), f"line {number}: {error}"))
        return compiled(good)


def compiled(patterns: Iterable[str]) -> "GitIgnoreSpec":
    """Patterns by the rules of .gitignore.

    Raises:
        DataError: one means nothing, or has so many stars that matching it would take long.
    """
    from pathspec import GitIgnoreSpec

    lines = [_composed(pattern) for pattern in patterns]
    for line in lines:
        parts = line.split("/")
        if max(parts.count("**"), *(part.strip("*").count("*") for part in parts)) > _STARS:
            raise DataError(f"{line!r} has more than {_STARS} stars. Write it with fewer.")
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise DataError(
            f"{lines!r}: no pattern. Write it as in .gitignore: '*.png', 'drafts/', '!keep.png'."
        ) from error


def _read(file: str) -> list[str] | None:
    """The lines of a file of patterns; None where there is none."""
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116
            return None
        with open(file, "rb") as stream:  # noqa: PTH123
            content = stream.read(_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).splitlines()[:_LINES]


def _is_system(path: str) -> bool:
    """Whether a folder is one that a system keeps for itself, or of previews."""
    parent, name = (part.casefold() for part in os.path.split(path))
    bundle = os.path.basename(parent)  # noqa: PTH119
    if bundle in _BUNDLES_NAMED or bundle.endswith(_BUNDLES):
        return name not in _ORIGINALS
    return name in _SYSTEM or name.endswith(_PREVIEWS)


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
