"""What becomes of a photo: a person's ruling, else the assessment against the policy's limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadr.law.policy import Policy
from kadr.stores import Store
from kadr.types import Assessment, Filters, Ruling, Verdict


def verdict(
    policy: Policy,
    assessment: Assessment | None,
    ruling: Ruling | None,
    *,
    copies: bool = False,
    disputed: bool = False,
) -> Verdict:
    """What a policy makes of a photo.

    It fails closed: without an assessment, with one that is older than one of the photo's names, or
    where a layer failed or wasn't asked though the policy wants it, a person must look.

    Args:
        policy: the law.
        assessment: what the layers say of the photo.
        ruling: what a person decided about it.
        copies: it is a near duplicate of a photo that the policy hides.
        disputed: people disagree about it, and nobody has decided yet.
    """
    if not policy.hides_children:
        return "show"
    if ruling is not None:
        allowed: Verdict = "review" if disputed else "show"
        return allowed if ruling.verdict == "allow" else "hide"
    if assessment is not None and assessment.probability >= policy.hide:
        return "hide"
    return "review" if copies or disputed or _is_open(policy, assessment) else "show"


def _is_open(policy: Policy, assessment: Assessment | None) -> bool:
    """Whether the machine's word isn't enough to show a photo."""
    if assessment is None or not assessment.version or assessment.failed:
        return True
    unasked = policy.faces == "always" and assessment.faces is None
    return unasked or assessment.probability >= policy.review


@dataclass(frozen=True)
class Visible:
    """What a policy shows of a library.

    `photos` are numbers int64 [n], sorted, None where it shows all; `hides`: it hides others.
    """

    photos: NDArray[np.int64] | None
    hides: bool


def visible(store: Store, policy: Policy) -> Visible:
    """The photos that a policy shows: those whose `verdict` is to show them, and no other."""
    if not policy.hides_children:
        return Visible(None, hides=False)
    with store.reading():
        photos = np.array(store.shown(policy.review, faces=_asks(policy)), np.int64)
        return Visible(
            np.sort(photos), hides=len(np.setdiff1d(store.matching(Filters()), photos)) > 0
        )


def hidden(store: Store, policy: Policy, photos: Sequence[int]) -> set[int]:
    """Those of these photos that a policy doesn't show."""
    if not policy.hides_children:
        return set()
    return set(photos).difference(store.shown(policy.review, photos, faces=_asks(policy)))


def verdicts(store: Store, policy: Policy, photos: Sequence[int]) -> Mapping[int, Verdict]:
    """What a policy makes of these photos, by their numbers."""
    assessed, ruled = store.assessments(photos), store.rulings(photos)
    kept = hidden(store, policy, photos)
    return {
        photo: verdict(
            policy,
            assessed.get(photo),
            ruled.get(photo),
            copies=photo in kept,
            disputed=photo in kept,
        )
        for photo in photos
    }


def _asks(policy: Policy) -> bool:
    return policy.faces == "always"
