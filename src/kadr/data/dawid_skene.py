"""How each rater errs, and the true grades behind it: the model of Dawid and Skene (1979).

"Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", fitted by crowd-kit.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kadr.errors import MissingExtraError
from kadr.types import GRADES, Floats, Judgement, Pair

ROUNDS = 100
LEAST_MASS = 0.5
"""Pairs expected to have a true grade; with fewer, how a rater errs on it isn't known."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How one rater errs by Dawid and Skene (1979): P(grade given | true grade).

    `matrix` is float64 [4, 4]: rows are true grades 1-4 by the posterior, columns grades given.
    A row sums to 1; it is NaN where none of the rater's pairs has that true grade (the posterior
    expects less than half a pair).
    `ExpertAgreement.columns_sorted` warns of columns that are no raters.
    """

    rater: str
    matrix: Floats


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted model; `posterior` of the true grade is float64 [pairs, 4]."""

    pairs: tuple[Pair, ...]
    posterior: Floats
    confusions: tuple[Confusion, ...]


def confusions(judgements: Sequence[Judgement]) -> tuple[Confusion, ...]:
    """Estimate from all pairs how each rater errs, sorted by rater.

    It is the model behind `grades(judgements, "dawid-skene")`, with the same fit.

    Raises:
        MissingExtraError: crowd-kit, of the research extra, isn't installed.
    """
    return fit(judgements).confusions


def expected_grades(judgements: Sequence[Judgement]) -> dict[Pair, float]:
    """The mean of the true grade's posterior, in [1, 4], of each pair."""
    fitted = fit(judgements)
    expected = fitted.posterior @ np.array(GRADES, dtype=np.float64)
    inside = np.clip(expected, GRADES[0], GRADES[-1])
    return dict(zip(fitted.pairs, inside.tolist(), strict=True))


def fit(judgements: Sequence[Judgement]) -> Fit:
    """Fit the model by expectation maximisation. Raises as `confusions` does."""
    try:
        import pandas as pd
        from crowdkit.aggregation import DawidSkene
    except ImportError as error:
        raise MissingExtraError(
            'Dawid-Skene needs crowd-kit: pip install "kadr[research]"'
        ) from error
    pairs = tuple(sorted({(judgement.query, judgement.image) for judgement in judgements}))
    if not pairs:
        return Fit((), np.empty((0, len(GRADES))), ())
    task = {pair: position for position, pair in enumerate(pairs)}
    rows = sorted((task[j.query, j.image], j.rater, j.grade) for j in judgements)
    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    with warnings.catch_warnings():
        # crowd-kit 1.4 calls pandas in ways that pandas 3 deprecates.
        warnings.filterwarnings("ignore", r"The \w+ keyword", DeprecationWarning)
        model = DawidSkene(n_iter=ROUNDS).fit(table)
    assert model.probas_ is not None
    assert model.errors_ is not None
    every_grade = model.probas_.sort_index().reindex(columns=GRADES, fill_value=0.0)
    posterior = every_grade.to_numpy(dtype=np.float64)
    by_rater = (
        _confusion(
            str(rater),
            model.errors_.xs(rater, level="worker"),
            posterior[graded["task"].to_numpy()].sum(axis=0),
        )
        for rater, graded in table.groupby("worker")
    )
    return Fit(pairs, posterior, tuple(by_rater))


def _confusion(rater: str, errors: Any, mass: Floats) -> Confusion:
    """Turn crowd-kit's table of P(given | true), given by true, into our matrix, true by given.

    Where nothing is known crowd-kit fills in its epsilon, which then looks like a rate: a true
    grade that the rater met in less than `LEAST_MASS` pairs, by `mass` [4], becomes NaN.
    """
    square = errors.reindex(index=GRADES, columns=GRADES, fill_value=0.0)
    rates = square.to_numpy(dtype=np.float64).T
    return Confusion(rater, np.where(mass[:, None] < LEAST_MASS, np.nan, rates))
