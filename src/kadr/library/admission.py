"""Which rows of encoded photos a library takes: a stranger's may name any file of this machine."""

import os
import shlex
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from kadr.encoding.rows import About
from kadr.encoding.steps import identify
from kadr.errors import LibraryError
from kadr.library.changes import rules_for
from kadr.photos.ignore import Levels, Rules
from kadr.photos.objects import is_object, located
from kadr.stores import NewFile, Store


def check_root(about: About, paths: Iterable[str], folders: Sequence[Path], where: str) -> None:
    """Whether encoded photos lie in folders of the library, where no person named another.

    Args:
        about: what their rows note.
        paths: of the photos; looked at where a list named them.
        folders: of the library.
        where: the rows' own place, for what is said.

    Raises:
        LibraryError: they lie elsewhere.
    """
    root = located(about.root)
    place: str | None = about.root
    if about.listed and not is_object(root):
        place = min((one for one in paths if not _is_below(Path(one), folders)), default=None)
    elif root == root.resolve() and _is_below(root, folders):
        place = None
    if place is not None:
        named = shlex.quote(about.root)
        raise LibraryError(
            f"{where}: holds photos of {place!r}, which is in no folder of the library. If they are"
            f" to come from there: kadr index --from {shlex.quote(where)} --at {named}"
        )


class Admission:
    """Decides by a file's place, as indexing would: below which folders, and not left out there."""

    def __init__(self, store: Store, folder: Path | None) -> None:
        """Look up the library's rules.

        Args:
            store: the library.
            folder: holds the photos here; None: the library's folders do.
        """
        known = store.folders()
        self._folders = known if folder is None else (folder,)
        self._rules = {
            one: rules_for(store, one) for one in (*known, *self._folders) if not is_object(one)
        }
        self._inside: dict[Path, tuple[str | None, Rules, Levels]] = {}

    def refuses(self, path: Path) -> str | None:
        """Why a file isn't taken; None: it is."""
        if not _is_below(path, self._folders):
            return "in no folder of the library"
        if is_object(path):  # what is left out was, when the bucket was listed
            return None
        parent = path.parent
        if parent not in self._inside:
            self._inside[parent] = self._looked_into(parent)
        reason, rules, levels = self._inside[parent]
        return reason or rules.reason(os.fspath(path), levels, is_folder=False)

    def _looked_into(self, folder: Path) -> tuple[str | None, Rules, Levels]:
        rules = next(r for root, r in self._rules.items() if folder.is_relative_to(root))
        try:
            levels = rules.inside(os.fspath(folder), rules.above(folder))
            return rules.excludes(folder), rules, levels
        except OSError as error:
            return f"in a folder that can't be read ({error.strerror or error})", rules, ()


def are_current(files: Sequence[NewFile]) -> list[bool]:
    """Whether files hold the contents that are said of them; each is read.

    A row that gives another photo's content its own vector would decide what the law sees of it.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hash") as pool:
        return list(pool.map(_is_current, files))


def _is_current(file: NewFile) -> bool:
    if is_object(file.path):  # to hash it is to fetch it; its size and time were listed just now
        return True
    if file.digest is None:
        return True
    found = identify(NewFile(file.path, file.size, file.modified))
    return found == replace(file, sidecar=None)


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    return ".." not in path.parts and any(path.is_relative_to(one) for one in folders)
