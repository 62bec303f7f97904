"""Flow: queries -> answers of one library under one policy."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kadr.errors import ImageError, LibraryError
from kadr.law import verdict
from kadr.law.policy import Policy, refuses
from kadr.library.embedding import Embedding, PictureSource, embed, embed_pictures, encoded
from kadr.library.filters import date, spelled, typed
from kadr.library.notices import notice
from kadr.library.queries import Expression
from kadr.library.ranking import PROBABLE, Ranked, Ranker
from kadr.library.suggestions import suggested
from kadr.matcher.bundle import Matcher
from kadr.matcher.null_scores import PHOTOS
from kadr.photos import files, films, reader
from kadr.photos.objects import is_object
from kadr.stores import Selection, Store, words
from kadr.stores.words import NOTHING, Wanted
from kadr.types import Answer, Filters, Hit, ImageFile, Picture, Score, Suggestion, Vectors

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

AT_LEAST = 0.02
"""A photo less probable than this is no match. The photo that is meant stays above it in 98.7 % of
sentence queries (docs/results.md)."""
MOMENTS = 20
"""Further moments of a film that are told with its best one."""
LEFT_OUT = 5000
"""Frames that are passed over on a page, for it shows a better one of their film."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is wanted besides the query.

    limit: hits on the page.
    filters: which photos are looked at; None: all.
    cursor: 0, or the `next` of the page before.
    at_least: the probability from which a hit is a match, in [0, 1]; None: AT_LEAST, and nothing
        matches either where the best photo doesn't stand out among such photos.
    language: of notices.
    frames: each frame of a film is a hit; else those on a page are one, the best.
    """

    limit: int = 10
    filters: Filters | None = None
    cursor: int = 0
    at_least: float | None = None
    language: str = "en"
    frames: bool = False


class Searcher:
    """Answers queries from one library, whose vectors are the matcher's (`check_encoder`)."""

    def __init__(
        self,
        matcher: Matcher,
        store: Store,
        policy: Policy,
        refuses_picture: Callable[[Picture | Path], bool] = lambda _picture: False,
    ) -> None:
        """`refuses_picture` says whether the policy refuses a picture as a query."""
        self._refuses_picture = refuses_picture
        self._store = store
        self._policy = policy
        self._ranker = Ranker(matcher, store)
        self._shown = verdict.shown(policy)
        self._hiding: tuple[tuple[int, int], bool] | None = None
        """A state of the library, and whether the policy hides any of its photos."""

    @property
    def _matcher(self) -> Matcher:
        return self._ranker.matcher

    @property
    def matcher(self) -> Matcher:
        """What its answers' probabilities are of: one without judgements knows the photos shown."""
        self._refresh()
        return self._matcher

    def answers(self, requests: Sequence[tuple[Expression, Page]]) -> list[Answer]:
        """Answers to queries, which are encoded together; see `Library.search`."""
        requests = [(query, self._filtered(query, page)) for query, page in requests]
        with _one_blas_thread():
            allowed = [query for query, _ in requests if not self._refused(query)]
            embeddings = dict(zip(allowed, embed(self._matcher, self._store, allowed), strict=True))
            asked = {page.filters for _, page in requests}
            selections = {filters: self._select(filters) for filters in asked}
            return [
                self._found(query, page, embeddings[query], selections[page.filters])
                if query in embeddings
                else self._refusal(page.language)
                for query, page in requests
            ]

    def similar(self, picture: Path | int, page: Page) -> Answer:
        """Photos like a picture, or like a photo of the library; see `Library.similar`."""
        if self._refuses(picture):
            return self._refusal(page.language)
        known = self._known(picture)
        source = picture if known is None else known
        with _one_blas_thread():
            vector = embed_pictures(self._matcher, self._store, [source])[source]
            without = frozenset() if known is None else frozenset({known})
            page = replace(page, at_least=0.0)
            return self._answer(Embedding(vector), page, self._select(page.filters), without)

    def score(self, picture: PictureSource, texts: Sequence[str]) -> list[Score]:
        """How well each text matches a picture. It finds nothing, so it hides nothing.

        Raises:
            ImageError: the picture can't be read.
            LibraryError: there is no photo of that number.
        """
        self._refresh()
        with _one_blas_thread():
            vectors = encoded(self._matcher.image_encoder, self._store, [picture])
            image = self._matcher.images(vectors)
            sides = image.take(np.zeros(len(texts), np.intp))
            raw = self._matcher.text_encoder.encode(texts)
            figures = self._matcher.pairs(sides, self._matcher.texts(raw))
        return [Score(*pair) for pair in zip(*(f.tolist() for f in figures), strict=True)]

    def _found(
        self, query: Expression, page: Page, embedding: Embedding | None, selection: Selection
    ) -> Answer:
        wanted = words.wanted(query.text or "", whole=query.quoted)
        only = query.quoted and embedding is not None and self._any(embedding, selection, wanted)
        answer = self._answer(embedding, page, selection, wanted=wanted, recorded_only=only)
        if query.quoted and answer.hits and not only:
            return replace(answer, notice=notice("not on record", page.language))
        return replace(answer, suggestion=self._suggestion(query, page))

    def _any(self, query: Embedding, selection: Selection, wanted: Wanted) -> bool:
        """Whether the words are on a photo's record: such photos come first."""
        first = next(self._ranker.rank(query, selection, 0, wanted), None)
        return first is not None and first.hit.on_record != ()

    def _suggestion(self, query: Expression, page: Page) -> Suggestion | None:
        """The year that the query names, on the first page, where photos of it are shown."""
        filters = page.filters or Filters()
        if page.cursor or filters.after or filters.before:
            return None
        found = suggested(query)
        if found is None:
            return None
        span = replace(filters, after=date(found.after), before=date(found.before))
        return found if self._store.count(self._select(span)) else None

    def _filtered(self, query: Expression, page: Page) -> Page:
        """The page, with the filters that stand in the query."""
        return replace(page, filters=typed(query, page.filters, self._store))

    def _refusal(self, language: str) -> Answer:
        return Answer((), self._policy.disclaimer(language), refused=True)

    def _known(self, picture: Path | int) -> int | None:
        """The library's photo with this picture's content; a hidden one is as good as none."""
        if isinstance(picture, int):
            return picture
        digest = _digest(picture)
        number = None if digest is None else self._store.number(digest)
        return None if number is None or self._hides(number) else number

    def _hides(self, photo: int) -> bool:
        return bool(verdict.hidden(self._store, self._policy, [photo]))

    def _select(self, filters: Filters | None) -> Selection:
        self._refresh()
        return Selection(spelled(self._store, filters), self._shown)

    def _refresh(self) -> bool:
        """Follow the library's changes; whether the policy hides any of its photos."""
        changes = self._store.changes()
        if self._hiding is None or self._hiding[0] != changes:
            hides = self._shown is not None and self._store.hides(self._shown)
            self._ranker.matcher = self._matcher.among(self._sample)
            self._hiding = changes, hides
        return self._hiding[1]

    def _sample(self) -> Vectors:
        """Vectors of photos that texts are asked of; those that are hidden change no figure."""
        photos = self._store.sample(Selection(shown=self._shown), PHOTOS)
        return self._store.vectors(photos.tolist())[1]

    def _refused(self, query: Expression) -> bool:
        """Whether a query asks for what the policy hides: by words, or by a picture of a child."""
        if any(refuses(self._policy, text) for text in query.without):
            return True
        return any(
            refuses(self._policy, part.text or "")
            if part.picture is None
            else self._refuses(part.picture)
            for part in query.parts
        )

    def _refuses(self, picture: PictureSource) -> bool:
        """Whether a picture is no query: a hidden photo, or one of the visitor's with a child."""
        if isinstance(picture, int):
            return self._hides(picture)
        return self._refuses_picture(picture)

    def _answer(
        self,
        query: Embedding | None,
        page: Page,
        selection: Selection,
        without: frozenset[int] = frozenset(),
        wanted: Wanted = NOTHING,
        *,
        recorded_only: bool = False,
    ) -> Answer:
        """A page of the photos that may be shown.

        Whether the policy hides any is said of the library alone: whatever depended on the query
        would tell what the hidden photos are like.
        """
        withheld = self._policy.disclaimer(page.language) if self._refresh() else None
        if query is None:
            return Answer((), notice("unknown words", page.language), withheld=withheld)
        found = _PageOfHits(page)
        for ranked in self._ranker.rank(query, selection, page.cursor, wanted):
            if recorded_only and not ranked.hit.on_record:
                break
            if int(ranked.hit.image.id) not in without and not found.add(ranked):
                break
        hits = found.ranked
        if not hits:
            is_filtered = selection.filters != Filters() or query.without != ()
            why = "no more" if page.cursor else "filtered" if is_filtered else "empty"
            return Answer((), notice(why, page.language), withheld=withheld)
        return Answer(
            found.hits(),
            matches=query.text is None or any(_matches(hit, page.at_least) for hit in _best(hits)),
            at_least=None if query.text is None else _least(page.at_least),
            next=found.following,
            withheld=withheld,
        )


