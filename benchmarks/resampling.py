"""How the time of intervals and paired tests grows with the points and the methods.

Usage: python benchmarks/resampling.py

Prints the seconds of a bootstrap of ROC-AUC over 300 images, and of the paired test of nine methods
against a tenth, for 1,700 points and for ten times as many. About 10 between both lines is linear.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kadr.metrics import ranking, resampling
from kadr.metrics.arrays import Flags, Positions
from kadr.types import Floats

IMAGES = 300


def seconds(run: Callable[[], Any]) -> float:
    """The least of three tries."""
    tries = []
    for _ in range(3):
        begun = time.perf_counter()
        run()
        tries.append(time.perf_counter() - begun)
    return min(tries)


def _area(scores: Floats, truth: Flags, rows: Positions) -> float:
    return ranking.roc_auc(scores[rows], truth[rows])


def main() -> None:
    """Print a line for each size."""
    for size in (1_700, 17_000):
        random = np.random.default_rng(0)
        truth, images = random.random(size) < 0.2, random.integers(0, IMAGES, size)
        scores = truth + random.normal(size=(10, size))

        area = partial(_area, scores[0], truth)
        interval = seconds(partial(resampling.bootstrap, area, images))
        paired = seconds(partial(resampling.auc_differences, scores[1:], scores[0], truth, images))
        print(f"{size:6,} points: bootstrap {interval:6.2f} s, nine methods {paired:6.2f} s")


if __name__ == "__main__":
    main()
