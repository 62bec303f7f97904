"""Expert and crowd judgements -> Label(query, image, target, weight); no file reading.

A pair is always (query, image): one caption's grade says nothing about another caption of the
same image. Every function gives the same answer for the same judgements in any order.
"""

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, TypeAlias

import krippendorff
import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize
from scipy.special import betaln, expit, log_expit

from kadr.errors import DataError, MissingExtraError
from kadr.types import Experts, Floats, Judgement, Label, Votes

LOWEST_GRADE, HIGHEST_GRADE = 1, 4
GRADES = tuple(range(LOWEST_GRADE, HIGHEST_GRADE + 1))
RELEVANT_GRADE = 3
"""The event of record: the median expert says at least 3."""

MATCH = 0.5
"""A pair whose target reaches this counts as a match where a yes or no is needed."""

EXPERT_WEIGHT = 0.6

PRIOR_SPREAD = 2.0
"""Standard deviation of the log of the prior's strength around that of Beta(1, 1)."""

DAWID_SKENE_ROUNDS = 100
LEAST_MASS = 0.5
"""Pairs expected to have a true grade; with fewer, how a rater errs on it isn't known."""

Pair: TypeAlias = tuple[str, str]
"""(query, image)."""


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
    """How many pairs got their label from whom.

    `undecided` pairs have expert grades but no most frequent one; `left_out` are those of them
    that the crowd didn't see either, so that they have no label at all.
    """

    expert_only: int
    crowd_only: int
    both: int
    undecided: int
    left_out: int


@dataclass(frozen=True, slots=True)
class GradeTable:
    """Expert grades: float64 [pairs, raters], NaN where a rater didn't grade a pair."""

    pairs: tuple[Pair, ...]
    raters: tuple[str, ...]
    grades: Floats


