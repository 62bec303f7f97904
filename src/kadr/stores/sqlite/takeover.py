"""The audit log of format 1, JSON lines beside the library: read once, checked, taken over."""

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kadr.stores import chain
from kadr.stores.chain import START, Entry
from kadr.stores.sqlite.statements import ANCHOR, Run, append, get_note, insert

PENDING = "audit.pending"
"""Key of the note that held an entry until it was in the file: time, event, facts."""
_TOLD = 20


def take_over(run: Run, path: Path) -> None:
    """Move the entries of the file into the table, as far as they follow from each other.

    The file stays. Whatever is wrong with it is recorded as `broken`, with its SHA-256.

    Raises:
        OSError: it can't be read.
    """
    anchor, pending = get_note(run, ANCHOR), _pending(run)
    data = path.read_bytes() if path.exists() else b""
    log = _Lines(anchor, pending)
    log.read(data)
    run("DELETE FROM meta WHERE key IN (?, ?)", (ANCHOR, PENDING))
    for entry in log.entries:
        insert(run, entry)
    if log.problems:
        digest = hashlib.sha256(data).hexdigest()
        append(run, "broken", {"sha256": digest, "problems": log.problems[:_TOLD]})
    if pending is not None and not log.is_settled():
        append(run, pending[1], pending[2], pending[0])


def _pending(run: Run) -> tuple[str, str, dict[str, Any]] | None:
    noted = get_note(run, PENDING)
    if noted is None:
        return None
    time, event, facts = json.loads(noted)
    return time, event, facts


@dataclass(slots=True)
class _Lines:
    """The file on its way into the table."""

    anchor: str | None
    pending: tuple[str, str, dict[str, Any]] | None
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _strange: bytes = b""
    """What stands since the last entry and is none."""

    def read(self, data: bytes) -> None:
        for number, raw in enumerate(io.BytesIO(data), start=1):
            # A crash may have kept a whole line from its end.
            entry = chain.from_line(raw if raw.endswith(b"\n") else raw + b"\n")
            if entry is None:
                self._strange += raw
            elif not self._take(number, entry):
                break
        else:
            self._end()

    def _take(self, number: int, entry: Entry) -> bool:
        if self._strange and not (entry.event == "torn" and self._vouches(entry)):
            self.problems.append(f"line {number}: what stands before it was never an entry")
        self._strange = b""
        if not chain.follows(entry, self.entries[-1] if self.entries else None):
            self.problems.append(f"line {number}: doesn't follow from the one before it; left out")
            return False
        self.entries.append(entry)
        return True

    def _vouches(self, torn: Entry) -> bool:
        """Whether an entry tells of the half line that a crash left before it."""
        return torn.facts.get("sha256") == hashlib.sha256(self._strange[:-1]).hexdigest()

    def _end(self) -> None:
        if b"\n" in self._strange:  # a crash leaves no end of a line
            self.problems.append("the last lines were never entries")
        known = self.anchor or START
        if (self.entries[-1].hash if self.entries else START) == known:
            return
        if self.entries and self.entries[-1].previous == known and self.is_settled():
            return  # a crash came between the line and its note
        hashes = [START, *(entry.hash for entry in self.entries)]
        if known in hashes:
            beyond = len(hashes) - 1 - hashes.index(known)
            self.problems.append(f"the library doesn't know the last lines: {beyond}; left out")
            del self.entries[hashes.index(known) :]
        else:
            self.problems.append("the end is missing: the library's last line isn't there")

    def is_settled(self) -> bool:
        """Whether the last entry is the one that was noted as pending."""
        if not self.entries:
            return False
        last = self.entries[-1]
        return (last.time, last.event, dict(last.facts)) == self.pending
