"""What is proposed about a photo in doubt: the decision about one that looks like it.

Photos look alike where one is on record as a changed copy of the other (`kadr.law.copies`): photos
of a burst are. A proposal decides nothing; a person does, and the record names both.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kadr.stores import Store
from kadr.types import Request, Ruling


@dataclass(frozen=True, slots=True)
class Proposal:
    """The decision about a near duplicate, which has the digest `photo` and the number."""

    photo: str
    number: int
    paths: tuple[Path, ...]
    ruling: Ruling


def alike(store: Store, digests: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The near duplicates of each of these photos, sorted, all by digest.

    Pairs that a person called no duplicates are left out.
    """
    found, distinct = defaultdict[str, set[str]](set), store.distinct()
    for copy, photo, _ in store.copies():
        if (min(copy, photo), max(copy, photo)) not in distinct:
            for one, other in ((copy, photo), (photo, copy)):
                if one in digests:
                    found[one].add(other)
    return {digest: tuple(sorted(others)) for digest, others in found.items()}


def propose(store: Store, near: Mapping[str, Sequence[str]]) -> Mapping[str, Proposal]:
    """What follows for photos from the decisions about their near duplicates, by digest.

    Of several decisions the last one that hides, else the last one. One that is disputed, or about
    a photo that lies nowhere any more, proposes nothing.
    """
    digests = {bytes.fromhex(digest) for others in near.values() for digest in others}
    photos = store.stored(store.present(store.numbers(digests)))
    requests, ruled = store.requests(), store.rulings(photos)
    settled = {
        photos[number].digest: Proposal(photos[number].digest, number, photos[number].paths, said)
        for number, said in ruled.items()
        if not _disputed(requests.get(photos[number].digest))
    }
    found: dict[str, Proposal] = {}
    for digest, others in near.items():
        if decided := [settled[other] for other in others if other in settled]:
            found[digest] = max(decided, key=_weight)
    return found


def reason(photo: str, why: str = "") -> str:
    """The reason of a decision that was taken after that about another photo, by its digest."""
    return f"like {photo}" + (f": {why}" if why else "")


def _disputed(request: Request | None) -> bool:
    return request is not None and request.kind == "disputed"


def _weight(proposal: Proposal) -> tuple[bool, str, str]:
    said = proposal.ruling
    return said.verdict == "hide", said.when, proposal.photo
