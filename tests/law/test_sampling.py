"""Samples of what is shown: drawn fairly, looked at in their order, and what they tell."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from kadr.errors import KadrError
from kadr.law import audit, proof, review, sampling
from kadr.law.policy import PRESETS
from kadr.law.review import Decision
from kadr.stores import Store, open_store
from kadr.types import Assessment
from libraries import add, assess, number

LAW = PRESETS["under-16"]
COUNT = 40
"""Photos that are shown; four more wait, two more are hidden by the machine."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "library.kadr", create=True)) as opened:
        fill(opened, range(COUNT), 0.1)
        fill(opened, range(100, 104), 0.5)
        fill(opened, range(200, 202), 0.9)
        yield opened


def fill(store: Store, names: range, probability: float) -> None:
    numbers = add(store, {f"/photos/{name}.jpg": name for name in names})
    assess(store, dict.fromkeys(numbers.values(), probability))


def rule(store: Store, digest: str, said: Decision, who: str = "Anna") -> None:
    review.decide(store, digest, review.ruling(said, who))


def digests(sample: sampling.Sample) -> list[str]:
    return [digest for digest, _ in sample.photos]


def names(store: Store) -> list[int]:
    return [int(doubt.paths[0].stem) for doubt in sampling.queue(store, LAW)]


def test_sample_is_drawn_from_what_is_shown_and_goes_on_record(store: Store) -> None:
    rule(store, "00" * 32, "hide")  # of a photo that isn't there
    looked = store.stored(store.present([number(store, 7)]))[number(store, 7)].digest
    rule(store, looked, "allow")
    sample = sampling.draw(store, LAW, 12, "Anna", seed=1)
    assert (sample.population, sample.ruled, len(sample.photos)) == (COUNT - 1, 2, 12)
    assert looked not in digests(sample)
    assert set(names(store)) < set(range(COUNT)) - {7}
    (entry,) = audit.entries(store, "sampled")
    assert [row[0] for row in entry.facts["photos"]] == digests(sample)
    assert (entry.facts["population"], entry.facts["policy"]) == (COUNT - 1, "under-16")
    assert sampling.latest(store, LAW) == sample
    assert [doubt.digest for doubt in sampling.queue(store, LAW)] == digests(sample)
    assert proof.verify(store) == []
    assert review.queue(store, LAW)[0].digest not in digests(sample)  # they wait apart


def test_every_photo_is_as_likely_as_any_other() -> None:
    drawn = Counter(one for seed in range(3000) for one in sampling.choose(range(60), 20, seed))
    assert chisquare([drawn[one] for one in range(60)]).pvalue > 0.01
    assert chisquare(
        list(Counter(sampling.choose(range(60), 1, seed)[0] for seed in range(3000)).values())
    ).pvalue > 0.01  # fmt: skip


@given(st.sets(st.integers(1, 500)), st.sets(st.integers(1, 500)), st.integers(0, 30))
def test_sample_grows_with_the_library(before: set[int], new: set[int], size: int) -> None:
    small = sampling.choose(before, size, 3)
    assert sampling.choose(before, size + 5, 3)[: len(small)] == small
    grown = sampling.choose(before | new, size, 3)
    assert [one for one in grown if one in before] == small[: len(set(grown) & before)]


def test_larger_sample_keeps_what_was_looked_at(store: Store) -> None:
    small = sampling.draw(store, LAW, 6)
    first = digests(small)
    for digest, said in zip(first, ("allow", "hide", "allow"), strict=False):
        rule(store, digest, "hide" if said == "hide" else "allow")
    fill(store, range(300, 320), 0.05)
    second = sampling.draw(store, LAW, 30)
    assert second.population == COUNT + 20
    assert second.seed == small.seed
    found = sampling.estimate(store, LAW)
    # Whether a new photo has come before them or not, those looked at are a part of it.
    assert set(first) <= set(digests(second))
    assert (found.looked, found.children) == (3, 1)
    assert found.left + found.passed == 27
    assert digests(sampling.draw(store, LAW, 10, seed=second.seed + 1)) != digests(second)[:10]


def test_a_smaller_sample_in_between_loses_nothing(store: Store) -> None:
    first = digests(sampling.draw(store, LAW, 20, seed=4))
    for digest in first:
        rule(store, digest, "allow")
    assert digests(sampling.draw(store, LAW, 5)) == first[:5]
    last = sampling.draw(store, LAW, 25)
    assert digests(last)[:20] == first
    assert (last.population, last.ruled) == (COUNT, 0)


