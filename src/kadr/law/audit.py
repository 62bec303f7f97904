"""The audit log of a library: what was assessed, decided, refused and changed, and its proof.

JSON lines beside the library, each with the SHA-256 of the line before it and its own, so that no
line can be changed, removed, added or moved without a trace. The library notes the last line's
hash, its *anchor*: it tells whether the end is missing. Whoever may write to both files can forge
both; what stands against that is a copy of the anchor elsewhere.

Photos are named by digest. No content, no path; a query's text only where the policy says so.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from kadr.errors import LibraryError
from kadr.law import chain
from kadr.law.chain import START, Entry
from kadr.law.policy import Policy
from kadr.law.rules import fingerprint
from kadr.stores.sqlite import MEMORY, Run, Store, drop_note, put_note
from kadr.types import Assessment, Verdict

Event: TypeAlias = Literal[
    "assessed", "ruled", "seconded", "disputed", "withdrawn", "appealed",
    "policy", "refused", "forgotten", "torn", "broken",
]  # fmt: skip
"""What a line tells. `torn`: a crash left half a line above. `broken`: the log had been changed."""

ANCHOR, PENDING, POLICY = "audit", "audit.pending", "audit.policy"
"""Keys of the library's notes."""
_WINDOW = 1 << 16
_READINGS = 20


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is to become a line, wherever it will stand."""

    time: str
    event: str
    facts: Mapping[str, Any]

    def after(self, last: Entry | None) -> Entry:
        number, previous = (last.sequence + 1, last.hash) if last else (1, START)
        said = (number, self.time, self.event, self.facts, previous)
        return Entry(*said, chain.seal(*said))


class AuditLog:
    """A log to append to, from any number of processes. None for a path: a log that keeps nothing.

    With a store, its notes hold the anchor; without, a missing end can't be told.
    """

    def __init__(self, path: Path | None, store: Store | None = None) -> None:
        self.path = path
        self._store = store
        self._lock: Any = None

    def append(self, event: Event, **facts: Any) -> None:
        """Add a line. Not within a transaction of the store.

        Raises:
            LibraryError: it can't be written.
        """
        self.record(None, event, **facts)

    def record(self, change: Callable[[Run], None] | None, event: Event, **facts: Any) -> None:
        """Change the library, and add the line that says so: both or neither, whatever crashes.

        The line is noted in the transaction of the change. A process that dies before it is in the
        log leaves it to the next one that appends.

        Raises:
            LibraryError: the change or the line can't be written. A change that was kept has its
                line noted.
        """
        draft = _Draft(now(), event, facts)
        if self.path is None:
            self._change(change)
            return
        with self.turn():
            last = self._mended()
            if change is not None:
                self._change(change, draft)
            self._add(last, draft, settles=change is not None)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only process that appends; what is read within stays so. May be nested."""
        if self.path is None:
            yield
            return
        if self._lock is None:
            from filelock import FileLock

            self._lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        try:
            self._lock.acquire()
        except OSError as error:
            raise self._failed(error) from error
        try:
            yield
        finally:
            self._lock.release()

    def entries(self, *events: Event) -> Iterator[Entry]:
        """The lines, or those of some events, in order. What can't be believed is left out."""
        starts = tuple(f'{{"event":"{event}",'.encode() for event in events)
        if self.path is None or not self.path.exists():
            return
        try:
            with self.path.open("rb") as file:
                for raw in file:
                    if not starts or raw.startswith(starts):
                        entry = chain.parsed(raw)
                        if entry is not None:
                            yield entry
        except OSError as error:
            raise self._failed(error) from error

    def verify(self) -> list[str]:
        """What is wrong with the log, against what the library notes of it. Needs no lock."""
        if self.path is None:
            return []
        for _ in range(_READINGS):  # others may append meanwhile
            anchor = self._note(ANCHOR)
            found = chain.verify(self.path, anchor)
            if self._note(ANCHOR) == anchor:
                break
        return found

    # How a line is added.

    def _mended(self) -> Entry | None:
        """The last line, after what a crash or a stranger's hand has left was dealt with."""
        last, torn, _ = self._tail()
        anchor, pending = self._note(ANCHOR), self._pending()
        ahead = anchor != (last.hash if last else START)
        sound = anchor is None or not ahead or (last and last.previous == anchor and not torn)
        if pending and ahead and last and _Draft(last.time, last.event, last.facts) == pending:
            self._anchor(last, settles=True)
            pending = None
        elif last and ahead and sound:
            self._anchor(last)
        if torn or not sound:
            whole = sound and not torn.endswith(b"\n")  # a crash leaves no end of a line
            facts = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}
            mark = _Draft(now(), "torn", facts)
            if not whole:
                mark = _Draft(now(), "broken", {**facts, "anchor": anchor})
            last = self._add(last, mark)
        if pending:
            last = self._add(last, pending, settles=True)
        return last

    def _tail(self) -> tuple[Entry | None, bytes, bool]:
        """The last whole line, the bytes that follow it, and whether the file ends amid a line."""
        assert self.path is not None
        try:
            size = os.path.getsize(self.path)  # noqa: PTH202 - missing is a case, not an error
            window = _WINDOW
            with self.path.open("rb") as file:
                while True:
                    file.seek(max(0, size - window))
                    lines = file.read().split(b"\n")
                    lines = [line + b"\n" for line in lines[:-1]] + lines[-1:]
                    found = _last(lines if window >= size else lines[1:])
                    if found[0] or window >= size:
                        return found
                    window *= 4
        except FileNotFoundError:
            return None, b"", False
        except OSError as error:
            raise self._failed(error) from error

    def _add(self, last: Entry | None, draft: _Draft, *, settles: bool = False) -> Entry:
        entry = draft.after(last)
        self._write(chain.written(entry))
        self._anchor(entry, settles=settles)
        return entry

    def _write(self, line: bytes) -> None:
        assert self.path is not None
        if self._tail()[2]:
            line = b"\n" + line
        flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        try:
            new = not self.path.exists()
            descriptor = os.open(self.path, flags, 0o666)
            try:
                if os.write(descriptor, line) < len(line):
                    raise OSError(0, "the disk is full")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise self._failed(error) from error

    # What the library notes.

    def _note(self, key: str) -> str | None:
        return self._store.meta(key) if self._store else None

    def _pending(self) -> _Draft | None:
        noted = self._note(PENDING)
        return _Draft(*json.loads(noted)) if noted else None

    def _change(self, change: Callable[[Run], None] | None, draft: _Draft | None = None) -> None:
        if self._store is None or change is None:
            return
        with self._store.durable() as run:
            change(run)
            if draft is not None:
                noted = json.dumps([draft.time, draft.event, draft.facts])
                put_note(run, PENDING, noted)

    def _anchor(self, entry: Entry, *, settles: bool = False) -> None:
        if self._store is None:
            return
        with self._store.durable() as run:
            put_note(run, ANCHOR, entry.hash)
            if settles:
                drop_note(run, PENDING)

    def _failed(self, error: OSError) -> LibraryError:
        return LibraryError(
            f"{self.path}: the audit log can't be used ({error.strerror or error}). What the law "
            "asks for can't be proven without it: make room, or check the permissions."
        )


