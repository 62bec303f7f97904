"""What completion in a shell asks of a library: a look into its file, without opening a store."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_MOST = 1000
"""Names; no shell shows more."""
_SECONDS = 0.2
"""That a library may be busy before nothing is told."""


def folders(file: Path) -> list[str]:
    """The folders that were indexed.

    Raises:
        sqlite3.Error: it is no library, or busy.
    """
    with _opened(file) as base:
        rows = base.execute("SELECT path FROM folders ORDER BY path LIMIT ?", (_MOST,))
        return [os.fsdecode(path) for (path,) in rows]


def collections(file: Path) -> list[str]:
    """The names of the collections; errors as `folders`."""
    with _opened(file) as base:
        rows = base.execute("SELECT name FROM collections ORDER BY name LIMIT ?", (_MOST,))
        return [str(name) for (name,) in rows]


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    # Who may write leaves nothing beside the library when closing it.
    mode = "rw" if os.access(file, os.W_OK) else "ro"
    name = f"{file.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(name, uri=True, timeout=_SECONDS)) as base:
        base.execute("PRAGMA query_only=1")
        yield base
