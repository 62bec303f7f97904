"""An aligned pair to the probability of a match, calibrated on images that the head hasn't seen.

A match is what the experts' median calls one (grade 3 or 4); where no expert spoke, what most of
the crowd does.
"""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.matcher import SEED, Classifier, Features, heads
from kadr.matcher.alignment import NEAREST, POWER, Joint
from kadr.matcher.heads import Head, Settings
from kadr.types import Floats, Label, Vectors

FOLDS = 5
POWERS = (1.5, 3.0, 4.5)
"""Weights of the joint space's directions, one cosine each: low powers find, high powers grade."""
HUBNESS = 0.5
"""How much of a photo's density is taken off its cosines. A photo that is near to many texts turns
up for all of them (a hub: Radovanovic et al. 2010), but few judged pairs show it, so the head can't
learn this by itself. Chosen on development photos (docs/labbook.md)."""
DENSE = len(POWERS) + len(NEAREST)
COSINE_SCALE = 10.0
"""How freely the head may use the cosines and the density, beside single dimensions."""
COMPONENTS = 256
"""Sides wider than this are concatenated by so many principal components."""
FLAT = 1e-6
"""Directions with less of the largest variance than this are rounding."""
SAMPLE = 4096
"""Rows that principal components are computed from."""

EXPERT_EMPHASIS = 36.0
"""How much more a pair that experts graded counts in training. The crowd's bar is higher: pairs
that nobody in the crowd accepted have a mean expert target of 0.26, so labels of the crowd alone
pull probabilities down. Chosen by cross-fitting within the training fold (docs/labbook.md)."""


@dataclass(frozen=True)
class Embeddings:
    """The images or the texts of n pairs: encoder vectors float32 [n, dim], and the joint space."""

    raw: Vectors
    joint: Joint

    def take(self, rows: NDArray[np.intp]) -> "Embeddings":
        """These rows, in this order."""
        return Embeddings(self.raw[rows], self.joint.take(rows))

    def joint_alone(self) -> "Embeddings":
        """The same without encoder vectors, of which many pairs would hold many copies."""
        return Embeddings(self.raw[:, :0], self.joint)


Spaces: TypeAlias = Callable[[NDArray[np.bool_]], tuple[Embeddings, Embeddings]]
"""Called with the examples held out, bool [n]: all examples' sides in a joint space that was
learned from the other ones alone."""


@dataclass(frozen=True)
class Bases:
    """Linear maps of raw vectors before they are concatenated; None leaves a side as it is.

    float32 [image dim, COMPONENTS], [text dim, COMPONENTS].
    """

    image: Vectors | None = None
    text: Vectors | None = None


@dataclass(frozen=True)
class Relevance:
    """Features, head and calibration.

    `center` and `scale` [width] standardise the features. `validation` is the ROC-AUC of the
    verdicts by the scores from cross-fitting: NaN where there were none, or after `restore`.
    """

    features: Features
    classifier: Classifier
    settings: Settings
    head: Head
    bases: Bases
    center: Vectors
    scale: Vectors
    slope: float
    intercept: float
    validation: float = math.nan

    def probability(self, images: Embeddings, texts: Embeddings) -> Floats:
        """Pair i is image i with text i: probabilities float64 [n] in (0, 1)."""
        scores = self.head.score(self._standardised(images, texts))
        return heads.sigmoid(self.slope * scores + self.intercept)

    def table(self, images: Embeddings, texts: Embeddings) -> Floats:
        """Every text with every image: probabilities float64 [texts, images]."""
        return each(self.probability, images, texts)

    def _standardised(self, images: Embeddings, texts: Embeddings) -> Vectors:
        raw = _FEATURES[self.features](images, texts, self.bases)
        return (raw - self.center) * self.scale

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that `restore` takes."""
        own: dict[str, NDArray[Any]] = {
            "center": self.center,
            "scale": self.scale,
            "calibration": np.array([self.slope, self.intercept], dtype=np.float64),
        }
        bases = {"image_basis": self.bases.image, "text_basis": self.bases.text}
        own |= {name: basis for name, basis in bases.items() if basis is not None}
        return own | {f"head.{name}": array for name, array in heads.arrays(self.head).items()}


def each(
    probability: Callable[[Embeddings, Embeddings], Floats], images: Embeddings, texts: Embeddings
) -> Floats:
    """What `probability` says of every text with every image: float64 [texts, images]."""
    n = len(images.raw)
    rows = [
        probability(images, texts.take(np.full(n, number, dtype=np.intp)))
        for number in range(len(texts.raw))
    ]
    return np.stack(rows) if rows else np.empty((0, n))


def restore(
    features: Features,
    classifier: Classifier,
    arrays: Mapping[str, NDArray[Any]],
    settings: Settings,
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
        features,
        classifier,
        settings,
        head,
        Bases(arrays.get("image_basis"), arrays.get("text_basis")),
        arrays["center"],
        arrays["scale"],
        slope,
        intercept,
    )


@dataclass(frozen=True)
class Examples:
    """Labelled pairs to learn from.

    `targets` and `weights` float64 [n]; `groups` is the image of each pair, so that no image
    stands on both sides of a fold; `verdicts` float64 [n], 1 or 0, NaN where calibration
    should not look.
    """

    images: Embeddings
    texts: Embeddings
    targets: Floats
    weights: Floats
    groups: Sequence[str]
    verdicts: Floats


def fit(  # noqa: PLR0913 - choices by name, each with its default
    examples: Examples,
    *,
    features: Features = "aligned",
    classifier: Classifier = "logistic",
    grid: Sequence[Settings] = (),
    spaces: Spaces | None = None,
    seed: int = SEED,
    calibrate: bool = True,
) -> Relevance:
    """Train the head on all examples, and its calibration on scores from cross-fitting.

    Args:
        examples: what to learn from.
        features: of a pair.
        classifier: the kind of head.
        grid: settings of the head to choose from: the ones whose cross-fitted scores rank the
            verdicts best. Empty: the head's default.
        spaces: learns the joint space anew for each fold of the cross-fitting. None where the
            space was learned elsewhere, so that it has seen no example.
        seed: of the folds and the head.
        calibrate: False spares the cross-fitting where only the order of pairs counts.
    """
    grid = tuple(grid) or heads.GRID[classifier][:1]
    bases = _bases(features, examples)
    raw = _FEATURES[features](examples.images, examples.texts, bases)
    center, scale = _standardisation(raw, features)
    x = np.asarray((raw - center) * scale, dtype=np.float32)
    settings, validation, slope, intercept = grid[0], math.nan, 1.0, 0.0
    if calibrate or len(grid) > 1:

        def without(held: NDArray[np.bool_]) -> Vectors:
            if spaces is None or features == "concat" or held.all():
                return x
            again = _FEATURES[features](*spaces(held), bases)
            middle, size = _standardisation(again[~held], features)
            return np.asarray((again - middle) * size, dtype=np.float32)

        scores = _cross_fit(without, examples, classifier, grid, seed)
        areas = [_area(row, examples.verdicts) for row in scores]
        best = int(np.nanargmax(areas)) if not np.isnan(areas).all() else 0
        settings, validation = grid[best], areas[best]
        slope, intercept = _calibrate(scores[best], examples.verdicts)
    head = heads.fit(
        classifier, x, examples.targets, examples.weights, seed=seed, settings=settings
    )
    return Relevance(
        features,
        classifier,
        settings,
        head,
        bases,
        center,
        scale,
        slope,
        intercept,
        validation,
    )


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


def _cross_fit(
    without: Callable[[NDArray[np.bool_]], Vectors],
    examples: Examples,
    classifier: Classifier,
    grid: Sequence[Settings],
    seed: int,
) -> Floats:
    """Scores [settings, n] by heads that saw nothing of a pair's image."""
    fold = folds(examples.groups, FOLDS, seed)
    scores = np.zeros((len(grid), len(fold)))
    for number in np.unique(fold):
        held = fold == number
        train = ~held if not held.all() else held
        x = without(held)
        for row, settings in enumerate(grid):
            head = heads.fit(
                classifier,
                x[train],
                examples.targets[train],
                examples.weights[train],
                seed=seed,
                settings=settings,
            )
            scores[row, held] = head.score(x[held])
    return scores


