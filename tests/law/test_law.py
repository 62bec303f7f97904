"""The law acts: a hidden photo is nowhere but in its place, and there only as the disclaimer."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kadr.law.policy import PRESETS, Policy
from kadr.law.verdict import verdict
from kadr.library.duplicates import find_duplicates
from kadr.library.queries import parse
from kadr.library.search import Page, Searcher, interleaved
from kadr.matcher.bundle import Matcher
from kadr.photos import images
from kadr.stores import Store, open_store
from kadr.types import Answer, Assessment, Filters, Hit, Ruling, Vectors, Verdict, Withheld
from libraries import assess, colour_matcher, digest, engine, fill

UNDER_16, NONE = PRESETS["under-16"], PRESETS["none"]
COUNT = 40
QUERY = "a red dog and a blue car"


@pytest.fixture(scope="module")
def scorer() -> Matcher:
    return colour_matcher()


def random_vectors(count: int) -> Vectors:
    return np.random.default_rng(5).random((count, 48), dtype=np.float32)


@pytest.fixture
def store(scorer: Matcher, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "library.kadr", create=True)
    fill(opened, random_vectors(COUNT), scorer, tmp_path)
    yield opened
    opened.close()


def search(scorer: Matcher, store: Store, policy: Policy = UNDER_16, **how: object) -> Answer:
    return Searcher(scorer, store, policy).answers([(parse([QUERY]), Page(**how))])[0]  # type: ignore[arg-type]


def numbers(answer: Answer) -> list[int]:
    return [int(hit.image.id) for hit in answer.hits]


def best(scorer: Matcher, store: Store, count: int) -> list[int]:
    return numbers(search(scorer, store, NONE, limit=count))


def assessed(probability: float, failed: tuple[str, ...] = ()) -> Assessment:
    return Assessment((), probability, None, failed, probability, "test")


@pytest.mark.parametrize(
    ("policy", "assessment", "ruling", "expected"),
    [
        (UNDER_16, assessed(0.0), None, "show"),
        (UNDER_16, assessed(UNDER_16.review), None, "review"),
        (UNDER_16, assessed(UNDER_16.hide), None, "hide"),
        (UNDER_16, None, None, "review"),
        (UNDER_16, assessed(0.0, ("scene",)), None, "review"),
        (UNDER_16, assessed(1.0, ("faces",)), None, "hide"),
        (UNDER_16, replace(assessed(0.0), version=""), None, "review"),
        (replace(UNDER_16, faces="always"), assessed(0.0), None, "review"),
        (replace(UNDER_16, faces="always"), replace(assessed(0.0), faces=()), None, "show"),
        (UNDER_16, assessed(1.0), Ruling("allow", "a", "t", "w"), "show"),
        (UNDER_16, None, Ruling("allow", "a", "t", "w"), "show"),
        (UNDER_16, assessed(0.0), Ruling("hide", "a", "t", "w"), "hide"),
        (NONE, assessed(1.0), Ruling("hide", "a", "t", "w"), "show"),
        (NONE, None, None, "show"),
    ],
)
def test_verdict(
    policy: Policy, assessment: Assessment | None, ruling: Ruling | None, expected: Verdict
) -> None:
    assert verdict(policy, assessment, ruling) == expected


def test_a_hidden_photo_is_a_card_in_its_place(scorer: Matcher, store: Store) -> None:
    order = best(scorer, store, 10)
    assess(store, {order[0]: 1.0, order[3]: UNDER_16.review})
    answer = search(scorer, store)
    assert answer.withheld == tuple(Withheld(n, UNDER_16.disclaimer()) for n in (0, 3))
    assert numbers(answer) == [order[n] for n in (1, 2, 4, 5, 6, 7, 8, 9)]
    shown = list(interleaved(answer))
    assert [isinstance(one, Withheld) for one in shown] == [n in {0, 3} for n in range(10)]
    assert search(scorer, store, language="ru").withheld[0].notice == UNDER_16.disclaimer("ru")
    assert search(scorer, store, NONE).withheld == ()


def test_nothing_is_shown_that_nobody_assessed(scorer: Matcher, store: Store) -> None:
    with engine(store).transaction() as run:
        run("DELETE FROM assessments")
    answer = search(scorer, store)
    assert (answer.hits, len(answer.withheld)) == ((), 10)
    assert len(search(scorer, store, NONE).hits) == 10


def test_a_new_name_wants_a_new_assessment(scorer: Matcher, store: Store, tmp_path: Path) -> None:
    first = best(scorer, store, 1)[0]
    (path,) = store.present([first])[first]
    copy = tmp_path / "our kids.jpg"
    copy.touch()
    from libraries import new_file

    store.keep([], [replace(new_file(copy, path), digest=digest(path))])
    assert store.unassessed() == [first]
    assert [one.place for one in search(scorer, store).withheld] == [0]


def test_a_filter_tells_nothing_of_hidden_photos(scorer: Matcher, store: Store) -> None:
    order = best(scorer, store, COUNT)
    assess(store, dict.fromkeys(order[:5], 1.0))
    answer = search(scorer, store, limit=COUNT, filters=Filters(kind="jpeg"))
    assert answer.withheld == ()
    assert numbers(answer) == order[5:]


def test_a_picture_tells_nothing_of_hidden_photos(
    scorer: Matcher, store: Store, tmp_path: Path
) -> None:
    from libraries import paint

    order = best(scorer, store, COUNT)
    assess(store, dict.fromkeys(order[:5], 1.0))
    photo = paint(tmp_path / "mine.png", 1)
    searcher = Searcher(scorer, store, UNDER_16)
    answers = [
        searcher.similar(photo, Page(COUNT)),
        searcher.answers([(parse([str(photo)]), Page(COUNT))])[0],
        searcher.answers([(parse(["red", "+", str(photo)]), Page(COUNT))])[0],
    ]
    for answer in answers:
        assert answer.withheld == ()
        assert set(numbers(answer)) == set(order[5:])


def test_a_hidden_photo_is_no_query(scorer: Matcher, store: Store, tmp_path: Path) -> None:
    from libraries import new_file, paint

    photo = paint(tmp_path / "known.png", 1)
    vectors = scorer.image_encoder.encode([scorer.image_encoder.prepare(_open(photo))])
    import hashlib

    from kadr.stores import NewPhoto
    from libraries import FACTS

    key = hashlib.sha256(photo.read_bytes()).digest()
    joint = scorer.alignment.images(vectors).vectors
    store.keep(
        [NewPhoto(key, None, FACTS, 0, vectors[0], joint[0])],
        [replace(new_file(photo, photo), digest=key)],
    )
    (number,) = store.numbers([key])
    searcher = Searcher(scorer, store, UNDER_16)
    for probability, refused in ((1.0, True), (0.0, False)):
        assess(store, {number: probability})
        found = [
            searcher.similar(photo, Page()),
            *searcher.answers([(parse([str(photo)]), Page())]),
        ]
        assert [answer.notice == UNDER_16.disclaimer() for answer in found] == [refused] * 2
        assert [bool(answer.hits) for answer in found] == [not refused] * 2


def _open(path: Path) -> Image.Image:
    return images.decode(path, 32)


def test_hidden_photos_are_in_no_group_of_duplicates(scorer: Matcher, tmp_path: Path) -> None:
    with_twins = np.repeat(random_vectors(3), 3, axis=0)
    store = open_store(tmp_path / "twins.kadr", create=True)
    fill(store, with_twins, scorer, tmp_path / "twins")
    assert [len(group.photos) for group in find_duplicates(store, UNDER_16)] == [9]
    assess(store, dict.fromkeys((1, 2, 4), 1.0))
    (group,) = find_duplicates(store, UNDER_16)
    assert sorted(photo.id for photo in group.photos) == [3, 5, 6, 7, 8, 9]
    assert len(find_duplicates(store, NONE)[0].photos) == 9
    store.close()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(hidden=st.sets(st.integers(1, COUNT)), size=st.integers(1, 13))
def test_pages_repeat_and_lose_nothing_whatever_is_hidden(
    scorer: Matcher, store: Store, hidden: set[int], size: int
) -> None:
    assess(store, {n: float(n in hidden) for n in range(1, COUNT + 1)})
    order = best(scorer, store, COUNT)
    seen: list[int | None] = []
    cursor: int | None = 0
    while cursor is not None:
        answer = search(scorer, store, limit=size, cursor=cursor)
        page = list(interleaved(answer))
        assert len(page) == size or answer.next is None
        seen += [int(one.image.id) if isinstance(one, Hit) else None for one in page]
        cursor = answer.next
    assert seen == [None if number in hidden else number for number in order]


def test_a_face_once_seen_counts_whoever_indexes_next(
    scorer: Matcher, store: Store, tmp_path: Path
) -> None:
    """An indexing without a law looks for no faces, and forgets none."""
    from kadr.law import assess as assessing
    from kadr.law.assessor import Assessor

    store.keep_assessments({1: replace(assessed(0.95), faces=(4.0,))})
    assessing.assess(store, Assessor(scorer.image_encoder.name), [1, 2])
    found = store.assessments([1, 2])
    assert found[1].faces == (4.0,)
    assert found[2].faces is None
    assert found[1].probability > found[2].probability


def test_a_limit_tells_nothing_of_a_hidden_photo(scorer: Matcher, store: Store) -> None:
    """Moved about, it would find out a hidden photo's probability."""
    order = best(scorer, store, COUNT)
    free = search(scorer, store, NONE, limit=COUNT)
    assess(store, {order[0]: 1.0})
    first, second = (hit.probability for hit in free.hits[:2])
    assert first is not None
    assert second is not None
    between = (first + second) / 2
    assert search(scorer, store, NONE, at_least=between).matches
    assert not search(scorer, store, at_least=between).matches
    assert search(scorer, store, at_least=second).matches
    assess(store, dict.fromkeys(order, 1.0))
    assert not search(scorer, store, at_least=0).matches
