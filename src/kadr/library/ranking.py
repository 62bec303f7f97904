"""A library's photos in the order of a query: candidates by similarity, ranked by probability."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadr.library.embedding import Embedding
from kadr.matcher.alignment import NEAREST, standing_out
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings
from kadr.photos import films
from kadr.photos.objects import is_object
from kadr.stores import Selection, Store, Stored, folders_of
from kadr.stores.words import IN_PART, NOTHING, Recorded, Wanted, regions
from kadr.types import Floats, Hit, ImageFile, Source, Vectors, WordOnRecord

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
WITHOUT = 0.05
"""A photo that shows so probably what the query is without is left out (decision 24)."""
PROBABLE = 0.65
"""A photo so probable is a match, whatever else it might show."""
NAMED = 2
"""Tiers of photos that somebody tagged or named. Words of further tiers stand on every photo of a
folder, or of a month: there what is probably seen goes before."""
PLAUSIBLE = 0.005
"""A photo with most of the words on record goes before those that are probable if it is as probable
as this, else after them: its name may mean another thing (decision 24)."""
_NONE = IN_PART + 1
"""The tier of a photo on whose record the words aren't."""
DEEPEST = 8
"""Times CANDIDATES that are ranked for a query that is without something: where nearly all photos
show that, a page would else never be full."""
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
    on_record: frozenset[int] = frozenset()
    left_out: frozenset[int] = frozenset()


