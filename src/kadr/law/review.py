"""Flow: photos in doubt -> people's decisions, on record.

The first decision about a photo is in force at once. Another person's is kept beside it: where it
agrees, nothing changes; where it differs, both are on record and the photo waits at the head of the
queue until somebody who saw the dispute decides. Decisions hang on the content: they outlast
indexing, names, models, and the library's forgetting the photo.
"""

import getpass
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from kadr.errors import KadrError, LibraryError
from kadr.law import audit
from kadr.law.policy import Policy
from kadr.law.verdict import verdict
from kadr.photos import files
from kadr.stores import Store
from kadr.types import Assessment, Filters, Ruling

Decision: TypeAlias = Literal["allow", "hide"]
Outcome: TypeAlias = Literal["ruled", "seconded", "disputed", "unchanged"]
"""What a decision did: it is in force; another's stands and agrees; it differs; it was known."""

_PHOTOS = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody's wish that a person looks again: an appeal, or a decision that disputes another."""

    kind: str
    """`appealed` or `disputed`."""
    who: str
    when: str
    why: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A photo that a person must look at: where it lies, what is known of it, who asked."""

    photo: int
    digest: str
    paths: tuple[Path, ...]
    assessment: Assessment | None
    ruling: Ruling | None
    request: Request | None


@dataclass(slots=True)
class History:
    """What the log tells of photos, by digest."""

    requests: dict[str, Request] = field(default_factory=dict)
    """Those that nobody has answered."""
    opinions: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Each person's last word: `allow` or `hide`, by name."""
    _before: dict[str, tuple[Request | None, str | None]] = field(default_factory=dict)

    def add(self, event: str, facts: Mapping[str, Any]) -> None:
        """Go on by one line of the log."""
        digest, who = facts["photo"], facts["who"]
        opinions = self.opinions[digest]
        if event in {"appealed", "disputed"}:
            self.requests[digest] = Request(event, who, facts["when"], facts["why"])
        if event == "ruled":
            self._before[digest] = self.requests.pop(digest, None), opinions.get(who)
        if event in {"ruled", "seconded", "disputed"}:
            opinions[who] = facts["verdict"]
        if event == "withdrawn":
            self._withdraw(facts)

    def _withdraw(self, facts: Mapping[str, Any]) -> None:
        digest, opinions = facts["photo"], self.opinions[facts["photo"]]
        request, opinion = self._before.pop(digest, (None, None))
        self.requests.pop(digest, None)
        if facts["undo"] and request is not None:
            self.requests[digest] = request
        if facts["who"] == facts["of"]:
            opinions.pop(facts["who"], None)
            if facts["undo"] and opinion is not None:
                opinions[facts["who"]] = opinion


def history(store: Store) -> History:
    """Who said what about which photo, and which requests are open."""
    past = History()
    for entry in audit.entries(store, "ruled", "seconded", "disputed", "withdrawn", "appealed"):
        past.add(entry.event, entry.facts)
    return past


# What is to be looked at.


def queue(store: Store, policy: Policy) -> list[Doubt]:
    """Photos that wait for a person, the biggest doubt first.

    First those that somebody asked to look at again, the oldest request first. Then those that no
    layer or not every layer could judge, the most failures first: of them the machine knows least.
    Then by nearness of the probability to the middle between the policy's limits, where it is as
    far from showing as from hiding. A policy that hides nothing leaves nothing to review.
    """
    if not policy.hides_children:
        return []
    requests = history(store).requests
    asked = {store.number(digest): request for digest, request in requests.items()}
    doubts: list[Doubt] = []
    with store.reading():
        numbers = store.matching(Filters()).tolist()
        for start in range(0, len(numbers), _PHOTOS):
            doubts += _doubts(store, policy, numbers[start : start + _PHOTOS], asked)
    return sorted(doubts, key=lambda doubt: _urgency(doubt, policy))


def _doubts(
    store: Store, policy: Policy, numbers: Sequence[int], asked: Mapping[int | None, Request]
) -> Iterator[Doubt]:
    assessed, ruled = store.assessments(numbers), store.rulings(numbers)
    waiting = [
        number
        for number in numbers
        if number in asked or verdict(policy, assessed.get(number), ruled.get(number)) == "review"
    ]
    for photo in store.stored(store.present(waiting)).values():
        number = photo.id
        known = assessed.get(number), ruled.get(number), asked.get(number)
        yield Doubt(number, photo.digest, photo.paths, *known)


def _urgency(doubt: Doubt, policy: Policy) -> tuple[Any, ...]:
    assessment, middle = doubt.assessment, (policy.review + policy.hide) / 2
    return (
        doubt.request is None,
        doubt.request.when if doubt.request else "",
        assessment is not None,
        -len(assessment.failed) if assessment else 0,
        abs(assessment.probability - middle) if assessment else 0,
        doubt.digest,
    )


def find(store: Store, photo: str) -> str:
    """The digest of a photo of the library, named by its path or its digest.

    A file elsewhere that has the same content is the same photo.

    Raises:
        LibraryError: the library doesn't know it.
    """
    path = Path(photo).expanduser().absolute()
    known = store.digest_at(path, path.resolve())
    digest = known or photo.lower()
    if known is None and path.is_file():
        digest = files.digest(path)
    if number_of(store, digest) is None:
        raise LibraryError(
            f"{photo} isn't in the library. Name a photo's path or its digest, 64 digits long."
        )
    return digest