class _PageOfHits:
    """Hits of a page as they come, best first; of a film's frames the first stands for all."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.ranked: list[Ranked] = []
        self.following: int | None = None
        self._films: dict[str, list[float]] = {}
        self._left_out = 0

    def add(self, ranked: Ranked) -> bool:
        """Take the next one; False where the page is full: the next page begins with it."""
        hit, at = ranked.hit, ranked.hit.at
        film = None if at is None or self._page.frames else _film(hit)
        is_known = at is not None and film in self._films and self._left_out < LEFT_OUT
        if is_known and at is not None and film is not None:
            self._left_out += 1
            if self._is_match(hit) and len(self._films[film]) < MOMENTS:
                self._films[film].append(at)
            return True
        if len(self.ranked) == self._page.limit:
            self.following = ranked.place
            return False
        if film is not None:
            self._films.setdefault(film, [])
        self.ranked.append(ranked)
        return True

    def hits(self) -> tuple[Hit, ...]:
        """The hits, with the moments of their films."""
        left = dict(self._films)
        told = ((one.hit, left.pop(_film(one.hit), ())) for one in self.ranked)
        return tuple(replace(hit, moments=tuple(also)) if also else hit for hit, also in told)

    def _is_match(self, hit: Hit) -> bool:
        sure = hit.probability is None or hit.probability >= _least(self._page.at_least)
        return sure or _is_on_record(hit)


def _film(hit: Hit) -> str:
    """What the digests of a film's frames have in common."""
    return hit.image.digest[: films.PREFIX]


