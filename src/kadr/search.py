"""Flow: words -> answer. Candidates by similarity, ranked by the probability of a match."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kadr import images, vectors
from kadr.errors import KadrError
from kadr.matcher import Matcher
from kadr.safety import policy as law
from kadr.types import Answer, Hit, ImageFile, Skipped, Vectors
from kadr.vectors import Progress, VectorCache

CANDIDATES = 1000
"""This many most similar photos get a probability."""


class Collection:
    """Photos and their vectors by one image encoder, in memory."""

    def __init__(
        self, encoder: str, files: Sequence[ImageFile], matrix: Vectors, skipped: Sequence[Skipped]
    ) -> None:
        self.encoder = encoder
        self.files = tuple(files)
        self.vectors = matrix
        self.skipped = tuple(skipped)


def collect(
    folder: Path, matcher: Matcher, cache: VectorCache, on_progress: Progress | None = None
) -> Collection:
    """Encode the photos of a folder; those whose vectors are cached cost nothing."""
    files, unreadable = vectors.identify(images.scan(folder), folder, cache)
    found = vectors.encode_images(matcher.image_encoder, files, cache, on_progress)
    return Collection(
        matcher.image_encoder.name, found.files, found.vectors, (*unreadable, *found.skipped)
    )


class Searcher:
    """Answers texts from one collection under one policy."""

    def __init__(self, matcher: Matcher, collection: Collection, policy: law.Policy) -> None:
        if matcher.image_encoder.name != collection.encoder:
            raise KadrError(
                f"These photos were encoded by {collection.encoder}, this matcher needs "
                f"{matcher.image_encoder.name}. Encode them again."
            )
        self._matcher = matcher
        self._collection = collection
        self._policy = policy
        self._side = matcher.images(collection.vectors)

    def search(self, query: str, limit: int = 10, *, language: str = "en") -> Answer:
        """The `limit` photos that most probably match.

        A text that asks for what the policy hides gets the policy's disclaimer, in `language`,
        and no photo.
        """
        if law.refuses(self._policy, query):
            return Answer((), self._policy.disclaimer(language))
        if not self._collection.files:
            return Answer((), "There is no photo to search.")
        vector = self._matcher.text_encoder.encode([query])
        if not vector.any():
            return Answer((), "This matcher knows none of these words. Use others.")
        text = self._matcher.texts(vector)
        similarity = self._side.joint.vectors @ text.joint.vectors[0]
        rows = np.argsort(-similarity, kind="stable")[:CANDIDATES]
        pair = text.take(np.zeros(len(rows), dtype=np.intp))
        probabilities, cosines = self._matcher.pairs(self._side.take(rows), pair)
        best = np.argsort(-probabilities, kind="stable")[:limit]
        hits = (
            Hit(self._collection.files[rows[i]], float(probabilities[i]), float(cosines[i]))
            for i in best
        )
        return Answer(tuple(hits))
