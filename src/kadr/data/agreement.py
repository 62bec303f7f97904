"""How far the judges of an archive agree: experts with one another, the crowd with the experts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import krippendorff
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kadr.data import labels
from kadr.errors import DataError
from kadr.types import Floats, Judgement, Pair, Votes


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
class ExpertAgreement:
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


def expert_agreement(judgements: Sequence[Judgement]) -> ExpertAgreement:
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
    return ExpertAgreement(
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
    verdict, share = labels.verdicts(judgements), labels.shares(votes)
    pairs = tuple(sorted(verdict.keys() & share.keys()))
    return SharedPairs(
        pairs=pairs,
        shares=np.array([share[pair] for pair in pairs], dtype=np.float64),
        verdicts=np.array([verdict[pair] for pair in pairs], dtype=np.bool_),
    )


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
    median_of, mean_of = labels.median_grades(judgements), labels.mean_grades(judgements)
    medians = np.array([median_of[pair] for pair in shared.pairs], dtype=np.float64)
    means = np.array([mean_of[pair] for pair in shared.pairs], dtype=np.float64)
    return CrowdAgreement(
        pairs=len(shared.pairs),
        by_grade=tuple(
            _grade_share(grade, shared.shares[medians == grade])
            for grade in np.unique(medians).tolist()
        ),
        expert_target=labels.target(float(means.mean())),
        crowd_share=float(shared.shares.mean()),
        spearman=_rank_correlation(stats.spearmanr, shared.shares, means),
        kendall=_rank_correlation(stats.kendalltau, shared.shares, means),
    )


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
