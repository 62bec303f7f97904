"""Texts as the mean of their words' vectors."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from kadr.types import Vectors

WORD = re.compile(r"\w+")


class WordVectors:
    """The mean over the known words; zero where no word is known."""

    def __init__(self, words: Sequence[str], matrix: Vectors) -> None:
        """Take a vocabulary and its vectors, float32 [words, dim].

        Raises:
            ValueError: they don't fit one another, or a vector isn't finite.
        """
        if matrix.ndim != 2 or not matrix.size or len(words) != len(matrix):
            raise ValueError(f"{len(words)} words and vectors of shape {matrix.shape}")
        if not np.isfinite(matrix).all():
            raise ValueError("a vector isn't finite")
        self._places = {word: place for place, word in enumerate(words)}
        self._matrix = np.ascontiguousarray(matrix)
        self.dim = int(matrix.shape[1])
        described = hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass"))
        described.update(self._matrix.data)
        self.name = f"word-vectors-{described.hexdigest()[:12]}-mean"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            placed = map(self._place, WORD.findall(text))
            places = [place for place in placed if place is not None]
            if places:
                row[:] = self._matrix[places].mean(axis=0)
        return vectors

    def _place(self, word: str) -> int | None:
        """As written, for names may have vectors of their own; else in small letters."""
        place = self._places.get(word)
        return self._places.get(word.lower()) if place is None else place
