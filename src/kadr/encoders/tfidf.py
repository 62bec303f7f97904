"""TF-IDF over single words and pairs of neighbours, learned from the training texts alone.

scikit-learn learns; applying it is numpy, so that a search doesn't pay for importing scikit-learn.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kadr.errors import KadrError
from kadr.types import Floats, Vectors

WORD = r"(?u)\b\w{2,40}\b"
"""Words of any script; single letters say nothing, and longer ones are no words."""
FEWEST = 2
"""Texts that must hold a term, where any term is in so many: one text's word matches no other."""


class Tfidf:
    """Rows of unit length (zero where no word is known): sublinear counts times rarity."""

    def __init__(self, terms: Sequence[str], idf: Floats) -> None:
        self.dim = len(terms)
        self._places = {term: place for place, term in enumerate(terms)}
        self._idf = np.asarray(idf, dtype=np.float64)
        described = hashlib.sha256("\n".join(terms).encode() + self._idf.tobytes())
        self.name = f"tfidf-{described.hexdigest()[:12]}"

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Self:
        """Terms that two texts share, and how rare each is.

        Raises:
            KadrError: the texts hold no word.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        for fewest in (FEWEST, 1):
            learner = TfidfVectorizer(ngram_range=(1, 2), min_df=fewest, token_pattern=WORD)
            try:
                learner.fit(texts)
            except ValueError:  # no term is left, or there is no word at all
                continue
            return cls(learner.get_feature_names_out().tolist(), learner.idf_)
        raise KadrError("tfidf has nothing to learn from: no training text holds a word.")

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder with these arrays: "terms" [dim] unicode, "idf" [dim] float64.

        Raises:
            KeyError: an array is missing.
            ValueError: they don't fit one another.
        """
        terms, idf = arrays["terms"], arrays["idf"]
        if terms.dtype.kind != "U" or idf.dtype != np.float64 or terms.ndim != 1:
            raise ValueError("tfidf: terms must be text, and idf float64")
        if terms.shape != idf.shape or not terms.size or not np.isfinite(idf).all():
            raise ValueError("tfidf: each term needs one finite idf")
        return cls(terms.tolist(), idf)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `restore` takes."""
        return {"terms": np.array(list(self._places)), "idf": self._idf}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            counts = Counter(p for t in _terms(text) if (p := self._places.get(t)) is not None)
            places = np.fromiter(counts, dtype=np.intp)
            weights = 1 + np.log(np.fromiter(counts.values(), dtype=np.float64))
            weights *= self._idf[places]
            row[places] = weights / max(float(np.linalg.norm(weights)), 1e-12)
        return vectors


def _terms(text: str) -> list[str]:
    words = re.findall(WORD, text.lower())
    return words + [" ".join(pair) for pair in pairwise(words)]
