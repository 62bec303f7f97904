"""Seeded choices: the same seed throws the same numbers."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """A source of randomness that is named by integers, so that parts don't disturb one another."""

    def __init__(self, *seeds: int) -> None:
        self.rng = np.random.default_rng(seeds)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.rng.integers(len(options)))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """Up to `count` different places of `options`, in random order."""
        places = self.rng.permutation(len(options))[: max(count, 0)]
        return [options[int(place)] for place in places]

    def chance(self, probability: float) -> bool:
        """True as often as `probability` says."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """A number of [low, high)."""
        return float(self.rng.uniform(low, high))

    def normal(self, spread: float) -> float:
        """A normal number around 0 with the standard deviation `spread`."""
        return float(self.rng.normal(0.0, spread))
