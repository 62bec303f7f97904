"""Folders of a library by their last names, as `in:2021/summer` in a query names them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias
from weakref import WeakKeyDictionary

from kadr.errors import KadrError
from kadr.photos.objects import located
from kadr.stores import Store
from kadr.stores.columns import folded

NOWHERE = Path(os.devnull, "nowhere")
"""A folder that no file lies in."""
MOST = 100
"""Folders of one name that a query may mean: each makes the statement that finds photos longer."""

_Folders: TypeAlias = list[tuple[tuple[str, ...], Path]]

_known = WeakKeyDictionary[Store, tuple[tuple[int, int], _Folders]]()
"""Each library's folders and their names, and the state it was in: listing them reads all paths."""


def named(store: Store, name: str) -> tuple[Path, ...]:
    """The folders with files of the library whose last names these are, in any case.

    A folder's names begin with that of the folder that was indexed: nothing above is compared. One
    that lies in another of them is left out.

    Raises:
        KadrError: more than `MOST` have this name.
    """
    wanted = tuple(str(folded(part)) for part in name.replace(os.sep, "/").split("/") if part)
    if not wanted:
        return ()
    count = len(wanted)
    found = {folder for names, folder in _folders(store) if names[-count:] == wanted}
    outermost = tuple(sorted(one for one in found if not found.intersection(one.parents)))
    if len(outermost) > MOST:
        raise KadrError(
            f"{len(outermost):,} folders are called {name!r}. Name the folder above them too, such "
            f"as in:2021/{name.strip('/')}"
        )
    return outermost


def _folders(store: Store) -> _Folders:
    changes = store.changes()
    known = _known.get(store)
    if known is None or known[0] != changes:
        known = changes, _read(store)
        _known[store] = known
    return known[1]


def _read(store: Store) -> _Folders:
    roots = store.folders()
    parents = {os.path.dirname(path) for _, path in store.paths()}  # noqa: PTH120 - bytes
    files = (located(os.fsdecode(parent)) / "photo" for parent in parents)
    folders = {folder for path in files for folder in above(path, roots)}
    return [(_names(folder, roots), folder) for folder in folders]


def _names(folder: Path, roots: Sequence[Path]) -> tuple[str, ...]:
    """A folder's names from the indexed folder's on, folded."""
    root = next((root for root in roots if folder.is_relative_to(root)), folder)
    parts = (root.name, *folder.relative_to(root).parts)
    return tuple(str(folded(part)) for part in parts)


def above(path: Path, roots: Sequence[Path]) -> list[Path]:
    """The folders that hold a file, up to the indexed one; its own where none was indexed."""
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return [folder for folder in path.parents if folder.is_relative_to(root)]
