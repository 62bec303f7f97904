"""A library as one SQLite file. No scanning of folders, no models.

What is written together is written in one transaction, so that a process killed at any instant
leaves a library that can be read.
"""

from kadr.stores.sqlite.files import FileTables
from kadr.stores.sqlite.photos import PhotoTables
from kadr.stores.sqlite.preferences import PreferenceTables


class SqliteStore(FileTables, PhotoTables, PreferenceTables):
    """One library file, opened. Not for several threads at once."""
