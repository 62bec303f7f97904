"""Wilson's interval: textbook values, and the formula itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.metrics import proportions


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_known_intervals(successes: int, trials: int, low: float, high: float) -> None:
    found = proportions.wilson(successes, trials)
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_nothing_is_known_without_trials() -> None:
    found = proportions.wilson(0, 0)
    assert np.isnan([found.value, found.low, found.high]).all()


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_is_the_formula(counts: tuple[int, int]) -> None:
    successes, trials = counts
    found = proportions.wilson(successes, trials)
    z, share = 1.959964, successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    half /= 1 + z * z / trials
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-5)
    assert 0 <= found.low <= share <= found.high <= 1