def _best(hits: Sequence[Ranked]) -> list[Ranked]:
    """The first hit, and the first that doesn't stand there for most of the words alone."""
    return [hits[0], *itertools.islice((one for one in hits if not one.hit.in_part), 1)]


def _matches(ranked: Ranked, at_least: float | None) -> bool:
    probability = ranked.hit.probability or 0.0
    stands_out = ranked.stands_out or at_least is not None or probability >= PROBABLE
    return _is_on_record(ranked.hit) or (probability >= _least(at_least) and stands_out)


def _least(at_least: float | None) -> float:
    return AT_LEAST if at_least is None else at_least


def check_encoder(store: Store, matcher: Matcher) -> None:
    """Raises LibraryError where the library's vectors are another encoder's."""
    encoder = store.meta("encoder")
    if encoder is not None and encoder != matcher.image_encoder.name:
        from kadr.matcher.installed import named

        raise LibraryError(
            f"{store.name} holds vectors of {named(encoder)}, this matcher needs "
            f"{named(matcher.image_encoder.name)}. Leave --model out, or encode its photos again: "
            "kadr index --model MODEL --reencode"
        )


def is_match(answer: Answer, hit: Hit) -> bool:
    """Whether a hit of the answer counts as a match; likeness alone always does."""
    least = answer.at_least
    sure = hit.probability is None or least is None or hit.probability >= least
    return answer.matches and (sure or _is_on_record(hit))


def is_probable(answer: Answer, hit: Hit) -> bool:
    """Whether a match is a sure one: as probable as PROBABLE, or with its words on record."""
    sure = hit.probability is not None and hit.probability >= PROBABLE
    return is_match(answer, hit) and (sure or _is_on_record(hit))


def _is_on_record(hit: Hit) -> bool:
    """Whether all words of the query that tell something are on the photo's record."""
    return bool(hit.on_record) and not hit.in_part


@cache
def _threads() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _digest(picture: Path) -> str | None:
    """That of a file or an object; None where it can't be read."""
    if is_object(picture):
        with suppress(ImageError):
            return files.digest(reader.fetched(picture))
        return None
    file = files.identify(picture, picture.parent)
    return file.digest if isinstance(file, ImageFile) else None


def _one_blas_thread() -> AbstractContextManager[object]:
    """The products are small; several threads wait for each other, and for e5's, twice as long."""
    limited: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limited
