"""What becomes of a photo: a person's ruling, else the assessment against the policy's limits."""

from kadr.safety.policy import Policy
from kadr.types import Assessment, Ruling, Verdict


def verdict(policy: Policy, assessment: Assessment | None, ruling: Ruling | None) -> Verdict:
    """What a policy makes of a photo.

    It fails closed: without an assessment, or where a layer failed, a person must look.
    """
    if not policy.hides_children:
        return "show"
    if ruling is not None:
        return "show" if ruling.verdict == "allow" else "hide"
    if assessment is None:
        return "review"
    if assessment.probability >= policy.hide:
        return "hide"
    if assessment.probability >= policy.review or assessment.failed:
        return "review"
    return "show"
