"""Word vectors (Mikolov et al. 2013, arXiv:1301.3781) through gensim: `word2vec[:NAME|FILE]`.

NAME is a model of gensim-data, FILE word2vec's text or binary format, or gensim's own (.kv).
"""

import gzip
import pickle
from pathlib import Path
from typing import Any

import gensim.downloader
import numpy as np
from gensim.models import KeyedVectors

from kadr.encoders.words import WordVectors
from kadr.errors import KadrError

DEFAULT = "word2vec-google-news-300"
SUFFIXES = frozenset({".txt", ".vec", ".bin", ".gz", ".kv"})
ARRAYS = frozenset(
    {
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.numeric", "_frombuffer"),
        ("_codecs", "encode"),
    }
)
"""What arrays are made of in a pickle; calling these reads and runs nothing."""


def word2vec(argument: str = DEFAULT) -> WordVectors:
    """The vectors that a file holds, or a model of gensim-data, downloaded once.

    Raises:
        KadrError: no such model, it can't be had, or the file holds something else.
    """
    file = Path(argument)
    if not file.is_file():
        if file.suffix in SUFFIXES or len(file.parts) != 1:
            raise KadrError(f"{argument}: no such file of word vectors.")
        file = _downloaded(argument)
    try:
        words, matrix = _native(file) if file.suffix == ".kv" else _exchanged(file)
        return WordVectors(words, np.asarray(matrix, dtype=np.float32))
    except KadrError:
        raise
    except Exception as error:  # a damaged file makes the readers raise anything
        raise KadrError(
            f"{file}: not a readable file of word vectors ({type(error).__name__}). Known are "
            "word2vec's text and binary formats, and gensim's .kv."
        ) from error


def _downloaded(name: str) -> Path:
    """The data file of a gensim-data model. Its own loader would run code that it downloads."""
    folder = Path(gensim.downloader.BASE_DIR, name)
    here = sorted(folder.glob("*.gz"))
    if here:
        return here[0]
    try:
        return Path(gensim.downloader.load(name, return_path=True))
    except Exception as error:  # gensim raises bare exceptions, its connection many others
        raise KadrError(
            f"the word vectors {name!r} can't be had from gensim-data ({error}). Put its file into "
            f"{folder}, or name a file: word2vec:FILE."
        ) from error


def _exchanged(file: Path) -> tuple[list[str], Any]:
    """word2vec's formats, with or without gzip; GloVe's lacks the first line."""
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        first, second = stream.readline(10_000), stream.readline(100_000)
    headless = len(first.split()) > 2
    vectors = KeyedVectors.load_word2vec_format(
        str(file), binary=not (headless or _is_text(first, second)), no_header=headless
    )
    return vectors.index_to_key, vectors.vectors


def _is_text(header: bytes, line: bytes) -> bool:
    """Whether a line is a word and as many numbers as the header says."""
    try:
        _, *numbers = line.decode().split()
        return [float(number) for number in numbers] != [] and len(numbers) == int(
            header.split()[1]
        )
    except ValueError:
        return False


def _native(file: Path) -> tuple[list[str], Any]:
    """A pickle of attributes, gensim's own format; large arrays lie beside it in .npy files.

    gensim's own loader runs whatever the pickle says, and unpickles more files that it names.
    """
    with file.open("rb") as stream:
        saved = vars(_Attributes(stream, encoding="latin1").load())
    words = saved.get("index_to_key") or saved["index2word"]  # the name before gensim 4
    if "vectors" in saved.get("__numpys", ()):
        beside = file.with_name(f"{file.name}.vectors.npy")
        return words, np.load(beside, mmap_mode="r", allow_pickle=False)
    return words, saved["vectors"]


class _Saved:
    """Stands in for gensim's classes: holds attributes, runs nothing."""


class _Attributes(pickle.Unpickler):
    """Reads gensim's objects and numpy's arrays, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """The class that a pickle names. Raises KadrError unless it is known to be harmless."""
        if module == "gensim.models.keyedvectors":
            return _Saved
        module = module.replace("numpy.core.", "numpy._core.")
        if (module, name) in ARRAYS:
            return super().find_class(module, name)
        raise KadrError(
            f"the file wants to load {module}.{name}: that may run code, and word vectors need "
            "nothing of the kind. Get the vectors from a source that you trust, in word2vec's "
            "binary format."
        )
