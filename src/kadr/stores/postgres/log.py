"""The audit log: a chain of entries, each written in the transaction of what it tells of."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kadr.errors import AuditKeyError
from kadr.stores import chain
from kadr.stores.chain import Entry
from kadr.stores.postgres.connection import Connection
from kadr.stores.postgres.statements import get_note, put_note

ANCHOR = "audit"
"""Key of the note that holds the last entry's hash."""
END = "audit.end"
"""Key of the note that holds the seal of that hash: nobody else can name another end."""
KEY = "audit.key"
"""Key of the note by which the seals' key is known again; also the text that it seals."""
_ENTRIES = "SELECT sequence, time, event, facts, previous, hash, seal FROM audit"
_PAGE = 500


class LogTable(Connection):
    """The table `audit`."""

    def record(self, event: str, facts: Mapping[str, Any]) -> Entry:
        """Add an entry to the audit log. Within `durable`, together with what it tells of.

        Where the log doesn't end as the library left it, that is recorded first: no later entry may
        cover it.

        Raises:
            AuditKeyError: this machine lacks the key with which the library's entries are sealed.
        """
        with self.durable():  # nobody else adds one meanwhile
            self._check_key()
            rows = self.read(f"{_ENTRIES} ORDER BY sequence DESC LIMIT 1")
            last = _entry(rows[0]) if rows else None
            if not self._is_end(last):
                anchor = get_note(self.run, ANCHOR)
                last = chain.following(last, _now(), "broken", {"anchor": anchor})
                self._insert(last)
            entry = chain.following(last, _now(), event, facts)
            self._insert(entry)
            return entry

    def record_problem(self) -> str | None:
        """Why nothing can be put on record here; None where it can, or nothing may be written."""
        if self.readonly or self.meta(KEY) is None:
            return None
        try:
            self._check_key()
        except AuditKeyError as error:
            return str(error)
        return None

    def _check_key(self) -> None:
        """Make the key with the first entry; later this machine must have it."""
        check = get_note(self.run, KEY)
        try:
            if check is None:
                self._key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                put_note(self.run, KEY, self._sealer.seal(KEY))
                return
            same = self._sealer.verify(KEY, check)
        except OSError as error:
            raise AuditKeyError(
                f"{self._key_file}: can't be used ({error.strerror or error}). Without it nothing "
                "can be put on record: check its permissions."
            ) from error
        if not same:
            what = "isn't the key" if same is False else "is missing or can't be read: the key"
            raise AuditKeyError(
                f"{self._key_file} {what} with which {self.name} seals its audit log. Copy that "
                "file from the machine that opened the library first; it must be the same on all."
            )

    def _insert(self, entry: Entry) -> None:
        """Add an entry that follows from the last one."""
        facts = chain.canonical(entry.facts).decode("ascii")
        row = entry.sequence, entry.time, entry.event, facts, entry.previous, entry.hash
        seal = self._sealer.seal(entry.hash)
        self.run("INSERT INTO audit VALUES (%s, %s, %s, %s, %s, %s, %s)", (*row, seal))
        put_note(self.run, ANCHOR, entry.hash)
        put_note(self.run, END, self._sealer.seal(END + entry.hash))

    def _is_end(self, last: Entry | None) -> bool | None:
        """Whether the library left the log ending with this entry; None: that can't be told."""
        anchor = get_note(self.run, ANCHOR)
        if last is None or anchor is None:
            return last is None and anchor is None
        return anchor == last.hash and self._sealer.verify(END + anchor, get_note(self.run, END))

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
            end = self._is_end(rows[-1][0] if rows else None)
            if end is False:
                problems.append(
                    "the end isn't as the library left it: entries were cut off or added"
                )
            if end is None:
                problems.append(
                    f"{self._key_file} is missing or can't be read: it can't be told whether the "
                    "entries are the library's own"
                )
        return problems

    def _sealed(self, *events: str) -> Iterator[tuple[Entry, bool | None]]:
        """Entries, and whether they are as the library sealed them; None: that can't be told."""
        among = "AND event = ANY(%s)" if events else ""
        statement = f"{_ENTRIES} WHERE sequence > %s {among} ORDER BY sequence LIMIT {_PAGE}"
        last, wanted = 0, ([list(events)] if events else [])
        while rows := self.read(statement, (last, *wanted)):
            for row in rows:
                entry = _entry(row)
                yield entry, chain.is_sound(entry) and self._sealer.verify(entry.hash, row[-1])
            last = rows[-1][0]


def _entry(row: Sequence[Any]) -> Entry:
    """An entry from its row. Facts that a stranger's hand made no JSON are given as they stand."""
    sequence, time, event, facts, previous, hash_, _ = row
    try:
        content = json.loads(facts)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {"unreadable": repr(facts)}
    return Entry(sequence, time, event, content, previous, hash_)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
