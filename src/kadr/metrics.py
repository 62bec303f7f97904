"""Ranking and calibration figures with intervals; no plots.

Arrays that don't fit each other, are empty or hold NaN raise ValueError. A figure that the data
leaves undefined (one class only, all scores tied for a tau) is NaN, never a made-up number.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from kadr.types import Difference, Floats, Interval

BINS = 15
CURVE_POINTS = 500
RESAMPLES = 1000

Flags: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.intp]
Binning: TypeAlias = Literal["mass", "width"]
"""Bins that hold about equally many points each, or that are equally wide."""


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Points from (0, 0) to (1, 1), float64 [points], by falling threshold (first: +inf)."""

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Floats


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """Points by rising recall, float64 [points], one per threshold; the last has recall 1."""

    recall: Floats
    precision: Floats
    thresholds: Floats


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions from `low` to `high`: their mean, and the share that came true."""

    low: float
    high: float
    count: int
    mean_probability: float
    share_true: float


@dataclass(frozen=True, slots=True)
class ConstantErrors:
    """What the best constants reach: the training median for mae, the training mean for rmse."""

    median: float
    mean: float
    mae: float
    rmse: float


def roc_auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Chance that a true pair scores above a false one, ties counting half (Mann-Whitney U).

    Args:
        scores: Any order-preserving score, [n].
        truth: bool [n].
    """
    scores, truth = _scored(scores, truth)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0:
        return math.nan
    wins = stats.rankdata(scores)[truth].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """Sum of precision times the step in recall over falling thresholds; NaN without a true one.

    Tied scores share one threshold, so their order can't matter.
    """
    scores, truth = _scored(scores, truth)
    if not truth.any():
        return math.nan
    _, hits, taken = _cumulated(scores, truth)
    steps = np.diff(hits, prepend=0) / hits[-1]
    return float(np.dot(steps, hits / taken))


def roc_curve(scores: ArrayLike, truth: ArrayLike, *, points: int = CURVE_POINTS) -> RocCurve:
    """Trace the ROC; a long curve is thinned to about `points` points, ends kept.

    Raises:
        ValueError: `truth` holds one class only.
    """
    scores, truth = _scored(scores, truth)
    if truth.all() or not truth.any():
        raise ValueError("an ROC needs true and false pairs: give both")
    thresholds, hits, taken = _cumulated(scores, truth)
    false_hits = taken - hits
    kept = _thinned(len(thresholds) + 1, points)
    return RocCurve(
        false_positive_rate=np.insert(false_hits / false_hits[-1], 0, 0.0)[kept],
        true_positive_rate=np.insert(hits / hits[-1], 0, 0.0)[kept],
        thresholds=np.insert(thresholds, 0, np.inf)[kept],
    )


def precision_recall_curve(
    scores: ArrayLike, truth: ArrayLike, *, points: int = CURVE_POINTS
) -> PrecisionRecallCurve:
    """Trace precision against recall; a long curve is thinned to about `points` points.

    Raises:
        ValueError: Nothing in `truth` is true.
    """
    scores, truth = _scored(scores, truth)
    if not truth.any():
        raise ValueError("recall needs true pairs: give some")
    thresholds, hits, taken = _cumulated(scores, truth)
    kept = _thinned(len(thresholds), points)
    return PrecisionRecallCurve((hits / hits[-1])[kept], (hits / taken)[kept], thresholds[kept])


