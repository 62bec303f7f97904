"""What a policy refuses and keeps out."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kadr.errors import PolicyError
from kadr.law import policy
from kadr.law.policy import Removed
from kadr.types import Dataset, Label, Query

UNDER_16 = policy.PRESETS["under-16"]
NONE = policy.PRESETS["none"]

DOG = Query("dog.jpg#2", "A brown dog runs", "dog.jpg")
BOY = Query("boy.jpg#2", "A boy with a kite", "boy.jpg")
BEACH = Query("beach.jpg#2", "People on a beach", "beach.jpg")


def dataset(queries: Sequence[Query], test_queries: Sequence[Query] = ()) -> Dataset:
    return Dataset(
        folder=Path(),
        queries={query.id: query for query in queries},
        judgements=(),
        votes=(),
        test_queries=tuple(test_queries),
        train_images={},
        test_images={},
        digests={},
        skipped=(),
    )


def test_the_english_disclaimer_is_the_brief_s_sentence() -> None:
    sentence = "This image is unavailable in your country in compliance with local laws"
    assert UNDER_16.disclaimer() == UNDER_16.disclaimer("en-GB") == sentence
    assert UNDER_16.disclaimer("de") == sentence
    assert "недоступно в вашей стране" in UNDER_16.disclaimer("ru_RU")


def test_presets() -> None:
    assert (UNDER_16.age, UNDER_16.hides_children) == (16, True)
    assert not NONE.hides_children
    with pytest.raises(PolicyError, match=r"'under-18'.*none, under-16"):
        policy.preset("under-18")


def test_a_search_that_asks_for_children_is_refused() -> None:
    assert [found.lemma for found in policy.refuses(UNDER_16, "Kids on a swing")] == ["kid"]
    assert policy.refuses(UNDER_16, "A cowboy on a horse") == ()
    assert policy.refuses(NONE, "Kids on a swing") == ()


def test_the_policy_chooses_the_vocabulary() -> None:
    brief = replace(UNDER_16, vocabulary="brief")
    assert policy.refuses(UNDER_16, "a boy")
    assert policy.refuses(brief, "a boy") == ()


def test_an_image_goes_for_its_own_caption() -> None:
    assert set(policy.assess(dataset([DOG, BOY]), UNDER_16).images) == {"boy.jpg"}


def test_a_test_image_goes_for_any_of_its_captions() -> None:
    captions = [Query("t.jpg#0", "A red slide", "t.jpg"), Query("t.jpg#1", "A girl", "t.jpg")]
    exclusions = policy.assess(dataset([], captions), UNDER_16)
    assert [found.lemma for found in exclusions.images["t.jpg"]] == ["girl"]


def test_no_child_word_in_a_query_doesn_t_mean_no_child_in_the_image() -> None:
    """The image's own caption is silent; a query that people judged to match it isn't."""
    matches = {(BOY.id, BEACH.id.split("#", maxsplit=1)[0])}
    exclusions = policy.assess(dataset([DOG, BOY, BEACH]), UNDER_16, matches)
    assert set(exclusions.images) == {"boy.jpg", "beach.jpg"}


def test_an_unrelated_query_with_a_child_word_keeps_the_image() -> None:
    exclusions = policy.assess(dataset([DOG, BOY]), UNDER_16, {(DOG.id, "dog.jpg")})
    assert "dog.jpg" not in exclusions.images


def test_a_match_whose_text_is_unknown_tells_nothing() -> None:
    assert not policy.assess(dataset([DOG]), UNDER_16, {("gone.jpg#2", "dog.jpg")}).images


def test_a_query_without_an_image_of_its_own_speaks_through_its_matches() -> None:
    free = Query("free", "two babies", None)
    exclusions = policy.assess(dataset([free, DOG]), UNDER_16, {("free", "dog.jpg")})
    assert set(exclusions.images) == {"dog.jpg"}


def test_the_policy_none_keeps_everything() -> None:
    assert not policy.assess(dataset([DOG, BOY]), NONE, {(BOY.id, "dog.jpg")}).images


def test_reasons_are_listed_once_and_the_image_counts_for_the_first() -> None:
    twice = Query("boy.jpg#1", "A boy and a girl, the boy jumps", "boy.jpg")
    exclusions = policy.assess(dataset([BOY, twice]), UNDER_16)
    assert [found.word for found in exclusions.images["boy.jpg"]] == ["boy", "girl"]
    assert exclusions.words == {"boy": 1}


def test_the_order_of_matches_doesn_t_change_the_reasons() -> None:
    girl = Query("a.jpg#2", "A girl", "a.jpg")
    pairs = [(BOY.id, "dog.jpg"), (girl.id, "dog.jpg")]
    data = dataset([DOG, BOY, girl])
    forth = policy.assess(data, UNDER_16, pairs)
    back = policy.assess(data, UNDER_16, pairs[::-1])
    assert forth == back
    assert forth.images["dog.jpg"][0].lemma == "girl"


def test_the_report_counts_images_and_their_pairs_by_word() -> None:
    exclusions = policy.assess(dataset([DOG, BOY]), UNDER_16)
    labels = [
        Label(DOG.id, "boy.jpg", 0.0, 1.0),
        Label(BOY.id, "boy.jpg", 1.0, 1.0),
        Label(BOY.id, "dog.jpg", 0.0, 1.0),
        Label(DOG.id, "dog.jpg", 1.0, 1.0),
    ]
    report = policy.report(exclusions, ["boy.jpg", "dog.jpg"], labels)
    assert (report.images_total, report.images_removed) == (2, 1)
    assert (report.pairs_total, report.pairs_removed) == (4, 2)
    assert (report.images_share, report.pairs_share) == (0.5, 0.5)
    assert report.by_word == {"boy": Removed(images=1, pairs=2)}


def test_the_report_of_nothing_is_zero() -> None:
    report = policy.report(policy.assess(dataset([]), UNDER_16), [], [])
    assert (report.images_share, report.pairs_share) == (0.0, 0.0)


@pytest.mark.archive
def test_test_images_that_the_real_captions_hide(archive: Path) -> None:
    with (archive / "test_queries.csv").open(encoding="utf-8", newline="") as file:
        queries = [
            Query(row["query_id"], row["query_text"], row["image"])
            for row in csv.DictReader(file, delimiter="|")
        ]
    brief = replace(UNDER_16, vocabulary="brief")
    assert len(policy.assess(dataset([], queries), UNDER_16).images) == 44
    assert len(policy.assess(dataset([], queries), brief).images) == 23
