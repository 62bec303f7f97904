"""Flow: what is shown -> a random sample for people -> how much of it shows a child.

Every photo has a random number, by the seed, and the sample are those with the least (permanent
random numbers, Ohlsson 1995). So a larger sample holds the smaller one, and one that is drawn when
the library has grown keeps what was looked at. People look in the same order, so that wherever they
stop, what they looked at is a sample too.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from kadr.errors import KadrError
from kadr.law import audit, review
from kadr.law.policy import Policy
from kadr.law.review import Decision, Doubt
from kadr.law.verdict import shown, verdict
from kadr.stores import Selection, Store
from kadr.stores.chain import Entry
from kadr.types import Filters, Interval

SIZE = 200
"""Photos of a sample: where none of them shows a child, less than 1.9 % of all do."""
CONFIDENCE = 0.95
_PHOTOS = 10_000


class NoSampleError(KadrError):
    """An estimate was asked for, and no sample was drawn for this policy."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Photos drawn among all that a policy showed and nobody had ruled on.

    `photos` are digests and the versions of their assessments, in the order of the draw.
    `population` is what was drawn from; `ruled` photos were left out of it, for people had decided.
    `limits` are what counts of the policy: its age, its limit of review, whether it needs faces.
    """

    policy: str
    limits: tuple[float, ...]
    when: str
    who: str
    seed: int
    population: int
    ruled: int
    photos: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much of what was shown when a sample was drawn shows a child.

    `share` is among the photos looked at, with its exact interval (Clopper and Pearson 1934); None
    where nobody has looked. `passed` photos were passed over: at its lower end they show no child,
    at its upper end all do. `left` come later in the order, and nobody has looked yet; `gone` left
    the library before. `reassessed` were assessed by another version since. `shown` is about what
    is shown today.
    """

    sample: Sample
    children: int
    looked: int
    passed: int
    left: int
    gone: int
    share: Interval | None
    reassessed: int
    shown: int


# Drawing.


def draw(
    store: Store, policy: Policy, size: int = SIZE, who: str = "", seed: int | None = None
) -> Sample:
    """Draw a sample of what a policy shows, and put it on record.

    Args:
        store: the library.
        policy: decides what is shown.
        size: photos of the sample; all where fewer are shown.
        who: draws it.
        seed: of the photos' random numbers. None: that of the policy's sample before, else one
            that nobody can foresee.

    Raises:
        KadrError: the policy hides nothing, or shows nothing that nobody ruled on.
    """
    _must_hide(policy)
    with store.durable():
        before = _samples(store, policy)
        if seed is None:
            seed = before[-1].seed if before else secrets.randbelow(2**32)
        known = {digest for one in before if one.seed == seed for digest, _ in one.photos}
        numbers = list(_population(store, policy, known))
        if not numbers:
            raise KadrError(
                f"Policy {policy.name} shows no photo that nobody ruled on: nothing to draw from."
            )
        chosen = choose(numbers, size, seed)
        assessed, photos = store.assessments(chosen), store.stored(store.present(chosen))
        sample = Sample(
            policy.name, _limits(policy), audit.now(), who, seed, len(numbers),
            len(store.all_rulings().keys() - known),
            tuple((photos[one].digest, assessed[one].version) for one in chosen),
        )  # fmt: skip
        _log(store, sample)
    return sample


def choose(numbers: Collection[int], size: int, seed: int) -> list[int]:
    """The photos with the least random numbers, in their order."""
    return nsmallest(size, numbers, key=lambda number: _random(number, seed))


