"""Flow: photos in doubt -> people's decisions, on record.

The first decision about a photo is in force at once. Another person's is kept beside it: where it
agrees, nothing changes; where it differs, both are on record, and the photo is hidden and waits at
the head of the queue until somebody who saw the dispute decides, with a reason. Decisions hang on
the content: they outlast indexing, names, models, and the library's forgetting the photo.
"""

import getpass
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from kadr.errors import KadrError, LibraryError
from kadr.law import audit, proposals
from kadr.law.policy import Policy
from kadr.law.proposals import Proposal
from kadr.law.verdict import verdicts
from kadr.photos import files
from kadr.photos.objects import located
from kadr.stores import Store
from kadr.types import Assessment, Filters, Request, Ruling

Decision: TypeAlias = Literal["allow", "hide"]
Outcome: TypeAlias = Literal["ruled", "seconded", "disputed", "unchanged"]
"""What a decision did: it is in force; another's stands and agrees; it differs; it was known."""

_PHOTOS = 10_000


class MissingReasonError(KadrError):
    """Another person's decision was to be ended without a reason."""

    def __init__(self) -> None:
        super().__init__("This ends what another person decided, so it needs a reason: write why.")


class NoDecisionError(KadrError):
    """A decision was to be taken back where nobody has decided."""


class OvertakenError(KadrError):
    """A decision was to be undone that another person has replaced since."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A photo that a person must look at: where it lies, what is known of it, who asked.

    `alike` are its near duplicates by digest, whether they wait, are decided or shown; `proposal`
    is what was decided about one of them.
    """

    photo: int
    digest: str
    paths: tuple[Path, ...]
    assessment: Assessment | None
    ruling: Ruling | None
    request: Request | None
    alike: tuple[str, ...] = ()
    proposal: Proposal | None = None


def opinions(store: Store) -> Mapping[str, Mapping[str, str]]:
    """Each person's last word about each photo, by digest: `allow` or `hide`, by name."""
    return audit.replay(store).opinions


# What is to be looked at.


def queue(store: Store, policy: Policy) -> list[Doubt]:
    """Photos that wait for a person, those first whose decision settles most.

    First those that somebody asked to look at again, the oldest request first. Then those that no
    layer or not every layer could judge, the most failures first: of them the machine knows least.
    Then those with the most near duplicates that wait too, and the least probable of them, for most
    of these are withheld in vain. A policy that hides nothing leaves nothing to review.
    """
    if not policy.hides_children:
        return []
    requests = store.requests()
    asked = {store.number(digest) for digest in requests}
    waiting = list[int]()
    with store.reading():
        numbers = store.matching(Filters()).tolist()
        for start in range(0, len(numbers), _PHOTOS):
            part = numbers[start : start + _PHOTOS]
            judged = verdicts(store, policy, part)
            waiting += [one for one in part if one in asked or judged[one] == "review"]
        found = doubts(store, waiting, requests)
    digests = {doubt.digest for doubt in found}
    return sorted(found, key=lambda doubt: _urgency(doubt, digests))


def doubts(store: Store, photos: Sequence[int], requests: Mapping[str, Request]) -> list[Doubt]:
    """What is known of those photos, by their numbers, that lie somewhere."""
    assessed, ruled = store.assessments(photos), store.rulings(photos)
    known = store.stored(store.present(photos)).values()
    near = proposals.alike(store, {photo.digest for photo in known})
    proposed = proposals.propose(store, near)
    return [
        Doubt(
            one.id, one.digest, one.paths,
            assessed.get(one.id), ruled.get(one.id), requests.get(one.digest),
            near.get(one.digest, ()), proposed.get(one.digest),
        )
        for one in known
    ]  # fmt: skip


def _urgency(doubt: Doubt, waiting: Collection[str]) -> tuple[Any, ...]:
    assessment = doubt.assessment
    return (
        doubt.request is None,
        doubt.request.when if doubt.request else "",
        assessment is not None,
        -len(assessment.failed) if assessment else 0,
        -sum(digest in waiting for digest in doubt.alike),
        assessment.probability if assessment else 0,
        doubt.digest,
    )


def find(store: Store, photo: str) -> str:
    """The digest of a photo of the library, named by its path or its digest.

    A file elsewhere that has the same content is the same photo.

    Raises:
        LibraryError: the library doesn't know it.
    """
    path = located(photo).expanduser().absolute()
    known = store.digest_at(path, path.resolve())
    digest = known or photo.lower()
    if known is None and path.is_file():
        digest = files.digest(path)
    if not is_known(store, digest):
        raise LibraryError(
            f"{photo} isn't in the library. Name a photo's path or its digest, 64 digits long."
        )
    return digest


