"""A library's photos in the order of a query: candidates by similarity, ranked by probability."""

import itertools
import math
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadr.library.embedding import Embedding
from kadr.matcher.alignment import NEAREST, standing_out
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings
from kadr.photos.objects import is_object
from kadr.stores import Selection, Store, Stored
from kadr.types import Floats, Hit, ImageFile, Vectors

CANDIDATES = 250
"""Photos are ranked by probability among so many of about the same similarity: the first 250 by
similarity, then the next 250. So pages follow one order, however far one reads."""
STANDING, PER_DECADE, SIZES = -0.65, 1.0, (10, 8300)
"""Nothing matches where none of the best photos stands out by STANDING among a hundred photos, by
PER_DECADE more among ten times as many; libraries of fewer or more than SIZES are taken as of
those. It is so for 5 % of the words that something fits, measured from a hundred photos on
(docs/labbook.md)."""
SENTENCE, LESS = 6, 0.6
"""A text of so many words need stand out less by this: it is of several things, a name of one."""
LIKELIEST = 10
"""Photos among which one must stand out, the first by probability."""
LOOK = 32
"""Photos whose paths are asked for at once."""


@dataclass(frozen=True)
class Ranked:
    """A photo's place in the order, and whether the best among its candidates stands out."""

    place: int
    hit: Hit
    stands_out: bool


@dataclass(frozen=True)
class _Chunk:
    """Candidates, best first, with their figures; photos whose vectors are gone come last.

    `probabilities` is None where there are none. `standing` is how far the best stands out.
    """

    photos: NDArray[np.int64]
    probabilities: Floats | None
    cosines: Floats
    standing: float
    named: frozenset[int] = frozenset()