def beside(store: Store) -> AuditLog:
    """The log of a library. One in memory leaves none."""
    if store.path == MEMORY:
        return AuditLog(None, store)
    return AuditLog(store.path.with_name(store.path.name + ".audit.jsonl"), store)


def now() -> str:
    """This second, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# What is put on record, and what of it.


def assessed(
    log: AuditLog, policy: Policy, photos: Iterable[tuple[str, Assessment, Verdict]]
) -> None:
    """A batch was assessed: digest, assessment, and what the policy makes of it."""
    log.append(
        "assessed",
        policy=policy.name,
        photos=[
            [digest, round(found.probability, 4), verdict, found.version]
            for digest, found, verdict in photos
        ],
    )


def refused(log: AuditLog, policy: Policy, query: str) -> None:
    """A query was refused. Its text is kept where the policy says so, and nothing of it else."""
    log.append("refused", policy=policy.name, **({"query": query} if policy.logs_queries else {}))


def forgotten(log: AuditLog, digests: Sequence[str]) -> None:
    """Photos left the library, and their assessments with them."""
    log.append("forgotten", photos=list(digests))


def in_force(store: Store, policy: Policy, who: str) -> bool:
    """Put a policy on record where it isn't the one that was in force last; whether it was.

    A library for which none was ever in force needs no record of one that hides nothing.
    """
    mark, before = fingerprint(policy), store.meta(POLICY)
    if before == mark or (before is None and not policy.hides_children):
        return False
    log = beside(store)
    log.record(
        lambda run: put_note(run, POLICY, mark),
        "policy", name=policy.name, digest=mark, before=before, who=who,
    )  # fmt: skip
    return True


def _last(lines: Sequence[bytes]) -> tuple[Entry | None, bytes, bool]:
    """The last whole line of some, the bytes after it, and whether they end amid a line.

    The last of `lines` is what follows the last newline: most often nothing.
    """
    after: list[bytes] = []
    amid = bool(lines[-1])
    for raw in reversed(lines):
        # The write of a whole line may have lost nothing but its end.
        entry = chain.parsed(raw if raw.endswith(b"\n") else raw + b"\n")
        if entry is not None:
            return entry, b"".join(reversed(after)), amid
        after.append(raw)
    return None, b"".join(reversed(after)), amid


def _sync_folder(folder: Path) -> None:
    """Make a new file's name outlive the power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
