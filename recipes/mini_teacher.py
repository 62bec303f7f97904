"""What the towers of `mini` learn to see: three frozen networks, and the world that they know.

A joint space is fitted to captions of Flickr8k and to a photo of each ImageNet class with what the
class is called (canonical correlation analysis, each set centred on its own mean), then both linear
maps learn to find a caption's photo among others (InfoNCE, van den Oord et al. 2018). Beside what
the linear map sees stands what the classifiers expect: the mean of the classes' texts, weighted by
their probabilities (ConSE, Norouzi et al. 2014). Flickr8k's captions name few of the thousand
classes; this is how a photo of a sheep comes near to the word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mini_towers
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from torch import nn

from kadr.matcher import alignment
from kadr.types import Floats, Vectors

Features = Mapping[int, Vectors]
"""Pooled features [n, 1280] of the network of each version."""

DIM, COMPONENTS = 256, 1200
IMAGE_RIDGE, TEXT_RIDGE = 1.0, 0.3
FINDING = 2.0
"""The fit weights the space's directions by their correlations to this power: lower than
`alignment.POWER`, it finds better. What follows learns weights of its own."""
EXPECTED = 0.5
"""The length of what the classifiers expect, beside a unit vector."""
EPOCHS, BATCH, RATE = 10, 400, 0.01
"""The rate is relative to the standard deviation of a map's numbers."""
TEMPERATURE, DROPPED = 0.05, 0.3


@dataclass(frozen=True)
class Teacher:
    """Photos and texts to unit vectors of the joint space.

    `image_map` float32 [3 * 1280, dim] and `text_map` [text width, dim] follow the subtraction of
    the means. `classes` float32 [1000, dim] are the classes' texts, `expected` [dim] what the
    classifiers expect on average. `correlations` [dim] are those of the directions.
    """

    image_mean: Vectors
    image_map: Vectors
    text_mean: Vectors
    text_map: Vectors
    correlations: Vectors
    classes: Vectors
    expected: Vectors

    def see(self, features: Features) -> Vectors:
        """Photos as float32 [n, dim]."""
        linear = unit((roots(features) - self.image_mean) @ self.image_map)
        return unit(linear + EXPECTED * self.expect(features))

    def expect(self, features: Features) -> Vectors:
        """What the classifiers expect of photos beyond what they do on average: [n, dim]."""
        return np.asarray(probabilities(features) @ self.classes - self.expected, np.float32)

    def read(self, rows: Vectors) -> Vectors:
        """Texts, as rows of their views [n, text width], as float32 [n, dim]."""
        return unit((rows - self.text_mean) @ self.text_map)


@dataclass(frozen=True)
class Pairs:
    """Photos and what is said of them: `texts` are rows of their views, of photo `own[i]`.

    Photos of one of `groups` int [n] may have the same texts. `weight` is what the set counts in
    the fit, `loss` in the search for captions' photos.
    """

    features: Features
    texts: Vectors
    own: NDArray[np.intp]
    groups: NDArray[np.intp]
    weight: float
    loss: float


def teach(sets: Sequence[Pairs], classes: Vectors, principal: Vectors) -> Teacher:
    """Learn the joint space.

    Args:
        sets: the first one's means are what is subtracted from photos and texts.
        classes: texts of each ImageNet class as one row, float32 [1000, text width].
        principal: directions of the roots that are learned from, [3 * 1280, COMPONENTS].
    """
    first = sets[0]
    rows = [_centred(pairs, principal) for pairs in sets]
    image, text, correlations = _fit(sets, rows)

    def teacher(image: Vectors, text: Vectors) -> Teacher:
        mean = first.texts.mean(0)
        named = unit((classes - mean) @ text)
        return Teacher(
            roots(first.features).mean(0),
            principal @ image,
            mean,
            text,
            correlations,
            named,
            (probabilities(first.features) @ named).mean(0),
        )

    start = teacher(image, text)
    expected = [EXPECTED * start.expect(pairs.features) for pairs in sets]
    return teacher(*_find(sets, rows, expected, image, text))


def roots(features: Features) -> Vectors:
    """What the linear map sees of photos: float32 [n, 3 * 1280]."""
    return np.hstack([np.sqrt(rows + mini_towers.FLOOR) for rows in features.values()])


