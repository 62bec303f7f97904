"""Statements that run inside somebody's transaction: notes, and entries of the audit log."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from kadr.stores import chain
from kadr.stores.chain import Entry
from kadr.stores.sealer import Sealer

Run: TypeAlias = Callable[..., Any]
"""Runs an SQL statement inside a transaction."""

ANCHOR = "audit"
"""Key of the note that holds the last entry's hash."""
END = "audit.end"
"""Key of the note that holds the seal of that hash: nobody else can name another end."""
MARK = (
    "(photo * 1000003 + CAST(probability * 1099511627776.0 AS INT) * 8"
    " + (version != '') * 4 + (failed = '[]') * 2 + (faces IS NOT NULL))"
)
"""What a sound assessment's mark is: all that decides over showing, within 2^-40. SQLite alone
computes it, so that every search can check every assessment."""
RULING_MARK = "verdict || hex(digest)"
_TEXTS = ("time", "event", "facts", "previous", "hash")
ENTRIES = f"SELECT sequence, {', '.join(f'CAST({name} AS BLOB)' for name in _TEXTS)} FROM audit"
"""As bytes, for damage may leave no text."""


def put_note(run: Run, key: str, value: str) -> None:
    """Note a value in place of an older one."""
    run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def get_note(run: Run, key: str) -> str | None:
    """What is noted under a key."""
    row = run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def append(
    run: Run, sealer: Sealer, event: str, facts: Mapping[str, Any], time: str | None = None
) -> Entry:
    """Add an entry of this second, or of `time`, to the audit log.

    Where the log doesn't end as the library left it, that is recorded first: no later entry may
    cover it.
    """
    row = run(f"{ENTRIES} ORDER BY sequence DESC LIMIT 1").fetchone()
    last = to_entry(row) if row else None
    if not is_end(run, sealer, last):
        last = chain.following(last, _now(), "broken", {"anchor": get_note(run, ANCHOR)})
        insert(run, sealer, last)
    entry = chain.following(last, time or _now(), event, facts)
    insert(run, sealer, entry)
    return entry


def is_end(run: Run, sealer: Sealer, last: Entry | None) -> bool | None:
    """Whether the library left the log ending with this entry; None where that can't be told."""
    anchor = get_note(run, ANCHOR)
    if last is None or anchor is None:
        return last is None and anchor is None
    return anchor == last.hash and sealer.verify(END + anchor, get_note(run, END))


def insert(run: Run, sealer: Sealer, entry: Entry) -> None:
    """Add an entry that follows from the last one."""
    facts = chain.canonical(entry.facts).decode("ascii")
    row = entry.sequence, entry.time, entry.event, facts, entry.previous, entry.hash
    run("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, sealer.seal(entry.hash)))
    put_note(run, ANCHOR, entry.hash)
    put_note(run, END, sealer.seal(END + entry.hash))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def to_entry(row: Sequence[Any]) -> Entry:
    """An entry from its row, whatever a stranger's hand has put there.

    Facts that are no JSON object are given as they stand.
    """
    sequence = row[0]
    time, event, facts, previous, hash_ = (
        (raw or b"").decode("utf-8", "backslashreplace") for raw in row[1:]
    )
    try:
        content = json.loads(facts)
    except (ValueError, TypeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {"unreadable": repr(facts)}
    return Entry(sequence, time, event, content, previous, hash_)
