"""A matcher as an estimator of scikit-learn: pairs of photos and texts -> whether they match."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from kadr.encoders import load_image_encoder, load_text_encoder, vectors
from kadr.encoders.vectors import VectorCache
from kadr.errors import DataError
from kadr.matcher import SEED, Classifier, Features, alignment, reference_texts, relevance
from kadr.matcher.alignment import Alignment
from kadr.matcher.bundle import MINI, Matcher, load
from kadr.matcher.relevance import Embeddings, Examples, Relevance
from kadr.types import AnyPath, Floats, Vectors

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from kadr.encoders import ImageEncoder, TextEncoder

FEWEST = 2 * relevance.FOLDS
"""Photos, and matching pairs, without which nothing can be cross-fitted."""


class MatchClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns from pairs of a photo and a text whether the text describes the photo.

    X is [n, 2]: a photo's path and a text in each row, as an array of objects, a list of pairs or
    a frame of two columns. y has two values; the greater one means a match. In a cross-validation
    give the photos as groups (`GroupKFold`), so that no photo stands on both sides.

    Args:
        image_encoder: a spec, as of `kadr train --image-encoder`.
        text_encoder: a spec, as of `kadr train --text-encoder`.
        features: of a pair.
        classifier: the kind of head.
        cache: file that keeps vectors, so that several fits encode each photo once; None: nothing
            is kept.
        random_state: seed of the folds and the head.

    After `fit` it has `classes_` [2], and `matcher_`, which `kadr.Library.open` takes as a model.
    """

    def __init__(
        self,
        image_encoder: str = "mini",
        text_encoder: str = "mini",
        *,
        features: Features = "aligned",
        classifier: Classifier = "logistic",
        cache: AnyPath | None = None,
        random_state: int = SEED,
    ) -> None:
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.features = features
        self.classifier = classifier
        self.cache = cache
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Learn from pairs [n, 2] and what is known of them [n].

        `sample_weight` [n] says how much each pair counts.

        Raises:
            ValueError: shapes that don't fit, not two classes, or too few photos.
            DataError: a photo can't be read.
        """
        pairs = self._checked(X, reset=True)
        truth = np.asarray(y)
        check_consistent_length(pairs, truth)
        self.classes_, is_match = np.unique(truth, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(f"y has {len(self.classes_)} classes, a match has two: yes and no.")
        images = load_image_encoder(self.image_encoder)
        texts = load_text_encoder(self.text_encoder, texts=sorted(set(pairs[:, 1])))
        raw, photos = _encoded(pairs, images, texts, self.cache)
        weights = np.asarray(_check_sample_weight(sample_weight, pairs), dtype=np.float64)
        learning = _Learning(*raw, photos, is_match.ravel() == 1, weights / weights.mean())
        joint = self._aligned(learning, texts)
        head = self._head(learning, joint)
        self.matcher_ = Matcher(self.image_encoder, self.text_encoder, images, texts, joint, head)
        return self

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Probabilities of no match and of a match, float64 [n, 2].

        Raises:
            NotFittedError: it has learned nothing yet.
            DataError: a photo can't be read.
        """
        check_is_fitted(self, "matcher_")
        pairs = self._checked(X, reset=False)
        matcher = self.matcher_
        raw, _ = _encoded(pairs, matcher.image_encoder, matcher.text_encoder, self.cache)
        match, _ = matcher.pairs(matcher.images(raw[0]), matcher.texts(raw[1]))
        return np.stack([1 - match, match], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The likelier class of each pair [n]."""
        likelier = (self.predict_proba(X)[:, 1] > 0.5).astype(np.intp)
        return np.asarray(self.classes_[likelier])

    @property
    def _takes_shipped(self) -> bool:
        """Whether the joint space is the one that ships, which has seen none of these pairs."""
        return (self.image_encoder, self.text_encoder) == ("mini", "mini")

    def _aligned(self, learning: "_Learning", texts: "TextEncoder") -> Alignment:
        if self._takes_shipped:
            return load(MINI).alignment
        joint = learning.align(np.ones(len(learning.photos), np.bool_), self.random_state)
        return joint.with_things(texts.encode(reference_texts.things()))

    def _head(self, learning: "_Learning", joint: Alignment) -> Relevance:
        if len(set(learning.photos)) < FEWEST:
            raise ValueError(f"{len(set(learning.photos))} photos are too few. Give {FEWEST}.")
        is_match = learning.is_match.astype(np.float64)
        return relevance.fit(
            Examples(*learning.sides(joint), is_match, learning.weights, learning.photos, is_match),
            features=self.features,
            classifier=self.classifier,
            spaces=None
            if self._takes_shipped
            else lambda held: learning.sides(learning.align(~held, self.random_state)),
            seed=self.random_state,
        )

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.no_validation = True
        tags.classifier_tags.multi_class = False
        return tags

    def _checked(self, X: Any, *, reset: bool) -> NDArray[np.object_]:  # noqa: N803
        shape = getattr(X, "shape", None) or np.asarray(X, dtype=object).shape
        if not issparse(X) and (len(shape) != 2 or shape[1] != 2):  # sparse ones are refused below
            raise ValueError(
                f"X has the shape {tuple(shape)}. Give n pairs in two columns, photo and text: "
                "(n, 2)."
            )
        pairs = validate_data(self, X, reset=reset, dtype=object)
        if not all(isinstance(text, str) for text in pairs[:, 1]):
            raise ValueError("The second column of X must hold texts.")
        return np.asarray(pairs)


@dataclass(frozen=True)
class _Learning:
    """Pairs to learn from, one in each row: vectors of both sides, and their photos' digests."""

    images: Vectors
    texts: Vectors
    photos: Sequence[str]
    is_match: NDArray[np.bool_]
    weights: Floats

    def align(self, rows: NDArray[np.bool_], seed: int) -> Alignment:
        """A joint space learned from the matching ones of these rows, bool [n]."""
        matching = rows & self.is_match
        count = int(matching.sum())
        if count < FEWEST:
            raise ValueError(f"{count} matching pairs are too few to align encoders on.")
        return alignment.fit_few(self.images[matching], self.texts[matching], seed)

    def sides(self, joint: Alignment) -> tuple[Embeddings, Embeddings]:
        return (
            Embeddings(self.images, joint.images(self.images)),
            Embeddings(self.texts, joint.texts(self.texts)),
        )


def _encoded(
    pairs: NDArray[np.object_],
    image_encoder: "ImageEncoder",
    text_encoder: "TextEncoder",
    cache: AnyPath | None,
) -> tuple[tuple[Vectors, Vectors], list[str]]:
    """Vectors of both sides, a row for each pair, and the digest of each pair's photo."""
    paths = [Path(os.path.abspath(os.fspath(path))) for path in pairs[:, 0]]  # noqa: PTH100
    kept = VectorCache(":memory:" if cache is None else cache)
    try:
        files, unreadable = vectors.identify(dict.fromkeys(paths), Path(paths[0].anchor), kept)
        found = vectors.encode_images(image_encoder, files, kept)
        if problems := (*unreadable, *found.skipped):
            raise DataError(
                f"{problems[0].path}: {problems[0].reason}. Leave out the {len(problems)} photos "
                "that can't be read."
            )
        texts = vectors.encode_texts(text_encoder, list(pairs[:, 1]), kept)
    finally:
        kept.close()
    place = {file.path: row for row, file in enumerate(found.files)}
    rows = np.array([place[path] for path in paths], dtype=np.intp)
    return (found.vectors[rows], texts), [found.files[row].digest for row in rows]
