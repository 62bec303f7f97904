"""Searching: candidates by similarity, order by probability, pages, and what the law refuses."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.data import dataset
from kadr.encoders import load_text_encoder
from kadr.errors import ImageError, LibraryError
from kadr.law.policy import PRESETS, Policy
from kadr.library import ranking
from kadr.library.library import Library, resolved
from kadr.library.notices import notice
from kadr.library.queries import Expression, Part, parse
from kadr.library.ranking import CANDIDATES
from kadr.library.search import Page, Searcher, check_encoder, is_match
from kadr.matcher.bundle import Matcher
from kadr.stores import MEMORY, NewFile, NewPhoto, Selection, Store, open_store, words
from kadr.stores.words import IN_PART
from kadr.types import Answer, Filters, Suggestion, Vectors
from libraries import (
    FACTS,
    assess,
    colour_matcher,
    digest,
    engine,
    fill,
    new_file,
    paint,
    vectors_of,
)

FREE, LAW = PRESETS["none"], PRESETS["under-16"]
ENCODER = "fake-colour-grid-4x4"
QUERY = "a red dog and a blue car"
DISCLAIMER = "This image is unavailable in your country in compliance with local laws"
RUSSIAN = Path(__file__).parents[1] / "russian_queries.txt"
"""Two test queries of each photo, translated by us: id | text."""


@pytest.fixture(scope="module")
def scorer() -> Matcher:
    return colour_matcher()


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store(MEMORY, create=True)
    yield opened
    opened.close()


def random_vectors(n: int, seed: int = 1) -> Vectors:
    return vectors_of(seed, n)[1]


def searcher(scorer: Matcher, store: Store, policy: Policy = FREE) -> Searcher:
    return Searcher(scorer, store, policy)


def ask(found: Searcher, query: str = QUERY, limit: int = 10, **options: object) -> Answer:
    return found.answers([(parse([query]), Page(limit, **options))])[0]  # type: ignore[arg-type]


def names(answer: Answer) -> list[str]:
    return [hit.image.path.name for hit in answer.hits]


def scores(
    scorer: Matcher, vectors: Vectors, query: str = QUERY
) -> tuple[list[float], list[float]]:
    """Probability and cosine of the query with every row."""
    text = scorer.texts(scorer.text_encoder.encode([query]))
    images = scorer.images(vectors)
    probability, cosine = scorer.pairs(images, text.take(np.zeros(len(vectors), dtype=np.intp)))
    return probability.tolist(), cosine.tolist()


class TestOrder:
    def test_it_is_by_probability(self, scorer: Matcher, store: Store, tmp_path: Path) -> None:
        vectors = random_vectors(200)
        fill(store, vectors, scorer, tmp_path)
        probability, cosine = scores(scorer, vectors)
        best = sorted(range(200), key=lambda row: -probability[row])
        by_cosine = sorted(range(200), key=lambda row: -cosine[row])
        assert best[:10] != by_cosine[:10], "the figures must tell the two orders apart"
        hits = ask(searcher(scorer, store)).hits
        assert [hit.image.path.name for hit in hits] == [f"{row:05}.jpg" for row in best[:10]]
        assert [hit.probability for hit in hits] == pytest.approx(
            [probability[r] for r in best[:10]]
        )
        assert [hit.similarity for hit in hits] == pytest.approx(
            [cosine[r] for r in best[:10]], abs=1e-5
        )

    @pytest.mark.parametrize(("limit", "found"), [(1, 1), (7, 7), (12, 12), (50, 12)])
    def test_limit(
        self, scorer: Matcher, store: Store, tmp_path: Path, limit: int, found: int
    ) -> None:
        fill(store, random_vectors(12), scorer, tmp_path)
        answer = ask(searcher(scorer, store), limit=limit)
        assert len(answer.hits) == found
        assert answer.notice is None
        assert (answer.next is None) == (limit >= 12)

    def test_equal_photos_keep_their_order(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, np.repeat(random_vectors(3), 40, axis=0), scorer, tmp_path)
        hits = ask(searcher(scorer, store), limit=120).hits
        for start in range(0, 120, 40):
            part = [hit.image.path.name for hit in hits[start : start + 40]]
            assert part == sorted(part)
            assert len({hit.probability for hit in hits[start : start + 40]}) == 1

    def test_candidates_are_the_most_similar(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        vectors = random_vectors(CANDIDATES + 400)
        fill(store, vectors, scorer, tmp_path)
        _, cosine = scores(scorer, vectors)
        near = sorted(range(len(vectors)), key=lambda row: -cosine[row])
        hits = ask(searcher(scorer, store), limit=CANDIDATES).hits
        found = {hit.image.path.name for hit in hits}
        assert len(found) == CANDIDATES
        # Rounding may swap neighbours at the border.
        border = cosine[near[CANDIDATES]]
        assert {f"{r:05}.jpg" for r in near if cosine[r] > border + 0.01} <= found
        assert found.isdisjoint(f"{r:05}.jpg" for r in near if cosine[r] < border - 0.01)

    def test_one_photo_is_found(self, scorer: Matcher, store: Store, tmp_path: Path) -> None:
        fill(store, random_vectors(1), scorer, tmp_path)
        assert names(ask(searcher(scorer, store))) == ["00000.jpg"]


class TestRefusals:
    def test_another_encoder_s_library(self, scorer: Matcher, store: Store) -> None:
        store.note(encoder="some-other")
        with pytest.raises(LibraryError, match=rf"vectors of some-other.*needs {ENCODER}.*--reenc"):
            check_encoder(store, scorer)

    @pytest.mark.parametrize(
        ("query", "language", "notice"),
        [
            ("a little girl on a swing", "en", DISCLAIMER),
            ("мальчик с собакой", "en", DISCLAIMER),
            ("a little girl on a swing", "ru", LAW.disclaimer("ru")),
            ("dog + 0.1:girl", "en", DISCLAIMER),
            ("red - girl", "en", DISCLAIMER),
        ],
    )
    def test_law_refuses_a_search_for_children(
        self, scorer: Matcher, store: Store, tmp_path: Path, query: str, language: str, notice: str
    ) -> None:
        fill(store, random_vectors(5), scorer, tmp_path)
        answer = ask(searcher(scorer, store, LAW), query, language=language)
        assert (answer.hits, answer.notice, answer.matches) == ((), notice, False)
        assert ask(searcher(scorer, store), query).hits
        assert ask(searcher(scorer, store, LAW), "a man with a dog").hits

    def test_a_refused_query_leaves_the_others_their_answers(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(5), scorer, tmp_path)
        queries = [parse([text]) for text in ("red dog", "a girl", "blue car")]
        first, refused, last = searcher(scorer, store, LAW).answers(
            [(query, Page()) for query in queries]
        )
        assert refused.notice == DISCLAIMER
        assert first.hits
        assert last.hits

    def test_an_empty_library_says_so(self, scorer: Matcher, store: Store) -> None:
        answer = ask(searcher(scorer, store))
        assert answer.hits == ()
        assert answer.notice == "There is no photo to search."
        assert answer.next is None
        assert not answer.matches

    @pytest.mark.parametrize("query", ["?!", "...", "'—'"])
    def test_a_query_without_a_known_word_says_so(
        self, scorer: Matcher, store: Store, tmp_path: Path, query: str
    ) -> None:
        fill(store, random_vectors(5), scorer, tmp_path)
        answer = ask(searcher(scorer, store), query)
        assert answer.hits == ()
        assert "none of these words" in str(answer.notice)


class TestMatches:
    def test_at_least_decides_whether_it_is_a_match(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(30), scorer, tmp_path)
        found = searcher(scorer, store)
        best = ask(found).hits[0].probability
        assert best is not None
        for at_least, matches in ((best, True), (best + 1e-6, False), (0.0, True), (1.0, False)):
            answer = ask(found, at_least=at_least)
            assert answer.matches == matches
            assert answer.at_least == at_least
            assert len(answer.hits) == 10, "the nearest are shown all the same"

    def test_likeness_is_always_a_match(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(3), scorer, tmp_path)
        answer = ask(searcher(scorer, store), "red - blue", at_least=1.0)
        assert answer.matches
        assert answer.at_least is None
        assert {hit.probability for hit in answer.hits} == {None}


def whole(found: Searcher, query: str, **options: object) -> list[str]:
    return names(ask(found, query, 10**6, **options))


def paged(found: Searcher, query: str, size: int, **options: object) -> list[str]:
    """All pages, one after the other."""
    seen: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        answer = ask(found, query, size, cursor=cursor, **options)
        assert len(answer.hits) == size or answer.next is None
        assert answer.hits or not seen, "no page is empty"
        seen += names(answer)
        assert answer.next is None or answer.next > cursor
        cursor = answer.next
    return seen


class TestPages:
    @settings(max_examples=40, deadline=None)
    @given(
        data=st.data(),
        count=st.integers(1, 70),
        size=st.integers(1, 80),
        query=st.sampled_from([QUERY, "red", "red - 0.5:blue"]),
        deep=st.booleans(),
        again=st.booleans(),
    )
    def test_they_hold_everything_once(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        data: st.DataObject,
        count: int,
        size: int,
        query: str,
        *,
        deep: bool,
        again: bool,
    ) -> None:
        scorer = colour_matcher()
        folder = tmp_path_factory.getbasetemp() / "pages"
        rows = np.random.default_rng(count).integers(0, max(count // 3, 1), count)  # ties
        store = open_store(MEMORY, create=True)
        half = count // 2
        fill(store, random_vectors(count)[rows[:half]], scorer, folder)
        paths = fill(store, random_vectors(count)[rows[half:]], scorer, folder / "deep")
        everything = {*(f"{n:05}.jpg" for n in range(half)), *(f"deep/{p.name}" for p in paths)}
        assert len(everything) == count
        gone = data.draw(st.sets(st.sampled_from(paths), max_size=20))
        marked = data.draw(st.sets(st.sampled_from(paths), max_size=20))
        store.mark([bytes(path) for path in marked], missing=True)
        if again:
            store.prune(folder / "deep")
        filters = Filters(folder=folder / "deep") if deep else None
        expected = {path.name for path in set(paths) - gone - marked}
        with (
            patch.multiple(ranking, CANDIDATES=20, LOOK=7),
            patch("os.path.exists", lambda path: Path(path) not in gone),
        ):
            found = Searcher(scorer, store, FREE)
            order = whole(found, query, filters=filters)
            assert paged(found, query, size, filters=filters) == order
            assert paged(Searcher(scorer, store, FREE), query, size, filters=filters) == order
        assert len(order) == len(expected) + (0 if deep else half)
        if deep:
            assert set(order) == expected
        store.close()

    @pytest.mark.parametrize("size", [33, 499, 500, 501])
    def test_a_large_library_in_its_real_portions(
        self, tmp_path_factory: pytest.TempPathFactory, scorer: Matcher, size: int
    ) -> None:
        folder = tmp_path_factory.getbasetemp() / "large"
        store = open_store(MEMORY, create=True)
        count = 2 * CANDIDATES + 150
        vectors = np.concatenate(
            [random_vectors(count - 300), np.repeat(random_vectors(3), 100, 0)]
        )
        fill(store, vectors, scorer, folder)
        store.mark([bytes(folder / f"{n:05}.jpg") for n in range(0, count, 11)], missing=True)
        found = searcher(scorer, store)
        order = paged(found, QUERY, size)
        assert sorted(order) == [f"{n:05}.jpg" for n in range(count) if n % 11]
        assert order == whole(found, QUERY)
        store.close()

    def test_portions_follow_similarity_and_hold_probability(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(90), scorer, tmp_path)
        with patch.object(ranking, "CANDIDATES", 30):
            hits = ask(searcher(scorer, store), limit=90).hits
        for start in (0, 30, 60):
            part = [float(hit.probability or 0) for hit in hits[start : start + 30]]
            assert part == sorted(part, reverse=True)
        for start in (30, 60):
            nearer = min(hit.similarity for hit in hits[start - 30 : start])
            assert nearer >= max(hit.similarity for hit in hits[start : start + 30]) - 0.01

    def test_a_portion_that_is_gone_altogether_is_passed_over(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        """Rows of photos that are gone stay in the scan until there are many."""
        paths = fill(store, random_vectors(60), scorer, tmp_path)
        with patch.object(ranking, "CANDIDATES", 5):
            order = whole(searcher(scorer, store), QUERY)
            store.mark([bytes(tmp_path / name) for name in order[:5]], missing=True)
            assert store.prune() == 5
            assert len(engine(store).scan().photos) == 60
            assert whole(searcher(scorer, store), QUERY) == order[5:]
            assert paged(searcher(scorer, store), QUERY, 4) == order[5:]
        assert len(paths) == 60

    def test_past_the_end_is_said(self, scorer: Matcher, store: Store, tmp_path: Path) -> None:
        fill(store, random_vectors(3), scorer, tmp_path)
        answer = ask(searcher(scorer, store), cursor=3)
        assert (answer.hits, answer.next) == ((), None)
        assert answer.notice == "No more photos."


class TestFilters:
    def test_pages_are_full(self, scorer: Matcher, store: Store, tmp_path: Path) -> None:
        """The filter comes before the ranking: rare photos are found however far they are."""
        vectors = random_vectors(CANDIDATES + 100)
        fill(store, vectors, scorer, tmp_path)
        far = np.argsort(scores(scorer, vectors)[1])[:12]
        joint = scorer.alignment.images(vectors[far]).vectors
        rare = tmp_path / "rare"
        rare.mkdir()
        for number, (row, place) in enumerate(zip(vectors[far], joint, strict=True)):
            path = rare / f"{number}.jpg"
            path.touch()
            photo = NewPhoto(digest(path), None, replace(FACTS, kind="png"), 0, row, place)
            store.keep([photo], [new_file(path, path)])
        found = searcher(scorer, store)
        for filters in (Filters(folder=rare), Filters(kind="png")):
            assert len(ask(found, filters=filters).hits) == 10
            assert len(ask(found, limit=50, filters=filters).hits) == 12
        assert not {hit.image.path.parent for hit in ask(found).hits} & {rare}

    def test_a_hit_lies_where_it_was_looked_for(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(1), scorer, tmp_path / "a")
        copy = tmp_path / "b" / "copy.jpg"
        copy.parent.mkdir()
        copy.touch()
        store.keep([], [new_file(copy, tmp_path / "a" / "00000.jpg")])
        found = searcher(scorer, store)
        (hit,) = ask(found).hits
        assert (hit.image.path.parent.name, hit.copies) == ("a", (copy,))
        (hit,) = ask(found, filters=Filters(folder=copy.parent)).hits
        assert (hit.image.path, hit.copies) == (copy, ())

    def test_none_left_says_so(self, scorer: Matcher, store: Store, tmp_path: Path) -> None:
        fill(store, random_vectors(3), scorer, tmp_path)
        answer = ask(searcher(scorer, store), filters=Filters(kind="png"))
        assert answer.hits == ()
        assert answer.notice


class TestExpressions:
    def test_a_sum_lies_between_its_parts(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        vectors = random_vectors(60)
        fill(store, vectors, scorer, tmp_path)
        red, blue = (
            scorer.texts(scorer.text_encoder.encode([word])).joint.vectors[0]
            for word in ("red", "blue")
        )
        images = scorer.images(vectors).joint.vectors
        found = searcher(scorer, store)
        for query, direction in (
            ("red + blue", red + blue),
            ("red - blue", red - blue),
            ("2:red - 0.5:blue", 2 * red - 0.5 * blue),
            ("2:red", red),
        ):
            cosines = images @ (direction / np.linalg.norm(direction))
            best = np.argsort(-cosines, kind="stable")[:10]
            hits = ask(found, query).hits
            assert [hit.image.path.name for hit in hits] == [f"{row:05}.jpg" for row in best]
            assert [hit.similarity for hit in hits] == pytest.approx(cosines[best], abs=1e-5)
            assert {hit.probability for hit in hits} == {None}

    def test_what_takes_itself_away_points_nowhere(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(3), scorer, tmp_path)
        answer = ask(searcher(scorer, store), "red - red")
        assert answer.hits == ()
        assert answer.notice

    def test_a_part_of_unknown_words_counts_for_nothing(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(30), scorer, tmp_path)
        found = searcher(scorer, store)
        assert names(ask(found, "2:red + ???")) == names(ask(found, "2:red"))

    def test_several_queries_are_encoded_in_one_batch(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(30), scorer, tmp_path)
        words = _Batches()
        queries = [parse([text]) for text in ("red", "blue", "red + 2:green", "red")]
        answers = searcher(replace(scorer, text_encoder=words), store).answers(
            [(query, Page()) for query in queries]
        )
        assert words.batches == [["red", "blue", "green"]]
        assert [names(a) for a in answers] == [
            names(ask(searcher(scorer, store), query.source)) for query in queries
        ]
        assert answers[0] == answers[3]


class _Batches:
    """The fake text encoder; remembers its batches."""

    def __init__(self) -> None:
        self._inner = load_text_encoder("words")
        self.name, self.dim = self._inner.name, self._inner.dim
        self.batches: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        return self._inner.encode(texts)


@pytest.fixture
def library(tmp_path: Path, scorer: Matcher) -> Iterator[Library]:
    """Twenty painted photos and a copy of the fourth."""
    folder = tmp_path / "photos"
    for number in range(20):
        paint(folder / f"{number:02}.png", number)
    paint(folder / "copy.png", 4)
    with Library.open(tmp_path / "l.kadr", model=scorer) as opened:
        opened.index([folder])
        yield opened


class TestPictures:
    def test_a_picture_finds_itself_first(self, library: Library, tmp_path: Path) -> None:
        path = tmp_path / "photos" / "04.png"
        answer = library.search(str(path))
        assert answer.hits[0].image.path == path
        assert answer.hits[0].copies == (path.with_name("copy.png"),)
        assert answer.hits[0].similarity == pytest.approx(1, abs=1e-5)
        assert answer.hits[0].probability is None
        assert answer.matches

    def test_a_picture_and_a_text_add_up(self, library: Library, tmp_path: Path) -> None:
        path = tmp_path / "photos" / "04.png"
        near = library.search(f"0.01:red + {path}")
        assert near.hits[0].image.path == path
        away = library.search(f"0.01:red - {path}", 21)
        assert away.hits[-1].image.path == path

    def test_a_picture_that_can_t_be_read_is_told(self, library: Library, tmp_path: Path) -> None:
        (tmp_path / "bad.jpg").write_text("no photo")
        with pytest.raises(ImageError, match="not a readable photo"):
            library.search(str(tmp_path / "bad.jpg"))
        for path in (tmp_path / "bad.jpg", tmp_path / "none.jpg"):
            with pytest.raises(ImageError, match="not a readable photo"):
                library.similar(path)

    def test_similar_leaves_out_the_photo_and_its_copies(
        self, library: Library, tmp_path: Path
    ) -> None:
        path = tmp_path / "photos" / "04.png"
        answer = library.similar(path, 50)
        assert sorted(names(answer)) == [f"{n:02}.png" for n in range(20) if n != 4]
        likeness = [hit.similarity for hit in answer.hits]
        assert likeness == sorted(likeness, reverse=True)
        assert library.similar(path.with_name("copy.png"), 50) == answer

    @pytest.mark.parametrize("size", [1, 6, 18, 19, 20])
    def test_pages_of_similar_hold_all_once(
        self, library: Library, tmp_path: Path, size: int
    ) -> None:
        for path in (tmp_path / "photos" / "04.png", paint(tmp_path / "x.png", 77)):
            seen: list[str] = []
            cursor: int | None = 0
            while cursor is not None:
                answer = library.similar(path, size, cursor=cursor)
                assert answer.hits
                seen += names(answer)
                cursor = answer.next
            assert seen == names(library.similar(path, 50))

    def test_similar_to_a_photo_outside(self, library: Library, tmp_path: Path) -> None:
        outside = paint(tmp_path / "other.webp", 4, "WEBP")
        assert outside.read_bytes() != (tmp_path / "photos" / "04.png").read_bytes()
        answer = library.similar(outside, 50)
        assert len(answer.hits) == 20
        assert names(answer)[0] in {"04.png", "copy.png"}


class TestWrittenTexts:
    """What somebody wrote into a photo's file finds it, whatever it shows."""

    @pytest.fixture
    def titled(self, scorer: Matcher, store: Store, tmp_path: Path) -> Store:
        """Thirty photos; the ninth and the last have texts."""
        texts = {8: ("Anna's WEDDING", "Свадьба в мае"), 29: ("wedding",)}
        vectors = random_vectors(30)
        paths = fill(store, vectors, scorer, tmp_path)
        for row, said in texts.items():
            facts = replace(FACTS, texts=said)
            store.keep([NewPhoto(digest(paths[row]), None, facts, 0, vectors[row])], [])
        return store

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("wedding", {"00008.jpg", "00029.jpg"}),
            ("Wedding, Anna", {"00008.jpg"}),
            ("свадьба", {"00008.jpg"}),
            ("в МАЕ", {"00008.jpg"}),
            ("weddings", {"00008.jpg", "00029.jpg"}),
            ("a photo of the wedding", {"00008.jpg", "00029.jpg"}),
            ("svadba", {"00008.jpg"}),
            ("day", set()),
            ("a red wedding", set()),
        ],
    )
    def test_photos_with_all_words_come_first_and_match(
        self, scorer: Matcher, titled: Store, query: str, found: set[str]
    ) -> None:
        answer = ask(searcher(scorer, titled), query, at_least=1.0)
        named = {hit.image.path.name for hit in answer.hits if hit.on_record}
        assert named == found
        assert {hit.image.path.name for hit in answer.hits[: len(found)]} == found
        assert answer.matches == bool(found) or not answer.hits
        assert {word.source for hit in answer.hits for word in hit.on_record} <= {"text"}
        assert all(is_match(answer, hit) == bool(hit.on_record) for hit in answer.hits)

    def test_pages_and_filters_keep_the_order(self, scorer: Matcher, titled: Store) -> None:
        with patch.object(ranking, "CANDIDATES", 4):
            found = searcher(scorer, titled)
            order = whole(found, "wedding")
            assert set(order[:2]) == {"00008.jpg", "00029.jpg"}
            assert sorted(order) == [f"{n:05}.jpg" for n in range(30)]
            assert paged(found, "wedding", 3) == order
            assert whole(found, "wedding", filters=Filters(kind="jpeg")) == order
            assert whole(found, "wedding", filters=Filters(kind="png")) == []

    def test_quotes_bring_those_on_record_alone(self, scorer: Matcher, titled: Store) -> None:
        with patch.object(ranking, "CANDIDATES", 4):
            found = searcher(scorer, titled)
            for quoted in ('"wedding"', " «wedding» "):
                assert (
                    whole(found, quoted) == paged(found, quoted, 1) == whole(found, "wedding")[:2]
                )
            answer = ask(found, '"wedding"', 1)
            assert (answer.notice, answer.matches, answer.next is None) == (None, True, False)
            seen = ask(found, '"red - dog"', 30)
            assert (len(seen.hits), seen.notice) == (30, notice("not on record", "en"))
            assert paged(found, '"red dog"', 7) == whole(found, "red dog")
            assert len(whole(found, 'a "wedding"')) == 30
        assess(titled, {9: 1.0, 30: 1.0})
        hidden = ask(searcher(scorer, titled, LAW), '"wedding"', 30)
        assert (hidden.notice, len(hidden.hits)) == (notice("not on record", "en"), 28)

    def test_a_hidden_photo_s_texts_find_nothing(self, scorer: Matcher, titled: Store) -> None:
        assess(titled, {9: 1.0})
        answer = ask(searcher(scorer, titled, LAW), "wedding", 30)
        assert [hit.image.path.name for hit in answer.hits if hit.on_record] == ["00029.jpg"]
        assert "00008.jpg" not in names(answer)


