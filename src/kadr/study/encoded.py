"""An archive's photos and texts as vectors, and where each image and each query stands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import ImageEncoder, TextEncoder, vectors
from kadr.encoders.vectors import VectorCache
from kadr.matcher.alignment import Alignment
from kadr.matcher.relevance import Embeddings
from kadr.types import Dataset, Pair, Vectors

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, the items done and their total."""


@dataclass(frozen=True)
class Encoded:
    """Vectors of both sides: float32 [images, image dim] and [queries, text dim].

    `digests` are those of the photos that could be read, by image; `skipped` says what couldn't.
    `wordless` are the texts of which the encoder knows no word: their vectors are zeros.
    """

    images: Vectors
    texts: Vectors
    image_rows: Mapping[str, int]
    query_rows: Mapping[str, int]
    digests: Mapping[str, str]
    skipped: tuple[str, ...]
    wordless: tuple[str, ...]

    def knows(self, pair: Pair) -> bool:
        """Whether both sides of a (query, image) pair have a vector."""
        return pair[0] in self.query_rows and pair[1] in self.image_rows

    def rows(self, pairs: Sequence[Pair]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Image rows and text rows of (query, image) pairs."""
        return (
            np.array([self.image_rows[image] for _, image in pairs], dtype=np.intp),
            np.array([self.query_rows[query] for query, _ in pairs], dtype=np.intp),
        )


@dataclass(frozen=True)
class Projected:
    """Both sides of an archive in a joint space."""

    encoded: Encoded
    images: Embeddings
    texts: Embeddings

    def joint_alone(self) -> "Projected":
        """The same without encoder vectors."""
        return Projected(self.encoded, self.images.joint_alone(), self.texts.joint_alone())

    def pick(self, pairs: Sequence[Pair]) -> tuple[Embeddings, Embeddings]:
        """The two sides of (query, image) pairs, row by row."""
        image_rows, query_rows = self.encoded.rows(pairs)
        return self.images.take(image_rows), self.texts.take(query_rows)

    def cross(self, queries: Sequence[str], images: Sequence[str]) -> tuple[Embeddings, Embeddings]:
        """The images and the queries themselves, each once."""
        image_rows = [self.encoded.image_rows[image] for image in images]
        query_rows = [self.encoded.query_rows[query] for query in queries]
        return (
            self.images.take(np.array(image_rows, dtype=np.intp)),
            self.texts.take(np.array(query_rows, dtype=np.intp)),
        )


def project(both: Encoded, joint: Alignment) -> Projected:
    """Bring both sides into a joint space."""
    images = Embeddings(both.images, joint.images(both.images))
    return Projected(both, images, Embeddings(both.texts, joint.texts(both.texts)))


def encode(
    dataset: Dataset,
    image_encoder: ImageEncoder,
    text_encoder: TextEncoder,
    cache: VectorCache,
    *,
    with_test: bool = False,
    on_progress: Progress | None = None,
) -> Encoded:
    """Encode an archive's training part, or both its parts; what the cache holds costs nothing."""
    report = on_progress or silent
    photos, queries = dict(dataset.train_images), dict(dataset.queries)
    if with_test:
        photos |= dataset.test_images
        queries |= {query.id: query for query in dataset.test_queries}
    files, unreadable = vectors.identify(photos.values(), dataset.folder, cache)
    found = vectors.encode_images(image_encoder, files, cache, lambda d, t: report("photos", d, t))
    ids = sorted(queries)
    texts = vectors.encode_texts(
        text_encoder, [queries[i].text for i in ids], cache, lambda d, t: report("texts", d, t)
    )
    return Encoded(
        found.vectors,
        texts,
        {file.path.name: row for row, file in enumerate(found.files)},
        {query: row for row, query in enumerate(ids)},
        {file.path.name: file.digest for file in found.files},
        tuple(f"{item.path}: {item.reason}" for item in (*unreadable, *found.skipped)),
        tuple(queries[i].text for i, row in zip(ids, texts, strict=True) if not row.any()),
    )


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report to nobody."""
