"""What the judges say of each other, and what can't be known."""

import importlib.util
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from archives import write_archive
from kadr.data import agreement, dataset, judges, labels
from kadr.errors import DataError
from kadr.types import Dataset, Judgement, Votes

HAS_CROWDKIT = importlib.util.find_spec("crowdkit") is not None


def panel(image: str, *grades: int) -> list[Judgement]:
    return [Judgement("q", image, str(rater), grade) for rater, grade in enumerate(grades, 1)]


def archive_of(judgements: Sequence[Judgement], votes: Sequence[Votes]) -> Dataset:
    return Dataset(Path(), {}, tuple(judgements), tuple(votes), (), {}, {}, {}, ())


HAND = archive_of(
    [
        *panel("a", 1, 1, 2),
        *panel("b", 1, 3, 2),
        *panel("c", 3, 2, 4),
        *panel("d", 4, 4, 4),
        *panel("e", 1, 4, 3),
    ],
    [
        Votes("q", "a", 0, 3),
        Votes("q", "b", 2, 1),
        Votes("q", "c", 1, 2),
        Votes("q", "d", 3, 0),
        Votes("q", "new", 0, 3),
    ],
)


def test_aucs_by_hand() -> None:
    found = judges.study(HAND)
    assert found.crowd_auc is not None
    # Matches c (1/3) and d (1) against a (0) and b (2/3): 3 of 4 comparisons are won.
    assert found.crowd_auc.value == pytest.approx(3 / 4)
    first, second, third = found.expert_aucs
    # The others' medians are 1.5, 2.5, 3, 4, 3.5; grades 3, 4, 1 meet 1 and 1: 5 of 6, a tie a half.
    assert (first.rater, first.pairs, first.matches) == ("1", 5, 3)
    assert first.roc_auc.value == pytest.approx((2 + 2 + 0.5 + 0.5) / 6)
    # Medians 1.5, 1.5, 3.5, 4, 2: grades 2 and 4 meet 1, 3 and 4.
    assert second.matches == 2
    assert second.roc_auc.value == pytest.approx((1 + 2.5) / 6)
    # Medians 1, 2, 2.5, 4, 2.5: grade 4 meets 2, 2, 4 and 3.
    assert third.matches == 1
    assert third.roc_auc.value == pytest.approx(3.5 / 4)


def test_counts() -> None:
    found = judges.study(HAND)
    assert (found.expert_pairs, found.crowd_pairs) == (5, 5)
    assert found.coverage == labels.coverage(HAND.judgements, HAND.votes)
    assert found.agreement == agreement.expert_agreement(HAND.judgements)
    assert found.crowd == agreement.crowd_agreement(HAND.judgements, HAND.votes)
    assert (found.confusions is not None) == HAS_CROWDKIT


def test_the_same_seed_gives_the_same_intervals(tmp_path: Path) -> None:
    archive = dataset.load(write_archive(tmp_path / "archive", images=24))
    one, two, other = (judges.study(archive, seed=seed) for seed in (1, 1, 2))
    assert one.expert_aucs == two.expert_aucs
    assert one.crowd_auc == two.crowd_auc
    assert one.expert_aucs != other.expert_aucs
    for item in one.expert_aucs:
        assert item.roc_auc.low <= item.roc_auc.value <= item.roc_auc.high


def test_sorted_columns_are_called_what_they_are() -> None:
    found = judges.study(archive_of([*panel("a", 1, 2, 3), *panel("b", 1, 1, 4)], HAND.votes))
    assert judges.COLUMNS_ARE_NO_PERSONS in found.notices
    assert judges.COLUMNS_ARE_NO_PERSONS not in judges.study(HAND).notices


def test_without_crowdkit_all_else_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
    found = judges.study(HAND)
    assert found.confusions is None
    assert found.agreement is not None
    (notice,) = found.notices
    assert 'pip install "kadr[research]"' in notice


def test_one_expert_and_another_crowd_are_noted_and_not_refused() -> None:
    found = judges.study(archive_of(panel("a", 1) + panel("b", 4), [Votes("q", "c", 1, 2)]))
    assert (found.agreement, found.crowd, found.crowd_auc, found.expert_aucs) == (None,) * 3 + ((),)
    assert any("two experts" in notice for notice in found.notices)
    assert any("experts and crowd" in notice for notice in found.notices)


def test_one_sided_verdicts_have_no_auc() -> None:
    found = judges.study(archive_of(panel("a", 1, 1) + panel("b", 1, 2), [Votes("q", "a", 1, 2)]))
    assert found.crowd_auc is not None
    assert math.isnan(found.crowd_auc.value)
    assert all(math.isnan(item.roc_auc.value) for item in found.expert_aucs)


def test_a_rater_who_speaks_twice_is_refused() -> None:
    with pytest.raises(DataError, match="twice"):
        judges.study(archive_of(panel("a", 1, 2) + panel("a", 1), HAND.votes))
