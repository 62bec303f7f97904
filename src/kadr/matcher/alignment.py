"""Image vectors and text vectors to one joint space. Pure numpy.

Regularised canonical correlation analysis in closed form (Hotelling 1936; ridge: Vinod 1976).
Canonical directions are weighted by a power of their correlation, which is what makes the cosine
a similarity (Gong et al. 2014, "A Multi-View Embedding Space for Modeling Internet Images").
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kadr.matcher import SEED
from kadr.types import Floats, Vectors

POWER = 3.0
"""Weight of a canonical direction: its correlation to this power."""


BANK = 1000
"""How many matching pairs are kept to say how crowded a place of the joint space is."""
NEAREST = (10, 100)
"""Density is the mean similarity to this many nearest of the other side's bank."""
RIVALS = 5
"""What else a photo might show: the names of things that are nearest to it."""
SAME = 4.0
"""A thing is what a text names itself if the text's cosine with it is so many standard deviations
above that with all things."""
NAMED = 0.38
"""A text with no thing of such a cosine isn't of things: "people", "a woman"."""


@dataclass(frozen=True)
class Joint:
    """One side's items in the joint space.

    `vectors` float32 [n, dim], unit length; `density` float32 [n, len(NEAREST)], in [-1, 1]: mean
    similarity to the nearest of the other side's bank. A text that is near to many photos says
    less by being near to one (cross-domain similarity local scaling, Conneau et al. 2018).
    `correlations` float32 [dim] are those of the canonical directions, the same for all items.
    """

    vectors: Vectors
    density: Vectors
    correlations: Vectors

    def take(self, rows: NDArray[np.intp]) -> "Joint":
        """These rows, in this order."""
        return Joint(self.vectors[rows], self.density[rows], self.correlations)


