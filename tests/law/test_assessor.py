"""Layers joined: what each adds, when faces are looked for, and what happens where one fails."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kadr.law import assessor, policy, scene
from kadr.law.assess import texts
from kadr.law.assessor import Assessor, age_evidence, joined, lemmas
from kadr.law.verdict import verdict
from kadr.stores import Stored
from kadr.types import PhotoFacts

EVIDENCE = scene.load().evidence


class Finder:
    """Stands for the networks: always the same ages, or an error."""

    version = "fake faces"

    def __init__(self, ages: tuple[float, ...] | None = (30.0,)) -> None:
        self.ages, self.looked = ages, 0

    def find(self, image: Image.Image) -> tuple[float, ...]:
        self.looked += 1
        if self.ages is None:
            raise RuntimeError("the network is broken")
        return self.ages


def start(faces: Any = "never", unsure: Any = (0.0, 1.0), **more: Any) -> Assessor:
    """An assessor that looks once, if nothing else is said."""
    return Assessor(faces, unsure, **{"looks_twice": False, **more})


def vectors(count: int) -> Any:
    rows = np.random.default_rng(1).normal(size=(count, 256))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def unsure_vectors() -> Any:
    """One vector that deserves a second look, and one that doesn't."""
    found = scene.load()
    rows = np.random.default_rng(2).normal(size=(4000, 256)).astype(np.float32)
    unsure = found.is_unsure(found.log_odds(rows))
    return np.stack([rows[np.argmax(unsure)], rows[np.argmin(unsure)]])


def picture() -> Image.Image:
    return Image.new("RGB", (8, 8))


PICTURES: list[Callable[[], Image.Image]] = [picture]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kids_at_the_beach.jpg", ("kid",)),
        ("OurKidsAtTheBeach.jpg", ("kid",)),
        ("IMG_2004kids01.jpg", ("kid",)),
        ("HTMLKids.png", ("kid",)),
        ("МоиДети2004.jpg", ("ребенок",)),
        ("birthday of a 6yo.jpg", ("age",)),
        ("1st grade", ("school",)),
        ("cowboy_hat.jpg", ()),
        ("babyBlue.jpg", ()),
        ("IMG_1234.jpg", ()),
        ("", ()),
    ],
)
def test_words_of_file_names(text: str, found: tuple[str, ...]) -> None:
    assert lemmas([text]) == found


def test_each_word_once_over_all_texts() -> None:
    assert lemmas(["a boy and a girl", "girls", "the baby"]) == ("boy", "girl", "baby")


def test_without_texts_and_faces_it_is_the_scene() -> None:
    rows = vectors(3)
    found = start().assess([[], ["IMG_1.jpg"], []], rows)
    expected = scene.load().probability(rows)
    for one, probability in zip(found, expected, strict=True):
        assert one.probability == one.scene == pytest.approx(probability)
        assert (one.words, one.faces, one.failed) == ((), None, ())


def test_where_the_first_look_is_unsure_the_parts_are_looked_at() -> None:
    rows, opened = unsure_vectors(), []

    def picture() -> Image.Image:
        opened.append(1)
        return Image.new("RGB", (40, 30), "green")

    first, sure = Assessor().assess([[], []], rows, [picture, picture])
    parts = scene.look_at_parts(Image.new("RGB", (40, 30), "green"))
    expected = scene.probability(scene.load().second_log_odds(rows[:1], parts[None]))
    assert first.probability == first.scene == pytest.approx(float(expected[0]))
    assert sure.scene == pytest.approx(float(scene.load().probability(rows[1:])[0]))
    assert (first.failed, sure.failed, len(opened)) == ((), (), 1)


def test_a_photo_is_opened_once_for_parts_and_faces() -> None:
    opened = []

    def picture() -> Image.Image:
        opened.append(1)
        return Image.new("RGB", (8, 8))

    finder: Any = Finder()
    Assessor("always", finder=finder).assess([[]], unsure_vectors()[:1], [picture])
    assert (len(opened), finder.looked) == (1, 1)


def _gone() -> Image.Image:
    raise OSError("gone")


@pytest.mark.parametrize("pictures", [None, [_gone, _gone]])
def test_parts_that_cannot_be_had_fail_closed(pictures: Any) -> None:
    rows = unsure_vectors()
    unsure, sure = Assessor().assess([[], []], rows, pictures)
    assert (unsure.failed, sure.failed) == (("scene",), ())
    assert unsure.scene == pytest.approx(float(scene.load().probability(rows[:1])[0]))
    assert verdict(policy.PRESETS["under-16"], unsure, None) != "show"


def test_who_looks_once_opens_nothing_and_says_so() -> None:
    (once,) = start().assess([[]], unsure_vectors()[:1], [_gone])
    assert once.failed == ()
    assert start().version != Assessor().version


def test_a_word_is_strong_evidence() -> None:
    without, named = start().assess([[], ["my daughter.jpg"]], np.repeat(vectors(1), 2, axis=0))
    assert named.words == ("daughter",)
    assert named.probability > without.probability
    assert verdict(policy.PRESETS["under-16"], named, None) != "show"


def test_another_encoder_makes_the_scene_fail() -> None:
    found = Assessor().assess([["a child"], []], None)
    assert [one.failed for one in found] == [("scene",), ("scene",)]
    assert [one.scene for one in found] == [None, None]
    assert found[0].probability > found[1].probability
    assert all(verdict(policy.PRESETS["under-16"], one, None) != "show" for one in found)


