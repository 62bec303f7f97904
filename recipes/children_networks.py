"""The networks of `children.npz`: from a photo's vectors to nobody, adults only, or a child."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kadr.law.scene import Look
from kadr.types import Floats, Vectors

EPOCHS, BATCH, RATE = 40, 64, 2e-3
DECAY, DROPPED = 0.05, 0.5
NOISE = 1.5
"""Standard deviation of the noise, in those of the vectors' directions together."""


@dataclass(frozen=True)
class Lesson:
    """What networks learn: rows float32 [n, dim], and what is there.

    `target` float32 [n, 3] are shares of captions that name nobody, adults only, and a child.
    `weight` float64 [n] says how much a photo counts.
    """

    rows: Vectors
    target: Vectors
    weight: Floats


def learn(lesson: Lesson, members: int, units: int) -> Look:
    """So many networks of so many units side by side, giving the mean of their logits."""
    share = lesson.weight / lesson.weight.sum()
    mean = share @ lesson.rows
    scale = float(np.sqrt((share @ (lesson.rows - mean) ** 2).mean()))
    scaled = ((lesson.rows - mean) / scale).astype(np.float32)
    every = [
        train(Lesson(scaled, lesson.target, lesson.weight), units, seed) for seed in range(members)
    ]
    hidden = (np.hstack([member[0] for member in every]) / scale).astype(np.float16)
    bias = np.concatenate([member[1] for member in every]) - mean @ hidden.astype(np.float64)
    return Look(
        hidden=hidden,
        hidden_bias=bias.astype(np.float32),
        out=(np.concatenate([member[2] for member in every]) / members).astype(np.float32),
        bias=np.mean([member[3] for member in every], axis=0).astype(np.float32),
        slope=1.0,
        offset=0.0,
    )


def train(lesson: Lesson, units: int, seed: int) -> list[Vectors]:
    """One network, by Adam (Kingma and Ba 2015) with decoupled weight decay: cross-entropy.

    Noise on the rows and dropped units keep it from learning photos by heart.
    """
    random = np.random.default_rng(seed)
    dim, kinds = lesson.rows.shape[1], lesson.target.shape[1]
    weights = [
        random.normal(0, dim**-0.5, (dim, units)).astype(np.float32),
        np.zeros(units, np.float32),
        random.normal(0, units**-0.5, (units, kinds)).astype(np.float32),
        np.zeros(kinds, np.float32),
    ]
    first, second = [0 * w for w in weights], [0 * w for w in weights]
    steps = int(EPOCHS * lesson.weight.sum() // BATCH)
    upto = np.cumsum(lesson.weight / lesson.weight.sum())
    for step in range(1, steps + 1):
        chosen = np.minimum(np.searchsorted(upto, random.random(BATCH)), len(upto) - 1)
        noise = NOISE * random.standard_normal((BATCH, dim), dtype=np.float32)
        slopes = gradients(weights, lesson.rows[chosen] + noise, lesson.target[chosen], random)
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        for at, slope in enumerate(slopes):
            first[at] = 0.9 * first[at] + 0.1 * slope
            second[at] = 0.999 * second[at] + 0.001 * slope**2
            moved = first[at] / (1 - 0.9**step)
            moved = moved / (np.sqrt(second[at] / (1 - 0.999**step)) + 1e-8)
            decay = DECAY * weights[at] if at in (0, 2) else 0
            weights[at] = (weights[at] - rate * (moved + decay)).astype(np.float32)
    return weights


def gradients(
    weights: Sequence[Vectors], rows: Vectors, target: Vectors, random: np.random.Generator
) -> list[Vectors]:
    """Of the mean cross-entropy of a batch, for each of the weights."""
    hidden, hidden_bias, out, bias = weights
    units = np.maximum(rows @ hidden + hidden_bias, 0)
    kept = (random.random(units.shape, dtype=np.float32) > DROPPED) / np.float32(1 - DROPPED)
    dropped = units * kept
    logits = dropped @ out + bias
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = (likely / likely.sum(axis=1, keepdims=True) - target) / len(rows)
    back = (error @ out.T) * kept * (units > 0)
    return [rows.T @ back, back.sum(axis=0), dropped.T @ error, error.sum(axis=0)]
