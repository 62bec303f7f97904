"""A library as one SQLite file. No scanning of folders, no models.

What is written together is written in one transaction, so that a process killed at any instant
leaves a library that can be read.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kadr.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]


def __getattr__(name: str) -> Any:
    if name != "SqliteStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kadr.stores.sqlite.store import SqliteStore  # numpy; `glance` has no time for it

    return SqliteStore
