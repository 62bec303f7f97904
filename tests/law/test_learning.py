"""What decisions teach: the right thing where they are many, little where few, never to show more."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.errors import KadrError
from kadr.law import calibration, learning, proof, review, sampling, scene
from kadr.law.calibration import Calibration
from kadr.law.learning import Reviewed
from kadr.law.policy import PRESETS
from kadr.stores import NewFile, NewPhoto, Store, open_store
from kadr.types import Assessment
from libraries import FACTS, digest

LAW = PRESETS["under-16"]
CLASSIFIER = scene.load()
SHIPPED = Calibration(CLASSIFIER.version)


def decided(count: int, slope: float, intercept: float, seed: int = 0) -> Reviewed:
    """Decisions of people who see children as such a calibration tells."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1, 2.5, count)
    hidden = random.random(count) < scene.probability(slope * odds + intercept)
    return Reviewed(odds, hidden, np.ones(count), learning.SAMPLED)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (1.4, 0.8), (0.7, 0.5)])
def test_many_decisions_teach_what_is_so(slope: float, intercept: float) -> None:
    found = learning.fit(decided(20_000, slope, intercept), SHIPPED, LAW.review)
    assert found.slope == pytest.approx(slope, abs=0.06)
    assert found.intercept == pytest.approx(intercept, abs=0.08)
    assert found.classifier == SHIPPED.classifier


def test_few_decisions_teach_little() -> None:
    many, few = decided(2000, 2.0, 1.5), decided(30, 2.0, 1.5)
    far, near = (learning.fit(one, SHIPPED, LAW.review) for one in (many, few))
    assert 1 < near.slope < far.slope
    assert 0 < near.intercept < far.intercept


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-8, 8), st.booleans(), st.floats(0.1, 10)), min_size=1),
    st.floats(0.3, 3), st.floats(-2, 2), st.floats(0.05, 0.6),
)  # fmt: skip
def test_nothing_that_was_withheld_comes_to_be_shown(
    rows: list[tuple[float, bool, float]], slope: float, intercept: float, limit: float
) -> None:
    odds, hidden, weights = (np.array(column) for column in zip(*rows, strict=True))
    before = Calibration("x", slope, intercept)
    found = learning.fit(Reviewed(odds, hidden, weights), before, limit)
    floor = learning._log_odds(limit)
    assert found == before or found.corrected(floor) >= floor - 1e-6  # nor what nobody looked at
    withheld = hidden & (before.corrected(odds) >= floor + 1e-9)
    assert (found.corrected(odds[withheld]) >= floor - 1e-6).all()


def test_lesson_says_how_it_fares_on_decisions_that_it_does_not_know() -> None:
    reviewed = decided(1500, 1.8, 1.0)
    learned = learning.lesson(reviewed, SHIPPED, LAW.review)
    assert learned == learning.lesson(reviewed, SHIPPED, LAW.review)
    assert learned.objection is None
    assert learned.after.brier < learned.before.brier
    assert learned.after.recall >= learned.before.recall
    assert (learned.decisions, learned.hidden) == (1500, int(reviewed.hidden.sum()))
    p = scene.probability(reviewed.odds)
    assert learned.before.brier == pytest.approx(np.mean((p - reviewed.hidden) ** 2))
    assert learned.before.over_blocking == pytest.approx((p >= 0.2)[~reviewed.hidden].mean())


def test_what_is_worse_is_not_adopted() -> None:
    lessons = [learning.lesson(decided(60, 1, 0, seed), SHIPPED, LAW.review) for seed in range(20)]
    worse = [one for one in lessons if one.objection]
    assert worse
    for one in worse:
        assert one.after.brier > one.before.brier
        with closing(open_store(":memory:", create=True)) as store:
            with pytest.raises(KadrError, match="isn't adopted"):
                learning.adopt(store, one, "Anna")
            assert list(store.entries()) == []


def test_doubts_alone_are_not_enough() -> None:
    reviewed = replace(decided(1500, 1.8, 1.0), sampled=learning.SAMPLED - 1)
    objection = learning.lesson(reviewed, SHIPPED, LAW.review).objection
    assert objection is not None
    assert "Of a sample 49 photos were looked at, 50 are needed" in objection


