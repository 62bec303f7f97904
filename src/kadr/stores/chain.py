"""Entries that vouch for one another: each holds the SHA-256 of the one before it.

No entry can be changed, removed, added or moved without breaking the chain. What is missing at the
end breaks nothing: the hash of the last entry, the *anchor*, must be known from elsewhere.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

START = "0" * 64
"""What the first entry has for the hash of the one before it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its number from 1 on, when (ISO 8601, UTC), what, and the two hashes (hex)."""

    sequence: int
    time: str
    event: str
    facts: Mapping[str, Any]
    previous: str
    hash: str


def following(last: Entry | None, time: str, event: str, facts: Mapping[str, Any]) -> Entry:
    """The entry that tells this, after another one; None: the first."""
    number, previous = (last.sequence + 1, last.hash) if last else (1, START)
    content = (number, time, event, facts, previous)
    return Entry(*content, _hash(*content))


def _hash(sequence: int, time: str, event: str, facts: Mapping[str, Any], previous: str) -> str:
    content = {
        "sequence": sequence, "time": time, "event": event, "facts": facts, "previous": previous,
    }  # fmt: skip
    return hashlib.sha256(canonical(content)).hexdigest()


def canonical(content: Mapping[str, Any]) -> bytes:
    """JSON in ASCII, keys sorted, without blanks: one way to write it."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def to_line(entry: Entry) -> bytes:
    """An entry as a line of JSON, with its newline."""
    return canonical({name: getattr(entry, name) for name in Entry.__slots__}) + b"\n"


def from_line(raw: bytes) -> Entry | None:
    """The entry of a line that is, to the byte, what `to_line` writes."""
    try:
        entry = Entry(**json.loads(raw))
        sound = to_line(entry) == raw and is_sound(entry)
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if sound else None


def is_sound(entry: Entry) -> bool:
    """Whether an entry's hash is that of its content."""
    content = entry.sequence, entry.time, entry.event, entry.facts, entry.previous
    return _hash(*content) == entry.hash


def follows(entry: Entry, last: Entry | None) -> bool:
    """Whether an entry comes right after another one, or, with None, is the first."""
    number, previous = (last.sequence, last.hash) if last else (0, START)
    return (entry.sequence, entry.previous) == (number + 1, previous)


def problems(entries: Iterable[Entry], anchor: str | None = None) -> Iterator[str]:
    """What is wrong with a chain, in order.

    Args:
        entries: all of them.
        anchor: the hash of the last one, if that is known.
    """
    last: Entry | None = None
    for entry in entries:
        if not is_sound(entry):
            yield f"entry {entry.sequence}: was changed"
        elif not follows(entry, last):
            yield f"entry {entry.sequence}: doesn't follow from the one before it"
        if entry.event == "broken":
            yield f"entry {entry.sequence}: notes that the log was damaged before it"
        last = entry
    if anchor is not None and anchor != (last.hash if last else START):
        yield "the end isn't what the library noted: entries were cut off or added"
