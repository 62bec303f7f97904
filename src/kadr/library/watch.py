"""Flow: folders that are watched -> folders to index again, for ever.

A folder that is unplugged, renamed or made again is watched again as soon as it is there.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from kadr.photos.folders import is_film, is_photo
from kadr.photos.ignore import FILE, MARK, Rules
from kadr.photos.sidecars import is_sidecar

QUIET = 500
"""Milliseconds without a change before a watched folder is indexed again."""
PATIENCE = 3000
"""Milliseconds after which it is indexed although changes go on."""
POLL = 2.0
"""Seconds between two looks for a folder that isn't there."""
RESCAN = 60.0
"""Seconds between two indexings of folders whose changes the system doesn't report."""

Identity: TypeAlias = tuple[int, int]
"""Device and inode of a folder: another one under the same name has another."""


def watch(
    folders: Sequence[Path],
    library: Path | None,
    rules: Callable[[Path], Rules],
    report: Callable[[str], None],
) -> Iterator[list[Path]]:
    """Folders to index again, as they change; the first list is empty, and comes at once.

    Args:
        folders: to watch; those that aren't there are waited for.
        library: the file whose own changes don't count.
        rules: gives what is left out below a folder.
        report: is called with what a person should know: a folder that is gone, or back.
    """
    watched, due, begun = identities(folders), list[Path](), False
    while True:
        for paths in _changes(list(watched), report):
            touched = _nearest([*due, *_touched(paths, list(watched), library, rules)])
            if touched or not begun:
                yield touched
            begun, due = True, []
            if identities(folders) != watched:
                break
        now = identities(folders)
        for folder in sorted(watched.keys() - now.keys()):
            report(f"{folder} isn't there any more. Waiting for it to come back.")
        due = [folder for folder, identity in now.items() if watched.get(folder) != identity]
        watched = now


def identities(folders: Iterable[Path]) -> dict[Path, Identity]:
    """Which folders are there and can be listed, and which they are."""
    there = {}
    for folder in folders:
        try:
            status = folder.stat()
            with os.scandir(folder):
                there[folder] = status.st_dev, status.st_ino
        except OSError:
            continue
    return there


def _changes(folders: Sequence[Path], report: Callable[[str], None]) -> Iterator[set[Path]]:
    """Paths that changed, again and again, many times none; ends where a folder is gone."""
    from watchfiles import watch

    while not folders:
        yield set()
        time.sleep(POLL)
    try:
        for changes in watch(
            *folders,
            watch_filter=None,
            debounce=PATIENCE,
            step=QUIET,
            rust_timeout=QUIET,
            yield_on_timeout=True,
            raise_interrupt=True,
            ignore_permission_denied=True,
        ):
            yield {Path(path) for _, path in changes}
    except (OSError, RuntimeError, ValueError) as error:  # ValueError: a name that is no text
        if len(identities(folders)) < len(folders):
            return
        report(
            f"The system can't report changes ({error}), so every {RESCAN:.0f} s all is looked at. "
            "Linux allows more with sysctl fs.inotify.max_user_watches."
        )
    while True:
        yield {folder / FILE for folder in folders}  # as if what is left out had changed
        time.sleep(RESCAN)


def _touched(
    paths: Iterable[Path],
    folders: Sequence[Path],
    library: Path | None,
    rules: Callable[[Path], Rules],
) -> list[Path]:
    """The folders to index again: the nearest that are there and aren't left out."""
    own = library and library.resolve()
    known, touched = dict[Path, Rules](), list[Path]()
    for path in paths:
        root = next((folder for folder in folders if path.is_relative_to(folder)), None)
        if root is None or path == root:
            continue
        if own and path.parent == own.parent and path.name.startswith(own.name):
            continue
        if root not in known:
            known[root] = rules(root)
        if _counts(path, known[root]):
            parent = path.parent
            while parent != root and (not parent.is_dir() or _left_out(parent, known[root])):
                parent = parent.parent
            touched.append(parent)
    return touched


def _counts(path: Path, rules: Rules) -> bool:
    """Whether a change at a path may change what the library should hold."""
    if path.name in {FILE, MARK}:
        return True
    if is_sidecar(path.name):  # it goes with its photo
        path = path.with_suffix("")
    elif not (is_photo(path.name) or is_film(path.name)) and path.is_file():
        return False
    return not _left_out(path, rules)


def _left_out(path: Path, rules: Rules) -> bool:
    try:
        return rules.excludes(path) is not None
    except OSError:  # what can't be known is looked at
        return False


def _nearest(folders: Iterable[Path]) -> list[Path]:
    """Each folder once, none inside another."""
    chosen = set(folders)
    return sorted(folder for folder in chosen if not chosen.intersection(folder.parents))
