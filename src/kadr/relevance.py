"""An aligned pair to the probability of a match, calibrated on images that the head hasn't seen.

A match is what the experts' median calls one (grade 3 or 4); where no expert spoke, what most of
the crowd does.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr import heads
from kadr.alignment import NEAREST, POWER, Joint
from kadr.heads import Classifier, Head
from kadr.types import Floats, Label, Vectors

Features: TypeAlias = Literal["aligned", "concat"]
FOLDS = 5
POWERS = (1.5, 3.0, 4.5)
"""Weights of the joint space's directions, one cosine each: low powers find, high powers grade."""
DENSE = len(POWERS) + 2 * len(NEAREST)
COSINE_SCALE = 5.0
"""How freely the head may use the cosines and the densities, beside single dimensions."""


EXPERT_EMPHASIS = 36.0
"""How much more a pair that experts graded counts in training. The crowd's bar is higher: pairs
that nobody in the crowd accepted have a mean expert target of 0.26, so labels of the crowd alone
pull probabilities down. Chosen by cross-fitting within the training fold (docs/results.md)."""


@dataclass(frozen=True)
class Side:
    """One side of n pairs: encoder vectors float32 [n, encoder dim], and the joint space."""

    raw: Vectors
    joint: Joint

    def take(self, rows: NDArray[np.intp]) -> "Side":
        """These rows, in this order."""
        return Side(self.raw[rows], self.joint.take(rows))


@dataclass(frozen=True)
class Relevance:
    """Features, head and calibration. `center` and `scale` [width] standardise the features."""

    features: Features
    classifier: Classifier
    head: Head
    center: Vectors
    scale: Vectors
    slope: float
    intercept: float

    def probability(self, images: Side, texts: Side) -> Floats:
        """Pair i is image i with text i: probabilities float64 [n] in (0, 1)."""
        scores = self.head.score(self._standardised(images, texts))
        return _sigmoid(self.slope * scores + self.intercept)

    def _standardised(self, images: Side, texts: Side) -> Vectors:
        return (_FEATURES[self.features](images, texts) - self.center) * self.scale

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that `restore` takes."""
        own: dict[str, NDArray[Any]] = {
            "center": self.center,
            "scale": self.scale,
            "calibration": np.array([self.slope, self.intercept], dtype=np.float64),
        }
        return own | {f"head.{name}": array for name, array in self.head.arrays().items()}


def restore(
    features: Features, classifier: Classifier, arrays: Mapping[str, NDArray[Any]]
) -> Relevance:
    """The relevance whose `arrays` these are.

    Raises:
        KeyError, TypeError, ValueError: the arrays or the names fit no relevance.
    """
    if features not in _FEATURES:
        raise ValueError(f"unknown features {features!r}")
    parts = {n.removeprefix("head."): a for n, a in arrays.items() if n.startswith("head.")}
    slope, intercept = arrays["calibration"].tolist()
    head = heads.restore(classifier, parts)
    return Relevance(
        features, classifier, head, arrays["center"], arrays["scale"], slope, intercept
    )


@dataclass(frozen=True)
class Examples:
    """Labelled pairs to learn from.

    `targets` and `weights` float64 [n]; `groups` is the image of each pair, so that no image
    stands on both sides of a fold; `verdicts` float64 [n], 1 or 0, NaN where calibration
    should not look.
    """

    images: Side
    texts: Side
    targets: Floats
    weights: Floats
    groups: Sequence[str]
    verdicts: Floats


def fit(
    examples: Examples,
    *,
    features: Features = "aligned",
    classifier: Classifier = "logistic",
    seed: int = 42,
    calibrate: bool = True,
) -> Relevance:
    """Train the head on all examples, and its calibration on scores from cross-fitting.

    `calibrate=False` spares the cross-fitting where only the order of pairs counts.
    """
    raw = _FEATURES[features](examples.images, examples.texts)
    center, scale = _standardisation(raw, features)
    x = np.asarray((raw - center) * scale, dtype=np.float32)
    slope, intercept = 1.0, 0.0
    if calibrate:
        slope, intercept = _calibrate(_cross_fit(x, examples, classifier, seed), examples.verdicts)
    head = heads.fit(classifier, x, examples.targets, examples.weights, seed)
    return Relevance(features, classifier, head, center, scale, slope, intercept)


def training_weights(items: Sequence[Label], graded: Container[tuple[str, str]]) -> Floats:
    """What each label counts in training, mean 1; `graded` are the pairs that experts saw."""
    weights: Floats = np.array([
        item.weight * (EXPERT_EMPHASIS if (item.query, item.image) in graded else 1.0)
        for item in items
    ])  # fmt: skip
    weights /= weights.mean()
    return weights


def folds(groups: Sequence[str], count: int, seed: int) -> NDArray[np.intp]:
    """A fold number for each item; items of one group share it."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray(order[member] % min(count, len(names)), dtype=np.intp)


def _cross_fit(x: Vectors, examples: Examples, classifier: Classifier, seed: int) -> Floats:
    fold = folds(examples.groups, FOLDS, seed)
    scores = np.zeros(len(x))
    for number in np.unique(fold):
        held = fold == number
        train = ~held if not held.all() else held
        head = heads.fit(
            classifier, x[train], examples.targets[train], examples.weights[train], seed
        )
        scores[held] = head.score(x[held])
    return scores


def _calibrate(scores: Floats, verdicts: Floats) -> tuple[float, float]:
    """Platt's (1999) slope and intercept, with his smoothed targets."""
    from scipy.optimize import minimize

    known = ~np.isnan(verdicts)
    if not known.any():
        return 1.0, 0.0
    s, y = scores[known], verdicts[known]
    positives, negatives = y.sum(), (1 - y).sum()
    target = np.where(y > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(point: Floats) -> float:
        z = point[0] * s + point[1]
        return float(np.mean(np.logaddexp(0, z) - target * z))

    bounds = [(1e-3, None), (None, None)]  # a negative slope would turn the order round
    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=bounds).x
    return float(slope), float(intercept)


def _aligned(images: Side, texts: Side) -> Vectors:
    """Cosines, densities of both sides, elementwise product: float32 [n, dim + DENSE]."""
    left, right = images.joint.vectors, texts.joint.vectors
    cosines = [
        _cosine(left * weights, right * weights)
        for weights in (images.joint.correlations ** ((power - POWER) / 2) for power in POWERS)
    ]
    dense = [np.stack(cosines, axis=1), images.joint.density, texts.joint.density]
    return np.hstack([*dense, left * right])


def _cosine(left: Vectors, right: Vectors) -> Vectors:
    dots = np.einsum("ij,ij->i", left, right)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray(dots / np.maximum(norms, 1e-12), dtype=np.float32)


def _concat(images: Side, texts: Side) -> Vectors:
    """The brief's plain concatenation: float32 [n, image dim + text dim]."""
    return np.hstack([images.raw, texts.raw])


_FEATURES = {"aligned": _aligned, "concat": _concat}


def _standardisation(raw: Vectors, features: Features) -> tuple[Vectors, Vectors]:
    """What to subtract and multiply by. Products keep their relative size: it is evidence."""
    center = raw.mean(0)
    if features == "concat":
        return center, (1 / np.maximum(raw.std(0), 1e-6)).astype(np.float32)
    scale = np.full(raw.shape[1], np.sqrt(raw.shape[1] - DENSE), dtype=np.float32)
    scale[:DENSE] = COSINE_SCALE
    return center, scale


def _sigmoid(z: Floats) -> Floats:
    half: Floats = 0.5 * (1 + np.tanh(np.clip(0.5 * z, -15, 15)))  # never quite 0 or 1
    return half
