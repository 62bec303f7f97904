"""What becomes of a photo: a person's ruling, else the assessment against the policy's limits."""

from collections.abc import Sequence

from kadr.law.policy import Policy
from kadr.stores import Store
from kadr.types import Assessment, Ruling, Verdict


def verdict(policy: Policy, assessment: Assessment | None, ruling: Ruling | None) -> Verdict:
    """What a policy makes of a photo.

    It fails closed: without an assessment, with one that is older than one of the photo's names, or
    where a layer failed or wasn't asked though the policy wants it, a person must look.
    """
    if not policy.hides_children:
        return "show"
    if ruling is not None:
        return "show" if ruling.verdict == "allow" else "hide"
    if assessment is not None and assessment.probability >= policy.hide:
        return "hide"
    return "review" if _is_open(policy, assessment) else "show"


def _is_open(policy: Policy, assessment: Assessment | None) -> bool:
    """Whether the machine's word isn't enough to show a photo."""
    if assessment is None or not assessment.version or assessment.failed:
        return True
    unasked = policy.faces == "always" and assessment.faces is None
    return unasked or assessment.probability >= policy.review


def hidden(store: Store, policy: Policy, photos: Sequence[int]) -> set[int]:
    """Those of these photos that a policy doesn't show."""
    if not policy.hides_children:
        return set()
    assessed, ruled = store.assessments(photos), store.rulings(photos)
    return {
        photo
        for photo in photos
        if verdict(policy, assessed.get(photo), ruled.get(photo)) != "show"
    }
