"""Flow: words and pictures -> answer. Candidates by similarity, ranked by probability."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import simsimd
from numpy.typing import NDArray

from kadr.errors import ImageError, LibraryError
from kadr.law import policy as law
from kadr.law import verdict
from kadr.library.queries import Expression, Part
from kadr.matcher.alignment import NEAREST, standing_out
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings
from kadr.stores.sqlite import Scan, Store, Stored
from kadr.types import Answer, Filters, Floats, Hit, ImageFile, Picture, Score, Vectors, Withheld

if TYPE_CHECKING:
    from PIL import Image
    from threadpoolctl import ThreadpoolController

PictureSource: TypeAlias = Path | Picture | int
"""A file, a picture at hand, or the number of a photo of the library."""

CANDIDATES = 250
"""Photos are ranked by probability among so many of about the same similarity: the first 250 by
similarity, then the next 250. So pages follow one order, however far one reads."""
AT_LEAST = 0.02
"""A photo less probable than this is no match. The photo that is meant stays above it in 98.7 % of
sentence queries (docs/results.md)."""
STANDING, PER_DECADE, MEASURED = -0.635, 0.167, (100, 8000)
"""Nothing matches where the best photo stands out less than STANDING + PER_DECADE * log10(photos),
measured with so many photos, and taken as that beyond: it is so for 0.2 % of the sentences and
6.5 % of the single words whose photo is there (docs/results.md)."""
LOOK = 32
"""Photos whose paths are asked for at once."""


@dataclass(frozen=True)
class _Direction:
    """Where a query points: unit vector float32 [dim] of the joint space.

    `text` is the query's side of a pair where it is one text: then a probability can be told.
    """

    vector: Vectors
    text: Embeddings | None = None
    told: bool = False
    """It was given in words alone."""


@dataclass(frozen=True)
class _Choice:
    """Which photos are looked at: their numbers, and where a hit's file lies; None: any."""

    photos: NDArray[np.int64] | None
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for besides the query.

    limit: hits on the page.
    filters: which photos are looked at; None: all.
    cursor: 0, or the `next` of the page before.
    at_least: the probability from which a hit is a match, in [0, 1]; None: AT_LEAST, and nothing
        matches either where the best photo doesn't stand out among such photos.
    language: of notices.
    """

    limit: int = 10
    filters: Filters | None = None
    cursor: int = 0
    at_least: float | None = None
    language: str = "en"


@dataclass(frozen=True)
class _Found:
    """A photo's place in the order, and whether the best among its candidates stands out."""

    place: int
    hit: Hit
    hidden: bool
    stands_out: bool


