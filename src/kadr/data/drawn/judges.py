"""Simulated experts and a simulated crowd who judge pairs whose relevance is known."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kadr.data.drawn.dice import Dice

SEVERITIES: Final = (0.14, 0.02, -0.12)
"""How much higher than usual each expert's thresholds are, in units of relevance."""

THRESHOLDS: Final = (0.29, 0.6, 0.9)
"""The relevance from which an expert of severity 0 grades 2, 3 and 4."""

EXPERT_NOISE: Final = 0.09
CROWD_NOISE: Final = 0.08
CROWD_MIDDLE: Final = 0.72
CROWD_STEEPNESS: Final = 12.0
CARELESS: Final = 0.02
"""Share of votes that are given without looking."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """The crowd's votes on one pair."""

    yes: int
    no: int

    @property
    def share(self) -> float:
        """Share of yes in [0, 1]."""
        return self.yes / (self.yes + self.no)


def expert_grades(relevance: float, dice: Dice) -> tuple[int, ...]:
    """One grade of 1 to 4 per expert for a pair of the given relevance in [0, 1].

    Ordinal thresholds that each expert shifts by a severity of their own, and noise of which a
    part is common to all, since a pair can be hard for everybody.
    """
    seen = relevance + dice.normal(EXPERT_NOISE / 2)
    return tuple(_grade(seen + dice.normal(EXPERT_NOISE), severity) for severity in SEVERITIES)


def _grade(seen: float, severity: float) -> int:
    # The top is compressed: even a strict expert gives a true caption a 4 more often than not.
    shifts = (severity, severity * 0.9, severity * 0.35)
    pairs = zip(THRESHOLDS, shifts, strict=True)
    return 1 + sum(seen > threshold + shift for threshold, shift in pairs)


def crowd_ballot(relevance: float, dice: Dice) -> Ballot:
    """Votes of three people, seldom of up to six, on a pair of the given relevance in [0, 1]."""
    voters = 3 if dice.chance(0.97) else dice.pick((4, 4, 4, 5, 6))
    seen = relevance + dice.normal(CROWD_NOISE)
    convinced = 1 / (1 + float(np.exp(-CROWD_STEEPNESS * (seen - CROWD_MIDDLE))))
    yes = sum(dice.chance(CARELESS / 2 + (1 - CARELESS) * convinced) for _ in range(voters))
    return Ballot(yes, voters - yes)