class TestGroups:
    def test_what_is_probably_seen_goes_before_the_words_of_a_folder(self) -> None:
        none = ranking._NONE
        tiers = np.array([0, 1, 2, 2, 3, none, none, IN_PART, IN_PART])
        probabilities = np.array([0.1, 0.9, 0.1, 0.7, 0.2, 0.9, 0.3, 0.0, 0.8])
        groups = ranking._groups(tiers, probabilities)
        assert groups.tolist() == [0, 1, 5, 3, 6, 3, 8, 4, 2]


class TestMostWords:
    """A photo on whose record most of the words stand comes before what is seen less probably."""

    @pytest.fixture
    def named(self, scorer: Matcher, store: Store, tmp_path: Path) -> Store:
        """Thirty photos, one of them of grandma's birthday."""
        paths = fill(store, random_vectors(30), scorer, tmp_path)
        target = tmp_path / "grandma-birthday.jpg"
        paths[20].rename(target)
        store.keep([], [NewFile(target, 1, 0, bytes.fromhex(store.digest_at(paths[20]) or ""))])
        store.forget([paths[20]])
        return store

    def test_it_comes_first_and_says_why(self, scorer: Matcher, named: Store) -> None:
        with patch.object(ranking, "PLAUSIBLE", 0.0):
            answer = ask(searcher(scorer, named), "grandma's birthday, red", 30)
            best = answer.hits[0]
            assert best.image.path.name == "grandma-birthday.jpg"
            told = [(one.word, one.source) for one in best.on_record]
            assert told == [("grandma", "name"), ("birthday", "name")]
            assert best.in_part
            assert not any(hit.in_part or hit.on_record for hit in answer.hits[1:])
            paged_ = paged(searcher(scorer, named), "grandma's birthday, red", 7)
            assert paged_ == names(answer)

    def test_it_is_no_match_for_that(self, scorer: Matcher, named: Store) -> None:
        with patch.object(ranking, "PLAUSIBLE", 0.0):
            found = searcher(scorer, named)
            answer = ask(found, "grandma birthday red", 3, at_least=0.999)
        assert not answer.matches
        assert not is_match(answer, answer.hits[0])

    def test_what_follows_it_may_match(self, scorer: Matcher, named: Store) -> None:
        query = "grandma birthday red"
        with patch.object(ranking, "PLAUSIBLE", 0.0):
            found = searcher(scorer, named)
            part, seen = (hit.probability or 0.0 for hit in ask(found, query, 2).hits)
            assert part < seen
            answer = ask(found, query, 2, at_least=(part + seen) / 2)
        assert answer.matches
        assert [is_match(answer, hit) for hit in answer.hits] == [False, True]

    def test_what_is_probably_seen_goes_before(self, scorer: Matcher, named: Store) -> None:
        with patch.object(ranking, "PROBABLE", 0.0), patch.object(ranking, "PLAUSIBLE", 1.1):
            found = searcher(scorer, named)
            hits = ask(found, "grandma birthday red", 30).hits
        assert [hit.in_part for hit in hits] == [False] * 29 + [True]

    def test_quotes_ask_for_all_words(self, scorer: Matcher, named: Store) -> None:
        answer = ask(searcher(scorer, named), '"grandma birthday red"', 30)
        assert answer.notice == notice("not on record", "en")
        assert not any(hit.on_record for hit in answer.hits)

    def test_a_hidden_one_is_found_by_none(self, scorer: Matcher, named: Store) -> None:
        (hidden,) = named.recorded(words.wanted("grandma birthday"), Selection()).photos.tolist()
        assess(named, {hidden: 1.0})
        answer = ask(searcher(scorer, named, LAW), "grandma birthday red", 30)
        assert "grandma-birthday.jpg" not in names(answer)


