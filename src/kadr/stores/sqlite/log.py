"""The audit log: a chain of entries, each written in the transaction of what it tells of."""

from collections.abc import Iterator, Mapping
from typing import Any

from kadr.stores.chain import Entry
from kadr.stores.sqlite.connection import Connection
from kadr.stores.sqlite.statements import ENTRIES, append, to_entry

_PAGE = 500


class LogTable(Connection):
    """The table `audit`."""

    def record(self, event: str, facts: Mapping[str, Any]) -> Entry:
        """Add an entry to the audit log. Within `durable`, together with what it tells of."""
        with self.durable():
            return append(self._base.execute, event, facts)

    def entries(self, *events: str) -> Iterator[Entry]:
        """The audit log, or its entries of these events, in order."""
        among = f"AND event IN ({', '.join('?' * len(events))})" if events else ""
        statement = f"{ENTRIES} WHERE sequence > ? {among} ORDER BY sequence LIMIT {_PAGE}"
        last = 0
        while rows := self.read(statement, (last, *events)):
            yield from map(to_entry, rows)
            last = rows[-1][0]