def number_of(store: Store, digest: str) -> int | None:
    """The photo of a digest; None where the library has none, or it is no digest."""
    try:
        return store.number(digest)
    except ValueError:
        return None


# Deciding.


def ruling(decision: str, who: str, why: str = "", when: str | None = None) -> Ruling:
    """A decision of now, or of `when`.

    Raises:
        KadrError: it is neither allow nor hide, nobody made it, or `when` is no time of the past.
    """
    said = decision.strip().lower()
    if said not in {"allow", "hide"}:
        raise KadrError(f"{decision!r} is no decision. Write allow or hide.")
    known: Decision = "allow" if said == "allow" else "hide"
    return Ruling(
        known, _name(who), _time(when) if when and when.strip() else audit.now(), _text(why)
    )


def decide(store: Store, digest: str, decided: Ruling, over: Ruling | None = None) -> Outcome:
    """Put a decision on record, and in force unless another person's stands.

    Args:
        store: the library.
        digest: the photo.
        decided: the decision.
        over: the decision in force that the person knew of: it is replaced. One that the person
            didn't know of stands, and theirs is kept beside it.
    """
    with store.durable():
        standing = store.ruling(digest)
        outcome = _outcome(standing, decided, over)
        if outcome == "unchanged":
            return outcome
        if outcome == "ruled":
            store.set_ruling(digest, decided)
        facts = _facts(store, digest, decided)
        audit.append(store, outcome, **facts, standing=_brief(standing))
    return outcome


def _outcome(standing: Ruling | None, decided: Ruling, over: Ruling | None) -> Outcome:
    if standing is None or standing == over:
        return "ruled"
    if standing.who == decided.who:
        return "unchanged" if standing.verdict == decided.verdict else "ruled"
    return "seconded" if standing.verdict == decided.verdict else "disputed"


def withdraw(store: Store, digest: str, who: str, why: str = "") -> None:
    """Take the decision in force back, so that the machine's assessment counts again.

    Raises:
        KadrError: there is none.
    """
    _withdraw(store, digest, None, {"who": _name(who), "why": _text(why), "undo": False})


def undo(store: Store, doubt: Doubt, who: str) -> None:
    """Take a decision about a doubt back, as if it hadn't been made; the log keeps both.

    Raises:
        KadrError: there is none.
    """
    _withdraw(store, doubt.digest, doubt.ruling, {"who": _name(who), "why": "", "undo": True})


def _withdraw(store: Store, digest: str, before: Ruling | None, facts: dict[str, Any]) -> None:
    with store.durable():
        standing = store.ruling(digest)
        if standing is None:
            raise KadrError(f"Nobody has decided about {digest}, so nothing can be taken back.")
        store.set_ruling(digest, before)
        audit.append(
            store,
            "withdrawn",
            photo=digest,
            when=audit.now(),
            of=standing.who,
            standing=_brief(standing),
            restored=_brief(before),
            **facts,
        )


def appeal(store: Store, digest: str, who: str, why: str) -> None:
    """Ask for a decision, the machine's or a person's, to be looked at again.

    Raises:
        KadrError: nobody asks, or no reason is given.
    """
    if not why.strip():
        raise KadrError("An appeal needs its reason: --why.")
    facts = {"who": _name(who), "when": audit.now(), "why": _text(why)}
    with store.durable():
        standing = _brief(store.ruling(digest))
        audit.append(store, "appealed", photo=digest, **facts, standing=standing)


def dispute(store: Store, digest: str, decided: Ruling) -> None:
    """Put a decision on record that another one of the same moment contradicts: neither holds."""
    with store.durable():
        facts = _facts(store, digest, decided)
        audit.append(store, "disputed", **facts, standing=_brief(store.ruling(digest)))


def _facts(store: Store, digest: str, decided: Ruling) -> dict[str, Any]:
    """What is logged of a decision: it, and what the machine said then."""
    number = store.number(digest)
    assessment = store.assessments([number]).get(number) if number is not None else None
    return {
        "photo": digest,
        "verdict": decided.verdict,
        "who": decided.who,
        "when": decided.when,
        "why": decided.why,
        "machine": [round(assessment.probability, 4), assessment.version] if assessment else None,
    }


def _brief(decided: Ruling | None) -> list[str] | None:
    return [decided.verdict, decided.who, decided.when] if decided else None


def _name(who: str) -> str:
    if not (name := _text(who)):
        raise KadrError("A decision needs the name of who made it: --who.")
    return name


def _text(text: str) -> str:
    """Text that UTF-8 can hold; bytes of the command line needn't be."""
    return text.strip().encode("utf-8", "backslashreplace").decode("utf-8")


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise KadrError(
            f"{text!r} is no time. Write it as 2026-11-27T05:47:00, or leave it out."
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment > datetime.now(UTC):
        raise KadrError(f"{text!r} is yet to come. Write when it was decided, or nothing.")
    return moment.isoformat(timespec="seconds")


def user() -> str:
    """The name of who is logged in; nothing where the system doesn't tell."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
