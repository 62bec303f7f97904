"""The law acts: no answer depends on a hidden photo, whatever is asked."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kadr.law.policy import PRESETS, Policy
from kadr.law.verdict import verdict
from kadr.library import ranking
from kadr.library.catalogue import Catalogue
from kadr.library.duplicates import find_duplicates
from kadr.library.library import Library
from kadr.library.queries import Expression, Part, parse
from kadr.library.search import Page, Searcher
from kadr.matcher.bundle import Matcher
from kadr.photos import images
from kadr.stores import MEMORY, NewPhoto, Store, open_store
from kadr.types import Answer, Assessment, Filters, PhotoFacts, Picture, Ruling, Vectors, Verdict
from libraries import assess, colour_matcher, digest, engine, fill, new_file, paint

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


def test_hidden_photos_leave_and_every_answer_says_so(scorer: Matcher, store: Store) -> None:
    order = best(scorer, store, 12)
    assert search(scorer, store).withheld is None, "nothing is hidden"
    assess(store, {order[0]: 1.0, order[3]: UNDER_16.review})
    answer = search(scorer, store)
    assert answer.withheld == UNDER_16.disclaimer()
    assert numbers(answer) == [order[n] for n in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11)]
    assert search(scorer, store, language="ru").withheld == UNDER_16.disclaimer("ru")
    assert search(scorer, store, filters=Filters(kind="png")).withheld == UNDER_16.disclaimer()
    assert search(scorer, store, cursor=COUNT).withheld == UNDER_16.disclaimer()
    assert search(scorer, store, NONE).withheld is None


def test_nothing_is_shown_that_nobody_assessed(scorer: Matcher, store: Store) -> None:
    with engine(store).transaction() as run:
        run("DELETE FROM assessments")
    answer = search(scorer, store)
    assert (answer.hits, answer.withheld) == ((), UNDER_16.disclaimer())
    assert len(search(scorer, store, NONE).hits) == 10


def test_a_new_name_wants_a_new_assessment(scorer: Matcher, store: Store, tmp_path: Path) -> None:
    first = best(scorer, store, 1)[0]
    (path,) = store.present([first])[first]
    copy = tmp_path / "our kids.jpg"
    copy.touch()
    from libraries import new_file

    store.keep([], [replace(new_file(copy, path), digest=digest(path))])
    assert store.unassessed() == [first]
    assert first not in numbers(search(scorer, store))


def test_a_filter_tells_nothing_of_hidden_photos(scorer: Matcher, store: Store) -> None:
    order = best(scorer, store, COUNT)
    assess(store, dict.fromkeys(order[:5], 1.0))
    answer = search(scorer, store, limit=COUNT, filters=Filters(kind="jpeg"))
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
    assess(store, {number: 1.0})
    by_file = [
        searcher.similar(photo, Page(COUNT)),
        *searcher.answers([(parse([str(photo)]), Page(COUNT))]),
    ]
    hidden = Expression((Part(1.0, None, number),), "")
    by_number = [searcher.similar(number, Page()), *searcher.answers([(hidden, Page())])]
    assert [(answer.refused, answer.notice) for answer in by_number] == [
        (True, UNDER_16.disclaimer())
    ] * 2
    assert all(not answer.refused for answer in by_file), "what the library hides isn't told"
    store.forget([photo])
    assert searcher.similar(photo, Page(COUNT)) == replace(by_file[0], withheld=None)
    assert searcher.answers([(parse([str(photo)]), Page(COUNT))]) == [
        replace(by_file[1], withheld=None)
    ]


def test_a_picture_of_a_child_is_no_query(scorer: Matcher, store: Store, tmp_path: Path) -> None:
    """It is refused as the words are, by the file, in a sum, and as what others are like."""
    from libraries import paint

    child, dog = paint(tmp_path / "child.png", 1), paint(tmp_path / "dog.png", 2)

    def refuses(picture: Picture | Path) -> bool:
        return picture == child

    searcher = Searcher(scorer, store, UNDER_16, refuses)
    for line in (str(child), f"red + 0.1:{child}", f"red - {child}"):
        (answer,) = searcher.answers([(parse([line]), Page())])
        assert (answer.hits, answer.notice) == ((), UNDER_16.disclaimer())
    assert searcher.similar(child, Page()).refused
    assert searcher.similar(dog, Page()).hits
    assert searcher.answers([(parse([str(dog)]), Page())])[0].hits


def _open(path: Path) -> Image.Image:
    return images.decode(path, 32)


def test_hidden_photos_are_in_no_group_of_duplicates(scorer: Matcher, tmp_path: Path) -> None:
    cells = np.random.default_rng(4).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    picture = Image.fromarray(cells).resize((320, 240), Image.Resampling.BICUBIC)
    for quality in (95, 90, 85, 80):
        picture.save(tmp_path / f"{quality}.jpg", quality=quality)
    with Library.open(tmp_path / "twins.kadr", model=scorer, policy=UNDER_16) as library:
        library.index([tmp_path])
        store = library.store
        assess(store, dict.fromkeys(range(1, 5), 0.0))
        with engine(store).transaction() as run:
            run("DELETE FROM copies")
        assert [len(group.photos) for group in find_duplicates(store, UNDER_16)] == [4]
        assess(store, dict.fromkeys((1, 2), 1.0))
        (group,) = find_duplicates(store, UNDER_16)
        assert sorted(photo.id for photo in group.photos) == [3, 4]
        assert len(find_duplicates(store, NONE)[0].photos) == 4


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
    seen: list[int] = []
    cursor: int | None = 0
    while cursor is not None:
        answer = search(scorer, store, limit=size, cursor=cursor)
        assert len(answer.hits) == size or answer.next is None
        seen += numbers(answer)
        cursor = answer.next
    assert seen == [number for number in order if number not in hidden]


# Whoever may only read can't tell two libraries apart that differ in what they hide.


@st.composite
def facts(draw: st.DrawFn) -> PhotoFacts:
    placed = draw(st.booleans())
    return PhotoFacts(
        draw(st.sampled_from(["jpeg", "png"])),
        draw(st.integers(1, 4)) * 100,
        draw(st.integers(1, 4)) * 100,
        draw(st.none() | st.dates(MAY, date(2024, 5, 9)).map(lambda day: f"{day}T12:00:00")),
        draw(st.sampled_from([None, "Canon EOS", "Nikon"])),
        draw(st.floats(50, 51)) if placed else None,
        draw(st.floats(30, 31)) if placed else None,
    )


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, Page]:
    day = st.none() | st.dates(MAY, date(2024, 5, 9)).map(lambda day: f"{day}T00:00:00")
    chosen = Filters(
        after=draw(day),
        before=draw(day),
        camera=draw(st.sampled_from([None, "canon", "x"])),
        near=draw(st.none() | st.tuples(st.floats(50, 51), st.floats(30, 31), st.floats(1, 99))),
        kind=draw(st.sampled_from([None, "jpeg", "png"])),
        min_width=draw(st.integers(0, 4)) * 100,
        min_height=draw(st.integers(0, 4)) * 100,
    )
    page = Page(
        draw(st.integers(1, 30)),
        draw(st.none() | st.just(chosen)),
        draw(st.integers(0, 40)),
        draw(st.none() | st.floats(0, 1)),
    )
    return draw(st.sampled_from([QUERY, "red", "blue - 0.5:red", "zzz", "like this"])), page


MAY = date(2024, 5, 1)


@dataclass(frozen=True)
class Shot:
    """A photo that a library is to hold."""

    name: str
    vector: Vectors
    facts: PhotoFacts
    child: float = 0.0


@contextmanager
def holding(scorer: Matcher, folder: Path, shots: Sequence[Shot]) -> Iterator[Store]:
    """A library in memory that holds these photos, in this order."""
    store = open_store(MEMORY, create=True)
    store.note(encoder=scorer.image_encoder.name, model="", space=scorer.alignment.digest())
    for number, shot in enumerate(shots, start=1):
        path = folder / shot.name
        path.touch()
        (joint,) = scorer.alignment.images(shot.vector[None]).vectors
        photo = NewPhoto(digest(path), None, shot.facts, number * 7919, shot.vector, joint)
        store.keep([photo], [new_file(path, path)])
        assess(store, {number: shot.child})
    yield store
    store.close()


def observed(
    scorer: Matcher, store: Store, asked: Sequence[tuple[str, Page]], picture: Path
) -> list[object]:
    """All that a visitor who may read is told, but the numbers of photos."""
    searcher, catalogue = Searcher(scorer, store, UNDER_16), Catalogue(store, UNDER_16)
    told: list[object] = []
    for text, page in asked:
        if text == "like this":
            answer = searcher.similar(picture, page)
        else:
            (answer,) = searcher.answers([(parse([text]), page)])
        hits = tuple(replace(hit, image=replace(hit.image, id="")) for hit in answer.hits)
        listing = catalogue.newest(page.limit, 0, page.filters)
        told += [replace(answer, hits=hits), [photo.paths for photo in listing.photos]]
    groups = find_duplicates(store, UNDER_16)
    return [*told, catalogue.facets(), [[p.paths for p in group.photos] for group in groups]]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), asked=st.lists(questions(), min_size=1, max_size=4))
def test_nobody_can_tell_what_is_hidden(
    scorer: Matcher,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    asked: Sequence[tuple[str, Page]],
) -> None:
    folder = tmp_path_factory.getbasetemp() / "observed"
    folder.mkdir(exist_ok=True)
    vectors = random_vectors(40)[data.draw(st.permutations(range(40)))]
    shots = [
        Shot(f"{n}.jpg", vectors[n], data.draw(facts()))
        for n in range(data.draw(st.integers(1, 24)))
    ]
    hidden = [
        Shot(f"hidden{n}.jpg", vectors[30 + n], data.draw(facts()), data.draw(st.floats(0.2, 1)))
        for n in range(3)
    ]
    base = data.draw(st.permutations([*shots, hidden[0]]))
    others = [*base]
    for shot in hidden[1:]:
        others.insert(data.draw(st.integers(0, len(others))), shot)
    picture = paint(folder / "mine.png", 3)
    with (
        patch.multiple(ranking, CANDIDATES=7, LOOK=3, SIZES=(2, 8000)),
        holding(scorer, folder, base) as one,
        holding(scorer, folder, others) as other,
    ):
        assert observed(scorer, one, asked, picture) == observed(scorer, other, asked, picture)


def test_a_face_once_seen_counts_whoever_indexes_next(
    scorer: Matcher, store: Store, tmp_path: Path
) -> None:
    """An indexing without a law looks for no faces, and forgets none."""
    from kadr.law import assess as assessing
    from kadr.law.assessor import Assessor

    store.keep_assessments({1: replace(assessed(0.95), faces=(4.0,))})
    assessing.assess(store, Assessor(), [1, 2])
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


@pytest.mark.parametrize("server", [False, True], ids=["file", "server"])
def test_an_assessment_counts_only_for_the_names_that_it_was_made_from(
    scorer: Matcher, tmp_path: Path, server: bool
) -> None:
    """Another indexer finds a photo under a child's name while this one still computes."""
    from kadr.law import assess as assessing
    from kadr.law.assessor import Assessor

    spec = str(tmp_path / "library.kadr")
    if server:
        spec = pytest.importorskip("postgres_servers").server().empty()
    names = iter([tmp_path / "b" / "our kids.jpg"])

    class Slow(Assessor):
        def assess(self, *asked: Any, **options: Any) -> list[Assessment]:
            made = super().assess(*asked, **options)
            for name in names:
                with closing(open_store(spec)) as other:
                    other.keep([], [new_file(name, tmp_path / "00000.jpg")])
                    assessing.assess(other, Assessor(), [1])
            return made

    with closing(open_store(spec, create=True)) as opened:
        fill(opened, random_vectors(2), scorer, tmp_path)
        told: list[str] = []
        assessing.assess(opened, Slow(), [1, 2], told.extend)
        found = opened.assessments([1, 2])
    assert found[1].words == ("kid",)
    assert found[2].words == ()
    assert sorted(told) == sorted(digest(tmp_path / f"0000{n}.jpg").hex() for n in range(2))