class Ranker:
    """Ranks the photos of one library. It keeps what the next query needs too."""

    def __init__(self, matcher: Matcher, store: Store) -> None:
        self.matcher = matcher
        self._store = store
        self._densities = np.empty((0, len(NEAREST)), np.float32)

    def rank(
        self, query: Embedding, selection: Selection, cursor: int, wanted: Wanted = NOTHING
    ) -> Iterator[Ranked]:
        """Photos that lie somewhere, best first, from a place in the order on.

        Before all others come those on whose record all the `wanted` words stand, or most of them.
        """
        recorded = self._recorded(query.vector, selection, wanted)
        least = standing_limit(self._store.count(selection), wanted.text)
        chunks = range(DEEPEST) if query.without else itertools.count()
        for number in itertools.islice(chunks, cursor // CANDIDATES, None):
            first = number * CANDIDATES
            photos = self._candidates(query.vector, selection, recorded.photos, first)
            if not len(photos):
                return
            chunk = self._ranked(query, photos, recorded)
            stands_out = number > 0 or chunk.standing >= least
            for place, hit in self._hits(chunk, max(cursor - first, 0), selection, wanted):
                yield Ranked(first + place, hit, stands_out)

    def _hits(
        self, chunk: _Chunk, start: int, selection: Selection, wanted: Wanted
    ) -> Iterator[tuple[int, Hit]]:
        """Those of a chunk that lie somewhere, and their places in it, from `start` on."""
        for first in range(start, len(chunk.photos), LOOK):
            part = chunk.photos[first : first + LOOK].tolist()
            there = self._store.stored(self._store.present(part, folders_of(selection.filters)))
            sources = self._store.sources(wanted, [n for n in there if n in chunk.on_record])
            for place, number in enumerate(part, first):
                is_found = number in there and number not in chunk.left_out
                hit = _hit(there[number], chunk.cosines[place]) if is_found else None
                if hit is None:
                    continue
                if chunk.probabilities is not None:
                    hit = replace(hit, probability=float(chunk.probabilities[place]))
                found = sources.get(number, ())
                told = self._told(number, wanted, found)
                yield place, replace(hit, on_record=told, in_part=None in found)

    def _told(
        self, photo: int, wanted: Wanted, found: Sequence[Source | None]
    ) -> tuple[WordOnRecord, ...]:
        """The words that stand on a photo's record, by where each stands first."""
        text = self._store.picture_texts([photo]).get(photo) if "picture" in found else None
        rows = zip(wanted.words, found, regions(wanted, text), strict=False)
        return tuple(
            WordOnRecord(word, source, where if source == "picture" else ())
            for word, source, where in rows
            if source is not None
        )

    def _recorded(self, vector: Vectors, selection: Selection, wanted: Wanted) -> Recorded:
        """Photos on whose record all the words stand, by tier, then by similarity."""
        found = self._store.recorded(wanted, selection)
        if not len(found.photos):
            return found
        photos = self._store.cosines(vector, selection, found.photos).photos
        tiers = found.tiers[np.searchsorted(found.photos, photos)]
        order = np.argsort(tiers, kind="stable")
        return Recorded(photos[order], tiers[order])

    def _candidates(
        self, vector: Vectors, selection: Selection, recorded: NDArray[np.int64], first: int
    ) -> NDArray[np.int64]:
        """The portion that begins at a place: those on record, then the others by similarity."""
        head = recorded[first : first + CANDIDATES]
        count = CANDIDATES - len(head)
        start = max(first - len(recorded), 0)
        if not count:
            return head
        if not len(recorded):
            return self._store.nearest(vector, selection, start, count).photos
        found = self._store.nearest(vector, selection, 0, start + count + len(recorded)).photos
        others = found[~np.isin(found, recorded)]
        return np.concatenate([head, others[start : start + count]])

    def _ranked(self, query: Embedding, photos: NDArray[np.int64], recorded: Recorded) -> _Chunk:
        """Photos by probability, or by similarity where there is none; those on record first.

        Those whose vectors are gone are left at the end, so that places stay what they are.
        """
        known, vectors = self._store.vectors(photos.tolist())
        if not len(known):
            return _Chunk(photos, None, np.zeros(len(photos)), -math.inf)
        side = self._side(known, vectors)
        standing = math.inf
        left_out = self._left_out(query, known, side)
        if query.text is None:
            probabilities = None
            cosines = (side.joint.vectors @ query.vector).astype(np.float64)
            best = np.argsort(-cosines, kind="stable")
        else:
            pair = query.text.take(np.zeros(len(known), dtype=np.intp))
            probabilities, cosines = self.matcher.pairs(side, pair)
            tier_of = dict(zip(recorded.photos.tolist(), recorded.tiers.tolist(), strict=True))
            tiers = np.array([tier_of.get(number, _NONE) for number in known.tolist()])
            best = np.lexsort((-probabilities, _groups(tiers, probabilities)))
            probabilities = probabilities[best]
            standing = self._standing(side.joint.vectors[best[:LIKELIEST]], query.text)
        there = set(known.tolist())
        gone = [number for number in photos.tolist() if number not in there]
        order = np.concatenate([known[best], np.array(gone, np.int64)])
        on_record = frozenset(recorded.photos.tolist())
        return _Chunk(order, probabilities, cosines[best], standing, on_record, left_out)

    def _left_out(
        self, query: Embedding, photos: NDArray[np.int64], side: Embeddings
    ) -> frozenset[int]:
        """Those of these photos that probably show what the query is without."""
        found = set[int]()
        for text in query.without:
            pair = text.take(np.zeros(len(photos), dtype=np.intp))
            probabilities, _ = self.matcher.pairs(side, pair)
            found.update(photos[probabilities >= WITHOUT].tolist())
        return frozenset(found)

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


def _groups(tiers: NDArray[np.int64], probabilities: Floats) -> NDArray[np.int64]:
    """What comes first, second and so on, by tiers [n] and probabilities [n]."""
    groups = np.where(tiers < NAMED, tiers, tiers + 3)
    groups[(tiers >= NAMED) & (probabilities >= PROBABLE)] = NAMED + 1
    in_part = tiers == IN_PART
    groups[in_part] = np.where(probabilities[in_part] >= PLAUSIBLE, NAMED, NAMED + 2)
    return groups


def standing_limit(photos: int, text: str) -> float:
    """How far the best of so many photos must stand out to be a match for a text."""
    decades = math.log10(min(max(photos, SIZES[0]), SIZES[1]) / 100)
    return STANDING + PER_DECADE * decades - LESS * (len(text.split()) >= SENTENCE)


def _may_exist(path: Path) -> bool:
    """Whether a file is there. Whether an object is, is found out when it is opened."""
    # Path.exists() raises where a folder is shut.
    return is_object(path) or os.path.exists(films.file_of(path))  # noqa: PTH110


def _hit(photo: Stored, similarity: float) -> Hit | None:
    """None where none of the photo's files is there any more."""
    paths = [path for path in photo.paths if _may_exist(path)]
    if not paths:
        return None
    file = ImageFile(str(photo.id), photo.digest, paths[0])
    frame = films.frame_named(paths[0])
    at = None if frame is None else frame.at
    return Hit(file, None, float(similarity), tuple(paths[1:]), photo.facts, at=at)
