"""The file itself: opening and making it, notes, transactions, and what its errors mean."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.errors import LibraryError, ReadOnlyError
from kadr.stores import MEMORY
from kadr.stores.columns import folded
from kadr.stores.sealer import Sealer
from kadr.stores.sqlite import opening
from kadr.stores.sqlite.migrations import APPLICATION, FORMAT, migrate
from kadr.stores.sqlite.statements import Run, get_note, put_note

LOOKUP = 500
"""Keys in one SQL statement; SQLite takes at least 999."""
PAGE = 8192
"""Bytes of a page of the file: seven vectors fit into one, where half as many bytes hold three."""


class Connection:
    """An open library file, by itself."""

    def __init__(self, spec: str, *, create: bool = False) -> None:
        """Open the library, or make it.

        Raises:
            LibraryError: there is none and `create` is false, or the file is something else.
        """
        self.path = path = Path(spec)
        self.name = spec
        self.file = None if spec == MEMORY else path
        if not create and not os.path.exists(path):  # noqa: PTH110 - Path.exists() raises
            raise LibraryError(f"{path}: no library here. Make one: kadr index FOLDER")
        self._within = False  # a transaction that writes
        self._openings = 0
        self._access: opening.Access = "write"
        self._sealer = Sealer(self.file and path.with_name(path.name + ".audit.key"))
        try:
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._open(create=create)
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error

    @property
    def readonly(self) -> bool:
        """Whether the library may only be read, by this user or because of the disk."""
        return self._access != "write"

    def _open(self, *, create: bool = False) -> None:
        self._access = opening.access(self.path)
        self._stamp = self._state() if self.readonly else None
        self._base = opening.connect(self.path, self._access)
        self._openings += 1
        run = self._base.execute
        if create and not self.readonly and self._is_empty():
            with self.writing():  # SQLite doesn't wait for another one that turns the log on
                self._make()
        run("BEGIN")  # both of one instant: another process may be making it
        application, version = (
            run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        run("COMMIT")
        if application != APPLICATION or version < 0:
            raise LibraryError(f"{self.path} isn't a library of kadr. Name another file.")
        if version > FORMAT:
            raise LibraryError(
                f"{self.path} has format {version}, this kadr reads {FORMAT}. Install the kadr "
                "that made it, or index into a new file."
            )
        if version < FORMAT:
            self._migrate(version)
        run("PRAGMA synchronous=NORMAL")
        run("PRAGMA temp_store=MEMORY")
        self._base.create_function("folded", 1, folded, deterministic=True)

    def _migrate(self, version: int) -> None:
        if self.readonly:
            raise LibraryError(
                f"{self.path} has format {version}, and this kadr reads {FORMAT}. Open it once "
                "where it may be written to, as by kadr library, and it is brought up to date."
            )
        with self.durable():
            migrate(self._base.execute, self.path, self._sealer)
        opening.make_private(self.path)

    def _state(self) -> tuple[int, int]:
        """Size and time of change of the file."""
        status = self.path.stat()
        return status.st_size, status.st_mtime_ns

    def _is_empty(self) -> bool:
        return self._base.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def _make(self) -> None:
        self._base.execute(f"PRAGMA page_size={PAGE}")
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("BEGIN IMMEDIATE")  # another process may be making it too
        if self._is_empty():
            self._base.execute(f"PRAGMA application_id={APPLICATION}")
            migrate(self._base.execute, self.path, self._sealer)
        self._base.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    @contextmanager
    def writing(
        self, on_wait: Callable[[], None] | None = None, _folders: Sequence[Path] = ()
    ) -> Iterator[None]:
        """Be the only process that indexes. Another one's turn ends at its death at the latest.

        Args:
            on_wait: called once where another process is at it.

        Raises:
            LibraryError: the library's folder can't be written to.
        """
        if self.file is None:
            yield
            return
        from filelock import FileLock, Timeout

        self._check_writable()
        lock = FileLock(self.path.with_name(self.path.name + ".lock"), mode=opening.PRIVATE)
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                (on_wait or _nothing)()
                lock.acquire()
        except OSError as error:
            raise self._broken(error) from error
        try:
            yield
        finally:
            lock.release()

    def meta(self, key: str) -> str | None:
        """What is noted under a key: `encoder`, `model`, `space`."""
        try:
            return get_note(self._base.execute, key)
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def note(self, **values: str | None) -> None:
        """Note values in place of older ones; None: nothing any more."""
        with self.transaction() as run:
            for key, value in values.items():
                if value is None:
                    run("DELETE FROM meta WHERE key = ?", (key,))
                else:
                    put_note(run, key, value)

    def changes(self) -> tuple[int, int]:
        """Differs when the library was changed since: by another connection, or by this one."""
        if self._access == "frozen" and not self._base.in_transaction:
            self._thaw()
        version = int(self.read("PRAGMA data_version")[0][0])
        return (self._openings << 32) + version, self._base.total_changes

    def _thaw(self) -> None:
        """Open the file anew where somebody who may write has changed it."""
        try:
            if self._state() != self._stamp or opening.access(self.path) != "frozen":
                self._base.close()
                self._open()
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error

    def _check_writable(self) -> None:
        if self.readonly:
            raise ReadOnlyError(
                f"{self.path} may only be read here. Check the permissions of the file and its "
                "folder, or name another with --library."
            )

    def bytes(self) -> int:
        """Size of the file, with what is still in its log."""
        if self.file is None:
            return int(self.read("PRAGMA page_count")[0][0] * self.read("PRAGMA page_size")[0][0])
        size = 0
        for suffix in ("", "-wal"):
            file = self.path.with_name(self.path.name + suffix)
            size += file.stat().st_size if file.exists() else 0
        return size

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read within is of one instant, whatever another process writes meanwhile."""
        if self._base.in_transaction:
            yield
            return
        if self._access == "frozen":
            self._thaw()
        self.read("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):  # nothing was written; a broken file has been told
                self._base.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """Run statements that are kept together or not at all; gives what runs them.

        Inside another transaction they are part of that one.
        """
        if self._within:
            yield self._base.execute
            return
        self._check_writable()
        try:
            self._base.execute("BEGIN IMMEDIATE")
            self._within = True
            try:
                yield self._base.execute
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
            finally:
                self._within = False
        except sqlite3.Error as error:
            raise self._broken(error) from error

    @contextmanager
    def durable(self) -> Iterator[None]:
        """Join what is written within into one transaction that outlives a loss of power.

        The transaction of one method may be lost with it. Inside another transaction it is part of
        that one.
        """
        if self._within:
            yield
            return
        self.read("PRAGMA synchronous=FULL")
        try:
            with self.transaction():
                yield
        finally:
            self.read("PRAGMA synchronous=NORMAL")

    def among(self, statement: str, keys: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """Rows of a statement whose {} stands for the keys, asked for by and by."""
        numbers = iter(dict.fromkeys(keys))
        while part := list(islice(numbers, LOOKUP)):
            yield from self.read(statement.format(",".join("?" * len(part))), part)

    def numbered(self, statement: str, values: Sequence[Any] = ()) -> NDArray[np.int64]:
        """The numbers `photo` of a statement, sorted: int64 [n]. One text is read twice as fast."""
        (told,) = self.read(f"SELECT group_concat(photo) FROM ({statement})", values)
        return np.sort(np.fromstring(told[0] or "", np.int64, sep=","))

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement. Bytes in a text that damage left no UTF-8 are escaped."""
        try:
            try:
                return self._base.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
                self._base.text_factory = _lenient  # from now on: it is slower
                return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> LibraryError:
        text = str(error)
        if "not a database" in text:
            return LibraryError(f"{self.path} isn't a library of kadr. Name another file.")
        if "closed database" in text:
            return LibraryError(f"{self.path}: this library was closed. Open it again.")
        if "full" in text:
            return LibraryError(
                f"{self.path}: the disk is full. What was indexed so far is kept; make room and "
                "run it again."
            )
        if "readonly" in text or "unable to open" in text or isinstance(error, PermissionError):
            what = "opened" if self.readonly else "opened for writing"
            return LibraryError(
                f"{self.path}: can't be {what} ({text}). Check the permissions of the file and its "
                "folder, or name another with --library."
            )
        return LibraryError(
            f"{self.path}: the library can't be read ({text}). Look at it with kadr library verify."
        )


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _nothing() -> None:
    pass
