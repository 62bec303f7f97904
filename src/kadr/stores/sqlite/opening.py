"""Opening the file: what this user may do with it, and who may read what is made."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from kadr.stores import MEMORY
from kadr.stores.sealer import create_private

Access: TypeAlias = Literal["write", "read", "frozen"]
"""`read`: others may write meanwhile. `frozen`: nobody does, so the file alone is read."""
PRIVATE = 0o600
"""Libraries hold texts and places: only their owner may read them, unless the owner decides."""
_BESIDE = ("", "-wal", "-shm", ".lock", ".audit.jsonl", ".audit.jsonl.lock")


def access(path: Path) -> Access:
    """What this user may do with a library that is there or is to be made."""
    needed = (path, path.parent) if path.exists() else (path.parent,)
    if str(path) == MEMORY or all(os.access(one, os.W_OK) for one in needed):
        return "write"
    log, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    with suppress(OSError):
        if index.exists() or log.stat().st_size:  # somebody has it open, or was killed
            return "read"
    return "frozen"


def connect(path: Path, how: Access) -> sqlite3.Connection:
    """Open the file; a new one is private.

    Raises:
        OSError, sqlite3.Error: it can't be opened.
    """
    if how == "write":
        if str(path) != MEMORY:
            _make_private(path)
        return sqlite3.connect(path, timeout=60, isolation_level=None)
    options = "mode=ro&immutable=1" if how == "frozen" else "mode=ro"
    name = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(name, timeout=60, isolation_level=None, uri=True)


def make_private(path: Path) -> None:
    """Take a library of an older version, and what lies beside it, from everybody but its owner."""
    for suffix in _BESIDE:
        with suppress(OSError):
            path.with_name(path.name + suffix).chmod(PRIVATE)


def _make_private(path: Path) -> None:
    """Make an empty file that is its owner's whatever the umask, where there is none."""
    with suppress(FileExistsError):
        os.close(create_private(path))