class Ranker:
    """Ranks the photos of one library. It keeps what the next query needs too."""

    def __init__(self, matcher: Matcher, store: Store) -> None:
        self.matcher = matcher
        self._store = store
        self._densities = np.empty((0, len(NEAREST)), np.float32)

    def rank(
        self, query: Embedding, selection: Selection, cursor: int, words: str = ""
    ) -> Iterator[Ranked]:
        """Photos that lie somewhere, best first, from a place in the order on.

        Before all others come those whose own texts hold all the `words`.
        """
        named = self._named(query.vector, selection, words)
        least = standing_limit(self._store.count(selection), words)
        for number in itertools.count(cursor // CANDIDATES):
            photos = self._candidates(query.vector, selection, named, number * CANDIDATES)
            if not len(photos):
                return
            chunk = self._ranked(query, photos, named)
            stands_out = number > 0 or chunk.standing >= least
            first = number * CANDIDATES
            for place, hit in self._hits(chunk, max(cursor - first, 0), selection):
                yield Ranked(first + place, hit, stands_out)

    def _hits(self, chunk: _Chunk, start: int, selection: Selection) -> Iterator[tuple[int, Hit]]:
        """Those of a chunk that lie somewhere, and their places in it, from `start` on."""
        for first in range(start, len(chunk.photos), LOOK):
            part = chunk.photos[first : first + LOOK].tolist()
            there = self._store.stored(self._store.present(part, selection.filters.folder))
            for place, number in enumerate(part, first):
                hit = _hit(there[number], chunk.cosines[place]) if number in there else None
                if hit is None:
                    continue
                if chunk.probabilities is not None:
                    probability = float(chunk.probabilities[place])
                    hit = replace(hit, probability=probability, named=number in chunk.named)
                yield place, hit

    def _named(self, vector: Vectors, selection: Selection, words: str) -> NDArray[np.int64]:
        """Selected photos whose own texts hold all the words, by similarity: int64 [n]."""
        wanted = _tokens(words)
        texts = self._store.texts(max(wanted, key=len)) if wanted else []
        named = [photo for photo, said in texts if wanted <= _tokens(" ".join(said))]
        if not named:
            return np.empty(0, np.int64)
        return self._store.cosines(vector, selection, np.array(named, np.int64)).photos

    def _candidates(
        self, vector: Vectors, selection: Selection, named: NDArray[np.int64], first: int
    ) -> NDArray[np.int64]:
        """The portion that begins at a place: those named, then the others by similarity."""
        head = named[first : first + CANDIDATES]
        wanted = CANDIDATES - len(head)
        start = max(first - len(named), 0)
        if not len(named):
            return self._store.nearest(vector, selection, start, wanted).photos
        found = self._store.nearest(vector, selection, 0, start + wanted + len(named)).photos
        others = found[~np.isin(found, named)]
        return np.concatenate([head, others[start : start + wanted]])

    def _ranked(
        self, query: Embedding, photos: NDArray[np.int64], named: NDArray[np.int64]
    ) -> _Chunk:
        """Photos by probability, or by similarity where there is none; those named first.

        Those whose vectors are gone are left at the end, so that places stay what they are.
        """
        known, vectors = self._store.vectors(photos.tolist())
        if not len(known):
            return _Chunk(photos, None, np.zeros(len(photos)), -math.inf)
        side = self._side(known, vectors)
        standing = math.inf
        if query.text is None:
            probabilities = None
            cosines = (side.joint.vectors @ query.vector).astype(np.float64)
            best = np.argsort(-cosines, kind="stable")
        else:
            pair = query.text.take(np.zeros(len(known), dtype=np.intp))
            probabilities, cosines = self.matcher.pairs(side, pair)
            first = np.isin(known, named)
            best = np.lexsort((-probabilities, ~first))
            probabilities = probabilities[best]
            standing = self._standing(side.joint.vectors[best[:LIKELIEST]], query.text)
        there = set(known.tolist())
        gone = [number for number in photos.tolist() if number not in there]
        order = np.concatenate([known[best], np.array(gone, np.int64)])
        return _Chunk(order, probabilities, cosines[best], standing, frozenset(named.tolist()))

    def _standing(self, photos: Vectors, text: Embeddings) -> float:
        """How far the best of these photos [n, dim of the joint space] stands out."""
        things = self.matcher.alignment.thing_bank
        return float(standing_out(photos, text.joint.vectors[0], things).max(initial=-math.inf))

    def _side(self, photos: NDArray[np.int64], vectors: Vectors) -> Embeddings:
        """The photos' side of pairs.

        How crowded it is around a photo takes a fifth of a search to compute, and never changes: it
        is kept, in 8 bytes a photo.
        """
        missing = int(photos.max()) + 1 - len(self._densities)
        if missing > 0:
            more = np.full((missing, len(NEAREST)), np.nan, np.float32)
            self._densities = np.concatenate([self._densities, more])
        density = self._densities[photos]
        side = self.matcher.images(vectors, density)
        self._densities[photos] = density
        return side


def _tokens(text: str) -> frozenset[str]:
    """A text's words, in one case and one Unicode form."""
    folded = unicodedata.normalize("NFC", text.casefold()).replace("ё", "е")
    return frozenset(re.findall(r"[^\W_]+", folded))


def standing_limit(photos: int, text: str) -> float:
    """How far the best of so many photos must stand out to be a match for a text."""
    decades = math.log10(min(max(photos, SIZES[0]), SIZES[1]) / 100)
    return STANDING + PER_DECADE * decades - LESS * (len(text.split()) >= SENTENCE)


def _may_exist(path: Path) -> bool:
    """Whether a file is there. Whether an object is, is found out when it is opened."""
    # Path.exists() raises where a folder is shut.
    return is_object(path) or os.path.exists(path)  # noqa: PTH110


def _hit(photo: Stored, similarity: float) -> Hit | None:
    """None where none of the photo's files is there any more."""
    paths = [path for path in photo.paths if _may_exist(path)]
    if not paths:
        return None
    file = ImageFile(str(photo.id), photo.digest, paths[0])
    return Hit(file, None, float(similarity), tuple(paths[1:]), photo.facts)