def probabilities(features: Features) -> Vectors:
    """Of ImageNet's classes, by the networks' mean logits: float32 [n, 1000]."""
    logits = np.mean([mini_towers.logits(v, rows) for v, rows in features.items()], axis=0)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)


def unit(rows: Floats | Vectors) -> Vectors:
    """Rows [n, dim] of unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def _centred(pairs: Pairs, principal: Vectors) -> tuple[Vectors, Vectors]:
    """A set's photos [n, COMPONENTS] and texts, less their own means."""
    photos = roots(pairs.features)
    return (photos - photos.mean(0)) @ principal, pairs.texts - pairs.texts.mean(0)


def _fit(
    sets: Sequence[Pairs], rows: Sequence[tuple[Vectors, Vectors]]
) -> tuple[Vectors, Vectors, Vectors]:
    """Maps of both sides, their directions weighted, and correlations."""
    total = sum(pairs.weight for pairs in sets)
    covariances: list[Any] = [0.0, 0.0, 0.0]
    for pairs, (photos, said) in zip(sets, rows, strict=True):
        x, y = photos[pairs.own].astype(np.float64), said.astype(np.float64)
        share = pairs.weight / total / len(y)
        for number, (left, right) in enumerate(((x, x), (y, y), (x, y))):
            covariances[number] += share * (left.T @ right)
    images, texts, both = covariances
    image, text, correlations = alignment.canonical(
        images, texts, both, DIM, image_ridge=IMAGE_RIDGE, text_ridge=TEXT_RIDGE
    )
    weights = correlations ** (FINDING / 2)
    return (
        (image * weights).astype(np.float32),
        (text * weights).astype(np.float32),
        correlations.astype(np.float32),
    )


def _find(
    sets: Sequence[Pairs],
    rows: Sequence[tuple[Vectors, Vectors]],
    expected: Sequence[Vectors],
    image: Vectors,
    text: Vectors,
) -> tuple[Vectors, Vectors]:
    """Both maps, once they have learned to find a text's photo among others."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    maps = [nn.Parameter(torch.from_numpy(start.copy())) for start in (image, text)]
    sizes = [float(start.std()) for start in (image, text)]
    optimizer = torch.optim.Adam([{"params": [part]} for part in maps])
    draws = [_Draws(pairs, random) for pairs in sets]
    steps = len(sets[0].groups) // BATCH
    for step in range(EPOCHS * steps):
        rate = RATE / 2 * (1 + np.cos(np.pi * step / (EPOCHS * steps)))
        for group, size in zip(optimizer.param_groups, sizes, strict=True):
            group["lr"] = rate * size
        loss: Any = 0.0
        for pairs, (photos, said), also, draw in zip(sets, rows, expected, draws, strict=True):
            chosen, texts = draw.next()
            seen = F.dropout(torch.from_numpy(photos[chosen]), DROPPED) @ maps[0]
            seen = F.normalize(F.normalize(seen, dim=1) + torch.from_numpy(also[chosen]), dim=1)
            read = F.normalize(F.dropout(torch.from_numpy(said[texts]), DROPPED) @ maps[1], dim=1)
            scores, right = seen @ read.T / TEMPERATURE, torch.arange(len(chosen))
            both = F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)
            loss = loss + pairs.loss / 2 * both
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    image, text = (part.detach().numpy() for part in maps)
    return image, text


class _Draws:
    """Photos of different groups, each with one of its texts, again and again."""

    def __init__(self, pairs: Pairs, random: np.random.Generator) -> None:
        self._random = random
        self._photos = _members(pairs.groups)
        self._texts = _members(pairs.own)
        self._waiting: list[int] = []
        self._size = min(BATCH, len(self._photos))

    def next(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of photos and of their texts, int [BATCH] or fewer."""
        if len(self._waiting) < self._size:
            self._waiting = self._random.permutation(len(self._photos)).tolist()
        groups = [self._waiting.pop() for _ in range(self._size)]
        photos = [self._random.choice(self._photos[group]) for group in groups]
        return np.array(photos), np.array([self._random.choice(self._texts[p]) for p in photos])


def _members(groups: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
