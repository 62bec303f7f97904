"""The text tower of `mini`: linear maps from sentence vectors and words into the joint space.

English is learned with the photos (`mini.py` fits the joint space); here its words become a table.
Russian is learned from `russian.txt`, sentences that were written in both languages for this
purpose: a Russian sentence must land where its English twin does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from kadr.encoders.mini import english_terms, key, russian_terms
from kadr.types import Vectors

PAIRS = Path(__file__).parent / "russian.txt"

COMPONENTS = 800
"""Of the English words, beside which a sentence vector stands."""
WORDS = 0.5
"""The share of the words' view beside that of the sentences, of the same variance."""
LEARNED, KEPT = 3, 5
"""English terms are learned from if so many texts hold them, and shipped if so many do."""
RUSSIAN_KEPT = 3
"""Russian terms are shipped if so many sentences or names hold them."""
Floating: TypeAlias = NDArray[np.floating[Any]]

RUSSIAN_WORDS = 0.5
RUSSIAN_RIDGE = 0.1
"""Both chosen by cross-validation on the pairs: does a Russian sentence find its English twin?"""


class EnglishViews:
    """Captions as the rows that the joint space is fitted to: sentence vector beside words."""

    def __init__(self, captions: Sequence[str], sentences: Vectors, others: Sequence[str]) -> None:
        """Learn means and scales from captions and their sentence vectors [n, 384].

        Words are learned from `others` too: captions without photos, and what things are called.
        """
        self._counter = TfidfVectorizer(analyzer=english_terms, min_df=LEARNED, sublinear_tf=True)
        counts = self._counter.fit_transform([*captions, *others])
        self._basis = TruncatedSVD(COMPONENTS, random_state=0).fit(counts)
        words = self._basis.transform(counts[: len(captions)])
        self._often = np.asarray((counts > 0).sum(axis=0)).ravel()
        self._sentence_mean, self._word_mean = sentences.mean(0), words.mean(0)
        self._sentence_scale = 1 / _deviation(sentences, self._sentence_mean)
        self._word_scale = WORDS / _deviation(words, self._word_mean)

    def rows(self, captions: Sequence[str], sentences: Vectors) -> Vectors:
        """Captions as float32 [n, 384 + COMPONENTS]."""
        words = self._basis.transform(self._counter.transform(captions))
        return np.hstack([
            (sentences - self._sentence_mean) * self._sentence_scale,
            (words - self._word_mean) * self._word_scale,
        ]).astype(np.float32)  # fmt: skip

    def language(self, mean: Vectors, linear: Vectors) -> dict[str, NDArray[Any]]:
        """Arrays of `kadr.encoders.mini.Language` that do what `linear` does to `rows` - `mean`."""
        width = len(self._sentence_mean)
        sentence_map = linear[:width] * self._sentence_scale
        word_map = linear[width:] * self._word_scale
        neutral = self._word_mean @ word_map
        bias = -(self._sentence_mean @ sentence_map) - neutral - mean @ linear
        kept = self._often >= KEPT
        terms = self._counter.get_feature_names_out()[kept]
        table = (self._basis.components_.T @ word_map)[kept]
        return arrays(sentence_map, bias, terms, self._counter.idf_[kept], table, neutral)


def read_pairs(path: Path = PAIRS) -> tuple[list[str], list[str]]:
    """English sentences and their Russian twins."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" | ") for line in lines if line]
    return [english for english, _ in pairs], [russian for _, russian in pairs]


def russian(texts: Sequence[str], sentences: Vectors, twins: Vectors) -> dict[str, NDArray[Any]]:
    """Arrays of the language, by kernel ridge regression of what the English twins mean.

    Args:
        texts: Russian sentences.
        sentences: their sentence vectors, float32 [n, 384].
        twins: vectors of their English twins in the joint space, unit length, float32 [n, dim].
    """
    counter = TfidfVectorizer(analyzer=russian_terms, min_df=RUSSIAN_KEPT, sublinear_tf=True)
    words = counter.fit_transform(texts)
    mean = sentences.mean(0)
    scale = 1 / _deviation(sentences, mean)
    rows = (sentences - mean) * scale
    kernel = rows @ rows.T + RUSSIAN_WORDS * (words @ words.T).toarray()
    middle = twins.mean(0)
    weights = np.linalg.solve(kernel + RUSSIAN_RIDGE * np.eye(len(kernel)), twins - middle)
    sentence_map = (rows.T @ weights) * scale
    table = RUSSIAN_WORDS * (words.T @ weights)
    neutral = np.asarray(words.mean(axis=0)).ravel() @ table
    bias = middle - mean @ sentence_map
    return arrays(sentence_map, bias, counter.get_feature_names_out(), counter.idf_, table, neutral)


def arrays(
    sentence_map: Floating,
    bias: Floating,
    terms: Sequence[str],
    rarity: Floating,
    table: Floating,
    neutral: Floating,
) -> dict[str, NDArray[Any]]:
    """A language's arrays: terms by checksum, in order, and the table in int8."""
    keys = np.array([key(term) for term in terms], dtype=np.uint32)
    keys, first = np.unique(keys, return_index=True)
    scale = np.abs(table).max(axis=0) / 127
    return {
        "sentence_map": np.asarray(sentence_map, np.float32),
        "bias": np.asarray(bias, np.float32),
        "keys": keys,
        "rarity": np.asarray(rarity[first], np.float32),
        "table": np.round(table[first] / scale).astype(np.int8),
        "scale": np.asarray(scale, np.float32),
        "neutral": np.asarray(neutral, np.float32),
    }


def save(path: Path, languages: dict[str, dict[str, NDArray[Any]]]) -> None:
    """Write the weights that `kadr.encoders.mini.MiniTexts` reads."""
    flat: dict[str, Any] = {
        f"{language}.{name}": array
        for language, found in languages.items()
        for name, array in found.items()
    }
    np.savez_compressed(path, **flat)


def _deviation(rows: Floating, mean: Floating) -> float:
    return float(np.sqrt(((rows - mean) ** 2).sum(axis=1).mean()))