class TestWithout:
    """What follows "without" is left out, by its own probability."""

    def test_photos_that_probably_show_it_are_left_out(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(40), scorer, tmp_path)
        found = searcher(scorer, store)
        red = {hit.image.path.name: hit.probability for hit in ask(found, "red", 40).hits}
        assert all(probability is not None for probability in red.values())
        limit = sorted(red.values())[20]  # type: ignore[type-var]
        with patch.object(ranking, "WITHOUT", limit), patch.object(ranking, "CANDIDATES", 7):
            order = whole(found, "blue dog without red")
            kept = [name for name in whole(found, "blue dog") if red[name] < limit]  # type: ignore[operator]
            assert order == kept
            assert len(order) == 20
            assert paged(found, "blue dog without red", 3) == order
            assert whole(found, "blue dog -red") == whole(found, "blue dog no red") == order
            likeness = whole(found, "blue + dog")
            assert whole(found, "blue + dog -red") == [n for n in likeness if red[n] < limit]  # type: ignore[operator]
        with patch.object(ranking, "WITHOUT", 0.0):
            answer = ask(found, "blue dog without red")
            assert (answer.hits, answer.notice) == ((), "No photo passes these filters.")

    def test_no_more_than_the_nearest_are_ranked_for_it(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(40), scorer, tmp_path)
        found = searcher(scorer, store)
        with patch.object(ranking, "CANDIDATES", 7), patch.object(ranking, "DEEPEST", 2):
            with patch.object(ranking, "WITHOUT", 1.0):
                assert len(whole(found, "blue dog without red")) == 14
                assert len(whole(found, "blue dog")) == 40
            with (
                patch.object(ranking, "WITHOUT", 0.0),
                patch.object(store, "nearest", wraps=store.nearest) as asked,
            ):
                assert ask(found, "blue dog without red").hits == ()
            assert asked.call_count == 2

    def test_it_is_refused_where_it_names_a_child(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        fill(store, random_vectors(3), scorer, tmp_path)
        for query in ("a dog without children", "a dog -children", "a dog + grass -child"):
            assert ask(searcher(scorer, store, LAW), query).refused


class TestSuggestion:
    def test_a_year_is_offered_where_photos_of_it_are_shown(
        self, scorer: Matcher, store: Store, tmp_path: Path
    ) -> None:
        (path,) = fill(store, random_vectors(1), scorer, tmp_path)
        facts = replace(FACTS, taken="2021-07-04T10:11:12")
        store.keep([NewPhoto(digest(path), None, facts, 0, random_vectors(1)[0])], [])
        offered = Suggestion("dog", "2021-07", "2021-08")
        found = searcher(scorer, store)
        assert ask(found, "dog in July 2021").suggestion == offered
        assert ask(found, "dog in August 2021").suggestion is None
        assert ask(found, "dog in 2021", filters=Filters(kind="gif")).suggestion is None
        asked = Filters(after="2020-01-01T00:00:00")
        assert ask(found, "dog in 2021", filters=asked).suggestion is None
        assert ask(searcher(scorer, store, LAW), "dog in July 2021").suggestion == offered
        assess(store, {1: 0.9})
        assert ask(searcher(scorer, store, LAW), "dog in July 2021").suggestion is None


class TestExplained:
    def test_each_hit_has_its_words(self, library: Library) -> None:
        answer = library.search("red dog", 5)
        told = library.explained("red dog", answer)
        assert names(told) == names(answer)
        for hit in told.hits:
            assert hit.explanation is not None
            assert [effect.word for effect in hit.explanation.words] == ["red", "dog"]
            assert hit.explanation.heat is None, "the fake can't tell where"

    def test_sums_stay_as_they_are(self, library: Library) -> None:
        answer = library.search("red - dog", 5)
        assert library.explained("red - dog", answer) == answer


class TestChanges:
    def test_what_another_process_adds_and_removes_is_seen(
        self, scorer: Matcher, tmp_path: Path
    ) -> None:
        mine = open_store(tmp_path / "l.kadr", create=True)
        found = searcher(scorer, mine)
        assert ask(found).hits == ()
        other = open_store(tmp_path / "l.kadr")
        vectors = random_vectors(8)
        paths = fill(other, vectors[:5], scorer, tmp_path / "a")
        assert len(ask(found).hits) == 5
        fill(other, vectors[5:], scorer, tmp_path / "b")
        assert len(ask(found).hits) == 8
        other.mark([bytes(path) for path in paths], missing=True)
        assert len(ask(found).hits) == 3
        other.prune()
        assert len(ask(found).hits) == 3
        other.close()
        mine.close()

    def test_what_the_library_itself_indexes_is_seen(
        self, library: Library, tmp_path: Path
    ) -> None:
        assert len(library.search("red", 50).hits) == 20
        paint(tmp_path / "photos" / "new.png", 50)
        library.index()
        assert len(library.search("red", 50).hits) == 21
        library.remove(tmp_path / "photos")
        assert library.search("red", 50).hits == ()

    def test_a_file_that_is_gone_is_no_hit(self, library: Library, tmp_path: Path) -> None:
        (tmp_path / "photos" / "04.png").unlink()
        hits = {hit.image.path.name for hit in library.search("red", 50).hits}
        assert "copy.png" in hits, "its copy stands for it"
        assert "04.png" not in hits
        (tmp_path / "photos" / "copy.png").unlink()
        assert len(library.search("red", 50).hits) == 19


def test_a_colour_s_name_finds_its_photos(scorer: Matcher, store: Store, tmp_path: Path) -> None:
    """End to end with the fakes: what was learned ranks photos that weren't seen."""
    texts, vectors = vectors_of(9, 200)
    fill(store, vectors, scorer, tmp_path)
    hits = ask(searcher(scorer, store), "a green dog and a green car", 5).hits
    assert all("green" in texts[int(hit.image.path.stem)] for hit in hits)


@pytest.fixture(scope="module")
def twins(
    archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[int, int]]]:
    """Rank of the right photo among 100 for each English query and its Russian twin."""
    english = {query.id: query for query in dataset.load(archive).test_queries}
    lines = [line.split(" | ") for line in RUSSIAN.read_text(encoding="utf-8").splitlines()]
    pairs = [(english[query_id], russian) for query_id, russian in lines[::2]]
    with Library.open(tmp_path_factory.mktemp("archive") / "library.kadr") as library:
        library.index([archive / "test_images"])

        def ranks(queries: Sequence[tuple[str, str]]) -> list[int]:
            asked = [Expression((Part(1.0, text, None),), text) for text, _ in queries]
            answers = library.answers([(one, Page(100)) for one in asked])
            return [
                names(answer).index(image) + 1
                for answer, (_, image) in zip(answers, queries, strict=True)
            ]

        yield list(
            zip(
                ranks([(query.text, str(query.image)) for query, _ in pairs]),
                ranks([(text, str(query.image)) for query, text in pairs]),
                strict=True,
            )
        )