def test_a_vector_that_is_not_finite_makes_the_scene_fail() -> None:
    rows = vectors(2)
    rows[0, 0] = np.nan
    broken, whole = start().assess([[], []], rows)
    assert (broken.failed, broken.scene) == (("scene",), None)
    assert np.isfinite(broken.probability)
    assert whole.failed == ()


def test_never_opens_no_photo_of_which_the_scene_is_sure() -> None:
    def forbidden() -> Image.Image:
        raise AssertionError

    (found,) = Assessor().assess([[]], unsure_vectors()[1:], [forbidden])
    assert (found.faces, found.failed) == (None, ())


def test_always_looks_for_faces() -> None:
    finder = Finder((4.0, 30.0))
    (found,) = start("always", finder=finder).assess([[]], vectors(1), PICTURES)
    assert found.faces == (4.0, 30.0)
    assert finder.looked == 1
    assert found.scene is not None
    assert found.probability > found.scene


def test_unsure_looks_between_the_limits() -> None:
    rows = vectors(1)
    p = float(scene.load().probability(rows)[0])
    for limits, looked in (((p - 0.01, p + 0.01), 1), ((p + 0.01, 1), 0), ((0, p - 0.01), 0)):
        finder = Finder()
        (found,) = start("unsure", limits, finder=finder).assess([[]], rows, PICTURES)
        assert finder.looked == looked
        assert (found.faces is None) == (looked == 0)


def test_words_count_where_unsure_is_asked() -> None:
    finder, rows = Finder(), vectors(1)
    p = float(scene.load().probability(rows)[0])
    start("unsure", (p - 0.01, p + 0.01), finder=finder).assess([["a baby"]], rows, PICTURES)
    assert finder.looked == 0


def test_faces_that_the_same_layers_saw_are_not_looked_for_again() -> None:
    finder, rows = Finder((4.0,)), vectors(1)
    assessor = start("always", finder=finder)
    first = assessor.assess([[]], rows, PICTURES)
    again = assessor.assess([["my daughter"]], rows, PICTURES, first)
    assert (finder.looked, again[0].faces) == (1, (4.0,))
    assert again[0].words == ("daughter",)
    for other in (replace(first[0], version="other"), replace(first[0], version=""), None):
        assessor.assess([[]], rows, PICTURES, [other])
    assert finder.looked == 4
    failed = replace(first[0], faces=None, failed=("faces",))  # nobody has seen any
    assert assessor.assess([[]], rows, PICTURES, [failed])[0].faces == (4.0,)


def test_a_broken_network_fails_closed() -> None:
    (found,) = start("always", finder=Finder(None)).assess([[]], vectors(1), PICTURES)
    assert (found.faces, found.failed) == (None, ("faces",))
    assert found.probability == found.scene
    assert verdict(policy.PRESETS["under-16"], found, None) != "show"


def test_a_photo_that_does_not_open_fails_closed() -> None:
    def broken() -> Image.Image:
        raise OSError("gone")

    (found,) = start("always", finder=Finder()).assess([[]], vectors(1), [broken])
    assert found.failed == ("faces",)


def test_photos_that_cannot_be_had_fail_closed() -> None:
    (found,) = start("always", finder=Finder()).assess([[]], vectors(1))
    assert found.failed == ("faces",)


def test_the_version_follows_what_changes_the_answer() -> None:
    faces: Any = Finder()
    versions = {
        start().version,
        start("always", finder=faces).version,
        start("unsure", (0.1, 0.9), finder=faces).version,
        start("unsure", (0.2, 0.9), finder=faces).version,
    }
    assert len(versions) == 4
    assert start().version == start().version
    assert scene.load().version in start().version


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="zip"):
        start().assess([[]], vectors(2))


def test_younger_is_more_probable_up_to_the_ends() -> None:
    ages = (EVIDENCE.youngest - 3, EVIDENCE.youngest, 10.0, 16.0, EVIDENCE.oldest, 99.0)
    found = [age_evidence(EVIDENCE, (age, 70.0)) for age in ages]
    assert found == sorted(found, reverse=True)
    assert found[0] == found[1] > found[2] > found[3] > found[4] == age_evidence(EVIDENCE, (70.0,))


def test_layers_add_up() -> None:
    assert joined(EVIDENCE, 1.0, named=False, faces=None) == 1.0
    assert joined(EVIDENCE, None, named=False, faces=None) == EVIDENCE.prior
    assert joined(EVIDENCE, 1.0, named=True, faces=()) == pytest.approx(
        1 + EVIDENCE.word + EVIDENCE.no_face
    )


def test_each_photo_is_assessed_alone() -> None:
    rows, texts = vectors(3), [["a"], ["a boy"], []]
    together = start().assess(texts, rows)
    alone = [start().assess([t], r[None])[0] for t, r in zip(texts, rows, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one.words == other.words
        assert one.probability == pytest.approx(other.probability)
    assert assessor.lemmas([]) == ()


@pytest.mark.parametrize(
    ("path", "child"),
    [
        ("Kids/2024/IMG.jpg", True),
        ("Kids/2024/05/raw/IMG.jpg", True),
        ("2024/наши дети/день/IMG.jpg", True),
        ("2024/trip/IMG.jpg", False),
    ],
)
def test_every_folder_below_the_indexed_one_is_read(
    path: str, *, child: bool, tmp_path: Path
) -> None:
    """Those above aren't: a home called kids says nothing of the photos."""
    root = tmp_path / "kids" / "Pictures"
    photo = Stored(1, "", PhotoFacts("jpeg", 1, 1, None, None, None, None), 0, (root / path,))
    assert bool(lemmas(texts(photo, [root]))) == child
    assert lemmas(texts(photo, [tmp_path / "kids"])) != ()