def brier(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Mean squared distance of probability [n] and truth [n], bool or in [0, 1]; 0 is best."""
    probabilities, truth = _probable(probabilities, truth)
    return float(np.mean((probabilities - truth) ** 2))


def reliability(
    probabilities: ArrayLike, truth: ArrayLike, *, bins: int = BINS, binning: Binning = "mass"
) -> tuple[Bin, ...]:
    """Set mean probability beside share true in bins of rising probability.

    Equal probabilities always share a bin, and empty bins are left out, so there may be fewer
    than asked for. `low` and `high` are the smallest and largest prediction in a bin of equal
    mass, the edges of a bin of equal width.

    Args:
        probabilities: In [0, 1], [n].
        truth: bool, or targets in [0, 1], [n].
        bins: How many at most, at least 1.
        binning: "mass" or "width".
    """
    probabilities, truth = _probable(probabilities, truth)
    if bins < 1:
        raise ValueError(f"bins is {bins}: choose at least 1")
    if binning not in ("mass", "width"):
        raise ValueError(f"binning is {binning!r}: choose mass or width")
    position = probabilities
    if binning == "mass":
        position = (stats.rankdata(probabilities) - 0.5) / len(probabilities)
    member = np.minimum((position * bins).astype(np.intp), bins - 1)
    return tuple(
        _bin(probabilities[member == number], truth[member == number], number, bins, binning)
        for number in np.unique(member).tolist()
    )


def expected_calibration_error(
    probabilities: ArrayLike, truth: ArrayLike, *, bins: int = BINS, binning: Binning = "mass"
) -> float:
    """Mean over points of |mean probability - share true| of the point's bin (Guo et al., 2017).

    The default is 15 bins of equal mass, because match probabilities crowd near 0 and bins of
    equal width would leave all but the first almost empty. Noise alone makes it positive: about
    0.8 * sqrt(share * (1 - share) * bins / n) for a perfectly calibrated predictor.
    """
    found = reliability(probabilities, truth, bins=bins, binning=binning)
    total = sum(part.count for part in found)
    return sum(part.count * abs(part.mean_probability - part.share_true) for part in found) / total


def mae(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Mean absolute error. Print `constant_errors` beside: a constant looks good here."""
    predictions, targets = _pair(predictions, targets)
    return float(np.mean(np.abs(predictions - targets)))


def rmse(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Root of the mean squared error. Print `constant_errors` beside."""
    predictions, targets = _pair(predictions, targets)
    return math.sqrt(np.mean((predictions - targets) ** 2))


def constant_errors(training: ArrayLike, targets: ArrayLike) -> ConstantErrors:
    """Errors on `targets` [n] of the constants that fit the `training` targets [m] best."""
    training, targets = _figures(training, "training"), _figures(targets, "targets")
    median, mean = float(np.median(training)), float(np.mean(training))
    return ConstantErrors(
        median=median,
        mean=mean,
        mae=mae(np.full_like(targets, median), targets),
        rmse=rmse(np.full_like(targets, mean), targets),
    )


def tau_c_expert(scores: ArrayLike, grades: ArrayLike, own: ArrayLike) -> float:
    """Kendall's tau-c, as a fraction, by the Flickr8k-Expert protocol of CLIPScore (2021).

    An image's own captions are dropped and every single grade is a point of its own: on the
    archive 5,664 pairs make 16,992 points. Papers print it times 100.

    Args:
        scores: One per pair, [n].
        grades: [n, raters]; NaN is no grade.
        own: bool [n], the pair is an image with its own caption.
    """
    scores, grades = _figures(scores, "scores"), np.asarray(grades, dtype=np.float64)
    other = ~np.asarray(own, dtype=np.bool_)
    if grades.ndim != 2 or not len(grades) == len(scores) == len(other):
        raise ValueError(
            f"{len(scores)} scores, grades {grades.shape} and {len(other)} own flags "
            "don't fit: give grades [n, raters] and n of the others"
        )
    kept = grades[other]
    points = np.repeat(scores[other], kept.shape[1])
    graded = ~np.isnan(kept.ravel())
    return _tau(points[graded], kept.ravel()[graded], "c")


def tau_b_crowd(scores: ArrayLike, shares: ArrayLike) -> float:
    """Kendall's tau-b, as a fraction, by the Flickr8k-CF protocol of CLIPScore (2021).

    All crowd pairs, own captions included, against the raw share of yes. Papers print it times
    100. Scores rounded to few values inflate it: give them unrounded.
    """
    scores, shares = _pair(scores, shares)
    return _tau(scores, shares, "b")


def rank_of(similarities: ArrayLike, right: ArrayLike) -> Positions:
    """Rank from 1 of each query's right image, int [queries].

    Ties count against it: the rank is the number of images at least as similar as the right one,
    so a constant scorer ranks last and never first.

    Args:
        similarities: [queries, images], the higher the closer.
        right: Column of the right image, int [queries].
    """
    similarities, right = np.asarray(similarities), np.asarray(right)
    if similarities.ndim != 2 or right.shape != similarities.shape[:1] or not similarities.size:
        raise ValueError(
            f"similarities {similarities.shape} and right {right.shape} don't fit: "
            "give [queries, images] and [queries]"
        )
    if np.isnan(similarities).any():
        raise ValueError("similarities hold NaN: mend the encoder")
    if right.min() < 0 or right.max() >= similarities.shape[1]:
        raise ValueError(f"right must name columns from 0 to {similarities.shape[1] - 1}")
    similarity = np.take_along_axis(similarities, right[:, None], axis=1)
    return np.asarray(np.count_nonzero(similarities >= similarity, axis=1), dtype=np.intp)


def recall_at(ranks: ArrayLike, k: int) -> float:
    """Share of queries whose right image is among the first k (ranks start at 1)."""
    return float(np.mean(_ranks(ranks) <= k))


def mean_reciprocal_rank(ranks: ArrayLike) -> float:
    """Mean of 1 / rank (ranks start at 1)."""
    return float(np.mean(1 / _ranks(ranks)))


def median_rank(ranks: ArrayLike) -> float:
    """Median rank (ranks start at 1)."""
    return float(np.median(_ranks(ranks)))


def bootstrap(
    figure: Callable[[Positions], float],
    groups: Sequence[str] | NDArray[Any],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a figure by resampling whole groups with replacement.

    Points of one image rise and fall together, so the image is what is drawn. Undefined (NaN)
    resamples are skipped; with fewer than two groups, or where over half of the resamples are
    undefined, the interval's ends are NaN. An AUC on 1,700 pairs takes under a second at 1,000
    resamples; a tau on 17,000 points is slower, so ask for 200.

    Args:
        figure: Takes positions into the data, int [m] with repetitions, gives the figure.
        groups: The group (image) of each point, [n].
        resamples: How many, at least 1.
        seed: The same seed gives the same interval.
        level: Share in (0, 1) that the interval covers.
    """
    if not 0 < level < 1:
        raise ValueError(f"need 0 < level < 1, not {level}")
    value, defined = _resampled(figure, np.asarray(groups), resamples, seed)
    if len(defined) == 0:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def auc_differences(
    methods: Iterable[ArrayLike],
    reference: ArrayLike,
    truth: ArrayLike,
    groups: Sequence[str] | NDArray[Any],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Paired bootstrap of ROC-AUC: each method's less the reference's, on the same points.

    All are measured on the same resamples of groups, those of `bootstrap` with this seed, so what
    they share cancels out. The p-value is two-sided: twice the smaller share of resamples on
    either side of 0, never below 2 / (resamples + 1) (Efron and Tibshirani 1993, "An Introduction
    to the Bootstrap", ch. 15). Where many methods are tested, take more resamples than that.

    Args:
        methods: Scores of each method, [n] each.
        reference: Scores of the one that they are compared with, [n].
        truth: bool [n].
        groups: The group (image) of each point, [n].
        resamples: How many, at least 1.
        seed: The same seed gives the same answers.
    """
    theirs, flags = _scored(reference, truth)
    groups = np.asarray(groups)
    _check_resamples(groups, resamples)
    if len(groups) != len(flags):
        raise ValueError(f"{len(groups)} groups and {len(flags)} points don't fit")
    names, member = np.unique(groups, return_inverse=True)
    random = np.random.default_rng(seed)
    drawn = (_draw(random, len(names)) for _ in range(resamples))
    times = np.array([np.bincount(row, minlength=len(names)) for row in drawn], dtype=np.float64)
    times = np.vstack([np.ones(len(names)), times])  # first the data as they are
    true, false = (np.bincount(member[part], minlength=len(names)) for part in (flags, ~flags))
    chances = (times @ true) * (times @ false)
    chances[chances == 0] = math.nan  # one class only: no area
    lost = _wins(theirs, flags, member)
    found = []
    for scores in methods:
        ours, _ = _scored(scores, truth)
        ahead = ((times @ (_wins(ours, flags, member) - lost)) * times).sum(axis=1) / chances
        found.append(_difference(float(ahead[0]), _defined(ahead[1:], len(names))))
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979); NaN stays NaN and isn't counted."""
    order = sorted((p, at) for at, p in enumerate(p_values) if not math.isnan(p))
    adjusted, highest = list(p_values), 0.0
    for rank, (p, at) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[at] = highest
    return adjusted


def _wins(scores: Floats, truth: Flags, member: Positions) -> Floats:
    """How often true points of a group beat false ones of another, a tie half: [groups, groups].

    An area is a sum over pairs of points, so that of a resample needs these counts alone.
    """
    count = int(member.max()) + 1
    order = np.argsort(scores, kind="stable")
    false = np.zeros((len(scores) + 1, count))
    false[np.arange(len(scores)) + 1, member[order]] = ~truth[order]
    below = np.cumsum(false, axis=0)  # the false ones of each group among so many lowest points
    lower = np.searchsorted(scores[order], scores[truth], "left")
    tied = np.searchsorted(scores[order], scores[truth], "right")
    wins = np.zeros((count, count))
    np.add.at(wins, member[truth], (below[lower] + below[tied]) / 2)
    return wins


def _difference(value: float, found: Floats) -> Difference:
    if len(found) == 0:
        return Difference(value, math.nan, math.nan, math.nan)
    low, high = np.quantile(found, [0.025, 0.975])
    tail = min((found <= 0).sum(), (found >= 0).sum())
    return Difference(
        value, float(low), float(high), float(min(1.0, 2 * (tail + 1) / (len(found) + 1)))
    )


def _resampled(
    figure: Callable[[Positions], float], groups: NDArray[Any], resamples: int, seed: int
) -> tuple[float, Floats]:
    """The figure, and its values on resamples; none where they can't give an interval."""
    _check_resamples(groups, resamples)
    value = float(figure(np.arange(len(groups))))
    draw = _group_sampler(groups, np.random.default_rng(seed))
    found = np.array([figure(draw()) for _ in range(resamples)], dtype=np.float64)
    return value, _defined(found, len(np.unique(groups)))


def _check_resamples(groups: NDArray[Any], resamples: int) -> None:
    if len(groups) == 0:
        raise ValueError("groups is empty: there is nothing to resample")
    if resamples < 1:
        raise ValueError(f"need resamples >= 1, not {resamples}")


def _defined(found: Floats, groups: int) -> Floats:
    """The resamples that have a figure; none where they are too few to give an interval."""
    defined = found[~np.isnan(found)]
    return defined[:0] if groups < 2 or 2 * len(defined) < len(found) else defined


def _figures(values: ArrayLike, name: str) -> Floats:
    figures = np.asarray(values, dtype=np.float64)
    if figures.ndim != 1 or len(figures) == 0:
        raise ValueError(f"{name} has shape {figures.shape}: give a filled array [n]")
    if np.isnan(figures).any():
        raise ValueError(f"{name} holds NaN: leave such points out")
    return figures


def _pair(left: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    first, second = _figures(left, "the first array"), _figures(right, "the second array")
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} points don't fit: give as many of both")
    return first, second


def _scored(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, Flags]:
    first, second = _pair(scores, truth)
    return first, _flags(second)


def _flags(truth: Floats) -> Flags:
    flags = truth == 1
    if not (flags | (truth == 0)).all():
        raise ValueError("truth must be true or false: compare targets with a threshold first")
    return np.asarray(flags, dtype=np.bool_)


def _probable(probabilities: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    both = _pair(probabilities, truth)
    for figures in both:
        if figures.min() < 0 or figures.max() > 1:
            raise ValueError("probabilities and truth must lie in [0, 1]: calibrate scores first")
    return both


def _ranks(ranks: ArrayLike) -> Floats:
    figures = _figures(ranks, "ranks")
    if figures.min() < 1:
        raise ValueError("ranks start at 1")
    return figures


def _cumulated(scores: Floats, truth: Flags) -> tuple[Floats, NDArray[np.int64], Positions]:
    """Per falling distinct threshold: how many true ones are taken, and how many in all."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return ranked[ends], np.cumsum(truth[order], dtype=np.int64)[ends], ends + 1


def _thinned(length: int, points: int) -> Positions:
    if points < 2:
        raise ValueError(f"points is {points}: a curve needs at least 2")
    return np.unique(np.linspace(0, length - 1, min(points, length)).round().astype(np.intp))


def _bin(probabilities: Floats, truth: Floats, number: int, bins: int, binning: Binning) -> Bin:
    edges = (number / bins, (number + 1) / bins)
    if binning == "mass":
        edges = (float(probabilities.min()), float(probabilities.max()))
    return Bin(*edges, len(truth), float(probabilities.mean()), float(truth.mean()))


def _tau(scores: Floats, truth: Floats, variant: Literal["b", "c"]) -> float:
    if len(scores) < 2:
        return math.nan
    return float(stats.kendalltau(scores, truth, variant=variant).statistic)


def _group_sampler(groups: NDArray[Any], random: np.random.Generator) -> Callable[[], Positions]:
    _, member, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order: Positions = np.argsort(member, kind="stable")
    starts = np.cumsum(counts) - counts

    def draw() -> Positions:
        drawn = _draw(random, len(counts))
        sizes = counts[drawn]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        chosen: Positions = order[np.repeat(starts[drawn], sizes) + within]
        return chosen

    return draw


def _draw(random: np.random.Generator, groups: int) -> NDArray[np.int64]:
    """Groups drawn with replacement, as many as there are."""
    return random.integers(groups, size=groups)
