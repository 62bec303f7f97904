"""Expert and crowd judgements -> Label(query, image, target, weight); no file reading.

A pair is always (query, image): one caption's grade says nothing about another caption of the
same image. Every function gives the same answer for the same judgements in any order.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit, log_expit

from kadr.data import Experts, dawid_skene
from kadr.types import GRADES, Floats, Judgement, Label, Pair, Votes

RELEVANT_GRADE = 3
"""A pair is relevant where the median expert grades it at least 3."""

MATCH = 0.5
"""A pair whose target reaches this counts as a match where a yes or no is needed."""

EXPERT_WEIGHT = 0.6

PRIOR_SPREAD = 2.0
"""Standard deviation of the log of the prior's strength around that of Beta(1, 1)."""


@dataclass(frozen=True, slots=True)
class BetaPrior:
    """What is believed of a pair before any vote: Beta(yes, no), both > 0."""

    yes: float
    no: float

    def posterior_mean(self, yes: int, no: int) -> float:
        """Return the believed share of yes in (0, 1) after these votes."""
        return (self.yes + yes) / (self.yes + self.no + yes + no)


@dataclass(frozen=True, slots=True)
class LabelReport:
    """How many pairs take their label from the experts, the crowd, or both.

    `undecided` pairs have expert grades but no most frequent one; `left_out` are those of them
    that the crowd didn't see either, so that they have no label at all.
    """

    expert_only: int
    crowd_only: int
    both: int
    undecided: int
    left_out: int


def combine(
    judgements: Sequence[Judgement],
    votes: Sequence[Votes],
    *,
    experts: Experts = "majority",
    expert_weight: float = EXPERT_WEIGHT,
    prior: BetaPrior | None = None,
) -> tuple[Label, ...]:
    """Join expert and crowd judgements into one label per pair, sorted by (query, image).

    It is an outer join. Where both sides exist, target = expert_weight * expert +
    (1 - expert_weight) * crowd; elsewhere it is that of the side that exists. The expert side is
    (grade - 1) / 3, the crowd's is the posterior mean share of yes.

    The weight is the effective number of judges (Kish's n of the weighted mean), because the
    variance of a mean falls as 1/n; it is scaled so that the labels' mean weight is 1.

    Args:
        judgements: Expert grades.
        votes: Crowd votes; rows of the same pair add up.
        experts: How the grades of one pair become one.
        expert_weight: In [0, 1].
        prior: The crowd's prior, for instance of a training part; None fits it to `votes`.

    Raises:
        ValueError: `experts` is unknown, or `expert_weight` outside [0, 1].
        MissingExtraError: "dawid-skene" needs the research extra.
    """
    if not 0 <= expert_weight <= 1:
        raise ValueError(f"expert_weight is {expert_weight}: choose a number from 0 to 1")
    expert = _expert_opinions(judgements, experts)
    crowd = _crowd_opinions(votes, prior)
    opinions = {
        pair: _join(expert.get(pair), crowd.get(pair), expert_weight)
        for pair in sorted(expert.keys() | crowd.keys())
    }
    usual = fmean(opinion.judges for opinion in opinions.values()) if opinions else 1.0
    return tuple(
        Label(query, image, opinion.target, opinion.judges / usual)
        for (query, image), opinion in opinions.items()
    )


def coverage(
    judgements: Sequence[Judgement], votes: Sequence[Votes], *, experts: Experts = "majority"
) -> LabelReport:
    """Count the pairs that `combine` labels and those it leaves out."""
    panels, graded = _panels(judgements).keys(), grades(judgements, experts).keys()
    voted = _totals(votes).keys()
    return LabelReport(
        expert_only=len(graded - voted),
        crowd_only=len(voted - graded),
        both=len(graded & voted),
        undecided=len(panels - graded),
        left_out=len(panels - graded - voted),
    )


def grades(judgements: Sequence[Judgement], experts: Experts = "majority") -> dict[Pair, float]:
    """Make one grade in [1, 4] of each pair's expert grades.

    "majority" takes the most frequent grade and leaves out pairs where several tie for it.
    "dawid-skene" gives the expected grade under the posterior of Dawid and Skene (1979), which
    learns from all pairs how each rater errs; look at `ExpertAgreement.columns_sorted` first.

    Raises:
        ValueError: `experts` is unknown.
        MissingExtraError: "dawid-skene" needs the research extra.
    """
    if experts not in _AGGREGATIONS:
        raise ValueError(f"experts is {experts!r}: choose one of {', '.join(_AGGREGATIONS)}")
    return _AGGREGATIONS[experts](judgements)


def matches(items: Iterable[Label]) -> list[Pair]:
    """The pairs whose target says that they match, in the order of `items`."""
    return [(item.query, item.image) for item in items if item.target >= MATCH]


def verdicts(judgements: Sequence[Judgement]) -> dict[Pair, bool]:
    """Say of each graded pair, sorted, whether it matches: the median grade is at least 3."""
    return {pair: grade >= RELEVANT_GRADE for pair, grade in median_grades(judgements).items()}


