"""TF-IDF of words and word pairs (scikit-learn), learned from training texts alone."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kadr.errors import KadrError
from kadr.types import Vectors

FEWEST = 2
"""Terms of fewer training texts can't be learned from."""


class TfIdf:
    """Unit length; a text without a known term is a row of zeros.

    `terms` are the vocabulary, str [dim]; `idf` its inverse document frequencies, float64 [dim].
    """

    def __init__(self, terms: NDArray[Any], idf: NDArray[np.float64]) -> None:
        self._terms = terms
        self._idf = idf
        self.dim = len(terms)
        told = "\n".join(terms.tolist()).encode("utf-8", "surrogatepass") + idf.tobytes()
        self.name = f"tfidf-{hashlib.sha256(told).hexdigest()[:16]}"

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Self:
        """Learn the vocabulary.

        Raises:
            KadrError: the texts hold no word.
        """
        for fewest in (FEWEST, 1):
            vectorizer = _vectorizer(min_df=fewest)
            try:
                vectorizer.fit(texts)
            except ValueError:  # no term is left
                continue
            return cls(np.array(vectorizer.get_feature_names_out(), dtype=np.str_), vectorizer.idf_)
        raise KadrError("The training texts hold no word, so tfidf has nothing to learn.")

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder whose `arrays` these are."""
        return cls(arrays["terms"], arrays["idf"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `restore` needs."""
        return {"terms": self._terms, "idf": self._idf}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        return np.asarray(self._vectorizer.transform(texts).toarray(), dtype=np.float32)

    @cached_property
    def _vectorizer(self) -> Any:
        vectorizer = _vectorizer(
            vocabulary={term: n for n, term in enumerate(self._terms.tolist())}
        )
        vectorizer.idf_ = self._idf
        return vectorizer


def _vectorizer(**settings: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float64, **settings)