def _area(scores: Floats, verdicts: Floats) -> float:
    """ROC-AUC of the verdicts that are known, NaN where they are all alike."""
    from kadr.metrics import ranking  # brings SciPy, which a search has no need of

    known = ~np.isnan(verdicts)
    truth = verdicts[known] == 1
    if truth.all() or not truth.any():
        return math.nan
    return ranking.roc_auc(scores[known], truth)


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


def _bases(features: Features, examples: Examples) -> Bases:
    if features == "aligned":
        return Bases()
    return Bases(_principal(examples.images.raw), _principal(examples.texts.raw))


def _principal(vectors: Vectors) -> Vectors | None:
    """The leading principal directions of rows [n, dim]; None where dim is small."""
    if vectors.shape[1] <= COMPONENTS:
        return None
    rows = vectors[:: max(1, len(vectors) // SAMPLE)]
    variances, directions = np.linalg.eigh(np.cov(rows, rowvar=False))
    # Standardising a direction in which training never varied would blow up what is new.
    kept = max(1, min(COMPONENTS, int((variances > FLAT * variances[-1]).sum())))
    return np.ascontiguousarray(directions[:, : -kept - 1 : -1], dtype=np.float32)


def _aligned(images: Embeddings, texts: Embeddings, _bases: Bases) -> Vectors:
    """Cosines less the photo's share, the text's density, products: float32 [n, dim + DENSE]."""
    left, right = images.joint.vectors, texts.joint.vectors
    hub = HUBNESS * images.joint.density[:, 0]
    cosines = [
        _cosine(left * weights, right * weights) - hub
        for weights in (images.joint.correlations ** ((power - POWER) / 2) for power in POWERS)
    ]
    return np.hstack([np.stack(cosines, axis=1), texts.joint.density, left * right])


def _cosine(left: Vectors, right: Vectors) -> Vectors:
    dots = np.einsum("ij,ij->i", left, right)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray(dots / np.maximum(norms, 1e-12), dtype=np.float32)


def _concat(images: Embeddings, texts: Embeddings, bases: Bases) -> Vectors:
    """The brief's plain concatenation: float32 [n, image width + text width]."""
    left = images.raw if bases.image is None else images.raw @ bases.image
    right = texts.raw if bases.text is None else texts.raw @ bases.text
    return np.hstack([left, right])


_FEATURES = {"aligned": _aligned, "concat": _concat}


def _standardisation(raw: Vectors, features: Features) -> tuple[Vectors, Vectors]:
    """What to subtract and multiply by. Products keep their relative size: it is evidence."""
    center = raw.mean(0)
    if features == "concat":
        return center, (1 / np.maximum(raw.std(0), 1e-6)).astype(np.float32)
    scale = np.full(raw.shape[1], np.sqrt(raw.shape[1] - DENSE), dtype=np.float32)
    scale[:DENSE] = COSINE_SCALE
    return center, scale
