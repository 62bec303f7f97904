"""How well scores order pairs, grades and images."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from kadr.metrics import arrays
from kadr.metrics.arrays import Flags, Positions
from kadr.types import Floats

CURVE_POINTS = 500


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


def roc_auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Chance that a true pair scores above a false one, ties counting half (Mann-Whitney U).

    Args:
        scores: Any order-preserving score, [n].
        truth: bool [n].
    """
    scores, truth = arrays.scored(scores, truth)
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
    scores, truth = arrays.scored(scores, truth)
    if not truth.any():
        return math.nan
    _, hits, taken = _cumulated(scores, truth)
    steps = np.diff(hits, prepend=0) / hits[-1]
    return float(np.dot(steps, hits / taken))


def precision_at(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Share of true ones among the k highest scores; of those tied at the end, their mean counts.

    Raises:
        ValueError: k is not from 1 to n.
    """
    scores, truth = arrays.scored(scores, truth)
    if not 1 <= k <= len(scores):
        raise ValueError(f"k is {k}: choose 1 to {len(scores)}")
    last = np.partition(scores, -k)[-k]
    above, tied = scores > last, scores == last
    return float((truth[above].sum() + (k - above.sum()) * truth[tied].mean()) / k)


def roc_curve(scores: ArrayLike, truth: ArrayLike, *, points: int = CURVE_POINTS) -> RocCurve:
    """Trace the ROC; a long curve is thinned to about `points` points, ends kept.

    Raises:
        ValueError: `truth` holds one class only.
    """
    scores, truth = arrays.scored(scores, truth)
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
    scores, truth = arrays.scored(scores, truth)
    if not truth.any():
        raise ValueError("recall needs true pairs: give some")
    thresholds, hits, taken = _cumulated(scores, truth)
    kept = _thinned(len(thresholds), points)
    return PrecisionRecallCurve((hits / hits[-1])[kept], (hits / taken)[kept], thresholds[kept])


def tau_c_expert(scores: ArrayLike, grades: ArrayLike, own: ArrayLike) -> float:
    """Kendall's tau-c, as a fraction, by the Flickr8k-Expert protocol of CLIPScore (2021).

    An image's own captions are dropped and every single grade is a point of its own: on the
    archive 5,664 pairs make 16,992 points. Papers print it times 100.

    Args:
        scores: One per pair, [n].
        grades: [n, raters]; NaN is no grade.
        own: bool [n], the pair is an image with its own caption.
    """
    scores, grades = arrays.figures(scores, "scores"), np.asarray(grades, dtype=np.float64)
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
    scores, shares = arrays.paired(scores, shares)
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


def _ranks(ranks: ArrayLike) -> Floats:
    figures = arrays.figures(ranks, "ranks")
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


def _tau(scores: Floats, truth: Floats, variant: Literal["b", "c"]) -> float:
    if len(scores) < 2:
        return math.nan
    return float(stats.kendalltau(scores, truth, variant=variant).statistic)