@pytest.mark.archive
def test_russian_finds_most_photos(twins: list[tuple[int, int]]) -> None:
    """Measured on all 200: R@1 0.615 in English, 0.550 in Russian (docs/results.md)."""
    english, russian = (np.array(ranks) for ranks in zip(*twins, strict=True))
    assert len(russian) == 100
    assert (english <= 1).mean() >= 0.55
    assert (russian <= 1).mean() >= 0.45
    assert (russian <= 10).mean() >= 0.85


def test_every_photo_has_two_russian_queries() -> None:
    lines = [line.split(" | ") for line in RUSSIAN.read_text(encoding="utf-8").splitlines()]
    photos = [query_id.partition("#")[0] for query_id, _ in lines]
    assert len({query_id for query_id, _ in lines}) == len(lines) == 200
    assert all(photos.count(photo) == 2 for photo in photos)


def test_folders_and_cameras_are_compared_in_one_unicode_form(
    scorer: Matcher, store: Store, tmp_path: Path
) -> None:
    forms: list[Literal["NFC", "NFD"]] = ["NFC", "NFD"]
    for form, other in (forms, reversed(forms)):
        folder = tmp_path / form / unicodedata.normalize(form, "Фойе café")
        (path,) = fill(store, random_vectors(1), scorer, folder)
        facts = replace(FACTS, camera=unicodedata.normalize(form, "Ёлка-М"))
        store.keep([NewPhoto(digest(path), None, facts, 0, random_vectors(1)[0])], [])
        asked = Filters(
            folder=tmp_path / form / unicodedata.normalize(other, "Фойе café"),
            camera=unicodedata.normalize(other, "ёлка"),
        )
        (hit,) = ask(searcher(scorer, store), filters=asked).hits
        assert hit.image.path == path
        assert resolved(asked.folder or tmp_path) == folder
    nowhere = Filters(folder=tmp_path / "Фойе")
    assert ask(searcher(scorer, store), filters=nowhere).hits == ()
