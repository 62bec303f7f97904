"""Scores and probabilities with their truth, for the tests of figures."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from kadr.types import Floats

Flags = NDArray[np.bool_]


@st.composite
def scored(draw: st.DrawFn) -> tuple[Floats, Flags]:
    """Scores, often tied, and truth with both classes."""
    size = draw(st.integers(2, 40))
    scores = draw(hnp.arrays(np.int64, size, elements=st.integers(-6, 6))) / 4
    truth = draw(hnp.arrays(np.bool_, size).filter(lambda flags: 0 < flags.sum() < len(flags)))
    return scores, truth


def simulated(size: int, *, seed: int = 0) -> tuple[Floats, Flags]:
    """Probabilities that crowd near 0, and outcomes that obey them."""
    source = np.random.default_rng(seed)
    probabilities = source.beta(0.5, 2.5, size)
    return probabilities, source.random(size) < probabilities