class Searcher:
    """Answers queries from one library under one policy."""

    def __init__(self, matcher: Matcher, store: Store, policy: law.Policy) -> None:
        """Raises LibraryError where the library's vectors are another encoder's."""
        self._matcher = matcher
        self._store = store
        self._policy = policy
        self._scan: Scan | None = None
        self._changes: tuple[int, int] | None = None
        self._densities = np.empty((0, len(NEAREST)), np.float32)
        encoder = store.meta("encoder")
        if encoder not in {None, matcher.image_encoder.name}:
            raise LibraryError(
                f"{store.path} holds vectors of {encoder}, this matcher needs "
                f"{matcher.image_encoder.name}. Encode its photos again: kadr index --reencode"
            )

    def search(self, asked: Sequence[tuple[Expression, Page]]) -> list[Answer]:
        """Answers to queries, which are encoded together.

        A query that asks for what the policy hides gets the policy's disclaimer and no photo.
        Pages follow one order that depends on the library alone: none repeats or leaves out a
        photo, while it doesn't change.

        Raises:
            ImageError: a query's picture can't be read.
            LibraryError: a query names a photo that isn't there.
        """
        with _one_blas_thread():
            allowed = [query for query, _ in asked if not self._refused(query)]
            directions = dict(zip(allowed, self._directions(allowed), strict=True))
            chosen = {page.filters: self._chosen(page.filters) for _, page in asked}
            return [
                self._answer(directions[query], page, chosen[page.filters])
                if query in directions
                else self._refusal(page.language)
                for query, page in asked
            ]

    def similar(self, picture: Path | int, page: Page) -> Answer:
        """Photos like a picture, or like a photo of the library; it and its copies are left out.

        Photos that the policy hides are left out without a word, and of one of them nothing similar
        is told.

        Raises:
            ImageError: the picture can't be read.
            LibraryError: there is no photo of that number.
        """
        known = self._known(picture)
        if known is not None and self._hidden([known]):
            return self._refusal(page.language)
        source = picture if known is None else known
        with _one_blas_thread():
            direction = _Direction(self._pictures([source])[source])
            without = frozenset() if known is None else frozenset({known})
            page, chosen = replace(page, at_least=0.0), self._chosen(page.filters)
            return self._answer(direction, page, chosen, without)

    def score(self, picture: Path | Picture | int, texts: Sequence[str]) -> list[Score]:
        """How well each text matches a picture; nothing is hidden, for nothing is found.

        Raises:
            ImageError: the picture can't be read.
            LibraryError: there is no photo of that number.
        """
        with _one_blas_thread():
            sides = self._matcher.images(self._vectors([picture]))
            one = sides.take(np.zeros(len(texts), np.intp))
            raw = self._matcher.text_encoder.encode(texts)
            figures = self._matcher.pairs(one, self._matcher.texts(raw))
        return [Score(*pair) for pair in zip(*(f.tolist() for f in figures), strict=True)]

    def _refusal(self, language: str) -> Answer:
        return Answer((), self._policy.disclaimer(language), refused=True)

    def _known(self, picture: PictureSource) -> int | None:
        """The library's photo with this picture's content."""
        if isinstance(picture, int):
            return picture
        if isinstance(picture, Picture):
            return self._store.number(picture.digest)
        from kadr.photos import images  # a text is found without decoders

        file = images.identify(picture, picture.parent)
        return self._store.number(file.digest) if isinstance(file, ImageFile) else None

    def _hidden(self, photos: Sequence[int]) -> set[int]:
        return verdict.hidden(self._store, self._policy, photos)

    def _chosen(self, filters: Filters | None) -> _Choice:
        if filters is None or filters == Filters():
            return _Choice(None, None)
        return _Choice(self._store.matching(filters), filters.folder)

    def _refused(self, query: Expression) -> bool:
        """Whether a query asks for what the policy hides, by a word or by a hidden photo."""
        if not self._policy.hides_children:
            return False
        for part in query.parts:
            if part.text is not None and law.refuses(self._policy, part.text):
                return True
            if part.picture is not None:
                known = self._known(part.picture)
                if known is not None and self._hidden([known]):
                    return True
        return False

    # What the query points at.

    def _directions(self, queries: Sequence[Expression]) -> Iterator[_Direction | None]:
        """None where no word of a query is known."""
        parts = [part for query in queries for part in query.parts]
        texts = list(dict.fromkeys(part.text for part in parts if part.text is not None))
        raw = self._matcher.text_encoder.encode(texts)
        sides = {
            text: self._matcher.texts(row[None])
            for text, row in zip(texts, raw, strict=True)
            if row.any()
        }
        pictures = self._pictures([part.picture for part in parts if part.picture is not None])
        for query in queries:
            if query.text is not None:
                side = sides.get(query.text)
                yield None if side is None else _Direction(side.joint.vectors[0], side, told=True)
            else:
                yield _sum(query.parts, sides, pictures)

    def _pictures(self, sources: Sequence[PictureSource]) -> dict[PictureSource, Vectors]:
        """Each picture's place in the joint space: float32 [dim]."""
        distinct = list(dict.fromkeys(sources))
        if not distinct:
            return {}
        joint = self._matcher.images(self._vectors(distinct)).joint.vectors
        return dict(zip(distinct, joint, strict=True))

    def _vectors(self, sources: Sequence[PictureSource]) -> Vectors:
        """Encoder vectors float32 [n, dim] of distinct pictures."""
        encoder = self._matcher.image_encoder
        known, stored = self._store.vectors([one for one in sources if isinstance(one, int)])
        rows = dict(zip(known.tolist(), stored, strict=True))
        others = [one for one in sources if not isinstance(one, int)]
        fresh = encoder.encode([encoder.prepare(_photo(one, encoder.size)) for one in others])
        found: dict[PictureSource, Vectors] = {**rows, **dict(zip(others, fresh, strict=True))}
        try:
            return np.stack([found[one] for one in sources])
        except KeyError:
            raise LibraryError(
                "There is no photo of that number. It may have been forgotten."
            ) from None

    # The order of photos, and pages of it.

    def _answer(
        self,
        direction: _Direction | None,
        page: Page,
        chosen: _Choice,
        without: frozenset[int] = frozenset(),
    ) -> Answer:
        """A page of photos, and disclaimers in the places of those that are hidden.

        Where there are filters, or no text was asked for, a disclaimer would tell what the hidden
        photo is like: then it takes no place. Whether anything matches is judged by what is shown,
        else a limit that is moved about would tell a hidden photo's probability.
        """
        if direction is None:
            return Answer((), "This matcher knows none of these words. Use others.")
        hits: list[Hit] = []
        withheld: list[Withheld] = []
        best, stands_out, following = math.nan, True, None
        cards = chosen.photos is None and direction.told
        for found in self._ranked(direction, page.cursor, chosen):
            if int(found.hit.image.id) in without or (found.hidden and not cards):
                continue
            place = len(hits) + len(withheld)
            if place == page.limit:
                following = found.place
                break
            if found.hidden:
                withheld.append(Withheld(place, self._policy.disclaimer(page.language)))
                continue
            if not hits:
                best = found.hit.probability or 0.0
                stands_out = found.stands_out or page.at_least is not None
            hits.append(found.hit)
        if not hits and not withheld:
            return Answer((), _nothing(page.cursor, filtered=chosen.photos is not None))
        least = AT_LEAST if page.at_least is None else page.at_least
        return Answer(
            tuple(hits),
            matches=bool(hits) and (direction.text is None or (best >= least and stands_out)),
            at_least=None if direction.text is None else least,
            next=following,
            withheld=tuple(withheld),
        )

    def _ranked(self, direction: _Direction, cursor: int, allowed: _Choice) -> Iterator[_Found]:
        """Photos that lie somewhere, best first."""
        numbered, scores = self._scored(direction.vector)
        photos = allowed.photos
        rows = None if photos is None else _rows(numbered, photos)
        least = _standing_limit(len(scores) if rows is None else len(rows))
        while True:
            chunk = cursor // CANDIDATES
            numbers = numbered[_chunk(scores, rows, chunk)]
            if not len(numbers):
                return
            order, probabilities, cosines, standings = self._rank(direction, numbers)
            hidden = self._hidden(order.tolist())
            standing = max(
                (s for s, n in zip(standings.tolist(), order.tolist(), strict=False)
                 if n not in hidden),
                default=-math.inf,
            )  # fmt: skip
            for start in range(cursor % CANDIDATES, len(order), LOOK):
                part = order[start : start + LOOK].tolist()
                there = self._store.stored(self._store.present(part, allowed.folder))
                for place, number in enumerate(part, start):
                    hit = there.get(number) and _hit(there[number], cosines[place])
                    if not hit:
                        continue
                    if probabilities is not None:
                        hit = replace(hit, probability=float(probabilities[place]))
                    yield _Found(
                        chunk * CANDIDATES + place,
                        hit,
                        hidden=number in hidden,
                        stands_out=chunk > 0 or standing >= least,
                    )
            cursor = (chunk + 1) * CANDIDATES

    def _rank(
        self, direction: _Direction, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Floats | None, Floats, Vectors]:
        """Photos by probability, or by similarity where none can be told, and both figures.

        Those whose vectors are gone are left at the end, so that places stay what they are. The
        last figures are how far each stands out.
        """
        known, vectors = self._store.vectors(numbers.tolist())
        if not len(known):
            return numbers, None, np.zeros(len(numbers)), np.empty(0, np.float32)
        side = self._side(known, vectors)
        standings = np.full(len(known), np.inf, np.float32)
        if direction.text is None:
            probabilities = None
            cosines = (side.joint.vectors @ direction.vector).astype(np.float64)
            best = np.argsort(-cosines, kind="stable")
        else:
            pair = direction.text.take(np.zeros(len(known), dtype=np.intp))
            probabilities, cosines = self._matcher.pairs(side, pair)
            best = np.argsort(-probabilities, kind="stable")
            probabilities = probabilities[best]
            standings = standing_out(side.joint, direction.text.joint)[0][best]
        there = set(known.tolist())
        gone = [number for number in numbers.tolist() if number not in there]
        order = np.concatenate([known[best], np.array(gone, np.int64)])
        return order, probabilities, cosines[best], standings

    def _side(self, photos: NDArray[np.int64], vectors: Vectors) -> Embeddings:
        """The photos' side of pairs.

        How crowded it is around a photo costs a fifth of a search to tell, and never changes: it is
        kept, in 8 bytes a photo.
        """
        missing = int(photos.max()) + 1 - len(self._densities)
        if missing > 0:
            more = np.full((missing, len(NEAREST)), np.nan, np.float32)
            self._densities = np.concatenate([self._densities, more])
        density = self._densities[photos]
        side = self._matcher.images(vectors, density)
        self._densities[photos] = density
        return side

    def _scored(self, vector: Vectors) -> tuple[NDArray[np.int64], Vectors]:
        """Photos as the library has them now int64 [n], and their cosines float32 [n].

        The only search of a command keeps nothing: to hold 128 MB for half a million photos costs
        more than all the rest. From the second one on, the scan is held.
        """
        changes = self._store.changes()
        if self._scan is not None and changes == self._changes:
            return self._scan.photos, _scores(self._scan, vector)
        if self._changes is None:
            parts = [(block.photos, _scores(block, vector)) for block in self._store.blocks()]
            numbers, scores = zip(*parts, strict=True) if parts else ((), ())
            self._changes = changes
            return (
                np.concatenate([np.empty(0, np.int64), *numbers]),
                np.concatenate([np.empty(0, np.float32), *scores]),
            )
        self._scan, self._changes = self._store.scan(), changes
        return self._scan.photos, _scores(self._scan, vector)


