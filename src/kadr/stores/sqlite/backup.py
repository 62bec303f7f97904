"""A library's file, copied as it is at one instant while others search and write."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from kadr.errors import LibraryError
from kadr.stores.sealer import create_private
from kadr.stores.sqlite.migrations import APPLICATION, FORMAT

OnProgress = Callable[[int, int], None]
"""Called with pages copied, and their total."""


def copy(source: Path, target: Path, on_progress: OnProgress) -> int:
    """Copy a library to a file that isn't there; what was copied is checked. Its format.

    No older format is brought up to date by it, so it serves before an upgrade, and to go back.
    A file that a killed copy left is `target` with .part added, and the next one starts anew.

    Raises:
        LibraryError: there is no library, it is damaged, or the copy can't be written.
    """
    if not source.is_file():
        raise LibraryError(f"{source}: no library here.")
    _check_free(target)
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(create_private(part))
        # Who may write leaves nothing beside the library when closing it.
        mode = "rw" if os.access(source, os.W_OK) else "ro"
        name = f"{source.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(name, uri=True)) as base:
            version = _version(base, source)
            with closing(sqlite3.connect(part)) as fresh:
                base.backup(fresh, progress=lambda _, left, all_: on_progress(all_ - left, all_))
                _check(fresh, source)
                fresh.execute("PRAGMA journal_mode=WAL")
        _keep(part, target)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise LibraryError(f"{target}: can't be made from {source} ({reason}).") from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                part.with_name(part.name + suffix).unlink()
    return version


def format_of(path: Path) -> int:
    """The format of a library, which isn't brought up to date by the question.

    Raises:
        LibraryError: there is none, it is no library, newer than this kadr, or can't be read.
    """
    if not path.is_file():
        raise LibraryError(f"{path}: no library here. Make one: kadr index FOLDER")
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)) as base:
            return _version(base, path)
    except sqlite3.Error as error:
        raise LibraryError(f"{path}: can't be read as a library ({error}).") from error


def _check_free(target: Path) -> None:
    """Nothing of another library may lie there: SQLite would take its log for the copy's."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        there = target.with_name(target.name + suffix)
        if there.exists():
            raise LibraryError(f"{there} is there already. Name a new file, or move that one away.")


def _version(base: sqlite3.Connection, source: Path) -> int:
    application, version = (
        base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application != APPLICATION:
        raise LibraryError(f"{source} isn't a library of kadr. Name another file.")
    if version > FORMAT:
        raise LibraryError(
            f"{source} has format {version}, this kadr knows {FORMAT}. Use the kadr that made it."
        )
    return int(version)


def _check(fresh: sqlite3.Connection, source: Path) -> None:
    (found,) = fresh.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise LibraryError(f"{source} is damaged ({found}). Restore an older backup.")


def _keep(part: Path, target: Path) -> None:
    """Give a whole copy its name, which nobody has taken meanwhile."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    _check_free(target)
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        part.replace(target)
