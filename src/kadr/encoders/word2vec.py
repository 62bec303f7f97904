"""Mean of word vectors (Mikolov et al. 2013), through gensim: a file, or gensim's own downloads."""

import hashlib
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadr.errors import KadrError
from kadr.types import Vectors

GOOGLE_NEWS = "word2vec-google-news-300"
_WORD = re.compile(r"\w+(?:'\w+)?")
_PLAIN = {
    "gensim.models.keyedvectors": {"KeyedVectors", "Word2VecKeyedVectors"},
    "numpy": {"ndarray", "dtype"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.numeric": {"_frombuffer"},
    "_codecs": {"encode"},
}
"""What a file of KeyedVectors is made of; whatever else its pickle names isn't loaded."""


class WordVectors:
    """The mean of the vectors of a text's known words; zeros where it has none.

    A word is looked up as it is written, then in lower case. `rows` maps words to rows of `matrix`
    [words, dim].
    """

    def __init__(self, name: str, rows: Mapping[str, int], matrix: NDArray[Any]) -> None:
        self.name = f"{name}-mean"
        self.dim = int(matrix.shape[1])
        self._rows = rows
        self._matrix = matrix

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 [n, dim]."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for at, text in enumerate(texts):
            known = [row for word in _WORD.findall(text) if (row := self._row(word)) is not None]
            if known:
                vectors[at] = self._matrix[known].mean(axis=0, dtype=np.float32)
        return vectors

    def _row(self, word: str) -> int | None:
        row = self._rows.get(word)
        return self._rows.get(word.lower()) if row is None else row


def load(source: str = GOOGLE_NEWS) -> WordVectors:
    """A file (word2vec text or binary, or gensim's KeyedVectors), or a name in gensim-data.

    Raises:
        KadrError: there is no such file or name, or the file is no word vectors.
    """
    file = Path(source)
    vectors, name = _read(file) if file.exists() else (_download(source), source)
    return WordVectors(f"word2vec-{name}", vectors.key_to_index, vectors.vectors)


def _read(file: Path) -> tuple[Any, str]:
    from gensim.models import KeyedVectors

    try:
        with file.open("rb") as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()[:12]
        if file.suffix == ".kv":
            _check_plain(file)
            return KeyedVectors.load(str(file)), digest
        binary = ".bin" in file.suffixes
        return KeyedVectors.load_word2vec_format(str(file), binary=binary), digest
    except KadrError:
        raise
    except Exception as error:
        raise KadrError(
            f"{file}: no word vectors ({type(error).__name__}: {error}). Give word2vec's text "
            "(.txt, .vec) or binary (.bin) format, or gensim's KeyedVectors (.kv)."
        ) from error


def _check_plain(file: Path) -> None:
    """Read the pickle with a reader that can't run code, before gensim reads it with one that can.

    Raises:
        KadrError: it names anything but what KeyedVectors are made of.
    """

    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if name not in _PLAIN.get(module, ()):
                raise KadrError(f"{file}: not loaded, for it would run {module}.{name}.")
            return super().find_class(module, name)

    with file.open("rb") as raw:
        Plain(raw).load()


def _download(name: str) -> Any:
    from gensim import downloader

    try:
        return downloader.load(name)
    except (OSError, ValueError) as error:  # ValueError: no such name, or no list of names
        raise KadrError(
            f"word2vec:{name} is no file here, and can't be downloaded as a name of gensim-data "
            f"({error}). Get the file where there is a network, and name it: word2vec:FILE. "
            "Without a network, glove works from its package."
        ) from error
