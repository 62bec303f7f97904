"""Heads: features of a pair to a raw score. Trained by scikit-learn, applied by numpy alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.types import Floats, Vectors

Classifier: TypeAlias = Literal["logistic", "boosting", "mlp"]
Arrays: TypeAlias = dict[str, NDArray[Any]]

RIDGE = 1 / 1000
"""scikit-learn's C for labels of mean weight 1, chosen on the training fold by cross-fitting."""
WIDE = 600
"""Above this many features the Newton solver's Hessian costs more than it saves."""


class Head(Protocol):
    """Scores features; the higher, the better the match."""

    def score(self, features: Vectors) -> Floats:
        """Features [n, width] to raw scores float64 [n], any range."""
        ...

    def arrays(self) -> Arrays:
        """What `restore` needs."""
        ...


@dataclass(frozen=True)
class Linear:
    """weights [width], bias [1]."""

    weights: Floats
    bias: Floats

    def score(self, features: Vectors) -> Floats:
        """Log-odds."""
        scores: Floats = features @ self.weights + self.bias
        return scores

    def arrays(self) -> Arrays:
        """What `restore` needs."""
        return {"weights": self.weights, "bias": self.bias}


@dataclass(frozen=True)
class Trees:
    """Regression trees side by side, [trees, nodes]; a leaf is its own child."""

    feature: NDArray[np.int32]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Floats
    depth: NDArray[np.int32]
    bias: Floats

    def score(self, features: Vectors) -> Floats:
        """Log-odds of the predicted target, kept within +-4.6."""
        total = np.full(len(features), self.bias[0])
        rows = np.arange(len(features))
        for tree in range(len(self.feature)):
            node = np.zeros(len(features), dtype=np.int32)
            for _ in range(int(self.depth[0])):
                goes_left = features[rows, self.feature[tree, node]] <= self.threshold[tree, node]
                node = np.where(goes_left, self.left[tree, node], self.right[tree, node])
            total += self.value[tree, node]
        return _log_odds(total)

    def arrays(self) -> Arrays:
        """What `restore` needs."""
        names = ("feature", "threshold", "left", "right", "value", "depth", "bias")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Mlp:
    """One hidden layer of rectified units; features are standardised first."""

    center: Floats
    scale: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    bias: Floats

    def score(self, features: Vectors) -> Floats:
        """Log-odds of the predicted target, kept within +-4.6."""
        x = (features - self.center) * self.scale
        units = np.maximum(x @ self.hidden + self.hidden_bias, 0)
        return _log_odds(units @ self.out + self.bias)

    def arrays(self) -> Arrays:
        """What `restore` needs."""
        names = ("center", "scale", "hidden", "hidden_bias", "out", "bias")
        return {name: getattr(self, name) for name in names}


def fit(
    classifier: Classifier, features: Vectors, targets: Floats, weights: Floats, seed: int
) -> Head:
    """Train a head on soft targets [n] in [0, 1] with weights [n]."""
    return _FITS[classifier](features, targets, weights, seed)


def restore(classifier: str, arrays: Mapping[str, NDArray[Any]]) -> Head:
    """The head whose `arrays` these are."""
    return _HEADS[classifier](**arrays)


def _fit_logistic(features: Vectors, targets: Floats, weights: Floats, seed: int) -> Head:
    from sklearn.linear_model import LogisticRegression

    # A soft target is a weighted yes beside a weighted no.
    x = np.concatenate([features, features])  # float32 halves the time, and changes no figure
    y = np.repeat([1, 0], len(features))
    w = np.concatenate([targets * weights, (1 - targets) * weights])
    kept = w > 0
    if len(np.unique(y[kept])) == 1:  # all agree: a constant, which scikit-learn refuses to fit
        return Linear(np.zeros(features.shape[1]), _log_odds(targets[:1]))
    solver = "newton-cholesky" if features.shape[1] <= WIDE else "lbfgs"
    model = LogisticRegression(C=RIDGE, solver=solver, max_iter=300, tol=1e-3, random_state=seed)
    model.fit(x[kept], y[kept], sample_weight=w[kept])
    return Linear(model.coef_[0].astype(np.float64), model.intercept_.astype(np.float64))


def _fit_boosting(features: Vectors, targets: Floats, weights: Floats, seed: int) -> Head:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = HistGradientBoostingRegressor(
        max_iter=250,
        learning_rate=0.05,
        max_leaf_nodes=8,
        l2_regularization=10.0,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(1):  # OpenMP threads wait by spinning: on a busy machine two are slower
        model.fit(features, targets, sample_weight=weights)
    return _flatten_trees(model)


def _flatten_trees(model: Any) -> Trees:
    """scikit-learn keeps a tree's nodes private; a test holds our walk to its `predict`."""
    trees = [predictor.nodes for (predictor,) in model._predictors]
    width = max(len(nodes) for nodes in trees)
    shape = (len(trees), width)
    feature, left, right = (np.zeros(shape, dtype=np.int32) for _ in range(3))
    threshold, value = np.zeros(shape), np.zeros(shape)
    for row, nodes in enumerate(trees):
        n = len(nodes)
        leaf, own = nodes["is_leaf"].astype(bool), np.arange(n)
        feature[row, :n] = np.where(leaf, 0, nodes["feature_idx"])
        threshold[row, :n] = np.where(leaf, 0.0, nodes["num_threshold"])
        left[row, :n] = np.where(leaf, own, nodes["left"])
        right[row, :n] = np.where(leaf, own, nodes["right"])
        value[row, :n] = np.where(leaf, nodes["value"], 0.0)
    depth = max(int(nodes["depth"].max()) for nodes in trees)
    bias = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(1)
    return Trees(feature, threshold, left, right, value, np.array([depth], dtype=np.int32), bias)


def _fit_mlp(features: Vectors, targets: Floats, weights: Floats, seed: int) -> Head:
    from sklearn.neural_network import MLPRegressor

    center, scale = features.mean(0), 1 / np.maximum(features.std(0), 1e-9)
    model = MLPRegressor(
        hidden_layer_sizes=(32,),
        alpha=1.0,
        max_iter=12,
        learning_rate_init=1e-3,
        random_state=seed,
    )
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # a dozen passes is the regularisation
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((features - center) * scale, targets, sample_weight=weights)
    hidden, out = model.coefs_
    hidden_bias, bias = model.intercepts_
    parts = (center, scale, hidden, hidden_bias, out[:, 0], bias)
    return Mlp(*(np.asarray(part, dtype=np.float64) for part in parts))


def _log_odds(targets: Floats) -> Floats:
    clipped = np.clip(targets, 0.01, 0.99)
    odds: Floats = np.log(clipped / (1 - clipped)) + 0.01 * (targets - clipped)
    return odds


_FITS: Mapping[str, Callable[[Vectors, Floats, Floats, int], Head]] = {
    "logistic": _fit_logistic,
    "boosting": _fit_boosting,
    "mlp": _fit_mlp,
}
_HEADS: Mapping[str, Callable[..., Head]] = {"logistic": Linear, "boosting": Trees, "mlp": Mlp}