def is_known(store: Store, digest: str) -> bool:
    """Whether the library has a photo of a digest; no text that is none."""
    try:
        return store.knows(digest)
    except ValueError:
        return False


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

    Where it contradicts one that stands, the photo is disputed, and hidden until somebody decides.

    Args:
        store: the library.
        digest: the photo.
        decided: the decision.
        over: the decision in force that the person knew of: it is replaced. One that the person
            didn't know of stands, and theirs is kept beside it. A third person who gives a reason
            decides a dispute of two.

    Raises:
        MissingReasonError: it overrules another person and gives no reason.
    """
    with store.durable():
        standing, request = store.ruling(digest), store.request(digest)
        outcome = _outcome(standing, decided, over, request)
        if outcome == "unchanged":
            return outcome
        if outcome == "ruled":
            if _overrules(decided, standing, request) and not decided.why:
                raise MissingReasonError
            store.set_ruling(digest, decided)
            store.set_request(digest, None)
            _hold_copies(store, digest, decided)
        if outcome == "disputed":
            store.set_request(digest, _dispute(decided))
        facts = _facts(store, digest, decided)
        audit.append(store, outcome, **facts, standing=_brief(standing))
    return outcome


def decide_alike(store: Store, digest: str, decided: Ruling, photo: str) -> Outcome:
    """Put a decision on record that follows from that about a near duplicate, `photo`.

    Its reason names that photo; it is no reason to end another person's decision.
    """
    contested = store.ruling(digest) is not None or store.request(digest) is not None
    if decided.why or not contested:
        decided = replace(decided, why=proposals.reason(photo, decided.why))
    return decide(store, digest, decided)


def _hold_copies(store: Store, digest: str, decided: Ruling) -> None:
    """Changed copies of a photo that a person hides wait for a person too."""
    number = store.number(digest)
    if decided.verdict == "hide" and number is not None:
        from kadr.law.copies import CopyFinder

        CopyFinder(store).keep([number])


def _outcome(
    standing: Ruling | None, decided: Ruling, over: Ruling | None, request: Request | None
) -> Outcome:
    if standing is None or standing == over:
        return "ruled"
    if standing.who == decided.who:
        return "unchanged" if standing.verdict == decided.verdict else "ruled"
    other = request is not None and request.kind == "disputed" and request.who != decided.who
    if other and decided.why:  # a third person, with a reason
        return "ruled"
    return "seconded" if standing.verdict == decided.verdict else "disputed"


def _overrules(decided: Ruling, standing: Ruling | None, request: Request | None) -> bool:
    """Whether a decision ends what another person decided."""
    if standing is not None and standing.who == decided.who:
        return standing.verdict == decided.verdict  # else it concedes
    if request is not None and request.kind == "disputed":
        return True
    return standing is not None and standing.verdict != decided.verdict


def _dispute(decided: Ruling) -> Request:
    return Request("disputed", decided.who, decided.when, decided.why)


def withdraw(store: Store, digest: str, who: str, why: str = "") -> None:
    """Take the decision in force back, so that the machine's assessment counts again.

    A dispute stays open.

    Raises:
        NoDecisionError: there is none.
        MissingReasonError: it is another person's, and no reason is given.
    """
    with store.durable():
        standing = _standing(store, digest)
        if standing.who != _name(who) and not _text(why):
            raise MissingReasonError
        _withdraw(store, digest, standing, {"who": _name(who), "why": _text(why), "undo": False})


def undo(store: Store, doubt: Doubt, who: str) -> None:
    """Take one's own decision about a doubt back, as if it hadn't been made; the log keeps both.

    Raises:
        NoDecisionError: there is none.
        OvertakenError: it is another person's by now.
    """
    with store.durable():
        standing = _standing(store, doubt.digest)
        if standing.who != _name(who):
            raise OvertakenError("Somebody else has decided since, so nothing can be undone.")
        _withdraw(store, doubt.digest, standing, {"who": standing.who, "why": "", "undo": True})


def _standing(store: Store, digest: str) -> Ruling:
    standing = store.ruling(digest)
    if standing is None:
        raise NoDecisionError(f"Nobody has decided about {digest}, so nothing can be taken back.")
    return standing


def _withdraw(store: Store, digest: str, standing: Ruling, how: Mapping[str, Any]) -> None:
    """Put what the log says was before in force again, and say so; within a transaction."""
    state = audit.replay(store)
    before = state.before(digest) if how["undo"] else None
    facts = {
        "photo": digest,
        "when": audit.now(),
        "of": standing.who,
        "standing": _brief(standing),
        "restored": _brief(before),
        **how,
    }
    state.add("withdrawn", facts)
    store.set_ruling(digest, state.rulings.get(digest))
    store.set_request(digest, state.requests.get(digest))
    audit.append(store, "withdrawn", **facts)


def appeal(store: Store, digest: str, who: str, why: str) -> None:
    """Ask for a decision, the machine's or a person's, to be looked at again.

    Raises:
        KadrError: nobody asks, or no reason is given.
    """
    if not why.strip():
        raise KadrError("An appeal needs its reason: --why.")
    request = Request("appealed", _name(who), audit.now(), _text(why))
    with store.durable():
        standing, open_ = _brief(store.ruling(digest)), store.request(digest)
        if open_ is None or open_.kind != "disputed":
            store.set_request(digest, request)
        facts = {"who": request.who, "when": request.when, "why": request.why}
        audit.append(store, "appealed", photo=digest, **facts, standing=standing)


def dispute(store: Store, digest: str, decided: Ruling) -> None:
    """Put a decision on record that another one of the same moment contradicts: neither holds.

    The photo is hidden until somebody decides.
    """
    with store.durable():
        store.set_request(digest, _dispute(decided))
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
