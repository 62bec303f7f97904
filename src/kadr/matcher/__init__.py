"""Vectors of photos and texts -> the probability that they match, and why."""

SEED = 42
"""The default seed of splits, folds and heads."""
