"""A library's own calibration: kept with its record, and of no effect where that doesn't hold."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.law import calibration, proof, scene
from kadr.law.assessor import Assessor, age_evidence
from kadr.law.calibration import Calibration
from kadr.law.policy import PRESETS
from kadr.library import move
from kadr.library.library import Library
from kadr.stores import MEMORY, Store, open_store
from kadr.types import Assessment
from libraries import colour_matcher, paint

CLASSIFIER = scene.load()
OWN = Calibration(CLASSIFIER.version, 1.5, -0.25)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store(MEMORY, create=True)) as opened:
        yield opened


def test_calibration_is_adopted_and_forgotten_on_record(store: Store) -> None:
    assert calibration.in_force(store) == (None, None)
    calibration.adopt(store, OWN, who="Anna")
    assert calibration.in_force(store) == (OWN, None)
    newer = replace(OWN, slope=2.0)
    calibration.adopt(store, newer, who="Anna")
    assert calibration.in_force(store) == (newer, None)
    assert newer.version != OWN.version
    calibration.adopt(store, None, who="Boris")
    assert calibration.in_force(store) == (None, None)
    assert [e.facts["who"] for e in store.entries("calibrated")] == ["Anna", "Anna", "Boris"]
    assert proof.verify(store) == []


def _change_note(store: Store) -> None:
    store.note(**{calibration.NOTE: json.dumps({"classifier": "", "slope": 3, "intercept": -4})})


def _lose_note(store: Store) -> None:
    store.note(**{calibration.NOTE: None})


@pytest.mark.parametrize("change", [_change_note, _lose_note])
def test_a_note_that_is_not_the_one_on_record_has_no_effect(
    store: Store, change: Callable[[Store], None]
) -> None:
    calibration.adopt(store, OWN, who="Anna")
    change(store)
    found, problem = calibration.in_force(store)
    assert found is None
    assert problem is not None
    assert "isn't the one on record" in problem
    assert "kadr review learn" in problem
    assert "the calibration isn't the log's" in proof.verify(store)


@given(
    st.one_of(
        st.text(),
        st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists).map(json.dumps),
        st.fixed_dictionaries({"classifier": st.just(CLASSIFIER.version)}, optional={
            "slope": st.floats() | st.text(), "intercept": st.floats() | st.none(),
            "more": st.none()}).map(json.dumps),
    )
)  # fmt: skip
def test_a_damaged_note_fails_closed(noted: str) -> None:
    with closing(open_store(MEMORY, create=True)) as store:
        store.note(**{calibration.NOTE: noted})
        store.record(calibration.EVENT, {"calibration": noted})
        found, problem = calibration.in_force(store)
        if found is None:
            assert problem is not None
            assert "damaged" in problem
        else:
            assert 0.3 <= found.slope <= 3
            assert -4 <= found.intercept <= 4


def test_calibration_for_another_classifier_has_no_effect(store: Store) -> None:
    calibration.adopt(store, replace(OWN, classifier="children-older"), who="Anna")
    found, problem = calibration.in_force(store)
    assert found is None
    assert problem is not None
    assert "another version of the classifier" in problem
    assert proof.verify(store) == []


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 0), (-1, 0), (float("nan"), 0), (1, 1e9)])
def test_figures_that_cannot_be_are_refused(slope: float, intercept: float) -> None:
    with pytest.raises(ValueError, match="isn't from"):
        Calibration(CLASSIFIER.version, slope, intercept)


def test_assessments_are_corrected_and_name_the_calibration() -> None:
    rows = np.random.default_rng(1).normal(size=(3, 256)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    texts = [["my daughter.jpg"], [], []]
    seen = Assessment((), None, (8.0,), (), 0.5, "another")
    before = [None, seen, None]
    plain = Assessor(looks_twice=False)
    own = Assessor(calibration=OWN, looks_twice=False)
    assert own.version == f"{plain.version}+{OWN.version}"
    assert own.sceneless_version != plain.sceneless_version
    evidence, odds = CLASSIFIER.evidence, CLASSIFIER.log_odds(rows)
    found = own.assess(texts, rows, before=before)
    word, age = np.array([evidence.word, 0, 0]), np.array([0, age_evidence(evidence, (8.0,)), 0])
    expected = 1.5 * (odds + word) - 0.25 + age
    assert [one.probability for one in found] == pytest.approx(scene.probability(expected).tolist())
    shipped = plain.assess(texts, rows, before=before)
    assert [one.scene for one in found] == [one.scene for one in shipped]  # what it shows stays


def test_the_next_indexing_assesses_anew(tmp_path: Path) -> None:
    place, photos = tmp_path / "library.kadr", tmp_path / "photos"
    for seed in range(3):
        paint(photos / f"{seed}.png", seed)

    def index() -> tuple[set[str], str | None]:
        with Library.open(place, model=colour_matcher(), policy=PRESETS["under-16"]) as library:
            library.index([photos])
            versions = {one.version for _, one in library.store.assessed()}
            assert proof.verify(library.store) == []
            return versions, library.calibration_problem

    (before,), problem = index()
    assert problem is None
    with closing(open_store(place)) as store:
        calibration.adopt(store, OWN, who="Anna")
    assert index() == ({f"{before}+{OWN.version}"}, None)
    with closing(open_store(place)) as store:
        calibration.adopt(store, None, who="Anna")
    assert index() == ({before}, None)


def test_a_library_that_runs_follows_the_calibration(tmp_path: Path) -> None:
    paint(tmp_path / "photos" / "1.png", 1)
    with Library.open(
        tmp_path / "library.kadr", model=colour_matcher(), policy=PRESETS["under-16"]
    ) as library:
        library.index([tmp_path / "photos"])
        calibration.adopt(library.store, OWN, who="Anna")
        library.index()
        assert {one.version.endswith(OWN.version) for _, one in library.store.assessed()} == {True}
        _change_note(library.store)
        library.index()
        assert {OWN.version in one.version for _, one in library.store.assessed()} == {False}
        assert library.calibration_problem is not None


def test_calibration_moves_with_the_library() -> None:
    assert calibration.NOTE in move.NOTES