def test_photos_stay_shown_until_somebody_hides_them(store: Store) -> None:
    sampling.draw(store, LAW, 3, seed=2)
    first, second, third = sampling.queue(store, LAW)
    assert first.assessment is not None
    rule(store, first.digest, "hide")
    assert [doubt.digest for doubt in sampling.queue(store, LAW)] == [second.digest, third.digest]
    found = sampling.estimate(store, LAW)
    assert (found.children, found.looked, found.passed, found.left) == (1, 1, 0, 2)
    assert found.shown == COUNT - 1


def test_what_was_passed_over_counts_as_either(store: Store) -> None:
    sample = digests(sampling.draw(store, LAW, 20, seed=2))
    for digest in sample[:4] + sample[6:10]:
        rule(store, digest, "allow")
    assert sampling.estimate(store, LAW).passed == 2
    review.decide(store, sample[0], review.ruling("hide", "Boris"))  # disputed
    found = sampling.estimate(store, LAW)
    assert (found.looked, found.passed, found.left) == (7, 3, 10)
    assert found.share is not None
    assert found.share.low == 0
    assert found.share.high == sampling.interval(3, 10).high


def test_photos_that_left_the_library_are_told(store: Store) -> None:
    sample = digests(sampling.draw(store, LAW, 5, seed=2))
    gone = [doubt.paths[0] for doubt in sampling.queue(store, LAW)[:2]]
    rule(store, sample[0], "hide")
    store.forget(gone)
    store.sweep()
    found = sampling.estimate(store, LAW)
    assert (found.children, found.looked, found.gone, found.left) == (1, 1, 1, 3)


def test_samples_of_other_policies_and_classifiers_are_told(store: Store) -> None:
    with pytest.raises(sampling.NoSampleError, match="kadr review sample"):
        sampling.estimate(store, LAW)
    sample = sampling.draw(store, LAW, 5, seed=2)
    assert sampling.estimate(store, LAW).share is None
    stricter = replace(LAW, name="strict", review=0.15)
    with pytest.raises(sampling.NoSampleError, match=r"strict shows \(the last one, of .* under-1"):
        sampling.estimate(store, stricter)
    assert sampling.queue(store, stricter) == []
    assert sampling.latest(store, replace(LAW, name="other", hide=0.7)) == sample  # shows the same
    numbers = [store.number(digest) for digest in digests(sample)[:2]]
    newer = Assessment((), 0.9, None, (), 0.9, "newer")
    store.keep_assessments({one: newer for one in numbers if one})
    assert sampling.estimate(store, LAW).reassessed == 2
    for refused in (sampling.draw, sampling.estimate):
        with pytest.raises(KadrError, match="hides nothing"):
            refused(store, PRESETS["none"])
    with pytest.raises(KadrError, match="nothing to draw from"):
        sampling.draw(store, replace(LAW, review=0.01))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], (0, 0, 0, 0)),
        ([None, None], (0, 0, 0, 2)),
        (["allow", None, "hide", None], (1, 2, 1, 1)),
        (["hide", "hide"], (2, 2, 0, 0)),
    ],
)
def test_decisions_are_counted(
    said: list[Decision | None], expected: tuple[int, int, int, int]
) -> None:
    assert sampling.counts(said) == expected


def test_interval_is_that_of_the_tables() -> None:
    """Clopper-Pearson, as in the tables of Newcombe 1998: 1 of 29, 0 of 20."""
    assert sampling.interval(1, 29).low == pytest.approx(0.0009, abs=5e-5)
    assert sampling.interval(1, 29).high == pytest.approx(0.1776, abs=5e-5)
    assert sampling.interval(0, 20).high == pytest.approx(0.1684, abs=5e-5)


@pytest.mark.parametrize("share", [0.003, 0.02, 0.2])
@pytest.mark.parametrize("skipping", [0.0, 0.6])
def test_interval_holds_the_truth_as_often_as_it_says(share: float, skipping: float) -> None:
    """Libraries of 2,000 photos, of which reviewers look at some of a sample, and pass children."""
    random = np.random.default_rng(int(1000 * share))
    held, runs = 0, 200
    for seed in range(runs):
        children = random.random(2000) < share
        drawn = sampling.choose(range(2000), 300, seed)
        stop = int(random.integers(50, 300))
        said: list[Decision | None] = [
            None if place >= stop or (children[one] and random.random() < skipping)
            else "hide" if children[one] else "allow"
            for place, one in enumerate(drawn)
        ]  # fmt: skip
        found, looked, passed, _ = sampling.counts(said)
        interval = sampling.interval(found, looked, passed)
        held += interval.low <= children.mean() <= interval.high
    assert held / runs >= 0.95
