"""What becomes of a photo: a person's ruling, else the assessment against the policy's limits."""

from collections.abc import Mapping, Sequence

from kadr.law.policy import Policy
from kadr.stores import Shown, Store
from kadr.types import Assessment, Ruling, Verdict


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


def shown(policy: Policy) -> Shown | None:
    """What the store must have on record of the photos that a policy shows; None: it shows all.

    They are those whose `verdict` is to show them, and no other.
    """
    return Shown(policy.review, policy.faces == "always") if policy.hides_children else None


def hidden(store: Store, policy: Policy, photos: Sequence[int]) -> set[int]:
    """Those of these photos that a policy doesn't show."""
    wanted = shown(policy)
    return set() if wanted is None else set(photos).difference(store.shown(wanted, photos))


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
