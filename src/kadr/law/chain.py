"""Lines that vouch for one another: JSON, each with the SHA-256 of the line before it.

No line can be changed, removed, added or moved without breaking the chain. What is missing at the
end breaks nothing: the hash of the last line, the *anchor*, must be known from elsewhere.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kadr.errors import LibraryError

START = "0" * 64
"""What the first line has for the hash of the line before it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its number from 1 on, when (ISO 8601, UTC), what, and the two hashes (hex)."""

    sequence: int
    time: str
    event: str
    facts: Mapping[str, Any]
    previous: str
    hash: str


def seal(sequence: int, time: str, event: str, facts: Mapping[str, Any], previous: str) -> str:
    """The hash of a line that says this: SHA-256 in hex."""
    said = {
        "sequence": sequence, "time": time, "event": event, "facts": facts, "previous": previous,
    }  # fmt: skip
    return hashlib.sha256(_canonical(said)).hexdigest()


def _canonical(said: Mapping[str, Any]) -> bytes:
    """JSON in ASCII, keys sorted, without blanks: one way to write it."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def written(entry: Entry) -> bytes:
    """The line of an entry, with its newline."""
    said = {name: getattr(entry, name) for name in Entry.__slots__}
    return _canonical(said) + b"\n"


def parsed(raw: bytes) -> Entry | None:
    """The entry of a line that is, to the byte, what was written."""
    try:
        entry = Entry(**json.loads(raw))
        rest = entry.sequence, entry.time, entry.event, entry.facts, entry.previous
        whole = written(entry) == raw and seal(*rest) == entry.hash
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if whole else None


def verify(path: Path, anchor: str | None = None) -> list[str]:
    """What is wrong with a log.

    Lines that were changed, removed, added or moved are found by the chain, those missing at the
    end by the anchor. A crash leaves half a line at the end, or one line that isn't the anchor yet:
    neither is wrong.

    Args:
        path: the log's file.
        anchor: the hash of the last line that is known to have been written, if there was one.

    Raises:
        LibraryError: the log can't be read.
    """
    try:
        with path.open("rb") as file:
            return _Inspection(anchor).run(file)
    except FileNotFoundError:
        return [f"{path} is gone, and the library knows that it was there"] if anchor else []
    except OSError as error:
        reason = error.strerror or str(error)
        raise LibraryError(f"{path}: can't be read ({reason}). Check its permissions.") from error


@dataclass(slots=True)
class _Inspection:
    """A walk along the chain."""

    anchor: str | None
    problems: list[str] = field(default_factory=list)
    last: Entry | None = None
    strange: list[bytes] = field(default_factory=list)
    """Lines that are none, since the last one that is."""
    beyond: int | None = None
    """How many lines follow the anchor; None before it."""

    def run(self, file: IO[bytes]) -> list[str]:
        number = 0
        for number, raw in enumerate(file, start=1):
            entry = parsed(raw) or self._unended(raw)
            if entry is None:
                self.strange.append(raw)
            else:
                self._step(number, entry)
        self._end(number)
        return self.problems

    def _unended(self, raw: bytes) -> Entry | None:
        """A whole line that a crash kept from its end; one that was noted had it."""
        entry = None if raw.endswith(b"\n") else parsed(raw + b"\n")
        return entry if entry and (self.anchor or START) == entry.previous else None

    def _step(self, number: int, entry: Entry) -> None:
        expected = self.last.sequence + 1 if self.last else 1
        follows = entry.previous == (self.last.hash if self.last else START)
        missing = entry.sequence - expected
        if not (entry.event == "torn" and follows and self._is_torn(entry)):
            self._name_strange(number)
            if missing < 0 or (missing < len(self.strange) and not follows):
                self._tell(f"line {number}: was moved, or doesn't belong there")
            elif missing > len(self.strange):
                self._tell(f"line {number}: lines before it are missing")
            elif not follows and not self.strange:
                self._tell(f"line {number}: doesn't follow from the line before it")
            if entry.event == "torn":
                self._tell(f"line {number}: the torn line before it was changed or removed")
        if entry.event == "broken":
            self._tell(
                f"line {number}: notes that the log didn't end then as the library knew "
                f"({entry.facts.get('anchor')}): its end was changed, or an older library restored"
            )
        self.strange.clear()
        self.last = entry
        if self.beyond is not None:
            self.beyond += 1
        elif entry.hash == self.anchor:
            self.beyond = 0

    def _is_torn(self, mark: Entry) -> bool:
        """Whether the strange lines are those that a mark vouches for."""
        torn = b"".join(self.strange)[:-1]
        return bool(torn) and mark.facts.get("sha256") == hashlib.sha256(torn).hexdigest()

    def _name_strange(self, number: int) -> None:
        for place in range(number - len(self.strange), number):
            self._tell(f"line {place}: was changed, or was never a line of this log")

    def _end(self, number: int) -> None:
        torn = bool(self.strange) and not self.strange[-1].endswith(b"\n")
        known = self.last.hash if self.last else START
        if not (torn and (self.anchor or START) == known):
            self._name_strange(number + 1)
        if self.anchor is None or self.anchor == known:
            return
        if self.beyond is None:
            self._tell("the end is missing: the last line that the library knows isn't there")
        elif self.beyond > 1:
            self._tell(
                f"the last {self.beyond} lines are unknown to the library: they were added by "
                "another hand, or an older library was restored"
            )

    def _tell(self, problem: str) -> None:
        self.problems.append(problem)
