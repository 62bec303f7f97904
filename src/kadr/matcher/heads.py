"""Heads: features of a pair to a raw score. Trained by libraries, applied by numpy alone."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.errors import MissingExtraError
from kadr.matcher import Classifier
from kadr.types import Floats, Vectors

Arrays: TypeAlias = dict[str, NDArray[Any]]

Settings: TypeAlias = Mapping[str, float]
"""Hyperparameters of a head, by the library's own names."""

GRID: Mapping[Classifier, tuple[Settings, ...]] = {
    "logistic": ({"C": 1e-3}, {"C": 1e-4}, {"C": 1e-2}),
    "boosting": (
        {"num_leaves": 8, "num_iterations": 250},
        {"num_leaves": 4, "num_iterations": 400},
        {"num_leaves": 16, "num_iterations": 120},
    ),
    "mlp": ({"alpha": 3.0}, {"alpha": 0.5}, {"alpha": 15.0}),
}
"""The settings that a search tries; the first is the default, chosen on the training fold."""

WIDE = 600
"""Above this many features the Newton solver's Hessian costs more than it saves."""


@dataclass(frozen=True)
class Linear:
    """weights [width], bias [1]."""

    weights: Floats
    bias: Floats

    def score(self, features: Vectors) -> Floats:
        """Log-odds float64 [n] of features [n, width]."""
        scores: Floats = features @ self.weights + self.bias
        return scores


@dataclass(frozen=True)
class Trees:
    """Regression trees side by side, [trees, nodes]; a leaf is its own child; depth [1]."""

    feature: NDArray[np.int32]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Floats
    depth: NDArray[np.int32]

    def score(self, features: Vectors) -> Floats:
        """Log-odds float64 [n] of features [n, width]."""
        total = np.zeros(len(features))
        rows = np.arange(len(features))
        for tree in range(len(self.feature)):
            node = np.zeros(len(features), dtype=np.int32)
            for _ in range(int(self.depth[0])):
                goes_left = features[rows, self.feature[tree, node]] <= self.threshold[tree, node]
                node = np.where(goes_left, self.left[tree, node], self.right[tree, node])
            total += self.value[tree, node]
        return total


@dataclass(frozen=True)
class Mlp:
    """One hidden layer of rectified units: hidden [width, units], hidden_bias and out [units]."""

    hidden: Floats
    hidden_bias: Floats
    out: Floats
    bias: Floats

    def score(self, features: Vectors) -> Floats:
        """Log-odds float64 [n] of the predicted target, kept within +-4.6."""
        units = np.maximum(features @ self.hidden + self.hidden_bias, 0)
        return _log_odds(units @ self.out + self.bias)


Head: TypeAlias = Linear | Trees | Mlp


def sigmoid(log_odds: Floats) -> Floats:
    """Log-odds to probabilities, of the same shape, never quite 0 or 1; NaN stays NaN."""
    half: Floats = 0.5 * (1 + np.tanh(np.clip(0.5 * log_odds, -15, 15)))
    return half


def fit(
    classifier: Classifier,
    features: Vectors,
    targets: Floats,
    weights: Floats,
    *,
    seed: int,
    settings: Settings | None = None,
) -> Head:
    """Train a head on soft targets [n] in [0, 1] with weights [n] of mean 1.

    Raises:
        MissingExtraError: LightGBM can't be loaded, which the boosting head needs.
    """
    train = _FITS[classifier]
    return train(features, targets, weights, seed, settings or GRID[classifier][0])


def arrays(head: Head) -> Arrays:
    """What `restore` needs."""
    return {field.name: getattr(head, field.name) for field in fields(head)}


def restore(classifier: str, arrays: Mapping[str, NDArray[Any]]) -> Head:
    """The head whose `arrays` these are."""
    return _HEADS[classifier](**arrays)