@dataclass(frozen=True, slots=True)
class SharedPairs:
    """Pairs seen by experts and crowd: raw share of yes, float64 [n]; verdict, bool [n]."""

    pairs: tuple[Pair, ...]
    shares: Floats
    verdicts: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Severity:
    """One rater's mean grade, and how far it is above the mean of all grades."""

    rater: str
    mean: float
    difference: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far experts agree on the `pairs` that at least two of them graded.

    `alpha` is Krippendorff's for ordinal grades: 1 is perfect, 0 is chance, NaN where no two
    grades differ. The three shares of pairs sum to 1.

    `columns_sorted` warns that no pair's grades fall from one rater to the next: the columns were
    sorted, and a "rater" is then the lowest, middle or highest grade, not a person. Alpha and the
    shares don't depend on who is who; `severity` and Dawid-Skene do, and mean nothing then.
    Flickr8k's expert file is sorted in this way.
    """

    pairs: int
    alpha: float
    all_agree: float
    some_agree: float
    all_differ: float
    severity: tuple[Severity, ...]
    columns_sorted: bool


@dataclass(frozen=True, slots=True)
class Confusion:
    """How one rater errs by Dawid and Skene (1979): P(grade given | true grade).

    `matrix` is float64 [4, 4]: rows are true grades 1-4 by the posterior, columns grades given.
    A row sums to 1; it is NaN where none of the rater's pairs has that true grade (the posterior
    expects less than half a pair).
    `Agreement.columns_sorted` warns of columns that are no raters.
    """

    rater: str
    matrix: Floats


@dataclass(frozen=True, slots=True)
class GradeShare:
    """The pairs whose median expert grade is `grade`: how many, and their mean share of yes."""

    grade: float
    pairs: int
    share: float


@dataclass(frozen=True, slots=True)
class CrowdAgreement:
    """The crowd beside the experts on the `pairs` that both judged.

    `expert_target` is the mean of (mean grade - 1) / 3, `crowd_share` that of the raw share of
    yes: two scales for the same pairs. `by_grade` has the median grades that occur, rising.
    Spearman's rho and Kendall's tau-b are between a pair's share of yes and its mean grade, NaN
    where one of the two is constant.
    """

    pairs: int
    by_grade: tuple[GradeShare, ...]
    expert_target: float
    crowd_share: float
    spearman: float
    kendall: float


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
    learns from all pairs how each rater errs; look at `Agreement.columns_sorted` first.

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
    return {pair: grade >= RELEVANT_GRADE for pair, grade in grades(judgements, "median").items()}


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


def grade_table(judgements: Sequence[Judgement]) -> GradeTable:
    """Lay the grades out as a matrix: a row per pair, a column per rater, both sorted.

    Raises:
        DataError: A rater graded the same pair twice.
    """
    pairs = tuple(sorted({(judgement.query, judgement.image) for judgement in judgements}))
    raters = tuple(sorted({judgement.rater for judgement in judgements}))
    row = {pair: position for position, pair in enumerate(pairs)}
    column = {rater: position for position, rater in enumerate(raters)}
    table = np.full((len(pairs), len(raters)), np.nan)
    for judgement in judgements:
        cell = row[judgement.query, judgement.image], column[judgement.rater]
        if not np.isnan(table[cell]):
            raise DataError(
                f"rater {judgement.rater} graded {judgement.image} with query {judgement.query} "
                "twice: remove one of the rows"
            )
        table[cell] = judgement.grade
    return GradeTable(pairs, raters, table)


def agreement(judgements: Sequence[Judgement]) -> Agreement:
    """Measure how far the experts agree (Krippendorff, 2004, "Content Analysis", chapter 11).

    Raises:
        DataError: No pair has the grades of two experts, or a rater graded a pair twice.
    """
    table = grade_table(judgements)
    panels = [row[~np.isnan(row)] for row in table.grades]
    shared = [(len(panel), len(np.unique(panel))) for panel in panels if len(panel) > 1]
    if not shared:
        raise DataError("no pair was graded by two experts, so they can't be compared: add grades")
    all_agree = fmean(distinct == 1 for _, distinct in shared)
    all_differ = fmean(distinct == size for size, distinct in shared)
    return Agreement(
        pairs=len(shared),
        alpha=_ordinal_alpha(table.grades),
        all_agree=all_agree,
        some_agree=fmean(1 < distinct < size for size, distinct in shared),
        all_differ=all_differ,
        severity=_severity(table),
        columns_sorted=_columns_sorted(table.grades),
    )


def shared_pairs(judgements: Sequence[Judgement], votes: Sequence[Votes]) -> SharedPairs:
    """Set the crowd's raw share of yes beside the experts' verdict where both exist."""
    verdict, share = verdicts(judgements), shares(votes)
    pairs = tuple(sorted(verdict.keys() & share.keys()))
    return SharedPairs(
        pairs=pairs,
        shares=np.array([share[pair] for pair in pairs], dtype=np.float64),
        verdicts=np.array([verdict[pair] for pair in pairs], dtype=np.bool_),
    )


def confusions(judgements: Sequence[Judgement]) -> tuple[Confusion, ...]:
    """Estimate from all pairs how each rater errs, sorted by rater.

    It is the model behind `grades(judgements, "dawid-skene")`, with the same fit.

    Raises:
        MissingExtraError: crowd-kit, of the research extra, isn't installed.
    """
    return _fit_dawid_skene(judgements).confusions


def crowd_agreement(judgements: Sequence[Judgement], votes: Sequence[Votes]) -> CrowdAgreement:
    """Measure how far the crowd agrees with the experts where both judged.

    Raises:
        DataError: No pair was judged by both.
    """
    shared = shared_pairs(judgements, votes)
    if not shared.pairs:
        raise DataError(
            "no pair was judged by experts and crowd, so they can't be compared: add votes on "
            "graded pairs"
        )
    median_of, mean_of = _median(judgements), _mean(judgements)
    medians = np.array([median_of[pair] for pair in shared.pairs], dtype=np.float64)
    means = np.array([mean_of[pair] for pair in shared.pairs], dtype=np.float64)
    return CrowdAgreement(
        pairs=len(shared.pairs),
        by_grade=tuple(
            _grade_share(grade, shared.shares[medians == grade])
            for grade in np.unique(medians).tolist()
        ),
        expert_target=_target(float(means.mean())),
        crowd_share=float(shared.shares.mean()),
        spearman=_rank_correlation(stats.spearmanr, shared.shares, means),
        kendall=_rank_correlation(stats.kendalltau, shared.shares, means),
    )


@dataclass(frozen=True, slots=True)
class _Opinion:
    """One side's word on a pair: target in [0, 1], and how many judges stand behind it."""

    target: float
    judges: float


def _expert_opinions(judgements: Sequence[Judgement], experts: Experts) -> dict[Pair, _Opinion]:
    panels = _panels(judgements)
    return {
        pair: _Opinion(_target(grade), len(panels[pair]))
        for pair, grade in grades(judgements, experts).items()
    }


def _target(grade: float) -> float:
    return (grade - LOWEST_GRADE) / (HIGHEST_GRADE - LOWEST_GRADE)


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