def test_too_few_decisions_teach_nothing() -> None:
    with pytest.raises(KadrError, match=r"10 of each are needed\. Go on"):
        learning.lesson(decided(12, 1, 0), SHIPPED, LAW.review)


# What is read of a library


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Hold 200 photos with vectors of the law's encoder, assessed."""
    random = np.random.default_rng(5)
    rows = random.normal(size=(200, 256)).astype(np.float32)
    rows *= 2.5 / np.linalg.norm(rows, axis=1, keepdims=True)  # as sure as of real photos
    with closing(open_store(tmp_path / "library.kadr", create=True)) as opened:
        opened.note(encoder=CLASSIFIER.encoder)
        opened.keep(
            [NewPhoto(digest(i), None, FACTS, 0, row, row) for i, row in enumerate(rows)],
            [NewFile(Path(f"/photos/{i}.jpg"), 1, 0, digest(i)) for i in range(200)],
        )
        p = CLASSIFIER.probability(rows)
        opened.keep_assessments(
            {
                n: Assessment((), float(p[n - 1]), None, (), float(p[n - 1]), "v1")
                for n in range(1, 201)
            }
        )
        yield opened


def rule_all(store: Store, photos: list[str], seed: int = 1) -> None:
    """Decide as if children were likelier than the classifier says."""
    random = np.random.default_rng(seed)
    for photo in photos:
        number = store.number(photo)
        assert number is not None
        p = store.assessments([number])[number].probability
        said = "hide" if random.random() < p + 0.3 else "allow"
        review.decide(store, photo, review.ruling(said, "Anna"))


def test_decisions_are_read_with_what_the_classifier_says(store: Store) -> None:
    assert len(learning.read(store, LAW).odds) == 0
    photos = [digest(i).hex() for i in range(6)]
    numbers = [store.number(photo) for photo in photos]
    rule_all(store, photos)
    assert numbers[1] is not None
    known = store.assessments([numbers[1]])[numbers[1]]
    store.keep_assessments({numbers[1]: Assessment(("boy",), known.scene, None, (), 0.9, "v1")})
    review.decide(store, photos[2], review.ruling(
        "hide" if store.ruling(photos[2]).verdict == "allow" else "allow", "Boris"))  # type: ignore[union-attr]  # fmt: skip
    reviewed = learning.read(store, LAW)
    kept = [number for number in numbers if number is not None and number != numbers[2]]
    _, vectors = store.vectors(kept)
    expected = CLASSIFIER.log_odds(vectors)
    expected[kept.index(numbers[1])] += CLASSIFIER.evidence.word
    np.testing.assert_allclose(reviewed.odds, expected)
    assert reviewed.weights.tolist() == [1.0] * 5
    assert reviewed.sampled == 0


def test_photos_of_a_sample_count_for_those_that_they_stand_for(store: Store) -> None:
    doubts = [doubt.digest for doubt in review.queue(store, LAW)]
    rule_all(store, doubts)
    sample = sampling.draw(store, LAW, 20, seed=1)
    assert sample.population > 40
    rule_all(store, [photo for photo, _ in sample.photos])
    reviewed = learning.read(store, LAW)
    assert reviewed.sampled == 20
    assert reviewed.weights.mean() == pytest.approx(1)
    assert set(np.round(reviewed.weights / reviewed.weights.min(), 6)) == {
        1.0, round(sample.population / 20, 6)
    }  # fmt: skip


def test_library_learns_and_forgets(store: Store) -> None:
    rule_all(store, [doubt.digest for doubt in review.queue(store, LAW)])
    sample = sampling.draw(store, LAW, 60, seed=1)
    rule_all(store, [photo for photo, _ in sample.photos])
    with pytest.raises(KadrError, match="nothing to forget"):
        learning.forget(store, "Anna")
    learned = learning.learn(store, LAW)
    assert learned.objection is None
    assert calibration.in_force(store) == (None, None)
    learning.adopt(store, learned, "Anna")
    assert calibration.in_force(store) == (learned.calibration, None)
    (entry,) = store.entries("calibrated")
    assert entry.facts["decisions"] == learned.decisions
    assert entry.facts["after"]["brier"] < entry.facts["before"]["brier"]
    learning.forget(store, "Anna")
    assert calibration.in_force(store) == (None, None)
    assert proof.verify(store) == []
