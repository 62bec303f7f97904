"""What every head promises."""

import sys
from functools import cache
from typing import Any, get_args

import lightgbm
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kadr.errors import MissingExtraError
from kadr.matcher import Classifier, heads
from kadr.matcher.heads import Head, Linear, Trees
from kadr.types import Floats, Vectors

WIDTH = 12


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
    return heads.fit(classifier, *soft_data(1500, 1), seed=3)


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
    again = heads.restore(classifier, heads.arrays(head))
    np.testing.assert_array_equal(again.score(features), head.score(features))
    assert not any(array.dtype.hasobject for array in heads.arrays(head).values())


def test_one_seed_one_head(classifier: Classifier) -> None:
    one, two = heads.arrays(fitted(classifier)), heads.arrays(fit(classifier))
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
    head = heads.fit(classifier, np.concatenate([features] * 2), contradicted, weights, seed=0)
    assert roc_auc_score(targets > 0.5, head.score(features)) > 0.85


def test_one_sided_targets_give_a_low_score(classifier: Classifier) -> None:
    features, _, weights = soft_data(200, 1)
    head = heads.fit(classifier, features, np.zeros(200), weights, seed=0)
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


def test_weights_have_one_number_for_each_feature(classifier: Classifier) -> None:
    """`Mlp.out` and `Linear.weights` are flat: a column would broadcast scores to a square."""
    shapes = {name: array.shape for name, array in heads.arrays(fitted(classifier)).items()}
    if classifier == "logistic":
        assert shapes == {"weights": (WIDTH,), "bias": (1,)}
    elif classifier == "mlp":
        assert shapes == {"hidden": (WIDTH, 32), "hidden_bias": (32,), "out": (32,), "bias": (1,)}
    else:
        assert shapes.pop("depth") == (1,)
        assert len(set(shapes.values())) == 1


@pytest.mark.parametrize(
    ("classifier", "settings"),
    [(name, settings) for name in get_args(Classifier) for settings in heads.GRID[name]],
)
def test_every_setting_of_the_grid_trains_and_restores(
    classifier: Classifier, settings: heads.Settings
) -> None:
    head = heads.fit(classifier, *soft_data(1500, 1), seed=3, settings=settings)
    features, targets, _ = soft_data(300, 2)
    again = heads.restore(classifier, heads.arrays(head))
    np.testing.assert_array_equal(again.score(features), head.score(features))
    assert roc_auc_score(targets > 0.5, head.score(features)) > 0.8


def test_settings_matter(classifier: Classifier) -> None:
    data, fresh = soft_data(400, 1), soft_data(100, 2)[0]
    default = heads.fit(classifier, *data, seed=3).score(fresh)
    first, *others = (
        heads.fit(classifier, *data, seed=3, settings=settings).score(fresh)
        for settings in heads.GRID[classifier]
    )
    np.testing.assert_array_equal(default, first)
    for other in others:
        assert np.abs(other - default).max() > 0.01


@pytest.mark.parametrize("settings", [{}, None])
def test_no_settings_are_the_default(
    classifier: Classifier, settings: heads.Settings | None
) -> None:
    head = heads.fit(classifier, *soft_data(200, 1), seed=3, settings=settings)
    default = heads.fit(classifier, *soft_data(200, 1), seed=3, settings=heads.GRID[classifier][0])
    for name, array in heads.arrays(default).items():
        np.testing.assert_array_equal(heads.arrays(head)[name], array)


@pytest.mark.parametrize(
    "targets", [np.zeros(90), np.ones(90), np.full(90, 0.4)], ids=["none", "all", "soft"]
)
def test_constant_targets_give_one_finite_score(classifier: Classifier, targets: Floats) -> None:
    features = soft_data(90, 1)[0]
    head = heads.fit(classifier, features, targets, np.ones(90), seed=0)
    scores = head.score(features)
    assert np.isfinite(scores).all()
    if classifier != "mlp":  # sixteen passes over so little don't flatten a network
        np.testing.assert_allclose(scores, scores[0], atol=0.01)
        assert np.sign(scores.mean().round(2)) == np.sign(targets[0] - 0.5)