def _median(judgements: Sequence[Judgement]) -> dict[Pair, float]:
    return {pair: float(median(panel)) for pair, panel in _panels(judgements).items()}


def _mean(judgements: Sequence[Judgement]) -> dict[Pair, float]:
    return {pair: fmean(panel) for pair, panel in _panels(judgements).items()}


def _dawid_skene(judgements: Sequence[Judgement]) -> dict[Pair, float]:
    fitted = _fit_dawid_skene(judgements)
    expected = fitted.posterior @ np.array(GRADES, dtype=np.float64)
    inside = np.clip(expected, LOWEST_GRADE, HIGHEST_GRADE)
    return dict(zip(fitted.pairs, inside.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _DawidSkene:
    """The fitted model; `posterior` of the true grade is float64 [pairs, 4]."""

    pairs: tuple[Pair, ...]
    posterior: Floats
    confusions: tuple[Confusion, ...]


def _fit_dawid_skene(judgements: Sequence[Judgement]) -> _DawidSkene:
    try:
        import pandas as pd
        from crowdkit.aggregation import DawidSkene
    except ImportError as error:
        raise MissingExtraError(
            'Dawid-Skene needs crowd-kit: pip install "kadr[research]"'
        ) from error
    pairs = tuple(_panels(judgements))
    if not pairs:
        return _DawidSkene((), np.empty((0, len(GRADES))), ())
    task = {pair: position for position, pair in enumerate(pairs)}
    rows = sorted((task[j.query, j.image], j.rater, j.grade) for j in judgements)
    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    with warnings.catch_warnings():
        # crowd-kit 1.4 calls pandas in ways that pandas 3 deprecates.
        warnings.filterwarnings("ignore", r"The \w+ keyword", DeprecationWarning)
        model = DawidSkene(n_iter=DAWID_SKENE_ROUNDS).fit(table)
    assert model.probas_ is not None
    assert model.errors_ is not None
    every_grade = model.probas_.sort_index().reindex(columns=GRADES, fill_value=0.0)
    posterior = every_grade.to_numpy(dtype=np.float64)
    found = (
        _confusion(
            str(rater),
            model.errors_.xs(rater, level="worker"),
            posterior[graded["task"].to_numpy()].sum(axis=0),
        )
        for rater, graded in table.groupby("worker")
    )
    return _DawidSkene(pairs, posterior, tuple(found))


def _confusion(rater: str, errors: Any, mass: Floats) -> Confusion:
    """Turn crowd-kit's table of P(given | true), given by true, into our matrix, true by given.

    Where nothing is known crowd-kit fills in its epsilon, which then looks like a rate: a true
    grade that the rater met in less than `LEAST_MASS` pairs, by `mass` [4], becomes NaN.
    """
    square = errors.reindex(index=GRADES, columns=GRADES, fill_value=0.0)
    rates = square.to_numpy(dtype=np.float64).T
    return Confusion(rater, np.where(mass[:, None] < LEAST_MASS, np.nan, rates))


_AGGREGATIONS: Mapping[Experts, Callable[[Sequence[Judgement]], dict[Pair, float]]] = {
    "majority": _majority,
    "median": _median,
    "mean": _mean,
    "dawid-skene": _dawid_skene,
}


def _grade_share(grade: float, shares: Floats) -> GradeShare:
    return GradeShare(grade, len(shares), float(shares.mean()))


def _rank_correlation(correlate: Callable[..., Any], left: Floats, right: Floats) -> float:
    if np.ptp(left) == 0 or np.ptp(right) == 0:  # SciPy warns, we say NaN
        return math.nan
    return float(correlate(left, right).statistic)


def _ordinal_alpha(table: Floats) -> float:
    paired = table[(~np.isnan(table)).sum(axis=1) > 1]
    domain = np.unique(paired[~np.isnan(paired)])
    if len(domain) < 2:
        return math.nan
    return float(
        krippendorff.alpha(
            reliability_data=paired.T, value_domain=domain, level_of_measurement="ordinal"
        )
    )


def _severity(table: GradeTable) -> tuple[Severity, ...]:
    overall = float(np.nanmean(table.grades))
    means = np.nanmean(table.grades, axis=0).tolist()
    return tuple(
        Severity(rater, mean, mean - overall)
        for rater, mean in zip(table.raters, means, strict=True)
    )


def _columns_sorted(table: Floats) -> bool:
    steps = np.diff(table, axis=1)
    return bool((steps > 0).any() and not (steps < 0).any())
