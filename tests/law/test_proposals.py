"""What is proposed about near duplicates, and that nothing follows by itself."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kadr.errors import KadrError
from kadr.law import audit, proof, proposals, review
from kadr.law.policy import PRESETS
from kadr.law.review import Decision, Doubt
from kadr.stores import Store, open_store
from libraries import add, assess, digest

LAW = PRESETS["under-16"]
NAMES = ("one", "two", "three", "other")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Hold three photos of a burst and another one, which all wait."""
    with closing(open_store(tmp_path / "library.kadr", create=True)) as opened:
        numbers = add(opened, {f"/photos/{name}.jpg": name for name in NAMES})
        assess(opened, dict.fromkeys(numbers.values(), 0.5))
        one, two, three = (numbers[f"/photos/{name}.jpg"] for name in NAMES[:3])
        opened.keep_copies([(two, one), (one, three), (two, three)])
        yield opened


def key(name: str) -> str:
    return digest(name).hex()


def doubt(store: Store, name: str) -> Doubt:
    (wanted,) = (doubt for doubt in review.queue(store, LAW) if doubt.digest == key(name))
    return wanted


def rule(store: Store, name: str, said: Decision, who: str, minute: int = 0) -> None:
    when = f"2026-01-01T00:{minute:02}"
    review.decide(store, key(name), review.ruling(said, who, when=when))


def test_doubts_know_their_near_duplicates(store: Store) -> None:
    assert doubt(store, "one").alike == tuple(sorted((key("two"), key("three"))))
    assert doubt(store, "other").alike == ()
    assert {doubt.proposal for doubt in review.queue(store, LAW)} == {None}
    store.set_distinct([tuple(sorted((key("one"), key("two"))))], distinct=True)  # type: ignore[list-item]
    assert doubt(store, "one").alike == (key("three"),)


def test_a_decision_is_proposed_for_near_duplicates_and_decides_nothing(store: Store) -> None:
    rule(store, "one", "allow", "Anna", 1)
    proposal = doubt(store, "two").proposal
    assert proposal is not None
    assert (proposal.photo, proposal.paths) == (key("one"), (Path("/photos/one.jpg"),))
    assert (proposal.ruling.verdict, proposal.ruling.who) == ("allow", "Anna")
    assert doubt(store, "other").proposal is None
    assert len(store.all_rulings()) == 1


def test_of_several_decisions_the_last_that_hides_is_proposed(store: Store) -> None:
    rule(store, "one", "hide", "Anna", 1)
    rule(store, "two", "allow", "Boris", 2)
    proposal = doubt(store, "three").proposal
    assert proposal is not None
    assert proposal.photo == key("one")
    review.decide(store, key("one"), review.ruling("allow", "Clara"))  # disputed: proposes nothing
    proposal = doubt(store, "three").proposal
    assert proposal is not None
    assert proposal.photo == key("two")


def test_the_reason_names_the_photo_that_was_followed(store: Store) -> None:
    rule(store, "one", "hide", "Anna")
    said = review.ruling("hide", "Anna", "my son")
    assert review.decide_alike(store, key("two"), said, key("one")) == "ruled"
    said = review.ruling("hide", "Anna")
    assert review.decide_alike(store, key("three"), said, key("one")) == "ruled"
    entries = [(e.facts["photo"], e.facts["why"]) for e in audit.entries(store, "ruled")]
    assert entries[1:] == [
        (key("two"), f"like {key('one')}: my son"),
        (key("three"), f"like {key('one')}"),
    ]
    assert proposals.reason("ab", "x") == "like ab: x"
    assert proof.verify(store) == []


def test_likeness_is_no_reason_to_end_another_person_s_decision(store: Store) -> None:
    rule(store, "one", "hide", "Anna")
    rule(store, "two", "allow", "Boris")
    rule(store, "two", "hide", "Anna", 1)
    review.withdraw(store, key("two"), "Boris")
    said = review.ruling("hide", "Clara")
    with pytest.raises(KadrError, match="needs a reason"):
        review.decide_alike(store, key("two"), said, key("one"))
    assert store.ruling(key("two")) is None
