"""Image vectors and text vectors to one joint space. Pure numpy.

Regularised canonical correlation analysis in closed form (Hotelling 1936; ridge: Vinod 1976).
Canonical directions are weighted by a power of their correlation, which is what makes the cosine
a similarity (Gong et al. 2014, "A Multi-View Embedding Space for Modeling Internet Images").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadr.types import Floats, Vectors

POWER = 4.0
"""Weight of a canonical direction: its correlation to this power."""


@dataclass(frozen=True)
class Alignment:
    """A linear map of each side into the joint space, learned from matching pairs.

    `image_map` is float32 [image dim, dim], `text_map` [text dim, dim]; means are subtracted first.
    """

    image_mean: Vectors
    image_map: Vectors
    text_mean: Vectors
    text_map: Vectors

    def images(self, vectors: Vectors) -> Vectors:
        """Image vectors [n, image dim] to unit vectors [n, dim] in the joint space."""
        return _unit((vectors - self.image_mean) @ self.image_map)

    def texts(self, vectors: Vectors) -> Vectors:
        """Text vectors [n, text dim] to unit vectors [n, dim] in the joint space."""
        return _unit((vectors - self.text_mean) @ self.text_map)

    def arrays(self) -> dict[str, Vectors]:
        """The arrays that `restore` takes."""
        return {
            "image_mean": self.image_mean,
            "image_map": self.image_map,
            "text_mean": self.text_mean,
            "text_map": self.text_map,
        }


def restore(arrays: Mapping[str, Vectors]) -> Alignment:
    """The alignment whose `arrays` these are."""
    return Alignment(*(arrays[name] for name in ("image_mean", "image_map", "text_mean", "text_map")))


def fit(
    images: Vectors,
    texts: Vectors,
    *,
    dim: int = 256,
    image_ridge: float = 0.3,
    text_ridge: float = 0.03,
    power: float = POWER,
) -> Alignment:
    """Learn from matching pairs: row i of `images` and row i of `texts` belong together.

    Args:
        images: float32 [n, image dim].
        texts: float32 [n, text dim].
        dim: of the joint space; fewer where the data has fewer.
        image_ridge: added to the images' covariance, as a share of its mean eigenvalue.
        text_ridge: the same for texts.
        power: see POWER.
    """
    image_mean, text_mean = images.mean(0), texts.mean(0)
    x = (images - image_mean).astype(np.float64)
    y = (texts - text_mean).astype(np.float64)
    x_white = _whitener(x.T @ x / len(x), image_ridge)
    y_white = _whitener(y.T @ y / len(y), text_ridge)
    left, correlations, right = np.linalg.svd(x_white @ (x.T @ y / len(x)) @ y_white)
    dim = min(dim, len(correlations), max(1, len(x) - 1))
    left, right = _fix_signs(left[:, :dim], right[:dim].T)
    weights = np.clip(correlations[:dim], 0, 1) ** (power / 2)
    return Alignment(
        image_mean.astype(np.float32),
        (x_white @ left * weights).astype(np.float32),
        text_mean.astype(np.float32),
        (y_white @ right * weights).astype(np.float32),
    )


def _whitener(covariance: Floats, ridge: float) -> Floats:
    """The inverse square root of the covariance with its ridge."""
    values, vectors = np.linalg.eigh(covariance)
    floor = ridge * max(float(values.mean()), 1e-12)
    scaled: Floats = (vectors / np.sqrt(np.clip(values, 0, None) + floor)) @ vectors.T
    return scaled


def _fix_signs(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """A singular pair's sign is arbitrary: make each left vector's largest entry positive."""
    signs = np.sign(left[np.abs(left).argmax(0), np.arange(left.shape[1])])
    return left * signs, right * signs


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