def test_a_setting_that_the_library_does_not_know_is_no_silence() -> None:
    others: tuple[Classifier, ...] = ("logistic", "mlp")
    for classifier in others:
        with pytest.raises(TypeError, match="nonsense"):
            heads.fit(classifier, *soft_data(50, 1), seed=0, settings={"nonsense": 1.0})


def boosted(
    monkeypatch: pytest.MonkeyPatch, data: tuple[Vectors, Floats, Floats], leaves: int
) -> tuple[Head, lightgbm.Booster]:
    """Our trees, and the model of LightGBM's that they were made of."""
    models: list[lightgbm.Booster] = []
    real = lightgbm.train

    def spy(*arguments: Any, **options: Any) -> lightgbm.Booster:
        models.append(real(*arguments, **options))
        return models[-1]

    monkeypatch.setattr(lightgbm, "train", spy)
    settings = {"num_leaves": leaves, "num_iterations": 40}
    return heads.fit("boosting", *data, seed=0, settings=settings), models[0]


@pytest.mark.parametrize("leaves", [2, 3, 8, 31])
def test_tree_walk_is_lightgbms_predict(leaves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    head, model = boosted(monkeypatch, soft_data(1200, 4), leaves)
    assert isinstance(head, Trees)
    assert len(head.feature) == 40
    assert (head.left != np.arange(head.left.shape[1])).sum() >= 40  # there are splits to walk
    fresh = soft_data(500, 5)[0] * 2
    expected = model.predict(fresh, raw_score=True)
    np.testing.assert_allclose(head.score(fresh), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [12, 300])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_tree_walk_of_single_leaves_is_lightgbms_predict(
    n: int, target: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, _, weights = soft_data(n, 4)
    head, model = boosted(monkeypatch, (features, np.full(n, target), weights), 8)
    fresh = soft_data(50, 5)[0]
    expected = model.predict(fresh, raw_score=True)
    np.testing.assert_allclose(head.score(fresh), expected, rtol=0, atol=1e-12)


def test_a_value_on_a_threshold_goes_where_lightgbm_sends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, targets, weights = soft_data(600, 4)
    features = np.round(features) + np.float32(0.5)  # LightGBM's thresholds lie half-way: at 0, 1
    features[:, 3] = 0
    head, model = boosted(monkeypatch, (features, targets, weights), 8)
    assert isinstance(head, Trees)
    splits = head.left != np.arange(head.left.shape[1])
    thresholds = np.unique(head.threshold[splits].astype(np.float32))
    thresholds[np.abs(thresholds) < 1e-30] = 0  # LightGBM calls what is nearer than 1e-35 zero
    assert len(thresholds) > 2
    fresh = np.random.default_rng(0).choice(thresholds, (400, WIDTH))
    assert np.isin(fresh[:, 0], head.threshold[splits & (head.feature == 0)]).any()
    for rows in (fresh, features, fresh - np.float32(1e-3), fresh + np.float32(1e-3)):
        expected = model.predict(rows, raw_score=True)
        np.testing.assert_allclose(head.score(rows), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'lightgbm'"),
        OSError("libgomp.so.1: cannot open shared object file: No such file or directory"),
    ],
)
def test_boosting_without_its_library_says_what_to_install(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "lightgbm":
                raise error

    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(MissingExtraError) as caught:
        heads.fit("boosting", *soft_data(50, 1), seed=0)
    message = str(caught.value)
    assert "\n" not in message
    assert str(error) in message
    assert "pip install lightgbm" in message
    assert "libgomp1" in message


def test_other_heads_need_no_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    others: tuple[Classifier, ...] = ("logistic", "mlp")
    for name in others:
        head = heads.fit(name, *soft_data(50, 1), seed=0)
        assert np.isfinite(head.score(np.zeros((1, WIDTH), np.float32))).all()
