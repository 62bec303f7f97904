"""Searching: candidates by similarity, order by probability, and what the law refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kadr import dataset, matcher, scenes
from kadr.errors import DataError, KadrError
from kadr.matcher import Matcher
from kadr.safety import policy as law
from kadr.search import CANDIDATES, Collection, Searcher, collect
from kadr.train import Config, train
from kadr.types import ImageFile, Vectors
from kadr.vectors import VectorCache

FREE, LAW = law.load("none"), law.load("under-16")
ENCODER = "fake-colour-grid-4x4"
QUERY = "A red car is on the street ."
DISCLAIMER = "This image is unavailable in your country in compliance with local laws"
RUSSIAN = Path(__file__).parent / "russian_queries.txt"
"""Two test queries of each photo, translated by us: id | text."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("search") / "archive"
    scenes.generate(path, images=40, seed=2)
    return path


@pytest.fixture(scope="module")
def scorer(folder: Path) -> Matcher:
    cache = VectorCache(Path(":memory:"))
    config = Config(image_encoder="colours", text_encoder="words")
    found = train(dataset.load(folder), config, cache).matcher
    cache.close()
    return found


def random_vectors(n: int, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).random((n, 48), dtype=np.float32)


def collection(vectors: Vectors, encoder: str = ENCODER) -> Collection:
    names = [f"{number:05}.jpg" for number in range(len(vectors))]
    files = [ImageFile(name, name, Path(name)) for name in names]
    return Collection(encoder, files, vectors, ())


def scores(scorer: Matcher, vectors: Vectors) -> tuple[list[float], list[float]]:
    """Probability and cosine of the query with every row."""
    text = scorer.texts(scorer.text_encoder.encode([QUERY]))
    images = scorer.images(vectors)
    probability, cosine = scorer.pairs(images, text.take(np.zeros(len(vectors), dtype=np.intp)))
    np.testing.assert_allclose(scorer.relevance.table(images, text)[0], probability)
    return probability.tolist(), cosine.tolist()


def test_order_is_by_probability(scorer: Matcher) -> None:
    vectors = random_vectors(200)
    probability, cosine = scores(scorer, vectors)
    best = sorted(range(200), key=lambda row: -probability[row])
    by_cosine = sorted(range(200), key=lambda row: -cosine[row])
    assert best[:10] != by_cosine[:10], "the figures must tell the two orders apart"
    hits = Searcher(scorer, collection(vectors), FREE).search(QUERY).hits
    assert [hit.image.id for hit in hits] == [f"{row:05}.jpg" for row in best[:10]]
    assert [hit.probability for hit in hits] == pytest.approx([probability[r] for r in best[:10]])
    assert [hit.similarity for hit in hits] == pytest.approx(
        [cosine[r] for r in best[:10]], abs=1e-5
    )


@pytest.mark.parametrize(("limit", "found"), [(1, 1), (7, 7), (12, 12), (50, 12)])
def test_limit(scorer: Matcher, limit: int, found: int) -> None:
    answer = Searcher(scorer, collection(random_vectors(12)), FREE).search(QUERY, limit)
    assert len(answer.hits) == found
    assert answer.notice is None


def test_equal_photos_keep_their_order(scorer: Matcher) -> None:
    vectors = np.repeat(random_vectors(3), 40, axis=0)
    hits = Searcher(scorer, collection(vectors), FREE).search(QUERY, 120).hits
    for start in range(0, 120, 40):
        names = [hit.image.id for hit in hits[start : start + 40]]
        assert names == sorted(names)
        assert len({hit.probability for hit in hits[start : start + 40]}) == 1


