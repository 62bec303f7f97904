"""The audit log: a chain of entries, each written in the transaction of what it tells of."""

from collections.abc import Iterator, Mapping
from typing import Any

from kadr.errors import AuditKeyError
from kadr.stores import chain
from kadr.stores.chain import Entry
from kadr.stores.sqlite.connection import Connection
from kadr.stores.sqlite.statements import ENTRIES, append, is_end, to_entry

_PAGE = 500


class LogTable(Connection):
    """The table `audit`."""

    def record(self, event: str, facts: Mapping[str, Any]) -> Entry:
        """Add an entry to the audit log. Within `durable`, together with what it tells of."""
        with self.durable():
            try:
                return append(self._base.execute, self._sealer, event, facts)
            except OSError as error:
                raise AuditKeyError(
                    f"{self.path}.audit.key: can't be used ({error.strerror or error}). Without it "
                    "nothing can be put on record: check its permissions."
                ) from error

    def record_problem(self) -> None:
        """None: a key that isn't there is made anew, and the log says so."""

    def entries(self, *events: str) -> Iterator[Entry]:
        """The audit log, or its entries of these events, in order.

        What was changed is left out, and, where the key is there to tell, what the library hasn't
        sealed.
        """
        for entry, sealed in self._sealed(*events):
            if sealed is not False:
                yield entry

    def log_problems(self) -> list[str]:
        """What is wrong with the audit log: entries that were changed, removed, added or moved."""
        with self.reading():
            rows = list(self._sealed())
            problems = list(chain.problems(entry for entry, _ in rows))
            problems += [
                f"entry {entry.sequence}: isn't the library's own"
                for entry, sealed in rows
                if sealed is False and chain.is_sound(entry)
            ]
            last = rows[-1][0] if rows else None
            end = is_end(self._base.execute, self._sealer, last)
            if end is False:
                problems.append(
                    "the end isn't as the library left it: entries were cut off or added"
                )
            if end is None:
                problems.append(
                    f"{self.path}.audit.key is missing or can't be read: it can't be told whether "
                    "the entries are the library's own"
                )
        return problems

    def _sealed(self, *events: str) -> Iterator[tuple[Entry, bool | None]]:
        """Entries, and whether they are as the library sealed them; None: that can't be told."""
        among = f"AND event IN ({', '.join('?' * len(events))})" if events else ""
        columns = ENTRIES.replace(" FROM", ", seal FROM")
        statement = f"{columns} WHERE sequence > ? {among} ORDER BY sequence LIMIT {_PAGE}"
        last = 0
        while rows := self.read(statement, (last, *events)):
            for *row, seal in rows:
                entry = to_entry(row)
                yield entry, chain.is_sound(entry) and self._sealer.verify(entry.hash, seal)
            last = rows[-1][0]