@dataclass(frozen=True)
class Alignment:
    """A linear map of each side into the joint space, learned from matching pairs.

    `image_map` is float32 [image dim, dim], `text_map` [text dim, dim]; means are subtracted first.
    `image_bank` and `text_bank` are float32 [bank, dim], unit length; `correlations` [dim].
    `thing_bank` float32 [things, dim] are names of things (`with_things`), none where they are
    unknown.
    """

    image_mean: Vectors
    image_map: Vectors
    text_mean: Vectors
    text_map: Vectors
    image_bank: Vectors
    text_bank: Vectors
    correlations: Vectors
    thing_bank: Vectors = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def images(self, vectors: Vectors, density: Vectors | None = None) -> Joint:
        """Image vectors [n, image dim] in the joint space.

        `density` float32 [n, len(NEAREST)] is theirs where it is known, NaN elsewhere: it is worked
        out there, and written into it.
        """
        joint = _project(vectors, self.image_mean, self.image_map)
        if density is None:
            density = _density(joint, self.text_bank)
        elif (unknown := np.isnan(density[:, 0])).any():
            density[unknown] = _density(joint[unknown], self.text_bank)
        return Joint(joint, density, self.correlations)

    def texts(self, vectors: Vectors) -> Joint:
        """Text vectors [n, text dim] in the joint space."""
        joint = _project(vectors, self.text_mean, self.text_map)
        return Joint(joint, _density(joint, self.image_bank), self.correlations)

    def with_things(self, vectors: Vectors) -> Self:
        """The same, knowing what things are called: text vectors [things, text dim]."""
        joint = _project(vectors, self.text_mean, self.text_map)
        # To an encoder of words, all things that it has no word for are one.
        return replace(self, thing_bank=np.unique(joint, axis=0))

    def digest(self) -> str:
        """Names the joint space of images: equal digests mean equal joint vectors."""
        found = hashlib.sha256(self.image_mean.tobytes())
        found.update(self.image_map.tobytes())
        return found.hexdigest()[:12]

    def arrays(self) -> dict[str, Vectors]:
        """The arrays that `restore` takes."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def standing_out(images: Vectors, text: Vectors, things: Vectors) -> Vectors:
    """How far a text stands out from all else that each image might show: float32 [n].

    The cosine less that of the image's `RIVALS` nearest things, those left out that the text names
    itself, in standard deviations of the image's cosines with all things. A probability asks
    whether people would call the pair a match; this asks whether the image isn't rather of
    something else. The largest of a collection tells best whether what is meant is there. It looks
    at no other image.

    Args:
        images: [n, dim], unit length, as the others.
        text: [dim].
        things: [things, dim]. With fewer than `RIVALS` of them, or a text that isn't of things, all
            stand out infinitely.
    """
    named = things @ text if len(things) else np.zeros(1, np.float32)
    others = named < named.mean() + SAME * named.std()
    if np.count_nonzero(others) < RIVALS or named.max() < NAMED:
        return np.full(len(images), np.inf, np.float32)
    scores = images @ things.T
    rivals = scores[:, others]
    nearest = np.partition(rivals, -RIVALS, axis=1)[:, -RIVALS:].mean(axis=1)
    spread = np.maximum(scores.std(axis=1), 1e-6)
    return np.asarray((images @ text - nearest) / spread, np.float32)


def restore(arrays: Mapping[str, Vectors]) -> Alignment:
    """The alignment whose `arrays` these are.

    Raises:
        KeyError, TypeError, ValueError: they are no alignment's.
    """
    names = [one.name for one in fields(Alignment) if one.name in arrays]
    found = Alignment(**{name: arrays[name] for name in names})
    if not _fits(found) or not all(np.isfinite(arrays[name]).all() for name in names):
        raise ValueError("a joint space whose arrays don't fit each other")
    return found


def _fits(space: Alignment) -> bool:
    dim = space.image_map.shape[-1]
    rows = [space.image_map, space.text_map, space.image_bank, space.text_bank]
    rows += [space.thing_bank] if space.thing_bank.size else []
    return (
        all(one.ndim == 2 and one.shape[1] == dim and len(one) for one in rows)
        and space.correlations.shape == (dim,)
        and space.image_mean.shape == (len(space.image_map),)
        and space.text_mean.shape == (len(space.text_map),)
    )


def fit(
    images: Vectors,
    texts: Vectors,
    *,
    dim: int = 256,
    image_ridge: float = 0.3,
    text_ridge: float = 0.03,
    seed: int = SEED,
) -> Alignment:
    """Learn from matching pairs: row i of `images` and row i of `texts` belong together.

    Args:
        images: float32 [n, image dim].
        texts: float32 [n, text dim].
        dim: of the joint space; fewer where the data has fewer.
        image_ridge: added to the images' covariance, as a share of its mean eigenvalue.
        text_ridge: the same for texts.
        seed: chooses the pairs of the banks.
    """
    image_mean, text_mean = images.mean(0), texts.mean(0)
    x, x_basis = _within_span((images - image_mean).astype(np.float64))
    y, y_basis = _within_span((texts - text_mean).astype(np.float64))
    x_map, y_map, correlations = canonical(
        x.T @ x / len(x),
        y.T @ y / len(y),
        x.T @ y / len(x),
        min(dim, max(1, len(x) - 1)),
        image_ridge=image_ridge * x.shape[1] / images.shape[1],
        text_ridge=text_ridge * y.shape[1] / texts.shape[1],
    )
    left, right = _fix_signs(x_basis @ x_map, y_basis @ y_map)
    weights = correlations ** (POWER / 2)
    image_map = (left * weights).astype(np.float32)
    text_map = (right * weights).astype(np.float32)
    rows = np.random.default_rng(seed).permutation(len(images))[:BANK]
    return Alignment(
        image_mean,
        image_map,
        text_mean,
        text_map,
        _project(images[rows], image_mean, image_map),
        _project(texts[rows], text_mean, text_map),
        correlations.astype(np.float32),
    )


def fit_few(images: Vectors, texts: Vectors, seed: int = SEED) -> Alignment:
    """The same for some thousand pairs, as an archive has: fewer dimensions, held tighter."""
    return fit(
        images,
        texts,
        dim=min(256, max(2, len(images) // 4)),
        image_ridge=1.0,
        text_ridge=1.0,
        seed=seed,
    )


def canonical(
    images: Floats, texts: Floats, both: Floats, dim: int, *, image_ridge: float, text_ridge: float
) -> tuple[Floats, Floats, Floats]:
    """Canonical directions of centred rows, from their covariances.

    Args:
        images: covariance of the images' side, float64 [image dim, image dim].
        texts: the same of the texts' side.
        both: [image dim, text dim], between them.
        dim: how many directions; fewer where a side has fewer.
        image_ridge: added to the covariance, as a share of its mean eigenvalue.
        text_ridge: the same for texts.

    Returns:
        Directions [image dim, dim] and [text dim, dim], and their correlations [dim] in (0, 1].
    """
    x_white, y_white = _whitener(images, image_ridge), _whitener(texts, text_ridge)
    left, correlations, right = np.linalg.svd(x_white @ both @ y_white, full_matrices=False)
    kept = np.clip(correlations[:dim], 1e-3, 1)
    return x_white @ left[:, :dim], y_white @ right[:dim].T, kept


def _project(vectors: Vectors, mean: Vectors, linear: Vectors) -> Vectors:
    joint = (vectors - mean) @ linear
    norms = np.linalg.norm(joint, axis=1, keepdims=True)
    return np.asarray(joint / np.maximum(norms, 1e-12), dtype=np.float32)


def _density(joint: Vectors, bank: Vectors) -> Vectors:
    similarities = joint @ bank.T
    most = min(max(NEAREST), len(bank))
    top = -np.sort(np.partition(-similarities, most - 1, axis=1)[:, :most], axis=1)
    return np.stack([top[:, :k].mean(axis=1) for k in NEAREST], axis=1).astype(np.float32)


def _within_span(rows: Floats) -> tuple[Floats, Floats]:
    """Rows [n, dim] in an orthonormal basis [dim, rank] of what they span, and the basis.

    Nothing is lost: no direction outside the span correlates with anything. A photo stands in
    several pairs, so the rank is often far below both n and dim, and the time goes by its cube.
    """
    # Equal rows have equal projections. Where rounding hides it, a row too many does no harm.
    projections = rows @ np.random.default_rng(0).normal(size=rows.shape[1])
    different = rows[np.unique(projections, return_index=True)[1]]
    if len(different) >= rows.shape[1]:
        return rows, np.eye(rows.shape[1])
    values, vectors = np.linalg.eigh(different @ different.T)
    kept = values > 1e-10 * max(float(values[-1]), 1e-300)
    if not kept.any():  # all rows are alike: they span nothing
        return rows, np.eye(rows.shape[1])
    basis = different.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    return rows @ basis, basis


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
