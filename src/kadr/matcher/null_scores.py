"""The probability of a match where nobody judged any: how unlikely a cosine is by chance.

A pair's cosine is compared with what the photo has with captions of anything, and what the text has
with photos of anything (its null distributions), each in standard deviations. So figures of one
encoder mean what those of another do, and one logistic regression of three figures serves all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kadr.matcher.alignment import NEAREST
from kadr.matcher.heads import sigmoid
from kadr.matcher.relevance import Embeddings, each
from kadr.types import Floats, Vectors

SLOPES, INTERCEPT = (0.9, 0.58, 0.29), -2.88
"""Of the text's figure, the photo's, and how common the text is. Fitted to what experts said of
three pairs of encoders together; fitted to two of them, they serve the third (docs/results.md)."""
NEAR, FAR = 2.665, 1.755
"""Standard deviations above the mean of a normal distribution at which the highest 10 and the
highest 100 of 1,000 values lie on average."""
COMMON = 0.57
"""Where between `FAR` and `NEAR` the highest 30 lie."""
PRIOR = 20
"""A text's cosines with few photos are eked out by those that captions have, worth so many."""
PHOTOS = 1000
"""So many of a library are its null distribution."""
TINY = 1e-6


@dataclass(frozen=True)
class Photos:
    """Photos [n, dim] of the joint space, and mean and deviation of captions' cosines with them."""

    vectors: Vectors
    mean: float
    deviation: float

    def chance(self, texts: Vectors) -> tuple[Floats, Floats]:
        """Mean and deviation of the cosines of texts [n, dim] with any photo: float64 [n] each."""
        if (texts == texts[:1]).all():  # a search asks for one text of many photos
            means, deviations = self._chance(texts[:1])
            return np.repeat(means, len(texts)), np.repeat(deviations, len(texts))
        return self._chance(texts)

    def _chance(self, texts: Vectors) -> tuple[Floats, Floats]:
        cosines = (texts @ self.vectors.T).astype(np.float64)
        n = len(self.vectors)
        means = (n * cosines.mean(axis=1) + PRIOR * self.mean) / (n + PRIOR)
        deviations = (n * cosines.std(axis=1) + PRIOR * self.deviation) / (n + PRIOR)
        return means, np.maximum(deviations, TINY)


@dataclass(frozen=True)
class NullScores:
    """Calibration without judgements, of a joint space whose banks are captions, both.

    `mean` and `deviation` are those of how close a caption lies to the others. `photos` are those
    of a library; without any, a text's null distribution is taken to be the photo's.
    """

    mean: float
    deviation: float
    photos: Photos | None = None

    @classmethod
    def learn(cls, captions: Vectors) -> Self:
        """From captions float32 [n, dim], unit length."""
        cosines = captions @ captions.T
        np.fill_diagonal(cosines, -1)
        nearest = -np.sort(-cosines, axis=1)
        closeness = _closeness(np.stack([nearest[:, :k].mean(axis=1) for k in NEAREST], axis=1))
        return cls(float(closeness.mean()), max(float(closeness.std()), TINY))

    def among(self, photos: Vectors, captions: Vectors) -> Self:
        """The same for texts that are asked of a library's photos, both [n, dim], unit length."""
        if not len(photos):
            return replace(self, photos=None)
        cosines = captions @ photos.T
        # Photos that are all alike say nothing of chance; how captions differ about them does.
        deviation = max(float(cosines.std(axis=1).mean()), float(cosines.std()) / 2, TINY)
        return replace(self, photos=Photos(photos, float(cosines.mean()), deviation))

    def probability(self, images: Embeddings, texts: Embeddings) -> Floats:
        """Pair i is image i with text i: probabilities float64 [n] in (0, 1)."""
        return sigmoid(SLOPES @ self.figures(images, texts) + INTERCEPT)

    def figures(self, images: Embeddings, texts: Embeddings) -> Floats:
        """What the slopes are of: float64 [3, n]."""
        cosines = np.einsum("ij,ij->i", images.joint.vectors, texts.joint.vectors)
        near, far = images.joint.density.T
        deviation = np.maximum(near - far, TINY) / (NEAR - FAR)
        if self.photos is None:
            of_text = (cosines - far) / deviation + FAR
        else:
            means, deviations = self.photos.chance(texts.joint.vectors)
            of_text = (cosines - means) / deviations
        common = (_closeness(texts.joint.density) - self.mean) / self.deviation
        return np.stack([of_text, (cosines - near) / deviation, common]).astype(np.float64)

    def table(self, images: Embeddings, texts: Embeddings) -> Floats:
        """Every text with every image: probabilities float64 [texts, images]."""
        return each(self.probability, images, texts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that `restore` takes; a library's photos aren't among them."""
        return {"closeness": np.array([self.mean, self.deviation], np.float64)}


def restore(arrays: Mapping[str, NDArray[Any]]) -> NullScores:
    """The scores whose `arrays` these are.

    Raises:
        KeyError, ValueError: the arrays are another relevance's.
    """
    mean, deviation = arrays["closeness"].tolist()
    if not (math.isfinite(mean) and 0 < deviation < math.inf):
        raise ValueError("a closeness that is none")
    return NullScores(float(mean), float(deviation))


def _closeness(density: Vectors) -> Vectors:
    """How near rows lie to captions: about the mean of the 30 highest cosines, float32 [n]."""
    near, far = density.T
    return np.asarray(far + COMMON * (near - far), np.float32)
