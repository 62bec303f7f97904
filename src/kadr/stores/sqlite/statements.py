"""Statements that run inside somebody's transaction: notes, and entries of the audit log."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from kadr.stores import chain
from kadr.stores.chain import START, Entry

Run: TypeAlias = Callable[..., Any]
"""Runs an SQL statement inside a transaction."""

ANCHOR = "audit"
"""Key of the note that holds the last entry's hash."""
ENTRIES = "SELECT sequence, time, event, facts, previous, hash FROM audit"


def put_note(run: Run, key: str, value: str) -> None:
    """Note a value in place of an older one."""
    run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def get_note(run: Run, key: str) -> str | None:
    """What is noted under a key."""
    row = run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def append(run: Run, event: str, facts: Mapping[str, Any], time: str | None = None) -> Entry:
    """Add an entry of this second, or of `time`, to the audit log.

    Where the log doesn't end as it was noted, that is recorded first: no later entry may cover it.
    """
    row = run(f"{ENTRIES} ORDER BY sequence DESC LIMIT 1").fetchone()
    last = to_entry(row) if row else None
    anchor = get_note(run, ANCHOR) or START
    if anchor != (last.hash if last else START):
        last = chain.following(last, _now(), "broken", {"anchor": anchor})
        insert(run, last)
    entry = chain.following(last, time or _now(), event, facts)
    insert(run, entry)
    return entry


def insert(run: Run, entry: Entry) -> None:
    """Add an entry that follows from the last one."""
    facts = chain.canonical(entry.facts).decode("ascii")
    row = entry.sequence, entry.time, entry.event, facts, entry.previous, entry.hash
    run("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", row)
    put_note(run, ANCHOR, entry.hash)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def to_entry(row: tuple[Any, ...]) -> Entry:
    """An entry from its row; facts that are no JSON object are given as they stand."""
    sequence, time, event, facts, previous, hash_ = row
    try:
        content = json.loads(facts)
    except (ValueError, TypeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {"unreadable": repr(facts)}
    return Entry(sequence, time, event, content, previous, hash_)
