"""How far probabilities and other predictions are from what came true."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kadr.metrics import arrays, proportions
from kadr.types import Floats, Interval

BINS = 15

Binning: TypeAlias = Literal["mass", "width"]
"""Bins that hold about equally many points each, or that are equally wide."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions from `low` to `high`: their mean, and the share that came true."""

    low: float
    high: float
    count: int
    mean_probability: float
    share_true: float

    @property
    def share(self) -> Interval:
        """The share that came true, with Wilson's interval; for yes or no as truth."""
        return proportions.wilson(round(self.share_true * self.count), self.count)


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
    """Mean absolute error. Report the training median's beside it: a constant looks good here."""
    predictions, targets = arrays.paired(predictions, targets)
    return float(np.mean(np.abs(predictions - targets)))


def rmse(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Root mean squared error. Report the training mean's beside it."""
    predictions, targets = arrays.paired(predictions, targets)
    return math.sqrt(np.mean((predictions - targets) ** 2))


def _probable(probabilities: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    both = arrays.paired(probabilities, truth)
    for figures in both:
        if figures.min() < 0 or figures.max() > 1:
            raise ValueError("probabilities and truth must lie in [0, 1]: calibrate scores first")
    return both


def _bin(probabilities: Floats, truth: Floats, number: int, bins: int, binning: Binning) -> Bin:
    edges = (number / bins, (number + 1) / bins)
    if binning == "mass":
        edges = (float(probabilities.min()), float(probabilities.max()))
    return Bin(*edges, len(truth), float(probabilities.mean()), float(truth.mean()))
