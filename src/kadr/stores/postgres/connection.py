"""The connection: opening and making a library, transactions, turns, and being cut off."""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen

from kadr.errors import LibraryError, LibraryUnavailableError, ReadOnlyError
from kadr.stores.postgres import address, opening
from kadr.stores.postgres.failures import reason, translated, unavailable
from kadr.stores.postgres.migrations import FORMAT, migrate
from kadr.stores.postgres.statements import Run, get_note, put_note
from kadr.stores.sealer import Sealer

ROOM = "256MB"
"""Memory for a statement's sets, of which the server takes as much as it needs."""
TIMEOUT = 60
"""Seconds that the server may take for one statement; for making an index, as long as it needs."""
IDLE = 1800
"""Seconds that a transaction may wait for this process, which looks for faces meanwhile: one that
is frozen stalls others for no longer."""
_GRACE = 10
"""Seconds after which a server that should have given up by itself is taken for dead."""
_WAIT = 0.2
"""Seconds between two questions whether another process has ended its turn."""
_SILENT = "hasn't answered"
T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection to a server that may stop answering without closing it, as a frozen one does."""

    bound: float | None = TIMEOUT + _GRACE

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """Wait for the server, but not for ever."""
        return super().wait(_bounded(gen, self.bound), *args, **options)


def _bounded(gen: PQGen[T], seconds: float | None) -> Generator[Any, Any, T]:
    started = time.monotonic()
    try:
        waits = next(gen)
        while True:
            ready = yield waits
            if not ready and seconds is not None and time.monotonic() - started > seconds:
                raise psycopg.OperationalError(f"the server {_SILENT} for {seconds:.0f} s")
            waits = gen.send(ready)
    except StopIteration as end:
        return cast(T, end.value)


class Connection:
    """A library on a server, by itself."""

    def __init__(self, spec: str, *, create: bool = False) -> None:
        """Open the library, or make it.

        Raises:
            LibraryError: there is none and `create` is false, it is something else, or the server
                can't be reached.
        """
        self.name = address.name(spec)
        self._parameters = address.parameters(spec)
        self._unspoken = tuple(address.passwords(self._parameters))
        self._within = self._alone = False  # a transaction that writes; one that writes alone
        self._open = False  # a transaction
        self._openings = 0
        self._schema: str | None = None
        self._turn: tuple[tuple[int, bool], ...] = ()
        self._readonly = False
        self._base = self._connect(create=create)
        place = address.beside(self._id)
        self._key_file = place.with_name(place.name + ".audit.key")
        self._sealer = Sealer(self._key_file)

    @staticmethod
    def exists(spec: str) -> bool:
        """Whether there is a library.

        Raises:
            LibraryError: the server can't be reached.
        """
        with _looking(spec) as (_, seen):
            return seen.made

    @staticmethod
    def formats(spec: str) -> tuple[int, int]:
        """The library's format, and the one that this kadr brings it to.

        Raises:
            LibraryError: there is none, it is newer, or the server can't be reached.
        """
        with _looking(spec) as (run, seen):
            opening.check(seen, address.name(spec), create=False)
            opening.check_creators(run, seen, address.name(spec))
            opening.set_up(run, seen, timeout=TIMEOUT, idle=IDLE)
            return opening.format_of(run, address.name(spec)), FORMAT

    @staticmethod
    def named(spec: str) -> str:
        """The address without passwords."""
        return address.name(spec)

    @staticmethod
    def beside(spec: str) -> Path:
        """The path that the library's secrets are named after: a file in this user's folder.

        Raises:
            LibraryError: there is no library, or the server can't be reached.
        """
        with _looking(spec) as (run, seen):
            opening.check(seen, address.name(spec), create=False)
            opening.check_creators(run, seen, address.name(spec))
            return address.beside(opening.id_of(run, seen))

    @property
    def file(self) -> Path | None:
        """None: the library lives on a server."""
        return None

    @property
    def readonly(self) -> bool:
        """Whether the library may only be read, by this user or on this server."""
        return self._readonly

    def _connect(self, *, create: bool = False) -> BoundedConnection:
        with self._told():
            base = BoundedConnection.connect(**self._parameters, autocommit=True)
            try:
                self._settle(base, create=create)
            except BaseException:
                base.close()
                raise
        self._openings += 1
        return base

    def _settle(self, base: BoundedConnection, *, create: bool) -> None:
        """Find the library in the database, or make it, and learn what this user may do."""
        run = _runner(base)
        schema = self._schema = self._schema or opening.schema(run)
        seen = opening.look(run, schema)
        opening.check(seen, self.name, create=create)
        if not seen.made and seen.readonly:
            raise ReadOnlyError(f"{self.name} may only be read here. Name the primary server.")
        if not seen.made:
            with base.transaction():
                opening.lock(run)
                if seen.vector is None:
                    opening.make_extension(run, seen, self.name)
            seen = opening.look(run, schema)
        opening.check_vector(seen, self.name)
        opening.check_creators(run, seen, self.name)
        opening.set_up(run, seen, timeout=TIMEOUT, idle=IDLE)
        if not seen.made:
            self._make(base)
        version = opening.format_of(run, self.name)
        self._readonly = seen.readonly or not opening.has_right(run, "photos", "INSERT")
        if version != FORMAT:
            with base.transaction():
                opening.lock(run)
                opening.bring_up(run, self.name, readonly=self._readonly)
        self._id = opening.id_of(run, seen)
        if self._turn and not self._take(run, self._turn):
            raise LibraryUnavailableError(
                f"{self.name}: the connection was lost, and another process writes by now. Run it "
                "again."
            )

    def _make(self, base: BoundedConnection) -> None:
        run = _runner(base)
        with base.transaction():
            opening.lock(run)
            if not opening.look(
                run, self._schema
            ).made:  # another process may have made it meanwhile
                migrate(run, 0)

    def close(self) -> None:
        """Close the connection."""
        self._base.close()

    # Statements.

    def run(self, statement: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Run one statement; outside of a transaction it is one by itself.

        A connection that was cut while nothing was asked is made anew, and the statement run again.

        Raises:
            LibraryUnavailableError: the server can't be reached, or was cut off in a transaction.
            ValueError: a value can't be stored.
        """
        known = self._openings
        try:
            with self._told():
                return _runner(self._live())(statement, values)
        except LibraryUnavailableError as error:
            was_idle = self._base.closed and not self._open and self._openings == known
            if not was_idle or _SILENT in str(error):
                raise
        with self._told():
            return _runner(self._live())(statement, values)

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement."""
        return self.run(statement, values).fetchall()

    def run_all(
        self, statement: str, rows: Sequence[Sequence[Any]], *, returning: bool = False
    ) -> list[Any]:
        """Run a statement for each row of values, in one go; the first row that each returns."""
        found: list[Any] = []
        with self._told(), self._live().cursor(binary=True) as cursor:
            cursor.executemany(statement.encode(), rows, returning=returning)
            if returning and rows:
                found = [
                    row for _ in cursor.results() for row in (cursor.fetchone(),) if row is not None
                ]
        return found

    def copy(self, statement: str, chunks: Iterator[bytes]) -> None:
        """Feed bytes to a COPY statement."""
        with (
            self._told(),
            self._live().cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            for chunk in chunks:
                copy.write(chunk)

    def _live(self) -> BoundedConnection:
        if self._base.closed:
            if self._open:
                raise unavailable(self.name, "the connection was lost")
            self._base = self._connect()
        return self._base

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the server as those of a library. A connection that is no good is closed."""
        try:
            yield
        except psycopg.Error as error:
            base = getattr(self, "_base", None)
            if base is not None and (base.broken or _SILENT in reason(error)):
                base.close()
                error = psycopg.OperationalError(reason(error))
            raise translated(error, self.name, unknown=self._unspoken) from None

    # Transactions.

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read within is of one instant, whatever another process writes meanwhile."""
        if self._open:
            yield
            return
        with self._block("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            yield

    @contextmanager
    def roomy(self) -> Iterator[None]:
        """An instant with room for sets of records: what doesn't fit is read for every photo."""
        with self.reading():
            self.run("SELECT set_config('work_mem', %s, true)", (ROOM,))
            yield

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[Run]:
        """Run statements that are kept together or not at all; gives what runs them.

        Others may write meanwhile, unless it is to be `alone`. Inside another transaction they are
        part of that one.
        """
        if self._within:
            with self._savepoint():
                yield self.run
            return
        self._check_writable()
        with self._block("BEGIN ISOLATION LEVEL READ COMMITTED"):
            self._within, self._alone = True, alone
            try:
                self._wait_for_writers(alone=alone)
                yield self.run
                self.run("UPDATE kadr SET revision = revision + 1")  # last: others wait for it
                self._write_last()
            finally:
                self._within = self._alone = False

    @contextmanager
    def durable(self) -> Iterator[None]:
        """Join what is written within into one transaction; nobody else writes meanwhile."""
        if self._within:
            if not self._alone:
                self._wait_for_writers(alone=True)
                self._alone = True
            yield
            return
        with self.transaction(alone=True) as run:
            run(
                "SELECT set_config('synchronous_commit', 'on', true)"
                " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
            yield

    def _write_last(self) -> None:
        """Write what follows from all else, while no other transaction ends."""

    def _wait_for_writers(self, *, alone: bool) -> None:
        """Take a lock that only who may write can hold: an advisory one is open to all users."""
        self.run(f"LOCK TABLE writers IN {'EXCLUSIVE' if alone else 'ROW EXCLUSIVE'} MODE")

    @contextmanager
    def _block(self, begin: str) -> Iterator[None]:
        self.run(begin)
        self._open = True
        try:
            yield
            end = self.run("COMMIT").statusmessage
        except BaseException:
            with suppress(psycopg.Error):  # it ends with its connection too
                self._base.rollback()
            raise
        finally:
            self._open, self._base.bound = False, BoundedConnection.bound
        if end != "COMMIT":  # an error within was passed over, and all was taken back
            raise LibraryError(f"{self.name}: nothing was kept, for a part of it failed.")

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self.run("SAVEPOINT part")
        try:
            yield
        except BaseException:
            with suppress(LibraryError):
                self.run("ROLLBACK TO part")
            raise
        self.run("RELEASE part")

    def _check_writable(self) -> None:
        if self._readonly:
            raise ReadOnlyError(
                f"{self.name} may only be read here. Name a user who may write, on the primary "
                "server, with --library."
            )

    # Turns.

    @contextmanager
    def writing(
        self, on_wait: Callable[[], None] | None = None, folders: Sequence[Path] = ()
    ) -> Iterator[None]:
        """Be the only process that indexes these folders, or any. A turn ends with its connection.

        Args:
            on_wait: called once where another process is at it.
            folders: others may index, unless they want these, what holds them or lies in them.
        """
        self._check_writable()
        wanted = tuple((self._lock_key(what), shared) for what, shared in _turn(folders))
        if not self._take(self.run, wanted):
            (on_wait or _nothing)()
            while not self._take(self.run, wanted):
                time.sleep(_WAIT)
        self._turn = wanted
        try:
            yield
        finally:
            self._turn = ()
            with suppress(LibraryError):  # it ended with the connection
                self._give_back()

    def _take(self, run: Run, wanted: tuple[tuple[int, bool], ...]) -> bool:
        for key, shared in wanted:
            kind = "_shared" if shared else ""
            if not run(f"SELECT pg_try_advisory_lock{kind}(%s)", (key,)).fetchone()[0]:
                run("SELECT pg_advisory_unlock_all()")
                return False
        return True

    def _give_back(self) -> None:
        if not self._base.closed:
            self.run("SELECT pg_advisory_unlock_all()")

    def _try_alone(self) -> bool:
        """Within a transaction: whether no other process indexes, and none will until its end."""
        row = self.run("SELECT pg_try_advisory_xact_lock(%s)", (self._lock_key(b""),)).fetchone()
        return bool(row and row[0])

    def _lock_key(self, what: bytes) -> int:
        """An advisory lock is a whole number; other libraries of the database have others."""
        digest = hashlib.blake2b(what, digest_size=8, key=self._id).digest()
        return int.from_bytes(digest, "big", signed=True)

    # Notes.

    def meta(self, key: str) -> str | None:
        """What is noted under a key: `encoder`, `model`, `space`."""
        return get_note(self.run, key)

    def note(self, **values: str | None) -> None:
        """Note values in place of older ones; None: nothing any more."""
        with self.transaction() as run:
            for key, value in sorted(values.items()):
                if value is None:
                    run("DELETE FROM notes WHERE key = %s", (key,))
                else:
                    put_note(run, key, value)

    def changes(self) -> tuple[int, int]:
        """Differs when the library was changed since, or the connection was made anew."""
        (revision,) = self.read("SELECT revision FROM kadr")[0]
        return self._openings, int(revision)


@contextmanager
def _looking(spec: str) -> Iterator[tuple[Run, opening.Seen]]:
    """What there is at an address, and what runs statements there."""
    name, given = address.name(spec), address.parameters(spec)
    try:
        with psycopg.connect(**given, autocommit=True) as base:
            run = _runner(base)
            yield run, opening.look(run, opening.schema(run))
    except psycopg.Error as error:
        raise translated(error, name, unknown=tuple(address.passwords(given))) from None


def _turn(folders: Sequence[Path]) -> list[tuple[bytes, bool]]:
    """What is locked, in order, and whether others may share it.

    The library is the lock of no name. A folder's ancestors are shared, so that whoever wants one
    of them for itself waits.
    """
    if not folders:
        return [(b"", False)]
    own = {bytes(folder) for folder in folders}
    above = {bytes(parent) for folder in folders for parent in folder.parents}
    locks = [(path, True) for path in above] + [(path, False) for path in own]
    return [(b"", True), *sorted(locks)]


def _runner(base: psycopg.Connection[Any]) -> Callable[..., psycopg.Cursor[Any]]:
    """What runs a statement; bytes and figures come back in binary."""

    def run(statement: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        return base.execute(statement.encode(), values or None, binary=True)

    return run


def _nothing() -> None:
    pass
