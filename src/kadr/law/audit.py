"""The audit log of a library: what was assessed, decided, refused and changed, and its proof.

It lies in the library, a chain of entries (`kadr.stores.chain`), each written in one transaction
with the change that it tells of. Whoever may write to the library can write a new history that
fits; what stands against that is a copy of the last entry's hash elsewhere.

Photos are named by digest. No content, no path; a query's text only where the policy says so.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

from kadr.law.policy import PRESETS, Policy
from kadr.law.rules import fingerprint
from kadr.law.verdict import verdict
from kadr.stores import POLICY, Store, chain
from kadr.stores.chain import Entry
from kadr.stores.replay import Replay
from kadr.types import Assessment

Decided: TypeAlias = Literal["ruled", "seconded", "disputed", "withdrawn", "appealed"]
EVENTS: tuple[Decided, ...] = get_args(Decided)
"""What people do."""
Event: TypeAlias = Literal[
    Decided, "assessed", "policy", "refused", "forgotten", "sampled", "calibrated",
    "torn", "broken",
]  # fmt: skip
"""What an entry tells. `broken`: the log was damaged. `torn`: a crash of format 1 left half a line.
"""

COMPLETE = "audit.assessed"
"""Key of the note that every assessment of the library is on record."""
_BATCH = 256


def append(store: Store, event: Event, **facts: Any) -> Entry:
    """Add an entry. Within `store.durable`, together with the change that it tells of.

    Raises:
        LibraryError: it can't be written.
    """
    return store.record(event, facts)


def entries(store: Store, *events: Event) -> Iterator[Entry]:
    """The entries, or those of some events, in order."""
    return store.entries(*events)


def replay(store: Store) -> Replay:
    """What the log says is in force."""
    state = Replay()
    for entry in entries(store, *EVENTS):
        state.add(entry.event, entry.facts)
    return state


def now() -> str:
    """This second, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# What is put on record, and what of it.


def is_kept(store: Store, policy: Policy) -> bool:
    """Whether assessments are put on record: under a law, and wherever one was ever in force."""
    return not store.readonly and (policy.hides_children or store.meta(POLICY) is not None)


def assessed(store: Store, policy: Policy, photos: Iterable[tuple[str, Assessment]]) -> None:
    """A batch was assessed: digest, assessment, and what the policy alone makes of it."""
    rows = [
        [
            digest,
            round(assessment.probability, 4),
            verdict(policy, assessment, None),
            assessment.version,
            checksum(digest, assessment),
        ]
        for digest, assessment in photos
    ]
    append(store, "assessed", policy=policy.name, photos=rows)


def checksum(digest: str, assessment: Assessment) -> str:
    """Of all that an assessment says of a photo: 16 hex digits of a SHA-256."""
    content = chain.canonical({"digest": digest, **asdict(assessment)})
    return hashlib.sha256(content).hexdigest()[:16]


def refused(store: Store, policy: Policy, query: str) -> None:
    """A query was refused. Its text is kept where the policy says so, and nothing of it else.

    A library that may only be read keeps nothing.
    """
    if not store.readonly:
        kept = {"query": query} if policy.logs_queries else {}
        append(store, "refused", policy=policy.name, **kept)


def in_force(store: Store, policy: Policy, who: str) -> bool:
    """Put a policy on record where it isn't the one that was in force last; whether it was.

    A library for which none was ever in force needs no record of one that hides nothing; one that
    may only be read keeps none.
    """
    if not is_kept(store, policy):
        return False
    mark, before = fingerprint(policy), store.meta(POLICY)
    if before != mark:
        with store.durable():
            store.note(**{POLICY: mark})
            append(store, "policy", name=policy.name, digest=mark, before=before, who=who)
    if store.meta(COMPLETE) is None:
        _complete(store, policy)
    return before != mark


def last_in_force(store: Store) -> str | None:
    """The preset that hid anything last, `none` where no policy ever did; None: a file's policy.

    Where photos were indexed without a law since, the one before still counts: nobody may have
    meant to end it.
    """
    presets = {fingerprint(preset): preset for preset in PRESETS.values()}
    logged = [str(entry.facts.get("digest")) for entry in store.entries("policy")]
    for mark in (store.meta(POLICY), *reversed(logged)):
        if mark is not None and (mark not in presets or presets[mark].hides_children):
            return presets[mark].name if mark in presets else None
    return "none"


def _complete(store: Store, policy: Policy) -> None:
    """Put on record what was assessed before a law was in force."""
    with store.durable():
        known = latest(store)
        missing = [(digest, one) for digest, one in store.assessed() if digest not in known]
        for start in range(0, len(missing), _BATCH):
            assessed(store, policy, missing[start : start + _BATCH])
        store.note(**{COMPLETE: now()})


def latest(store: Store) -> dict[str, Sequence[Any]]:
    """The last row on record of each photo that is in the library, by digest: see `assessed`."""
    rows: dict[str, Sequence[Any]] = {}
    for entry in entries(store, "assessed", "forgotten"):
        for row in entry.facts.get("photos", ()):
            if entry.event == "assessed":
                rows[row[0]] = row
            else:
                rows.pop(row, None)
    return rows
