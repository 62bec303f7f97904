"""What every head promises."""

from collections.abc import Iterator
from functools import cache
from typing import get_args

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kadr import heads
from kadr.heads import Classifier, Head, Linear
from kadr.types import Floats, Vectors

WIDTH = 12


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Boosting's threads wait for one another by spinning, which a busy machine pays for."""
    with threadpool_limits(1):
        yield


def soft_data(n: int, seed: int) -> tuple[Vectors, Floats, Floats]:
    """Features, soft targets that follow the first two of them, weights."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, WIDTH)).astype(np.float32)
    odds = 3 * features[:, 0] - 2 * features[:, 1] + rng.normal(size=n)
    targets = np.round(3 / (1 + np.exp(-odds))) / 3  # the four steps of an expert's grade
    return features, targets, rng.uniform(0.2, 1.0, n)


@pytest.fixture(params=get_args(Classifier))
def classifier(request: pytest.FixtureRequest) -> Classifier:
    name: Classifier = request.param
    return name


def fit(classifier: Classifier) -> Head:
    return heads.fit(classifier, *soft_data(1500, 1), 3)


@cache
def fitted(classifier: Classifier) -> Head:
    return fit(classifier)


def test_score_separates_what_it_has_not_seen(classifier: Classifier) -> None:
    features, targets, _ = soft_data(600, 2)
    scores = fitted(classifier).score(features)
    assert scores.shape == (600,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert roc_auc_score(targets > 0.5, scores) > 0.85


def test_restores_exactly(classifier: Classifier) -> None:
    head, features = fitted(classifier), soft_data(300, 2)[0]
    again = heads.restore(classifier, head.arrays())
    np.testing.assert_array_equal(again.score(features), head.score(features))
    assert not any(array.dtype.hasobject for array in head.arrays().values())


def test_one_seed_one_head(classifier: Classifier) -> None:
    one, two = fitted(classifier).arrays(), fit(classifier).arrays()
    assert one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name], err_msg=name)


def test_a_row_depends_on_itself(classifier: Classifier) -> None:
    head, features = fitted(classifier), soft_data(50, 2)[0]
    single = np.concatenate([head.score(row[None]) for row in features])
    np.testing.assert_allclose(head.score(features), single, rtol=1e-9, atol=1e-9)
    assert head.score(features[:0]).shape == (0,)


def test_weights_count(classifier: Classifier) -> None:
    features, targets, _ = soft_data(1000, 1)
    contradicted = np.concatenate([targets, 1 - targets])
    weights = np.repeat([1.0, 0.02], len(targets))
    head = heads.fit(classifier, np.concatenate([features] * 2), contradicted, weights, 0)
    assert roc_auc_score(targets > 0.5, head.score(features)) > 0.85


def test_one_sided_targets_give_a_low_score(classifier: Classifier) -> None:
    features, _, weights = soft_data(200, 1)
    head = heads.fit(classifier, features, np.zeros(200), weights, 0)
    assert np.isfinite(head.score(features)).all()
    assert head.score(features).mean() < 0


def test_logistic_is_its_formula() -> None:
    head, features = fitted("logistic"), soft_data(40, 2)[0]
    assert isinstance(head, Linear)
    by_hand = [sum(float(w) * float(x) for w, x in zip(head.weights, row, strict=True))
               + float(head.bias[0]) for row in features]  # fmt: skip
    np.testing.assert_allclose(head.score(features), by_hand, rtol=1e-9, atol=1e-9)
    assert head.weights[0] > 0 > head.weights[1]


def test_wide_logistic_takes_the_other_solver_to_the_same_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newton = fitted("logistic").score(soft_data(300, 2)[0])
    monkeypatch.setattr(heads, "WIDE", WIDTH - 1)
    np.testing.assert_allclose(fit("logistic").score(soft_data(300, 2)[0]), newton, atol=0.05)


@pytest.mark.parametrize("leaves", [2, 8, 31])
def test_tree_walk_is_scikit_learns_predict(leaves: int) -> None:
    features, targets, weights = soft_data(1200, 4)
    model = HistGradientBoostingRegressor(
        max_iter=40, max_leaf_nodes=leaves, max_features=0.3, random_state=0
    )
    model.fit(features, targets, sample_weight=weights)
    fresh = soft_data(500, 5)[0] * 2
    walked = heads._flatten_trees(model).score(fresh)
    np.testing.assert_allclose(walked, heads._log_odds(model.predict(fresh)), rtol=0, atol=1e-12)
