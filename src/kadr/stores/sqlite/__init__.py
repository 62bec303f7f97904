"""The library's file: photos, where they lie, their vectors. SQLite; no scanning, no models.

A *photo* is a content, by its digest; a *file* is a path where it lies. A renamed or copied file is
another path of a photo that is known already. What is written together is written in one
transaction, so that a process killed at any instant leaves a library that can be read.
"""

from kadr.stores.sqlite.connection import MEMORY, Run, drop_note, put_note
from kadr.stores.sqlite.files import FileState, FileTables, NewFile, NewPhoto
from kadr.stores.sqlite.photos import PhotoTables, Stored, Totals
from kadr.stores.sqlite.scan import Scan, rounded

__all__ = [
    "MEMORY", "FileState", "NewFile", "NewPhoto", "Run", "Scan", "Store", "Stored", "Totals",
    "drop_note", "put_note", "rounded",
]  # fmt: skip


class Store(FileTables, PhotoTables):
    """One library file, opened. Not for several threads at once."""