def _fit_logistic(
    features: Vectors, targets: Floats, weights: Floats, seed: int, settings: Settings
) -> Head:
    from sklearn.linear_model import LogisticRegression

    # A soft target is a weighted yes beside a weighted no.
    x = np.concatenate([features, features])  # float32 halves the time, and changes no figure
    y = np.repeat([1, 0], len(features))
    w = np.concatenate([targets * weights, (1 - targets) * weights])
    kept = w > 0
    if len(np.unique(y[kept])) == 1:  # all agree: a constant, which scikit-learn refuses to fit
        return Linear(np.zeros(features.shape[1]), _log_odds(targets[:1]))
    solver = "newton-cholesky" if features.shape[1] <= WIDE else "lbfgs"
    model = LogisticRegression(**settings, solver=solver, max_iter=300, tol=1e-3, random_state=seed)
    model.fit(x[kept], y[kept], sample_weight=w[kept])
    return Linear(model.coef_[0].astype(np.float64), model.intercept_.astype(np.float64))


def _fit_boosting(
    features: Vectors, targets: Floats, weights: Floats, seed: int, settings: Settings
) -> Head:
    try:
        import lightgbm
    except (ImportError, OSError) as error:  # OSError: the system has no OpenMP library
        raise MissingExtraError(
            f"--classifier boosting needs LightGBM ({error}): pip install lightgbm, and the "
            "system's OpenMP library (Debian: apt install libgomp1, macOS: brew install libomp)."
        ) from error

    options = {
        "objective": "cross_entropy",
        "learning_rate": 0.05,
        "lambda_l2": 10.0,
        "feature_fraction": 0.3,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,  # OpenMP waits by spinning: on a busy machine two threads are slower
        "verbose": -1,
    }
    data = lightgbm.Dataset(features, targets, weight=weights, params=options)
    return _flatten(lightgbm.train({**options, **settings}, data).dump_model()["tree_info"])


def _flatten(trees: list[dict[str, Any]]) -> Trees:
    """LightGBM's published description of its trees as arrays."""
    tables = [_table(tree["tree_structure"]) for tree in trees]
    width = max(len(table) for table, _ in tables)
    nodes = np.zeros((len(tables), width, 5))
    for row, (table, _) in enumerate(tables):
        nodes[row, : len(table)] = table
    feature, left, right = (nodes[..., at].astype(np.int32) for at in (0, 2, 3))
    threshold, value = (np.ascontiguousarray(nodes[..., at]) for at in (1, 4))
    depth = max(depth for _, depth in tables)
    return Trees(feature, threshold, left, right, value, np.array([depth], dtype=np.int32))


def _table(root: dict[str, Any]) -> tuple[list[list[float]], int]:
    """A tree's nodes as [feature, threshold, left, right, value], the root first; its depth."""
    table: list[list[float]] = []

    def add(node: dict[str, Any]) -> tuple[int, int]:
        own = len(table)
        table.append([0, 0.0, own, own, node.get("leaf_value", 0.0)])
        if "left_child" not in node:
            return own, 0
        left, left_depth = add(node["left_child"])
        right, right_depth = add(node["right_child"])
        table[own] = [node["split_feature"], node["threshold"], left, right, 0.0]
        return own, 1 + max(left_depth, right_depth)

    return table, add(root)[1]


def _fit_mlp(
    features: Vectors, targets: Floats, weights: Floats, seed: int, settings: Settings
) -> Head:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=(32,), max_iter=16, random_state=seed, **settings)
    with warnings.catch_warnings():  # sixteen passes are the regularisation
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, targets, sample_weight=weights)
    hidden, out = model.coefs_
    hidden_bias, bias = model.intercepts_
    parts = (hidden, hidden_bias, out[:, 0], bias)
    return Mlp(*(np.asarray(part, dtype=np.float64) for part in parts))


def _log_odds(targets: Floats) -> Floats:
    clipped = np.clip(targets, 0.01, 0.99)
    odds: Floats = np.log(clipped / (1 - clipped)) + 0.01 * (targets - clipped)
    return odds


_FITS: Mapping[str, Callable[[Vectors, Floats, Floats, int, Settings], Head]] = {
    "logistic": _fit_logistic,
    "boosting": _fit_boosting,
    "mlp": _fit_mlp,
}
_HEADS: Mapping[str, Callable[..., Head]] = {"logistic": Linear, "boosting": Trees, "mlp": Mlp}