def shares(votes: Sequence[Votes]) -> dict[Pair, float]:
    """Give the raw share of yes in [0, 1] of each pair with a vote, sorted by pair."""
    return {pair: yes / (yes + no) for pair, (yes, no) in _totals(votes).items()}


def fit_prior(votes: Sequence[Votes]) -> BetaPrior:
    """Fit a Beta prior to the votes of many pairs by penalised beta-binomial likelihood.

    The penalty is weak: one imagined yes and one imagined no on the mean, and a log-normal on the
    strength yes + no around 2. It keeps the prior proper where all votes agree or are few, and
    its pull vanishes with more pairs. Without votes the answer is the uniform Beta(1, 1).
    """
    counts = sorted(Counter(_totals(votes).values()).items())
    rows = [(yes, no, pairs) for (yes, no), pairs in counts]
    yes, no, pairs = np.array(rows, dtype=np.float64).reshape(-1, 3).T

    def loss(point: Floats) -> float:
        logit_mean, log_strength = point
        strength = 2 * math.exp(log_strength)
        a, b = strength * expit(logit_mean), strength * expit(-logit_mean)
        fit = np.dot(pairs, betaln(a + yes, b + no) - betaln(a, b))
        penalty = (log_strength / PRIOR_SPREAD) ** 2 / 2
        return float(penalty - fit - log_expit(logit_mean) - log_expit(-logit_mean))

    bounds = [(-30.0, 30.0), (-10.0, 10.0)]
    logit_mean, log_strength = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=bounds).x
    strength = 2 * math.exp(log_strength)
    return BetaPrior(float(strength * expit(logit_mean)), float(strength * expit(-logit_mean)))


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one side says of a pair: a target in [0, 1], and the number of judges behind it."""

    target: float
    judges: float


def _expert_opinions(judgements: Sequence[Judgement], experts: Experts) -> dict[Pair, _Opinion]:
    panels = _panels(judgements)
    return {
        pair: _Opinion(target(grade), len(panels[pair]))
        for pair, grade in grades(judgements, experts).items()
    }


def target(grade: float) -> float:
    """Bring a grade from [1, 4] to [0, 1]."""
    return (grade - GRADES[0]) / (GRADES[-1] - GRADES[0])


def _crowd_opinions(votes: Sequence[Votes], prior: BetaPrior | None) -> dict[Pair, _Opinion]:
    prior = prior or fit_prior(votes)
    return {
        pair: _Opinion(prior.posterior_mean(yes, no), yes + no)
        for pair, (yes, no) in _totals(votes).items()
    }


def _join(expert: _Opinion | None, crowd: _Opinion | None, expert_weight: float) -> _Opinion:
    if expert is None or crowd is None:
        known = expert or crowd
        assert known is not None, "an outer join has at least one side"
        return known
    # This form of the weighted mean can't leave [0, 1] by rounding.
    target = crowd.target + expert_weight * (expert.target - crowd.target)
    variance = expert_weight**2 / expert.judges + (1 - expert_weight) ** 2 / crowd.judges
    return _Opinion(target, 1 / variance)


def _panels(judgements: Iterable[Judgement]) -> dict[Pair, list[int]]:
    panels: defaultdict[Pair, list[int]] = defaultdict(list)
    for judgement in judgements:
        panels[judgement.query, judgement.image].append(judgement.grade)
    return {pair: sorted(panel) for pair, panel in sorted(panels.items())}


def _totals(votes: Iterable[Votes]) -> dict[Pair, tuple[int, int]]:
    """Add up the (yes, no) of each pair; a pair that nobody voted on isn't judged."""
    totals: defaultdict[Pair, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for vote in votes:
        yes, no = totals[vote.query, vote.image]
        totals[vote.query, vote.image] = yes + vote.yes, no + vote.no
    return {pair: total for pair, total in sorted(totals.items()) if sum(total) > 0}


def _majority(judgements: Sequence[Judgement]) -> dict[Pair, float]:
    found = {pair: _most_frequent(panel) for pair, panel in _panels(judgements).items()}
    return {pair: grade for pair, grade in found.items() if grade is not None}


def _most_frequent(panel: Sequence[int]) -> float | None:
    (grade, count), *others = Counter(panel).most_common(2)
    tied = others and others[0][1] == count
    return None if tied else float(grade)


def median_grades(judgements: Sequence[Judgement]) -> dict[Pair, float]:
    """The median grade in [1, 4] of each pair, sorted."""
    return {pair: float(median(panel)) for pair, panel in _panels(judgements).items()}


def mean_grades(judgements: Sequence[Judgement]) -> dict[Pair, float]:
    """The mean grade in [1, 4] of each pair, sorted."""
    return {pair: fmean(panel) for pair, panel in _panels(judgements).items()}


_AGGREGATIONS: Mapping[Experts, Callable[[Sequence[Judgement]], dict[Pair, float]]] = {
    "majority": _majority,
    "median": median_grades,
    "mean": mean_grades,
    "dawid-skene": dawid_skene.expected_grades,
}