def _rows(numbered: NDArray[np.int64], photos: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the scan that stand for these photos, which are sorted."""
    if not len(photos):
        return np.empty(0, np.intp)
    places = np.minimum(np.searchsorted(photos, numbered), len(photos) - 1)
    return np.flatnonzero(photos[places] == numbered)


def _standing_limit(photos: int) -> float:
    """How far the best of so many photos must stand out to be a match."""
    fewest, most = MEASURED
    return STANDING + PER_DECADE * math.log10(min(max(photos, fewest), most))


def interleaved(answer: Answer) -> Iterator[Hit | Withheld]:
    """What is on the page, in its order."""
    hits, withheld = iter(answer.hits), {one.place: one for one in answer.withheld}
    for place in range(len(answer.hits) + len(withheld)):
        yield withheld.get(place) or next(hits)


@cache
def _threads() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _one_blas_thread() -> AbstractContextManager[object]:
    """The products are small; several threads wait for each other, and for e5's, twice as long."""
    limited: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limited


def is_match(answer: Answer, hit: Hit) -> bool:
    """Whether a hit of the answer counts as a match; likeness alone always does."""
    least = answer.at_least
    return answer.matches and (hit.probability is None or least is None or hit.probability >= least)


def _photo(source: Path | Picture, size: int) -> "Image.Image":
    if isinstance(source, Picture):
        from PIL import Image

        return Image.fromarray(source.pixels)
    from kadr.photos import images  # a text is found without decoders

    try:
        return images.decode(source, size)
    except ImageError as error:
        raise ImageError(f"{source}: {error}. Name another photo.") from error


def _nothing(cursor: int, *, filtered: bool) -> str:
    if cursor:
        return "No more photos."
    return "No photo passes these filters." if filtered else "There is no photo to search."


def _sum(
    parts: Sequence[Part], sides: dict[str, Embeddings], pictures: dict[PictureSource, Vectors]
) -> _Direction | None:
    """The weighted sum of unit vectors, of unit length; parts without a known word left out."""
    terms = []
    for part in parts:
        if part.picture is not None:
            terms.append(part.weight * pictures[part.picture])
        elif part.text is not None and part.text in sides:
            terms.append(part.weight * sides[part.text].joint.vectors[0])
    if not terms:
        return None
    total = np.sum(terms, axis=0)
    length = float(np.linalg.norm(total))
    told = all(part.picture is None for part in parts)
    vector = np.asarray(total / max(length, 1e-12), np.float32)
    return _Direction(vector, told=told) if length > 1e-6 else None


def _scores(scan: Scan, vector: Vectors) -> Vectors:
    """Cosine of every photo with a unit vector, to about 0.001: float32 [n]."""
    if not len(scan.photos):
        return np.empty(0, np.float32)
    scale = float(np.abs(vector).max()) / 127 or 1.0
    asked = np.round(vector / scale).astype(np.int8)
    dots = simsimd.cdist(asked[None], scan.vectors, metric="dot", out_dtype="f32")
    return np.asarray(np.asarray(dots, np.float32)[0] * scan.scales * np.float32(scale))


def _chunk(scores: Vectors, rows: NDArray[np.intp] | None, chunk: int) -> NDArray[np.intp]:
    """Rows of the chunk: the same whichever chunk is asked for first, ties in their order."""
    if rows is not None:
        scores = scores[rows]
    first = chunk * CANDIDATES
    if chunk:
        found = np.argsort(-scores, kind="stable")[first : first + CANDIDATES]
    elif len(scores) <= CANDIDATES:
        found = np.argsort(-scores, kind="stable")
    else:
        edge = np.partition(scores, len(scores) - CANDIDATES)[len(scores) - CANDIDATES]
        above, level = np.flatnonzero(scores > edge), np.flatnonzero(scores == edge)
        found = np.concatenate([above, level[: CANDIDATES - len(above)]])
        found = found[np.argsort(-scores[found], kind="stable")]
    return found if rows is None else rows[found]


def _hit(photo: Stored, similarity: float) -> Hit | None:
    """None where none of the photo's files is there any more."""
    # Path.exists() raises where a folder is shut.
    paths = [path for path in photo.paths if os.path.exists(path)]  # noqa: PTH110
    if not paths:
        return None
    return Hit(
        ImageFile(str(photo.id), photo.digest, paths[0]),
        None,
        float(similarity),
        tuple(paths[1:]),
        photo.facts,
    )
