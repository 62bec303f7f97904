"""Flow: queries -> answers of one library under one policy."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kadr.errors import LibraryError
from kadr.law import verdict
from kadr.law.policy import Policy, refuses
from kadr.library.embedding import Embedding, PictureSource, embed, embed_pictures, encoded
from kadr.library.queries import Expression
from kadr.library.ranking import Ranker, Selection
from kadr.matcher.bundle import Matcher
from kadr.photos import files
from kadr.stores.sqlite import Store
from kadr.types import Answer, Filters, Hit, ImageFile, Picture, Score, Withheld

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

AT_LEAST = 0.02
"""A photo less probable than this is no match. The photo that is meant stays above it in 98.7 % of
sentence queries (docs/results.md)."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is wanted besides the query.

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


class Searcher:
    """Answers queries from one library, whose vectors are the matcher's (`check_encoder`)."""

    def __init__(self, matcher: Matcher, store: Store, policy: Policy) -> None:
        self._matcher = matcher
        self._store = store
        self._policy = policy
        self._ranker = Ranker(matcher, store, self._hidden)

    def answers(self, requests: Sequence[tuple[Expression, Page]]) -> list[Answer]:
        """Answers to queries, which are encoded together; see `Library.search`."""
        with _one_blas_thread():
            allowed = [query for query, _ in requests if not self._refused(query)]
            embeddings = dict(zip(allowed, embed(self._matcher, self._store, allowed), strict=True))
            selections = {page.filters: self._ranker.select(page.filters) for _, page in requests}
            return [
                self._answer(
                    embeddings[query], page, selections[page.filters],
                    cards=all(part.picture is None for part in query.parts),
                )
                if query in embeddings
                else self._refusal(page.language)
                for query, page in requests
            ]  # fmt: skip

    def similar(self, picture: Path | int, page: Page) -> Answer:
        """Photos like a picture, or like a photo of the library; see `Library.similar`."""
        known = self._known(picture)
        if known is not None and self._hidden([known]):
            return self._refusal(page.language)
        source = picture if known is None else known
        with _one_blas_thread():
            vector = embed_pictures(self._matcher, self._store, [source])[source]
            without = frozenset() if known is None else frozenset({known})
            selection = self._ranker.select(page.filters)
            page = replace(page, at_least=0.0)
            return self._answer(Embedding(vector), page, selection, cards=False, without=without)

    def score(self, picture: PictureSource, texts: Sequence[str]) -> list[Score]:
        """How well each text matches a picture. It finds nothing, so it hides nothing.

        Raises:
            ImageError: the picture can't be read.
            LibraryError: there is no photo of that number.
        """
        with _one_blas_thread():
            image = self._matcher.images(encoded(self._matcher, self._store, [picture]))
            sides = image.take(np.zeros(len(texts), np.intp))
            raw = self._matcher.text_encoder.encode(texts)
            figures = self._matcher.pairs(sides, self._matcher.texts(raw))
        return [Score(*pair) for pair in zip(*(f.tolist() for f in figures), strict=True)]

    def _refusal(self, language: str) -> Answer:
        return Answer((), self._policy.disclaimer(language), refused=True)

    def _known(self, picture: PictureSource) -> int | None:
        """The library's photo with this picture's content."""
        if isinstance(picture, int):
            return picture
        if isinstance(picture, Picture):
            return self._store.number(picture.digest)
        file = files.identify(picture, picture.parent)
        return self._store.number(file.digest) if isinstance(file, ImageFile) else None

    def _hidden(self, photos: Sequence[int]) -> set[int]:
        return verdict.hidden(self._store, self._policy, photos)

    def _refused(self, query: Expression) -> bool:
        """Whether a query asks for what the policy hides, by a word or by a hidden photo."""
        if not self._policy.hides_children:
            return False
        for part in query.parts:
            if part.text is not None and refuses(self._policy, part.text):
                return True
            if part.picture is not None:
                known = self._known(part.picture)
                if known is not None and self._hidden([known]):
                    return True
        return False

    def _answer(
        self,
        query: Embedding | None,
        page: Page,
        selection: Selection,
        *,
        cards: bool,
        without: frozenset[int] = frozenset(),
    ) -> Answer:
        """A page of photos, and disclaimers in the places of those that are hidden.

        Where there are filters, or no text was asked for, a disclaimer would say what the hidden
        photo is like: then it takes no place. Whether anything matches is judged by what is shown,
        else a limit that is moved about would find out a hidden photo's probability.
        """
        if query is None:
            return Answer((), "This matcher knows none of these words. Use others.")
        hits: list[Hit] = []
        withheld: list[Withheld] = []
        best, stands_out, following = math.nan, True, None
        cards &= selection.photos is None
        for ranked in self._ranker.rank(query, selection, page.cursor):
            if int(ranked.hit.image.id) in without or (ranked.hidden and not cards):
                continue
            place = len(hits) + len(withheld)
            if place == page.limit:
                following = ranked.place
                break
            if ranked.hidden:
                withheld.append(Withheld(place, self._policy.disclaimer(page.language)))
                continue
            if not hits:
                best = ranked.hit.probability or 0.0
                stands_out = ranked.stands_out or page.at_least is not None
            hits.append(ranked.hit)
        if not hits and not withheld:
            return Answer((), _nothing(page.cursor, filtered=selection.photos is not None))
        least = AT_LEAST if page.at_least is None else page.at_least
        return Answer(
            tuple(hits),
            matches=bool(hits) and (query.text is None or (best >= least and stands_out)),
            at_least=None if query.text is None else least,
            next=following,
            withheld=tuple(withheld),
        )


def check_encoder(store: Store, matcher: Matcher) -> None:
    """Raises LibraryError where the library's vectors are another encoder's."""
    encoder = store.meta("encoder")
    if encoder not in {None, matcher.image_encoder.name}:
        raise LibraryError(
            f"{store.path} holds vectors of {encoder}, this matcher needs "
            f"{matcher.image_encoder.name}. Encode its photos again: kadr index --reencode"
        )


def interleaved(answer: Answer) -> Iterator[Hit | Withheld]:
    """What is on the page, in its order."""
    hits, withheld = iter(answer.hits), {one.place: one for one in answer.withheld}
    for place in range(len(answer.hits) + len(withheld)):
        yield withheld.get(place) or next(hits)


def is_match(answer: Answer, hit: Hit) -> bool:
    """Whether a hit of the answer counts as a match; likeness alone always does."""
    least = answer.at_least
    return answer.matches and (hit.probability is None or least is None or hit.probability >= least)


def _nothing(cursor: int, *, filtered: bool) -> str:
    if cursor:
        return "No more photos."
    return "No photo passes these filters." if filtered else "There is no photo to search."


@cache
def _threads() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _one_blas_thread() -> AbstractContextManager[object]:
    """The products are small; several threads wait for each other, and for e5's, twice as long."""
    limited: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limited
