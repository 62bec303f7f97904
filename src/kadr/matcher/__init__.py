"""Vectors of photos and texts -> the probability that they match, and why."""

from typing import Literal, TypeAlias

Classifier: TypeAlias = Literal["logistic", "boosting", "mlp"]
Features: TypeAlias = Literal["aligned", "concat"]
Space: TypeAlias = Literal["shipped", "fitted"]
"""The joint space of the `mini` pair: the shipped one, learned on 6,900 photos, or one fitted to
the training fold, better where the pictures are no photos. Other pairs are always fitted."""


SEED = 42
"""The default seed of splits, folds and heads."""
