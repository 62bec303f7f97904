"""The audit log of a library: what was assessed, decided, refused and changed, and its proof.

It lies in the library, a chain of entries (`kadr.stores.chain`), each written in one transaction
with the change that it tells of. Whoever may write to the library can write a new history that
fits; what stands against that is a copy of the last entry's hash elsewhere.

Photos are named by digest. No content, no path; a query's text only where the policy says so.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from kadr.law.policy import Policy
from kadr.law.rules import fingerprint
from kadr.stores import POLICY, Store, chain
from kadr.stores.chain import Entry
from kadr.types import Assessment, Verdict

Event: TypeAlias = Literal[
    "assessed", "ruled", "seconded", "disputed", "withdrawn", "appealed",
    "policy", "refused", "forgotten", "torn", "broken",
]  # fmt: skip
"""What an entry tells. `broken`: the log was damaged. `torn`: a crash of format 1 left half a line.
"""


def append(store: Store, event: Event, **facts: Any) -> Entry:
    """Add an entry. Within `store.durable`, together with the change that it tells of.

    Raises:
        LibraryError: it can't be written.
    """
    return store.record(event, facts)


def entries(store: Store, *events: Event) -> Iterator[Entry]:
    """The entries, or those of some events, in order."""
    return store.entries(*events)


def verify(store: Store) -> list[str]:
    """What is wrong with the log."""
    with store.reading():
        return list(chain.problems(store.entries(), store.meta("audit")))


def now() -> str:
    """This second, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# What is put on record, and what of it.


def assessed(
    store: Store, policy: Policy, photos: Iterable[tuple[str, Assessment, Verdict]]
) -> None:
    """A batch was assessed: digest, assessment, and what the policy makes of it."""
    append(
        store,
        "assessed",
        policy=policy.name,
        photos=[
            [digest, round(assessment.probability, 4), verdict, assessment.version]
            for digest, assessment, verdict in photos
        ],
    )


def refused(store: Store, policy: Policy, query: str) -> None:
    """A query was refused. Its text is kept where the policy says so, and nothing of it else."""
    append(
        store, "refused", policy=policy.name, **({"query": query} if policy.logs_queries else {})
    )


def in_force(store: Store, policy: Policy, who: str) -> bool:
    """Put a policy on record where it isn't the one that was in force last; whether it was.

    A library for which none was ever in force needs no record of one that hides nothing.
    """
    mark, before = fingerprint(policy), store.meta(POLICY)
    if before == mark or (before is None and not policy.hides_children):
        return False
    with store.durable():
        store.note(**{POLICY: mark})
        append(store, "policy", name=policy.name, digest=mark, before=before, who=who)
    return True
