"""Scores of judged pairs, and ranks of photos -> figures with intervals, all by image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kadr.data import agreement, labels
from kadr.data.dataset import own_image
from kadr.metrics import calibration, proportions, ranking, resampling
from kadr.study.protocols import PairScorer
from kadr.types import Dataset, Floats, Interval, Pair

TAU_RESAMPLES = 200
AT_LEAST = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Probabilities from which a pair might be shown."""
SUREST = (10, 50, 100, 200)
"""How many of the surest pairs precision is given for."""


@dataclass(frozen=True, slots=True)
class PairFigures:
    """How well probabilities agree with the experts on some pairs. All intervals are by image."""

    name: str
    pairs: int
    images: int
    matches: int
    roc_auc: Interval
    average_precision: Interval
    brier: Interval
    expected_calibration_error: Interval
    mae: Interval
    rmse: Interval
    constant_mae: float
    constant_rmse: float
    tau_c: Interval
    tau_b: Interval | None


@dataclass(frozen=True, slots=True)
class RetrievalFigures:
    """How high the right photo stands among `images`, over `queries` test queries."""

    name: str
    queries: int
    images: int
    recall_1: Interval
    recall_5: Interval
    recall_10: Interval
    mean_reciprocal_rank: Interval
    median_rank: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """What showing pairs from a probability `at_least` on would mean; Wilson's intervals.

    Of the `shown` pairs `matches` match. Precision is their share, NaN where nothing is shown;
    recall is the share of all matching pairs that are shown.
    """

    at_least: float
    shown: int
    matches: int
    precision: Interval
    recall: Interval


@dataclass(frozen=True, slots=True)
class Surest:
    """Precision at k: the share of matches among the k surest pairs; Wilson's interval."""

    k: int
    precision: Interval


@dataclass(frozen=True)
class Judged:
    """What the judges of an archive said of each pair, once for all figures.

    `verdicts`: the median expert says at least 3. `targets`: (mean grade - 1) / 3. `grades`: every
    expert's grade float64 [raters], NaN for none. `own`: pairs of an image with its own caption.
    `shares`: the crowd's share of yes.
    """

    verdicts: Mapping[Pair, bool]
    targets: Mapping[Pair, float]
    grades: Mapping[Pair, Floats]
    own: Mapping[Pair, bool]
    shares: Mapping[Pair, float]


def judged(dataset: Dataset) -> Judged:
    """Look up what the judges of an archive said."""
    table = agreement.grade_table(dataset.judgements)
    means = labels.mean_grades(dataset.judgements)
    return Judged(
        labels.verdicts(dataset.judgements),
        {pair: labels.target(grade) for pair, grade in means.items()},
        dict(zip(table.pairs, table.grades, strict=True)),
        {pair: own_image(pair[0]) == pair[1] for pair in table.pairs},
        labels.shares(dataset.votes),
    )


def pair_figures(
    name: str,
    judged: Judged,
    pairs: Sequence[Pair],
    crowd: Sequence[Pair],
    score: PairScorer,
    constants: Mapping[str, float],
) -> PairFigures | None:
    """Measure scores against the judges; None where all verdicts are alike.

    Args:
        name: of the set.
        judged: what the judges said.
        pairs: those that experts graded.
        crowd: those that the crowd judged, for tau-b.
        score: gives pairs their probabilities.
        constants: "mean" and "median" of the training targets: what a constant would say.
    """
    truth = np.array([judged.verdicts[pair] for pair in pairs], dtype=np.bool_)
    if len(pairs) == 0 or truth.all() or not truth.any():
        return None
    p = score(pairs)
    groups = np.array([image for _, image in pairs])
    targets = np.array([judged.targets[pair] for pair in pairs])
    boot = partial(resampling.bootstrap, groups=groups)
    return PairFigures(
        name=name,
        pairs=len(pairs),
        images=len(set(groups.tolist())),
        matches=int(truth.sum()),
        roc_auc=boot(lambda i: ranking.roc_auc(p[i], truth[i])),
        average_precision=boot(lambda i: ranking.average_precision(p[i], truth[i])),
        brier=boot(lambda i: calibration.brier(p[i], truth[i])),
        expected_calibration_error=boot(
            lambda i: calibration.expected_calibration_error(p[i], truth[i])
        ),
        mae=boot(lambda i: calibration.mae(p[i], targets[i])),
        rmse=boot(lambda i: calibration.rmse(p[i], targets[i])),
        constant_mae=calibration.mae(np.full_like(targets, constants["median"]), targets),
        constant_rmse=calibration.rmse(np.full_like(targets, constants["mean"]), targets),
        tau_c=tau_c(judged, pairs, p),
        tau_b=tau_b(judged, crowd, score(crowd)) if len(crowd) > 1 else None,
    )


def thresholds(p: Floats, truth: NDArray[np.bool_]) -> tuple[Threshold, ...]:
    """What each of `AT_LEAST` would show of pairs with probabilities and truth, both [n]."""
    found = []
    for least in AT_LEAST:
        shown, matches = int((p >= least).sum()), int(truth[p >= least].sum())
        precision = proportions.wilson(matches, shown)
        recall = proportions.wilson(matches, int(truth.sum()))
        found.append(Threshold(least, shown, matches, precision, recall))
    return tuple(found)


def surest(p: Floats, truth: NDArray[np.bool_]) -> tuple[Surest, ...]:
    """Precision at each of `SUREST` that leaves at least as many pairs out; both [n]."""
    return tuple(
        Surest(k, proportions.wilson(round(k * ranking.precision_at(p, truth, k)), k))
        for k in SUREST
        if 2 * k <= len(p)
    )


def tau_c(judged: Judged, pairs: Sequence[Pair], scores: Floats) -> Interval:
    """Flickr8k-Expert's protocol: each grade a point, an image's own captions left out."""
    grades = np.stack([judged.grades[pair] for pair in pairs])
    own = np.array([judged.own[pair] for pair in pairs])
    return resampling.bootstrap(
        lambda i: ranking.tau_c_expert(scores[i], grades[i], own[i]),
        np.array([image for _, image in pairs]),
        resamples=TAU_RESAMPLES,
    )


def tau_b(
    judged: Judged, pairs: Sequence[Pair], scores: Floats, *, resamples: int = TAU_RESAMPLES
) -> Interval:
    """Flickr8k-CF's protocol."""
    shares = np.array([judged.shares[pair] for pair in pairs])
    return resampling.bootstrap(
        lambda i: ranking.tau_b_crowd(scores[i], shares[i]),
        np.array([image for _, image in pairs]),
        resamples=resamples,
    )


def retrieval_figures(
    name: str, ranks: NDArray[np.intp], right: NDArray[np.intp], images: int
) -> RetrievalFigures:
    """Measure ranks [queries] of the right photos `right` [queries] among so many images."""
    boot = partial(resampling.bootstrap, groups=right)
    return RetrievalFigures(
        name=name,
        queries=len(ranks),
        images=images,
        recall_1=boot(lambda i: ranking.recall_at(ranks[i], 1)),
        recall_5=boot(lambda i: ranking.recall_at(ranks[i], 5)),
        recall_10=boot(lambda i: ranking.recall_at(ranks[i], 10)),
        mean_reciprocal_rank=boot(lambda i: ranking.mean_reciprocal_rank(ranks[i])),
        median_rank=ranking.median_rank(ranks),
    )
