"""Our figures beside scikit-learn's: how far they differ where scores are tied, and their time.

Usage: python benchmarks/metrics.py

Prints the largest difference of average precision over 3,000 small samples full of ties, and the
microseconds of each figure on 1,726 pairs, ours and scikit-learn's, with the ratio.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn import metrics as sklearn

from kadr.metrics import calibration, ranking

TIMED = 200


def microseconds(run: Callable[[], Any]) -> float:
    """The least of five tries, each of so many calls."""
    tries = []
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(TIMED):
            run()
        tries.append(time.perf_counter() - begun)
    return min(tries) / TIMED * 1e6


def largest_difference() -> float:
    """Of average precision, over samples in which most scores are tied."""
    largest = 0.0
    for seed in range(3000):
        random = np.random.default_rng(seed)
        size = random.integers(2, 30)
        truth, scores = random.random(size) < 0.4, random.integers(0, 4, size) / 4
        if truth.any():
            ours = ranking.average_precision(scores, truth)
            largest = max(largest, abs(ours - sklearn.average_precision_score(truth, scores)))
    return largest


def main() -> None:
    """Print the difference and a line for each figure."""
    print(f"average precision, ties: differs by at most {largest_difference():.1e}")
    random = np.random.default_rng(0)
    truth = random.random(1726) < 0.14
    scores = np.clip(0.1 + 0.5 * truth + random.normal(size=1726) / 5, 0, 1)
    for name, ours, theirs in (
        ("average precision", ranking.average_precision, sklearn.average_precision_score),
        ("Brier score", calibration.brier, sklearn.brier_score_loss),
        ("ROC-AUC", ranking.roc_auc, sklearn.roc_auc_score),
    ):
        own = microseconds(partial(ours, scores, truth))
        other = microseconds(partial(theirs, truth, scores))
        print(f"{name:18} {own:6.0f} us, scikit-learn {other:6.0f} us: {other / own:4.1f} times")


if __name__ == "__main__":
    main()
