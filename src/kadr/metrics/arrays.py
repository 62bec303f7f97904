"""Checks of arguments: filled arrays [n] of equal length; anything else raises ValueError."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadr.types import Floats

Flags: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.intp]


def figures(values: ArrayLike, name: str) -> Floats:
    """Take a filled float64 [n] without NaN; `name` is what an error calls it."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or len(found) == 0:
        raise ValueError(f"{name} has shape {found.shape}: give a filled array [n]")
    if np.isnan(found).any():
        raise ValueError(f"{name} holds NaN: leave such points out")
    return found


def paired(left: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    """Take two arrays [n] of equal length."""
    first, second = figures(left, "the first array"), figures(right, "the second array")
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} points don't fit: give as many of both")
    return first, second


def scored(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, Flags]:
    """Take scores [n] and their truth, bool [n]."""
    first, second = paired(scores, truth)
    return first, _flags(second)


def _flags(truth: Floats) -> Flags:
    flags = truth == 1
    if not (flags | (truth == 0)).all():
        raise ValueError("truth must be true or false: compare targets with a threshold first")
    return np.asarray(flags, dtype=np.bool_)