def test_candidates_are_the_most_similar(scorer: Matcher) -> None:
    vectors = random_vectors(CANDIDATES + 400)
    _, cosine = scores(scorer, vectors)
    near = sorted(range(len(vectors)), key=lambda row: -cosine[row])
    hits = Searcher(scorer, collection(vectors), FREE).search(QUERY, len(vectors)).hits
    assert len(hits) == CANDIDATES
    found = {hit.image.id for hit in hits}
    # Rounding may swap neighbours at the border.
    assert {f"{row:05}.jpg" for row in near[: CANDIDATES - 5]} <= found
    assert found.isdisjoint(f"{row:05}.jpg" for row in near[CANDIDATES + 5 :])


def test_other_encoder_is_refused(scorer: Matcher) -> None:
    with pytest.raises(KadrError, match=f"encoded by some-other.*needs {ENCODER}"):
        Searcher(scorer, collection(random_vectors(2), "some-other"), FREE)


@pytest.mark.parametrize(
    ("query", "language", "notice"),
    [
        ("a little girl on a swing", "en", DISCLAIMER),
        ("мальчик с собакой", "en", DISCLAIMER),
        ("a little girl on a swing", "ru", LAW.disclaimer("ru")),
    ],
)
def test_law_refuses_a_search_for_children(
    scorer: Matcher, query: str, language: str, notice: str
) -> None:
    photos = collection(random_vectors(5))
    answer = Searcher(scorer, photos, LAW).search(query, language=language)
    assert (answer.hits, answer.notice) == ((), notice)
    assert Searcher(scorer, photos, FREE).search(query).hits
    assert Searcher(scorer, photos, LAW).search("a man with a dog").hits


def test_empty_collection_says_so(scorer: Matcher) -> None:
    answer = Searcher(scorer, collection(random_vectors(0)), FREE).search(QUERY)
    assert answer.hits == ()
    assert answer.notice == "There is no photo to search."


def test_collect_encodes_once_and_names_what_it_skips(
    scorer: Matcher, folder: Path, tmp_path: Path
) -> None:
    photos = folder / "test_images"
    broken = photos / "broken.jpg"
    broken.write_text("<html>not found</html>")
    cache = VectorCache(tmp_path / "cache.sqlite")
    calls: list[tuple[int, int]] = []
    try:
        first = collect(photos, scorer, cache, lambda *call: calls.append(call))
        again = collect(photos, replace(scorer, image_encoder=_Asleep()), cache)
    finally:
        cache.close()
        broken.unlink()
    assert [file.id for file in first.files] == sorted(path.name for path in photos.iterdir())
    assert [skipped.path for skipped in first.skipped] == [broken]
    assert first.encoder == ENCODER
    assert calls[-1] == (5, 5)
    np.testing.assert_array_equal(first.vectors, again.vectors)


class _Asleep:
    """Has the name of the fake, and encodes nothing."""

    name, dim, size = ENCODER, 48, 32

    def prepare(self, image: object) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        raise AssertionError("decoded a photo whose vector is cached")

    def encode(self, images: object) -> Vectors:
        raise AssertionError("encoded a photo whose vector is cached")


def test_collect_needs_a_folder(scorer: Matcher, tmp_path: Path) -> None:
    cache = VectorCache(Path(":memory:"))
    with pytest.raises(DataError, match="no such folder"):
        collect(tmp_path / "nowhere", scorer, cache)
    cache.close()


@pytest.fixture(scope="module")
def twins(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, int]]:
    """Rank of the right photo among 100 for each English query and its Russian twin."""
    cache = VectorCache(tmp_path_factory.getbasetemp() / "archive.sqlite")
    mini = matcher.load()
    searcher = Searcher(mini, collect(archive / "test_images", mini, cache), FREE)
    cache.close()
    english = {query.id: query for query in dataset.load(archive).test_queries}

    def rank(text: str, image: str | None) -> int:
        return [hit.image.id for hit in searcher.search(text, 100).hits].index(str(image)) + 1

    lines = [line.split(" | ") for line in RUSSIAN.read_text(encoding="utf-8").splitlines()]
    pairs = [(english[query_id], russian) for query_id, russian in lines[::2]]
    return [(rank(query.text, query.image), rank(text, query.image)) for query, text in pairs]


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
