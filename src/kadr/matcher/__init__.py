"""Vectors of photos and texts -> the probability that they match, and why."""

SEED = 42
"""Of splits, folds and heads where nobody asks for another one."""
