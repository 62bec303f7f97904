"""How sure a share of yes among independent trials is."""

import math

from scipy import stats

from kadr.types import Interval


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927); all NaN without trials.

    Unlike a bootstrap it has a width where all trials, or none, succeed. It takes the trials for
    independent.
    """
    if trials == 0:
        return Interval(math.nan, math.nan, math.nan)
    bounds = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return Interval(successes / trials, float(bounds.low), float(bounds.high))
