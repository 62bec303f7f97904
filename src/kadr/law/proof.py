"""What the audit log proves: that it is whole, and that the library is as the log says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from kadr.law import audit, calibration
from kadr.stores import Store, chain
from kadr.stores.chain import Entry
from kadr.types import Assessment

T = TypeVar("T")
_TOLD = 20


def verify(store: Store) -> list[str]:
    """What is wrong with the log, and where the library isn't as the log says.

    Entries that were changed, removed, added, moved or forged; decisions, appeals and disputes that
    the log doesn't tell of, or that are gone; assessments that aren't those on record.
    """
    with store.reading():
        return [*store.log_problems(), *_reconciled(store)]


def verify_export(store: Store, data: bytes) -> list[str]:
    """What is wrong with an exported log, by itself and against the library's.

    The library may have gone on since; an entry that it lacks was cut from it, or never its own.
    """
    lines, problems = data.splitlines(keepends=True), list[str]()
    exported = list[Entry]()
    for number, line in enumerate(lines, start=1):
        entry = chain.from_line(line)
        if entry is None:
            problems.append(f"line {number}: was changed, or was never an entry")
        else:
            exported.append(entry)
    problems += chain.problems(exported)
    own = {entry.sequence: entry.hash for entry in audit.entries(store)}
    for entry in exported:
        if own.get(entry.sequence) != entry.hash:
            problems.append(f"entry {entry.sequence}: isn't in the library's log")
    return problems


def _reconciled(store: Store) -> Iterator[str]:
    state = audit.replay(store)
    yield from _differences("decision", state.rulings, store.all_rulings())
    yield from _differences("appeal or dispute", state.requests, store.requests())
    yield from calibration.problems(store)
    rows, known = audit.latest(store), dict(store.assessed())
    if rows or store.meta(audit.COMPLETE) is not None:
        wrong = [d for d, one in known.items() if one.version and not _is_of(rows.get(d), d, one)]
        yield from _cut([f"{digest}: its assessment isn't the one on record" for digest in wrong])


def _is_of(row: Sequence[Any] | None, digest: str, assessment: Assessment) -> bool:
    """Whether a row of the log tells of this assessment. Older ones have no checksum."""
    if row is None:
        return False
    if len(row) > 4:
        return bool(row[4] == audit.checksum(digest, assessment))
    return (row[1], row[3]) == (round(assessment.probability, 4), assessment.version)


def _differences(what: str, logged: Mapping[str, T], kept: Mapping[str, T]) -> Iterator[str]:
    problems = [f"{digest}: the {what} isn't in the log" for digest in kept.keys() - logged.keys()]
    problems += [f"{digest}: the log's {what} is gone" for digest in logged.keys() - kept.keys()]
    both = kept.keys() & logged.keys()
    problems += [
        f"{digest}: the {what} isn't the log's" for digest in both if kept[digest] != logged[digest]
    ]
    yield from _cut(sorted(problems))


def _cut(problems: Sequence[str]) -> Iterator[str]:
    yield from problems[:_TOLD]
    if len(problems) > _TOLD:
        yield f"and {len(problems) - _TOLD:,} more of this kind"