def _random(number: int, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {number}".encode(), digest_size=8).digest()


def _population(store: Store, policy: Policy, known: Collection[str]) -> Iterator[int]:
    """Photos that are shown and that nobody ruled on but as a part of samples before, `known`.

    Those stay in, though they may be hidden by now: the machine alone showed them.
    """
    wanted = shown(policy)
    assert wanted is not None
    before = {number for digest in known if (number := store.number(digest)) is not None}
    numbers = store.matching(Filters()).tolist()
    for start in range(0, len(numbers), _PHOTOS):
        part = list(store.present(numbers[start : start + _PHOTOS]))
        ruled = store.rulings(part).keys()
        yield from set(store.shown(wanted, part)) - ruled
        again = sorted(before & ruled)
        assessed = store.assessments(again)
        yield from (one for one in again if verdict(policy, assessed.get(one), None) == "show")


def _log(store: Store, sample: Sample) -> None:
    audit.append(
        store, "sampled", policy=sample.policy, limits=list(sample.limits), seed=sample.seed,
        population=sample.population, ruled=sample.ruled, who=sample.who, when=sample.when,
        photos=[list(row) for row in sample.photos],
    )  # fmt: skip


def _limits(policy: Policy) -> tuple[float, ...]:
    return (policy.age, policy.review, float(policy.faces == "always"))


def _must_hide(policy: Policy) -> None:
    if not policy.hides_children:
        raise KadrError(
            f"Policy {policy.name} hides nothing, so it misses nothing. Name one that hides: "
            "--policy under-16"
        )


# What was drawn.


def latest(store: Store, policy: Policy) -> Sample | None:
    """The last sample that was drawn for what this policy shows."""
    found = _samples(store, policy)
    return found[-1] if found else None


def _samples(store: Store, policy: Policy | None = None) -> list[Sample]:
    """All samples, or those of what a policy shows, in order."""
    drawn = [_restored(entry) for entry in audit.entries(store, "sampled")]
    return [one for one in drawn if policy is None or one.limits == _limits(policy)]


def _restored(entry: Entry) -> Sample:
    facts = dict(entry.facts)
    photos = tuple((digest, version) for digest, version in facts.pop("photos"))
    return Sample(**facts | {"limits": tuple(facts["limits"]), "photos": photos})


def queue(store: Store, policy: Policy) -> list[Doubt]:
    """Photos of the last sample that nobody has ruled on yet, in the order of the draw.

    Until somebody hides them they are shown.
    """
    sample = latest(store, policy) if policy.hides_children else None
    if sample is None:
        return []
    with store.reading():
        numbers = {digest: store.number(digest) for digest, _ in sample.photos}
        there = [number for number in numbers.values() if number is not None]
        ruled = store.rulings(there)
        doubts = review.doubts(store, [one for one in there if one not in ruled], store.requests())
    found = {doubt.digest: doubt for doubt in doubts}
    return [found[digest] for digest in numbers if digest in found]


# What came of it.


def estimate(store: Store, policy: Policy) -> Estimate:
    """How much of what a policy showed, when its last sample was drawn, shows a child.

    Raises:
        KadrError: the policy hides nothing.
        NoSampleError: no sample was drawn for it.
    """
    _must_hide(policy)
    with store.reading():
        sample = latest(store, policy)
        if sample is None:
            raise NoSampleError(_no_sample(_samples(store), policy))
        said = decisions(store, sample)
        children, looked, passed, left = counts(list(said.values()))
        return Estimate(
            sample, children, looked, passed, left,
            gone=len(sample.photos) - len(said),
            share=interval(children, looked, passed) if looked else None,
            reassessed=_reassessed(store, sample),
            shown=store.count(Selection(shown=shown(policy))),
        )  # fmt: skip


def decisions(store: Store, sample: Sample) -> dict[str, Decision | None]:
    """What people decided about a sample's photos, in its order; None: nothing, or a dispute.

    Photos that left the library before anybody decided are left out.
    """
    ruled, requests = store.all_rulings(), store.requests()
    said: dict[str, Decision | None] = {}
    for digest, _ in sample.photos:
        disputed = digest in requests and requests[digest].kind == "disputed"
        if digest in ruled and not disputed:
            said[digest] = ruled[digest].verdict
        elif store.number(digest) is not None:
            said[digest] = None
    return said


def counts(said: Sequence[Decision | None]) -> tuple[int, int, int, int]:
    """Of decisions in the order of the draw: children, looked at, passed over, left.

    Those after the last decision are left: they don't matter, for the order is random. Those before
    it may have been passed over for what they show.
    """
    last = max((place for place, one in enumerate(said, start=1) if one is not None), default=0)
    looked = sum(one is not None for one in said)
    return said.count("hide"), looked, last - looked, len(said) - last


def interval(children: int, looked: int, passed: int = 0) -> Interval:
    """The share of children among photos looked at, and what it may be among all (95 %).

    Exact, so never too narrow, and a little too wide where a large part of all was looked at.
    """
    from scipy.stats import binomtest

    total = looked + passed
    low = binomtest(children, total).proportion_ci(CONFIDENCE).low
    high = binomtest(children + passed, total).proportion_ci(CONFIDENCE).high
    return Interval(children / looked, float(low), float(high))


def _reassessed(store: Store, sample: Sample) -> int:
    numbers = {store.number(digest): version for digest, version in sample.photos}
    now = store.assessments([number for number in numbers if number is not None])
    return sum(now[one].version != said for one, said in numbers.items() if one in now)


def _no_sample(others: Sequence[Sample], policy: Policy) -> str:
    """What to do where none was drawn."""
    last = others[-1] if others else None
    why = f" (the last one, of {last.when}, is of {last.policy})" if last else ""
    return f"No sample was drawn of what {policy.name} shows{why}. Draw one: kadr review sample"
