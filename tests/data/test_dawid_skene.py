import importlib.util
import math
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgements import judgement_tables, panel, unanimous_pairs
from kadr.data import dawid_skene, labels
from kadr.errors import MissingExtraError
from kadr.types import Dataset, Judgement


@pytest.fixture(scope="session")
def crowdkit() -> None:
    if importlib.util.find_spec("crowdkit") is None:
        pytest.skip('crowd-kit isn\'t installed: pip install "kadr[research]"')


class TestDawidSkene:
    def test_missing_extra_names_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
        with pytest.raises(MissingExtraError, match=r'pip install "kadr\[research\]"'):
            labels.grades(panel("q", "i", 1, 2, 3), "dawid-skene")

    @pytest.mark.usefixtures("crowdkit")
    def test_learns_who_errs(self) -> None:
        source = random.Random(0)
        truth = {("q", f"{number}.jpg"): source.choice([1, 4]) for number in range(60)}
        table = [
            judgement
            for (query, image), grade in truth.items()
            for judgement in panel(query, image, grade, grade, source.choice([1, 4]))
        ]
        found = labels.grades(table, "dawid-skene")
        assert found.keys() == truth.keys()
        assert all(abs(found[pair] - truth[pair]) < 0.1 for pair in truth)

    @pytest.mark.usefixtures("crowdkit")
    def test_order_does_not_matter(self) -> None:
        table = panel("q", "a", 1, 1, 2) + panel("q", "b", 4, 3, 4) + panel("q", "c", 1, 2, 1)
        shuffled = random.Random(1).sample(table, len(table))
        assert labels.grades(table, "dawid-skene") == labels.grades(shuffled, "dawid-skene")

    @pytest.mark.usefixtures("crowdkit")
    def test_nothing_judged_gives_nothing(self) -> None:
        assert labels.grades([], "dawid-skene") == {}

    @pytest.mark.usefixtures("crowdkit")
    @pytest.mark.archive
    def test_real_archive(self, real: Dataset) -> None:
        unanimous = unanimous_pairs(real)
        found = labels.grades(real.judgements, "dawid-skene")
        assert len(found) == 5822
        assert all(1 <= grade <= 4 for grade in found.values())
        assert all(abs(found[pair] - grade) < 0.1 for pair, grade in unanimous.items())


class TestConfusions:
    def test_missing_extra_names_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
        with pytest.raises(MissingExtraError, match=r'pip install "kadr\[research\]"'):
            dawid_skene.confusions(panel("q", "i", 1, 2, 3))

    @pytest.mark.usefixtures("crowdkit")
    def test_nothing_judged_gives_nothing(self) -> None:
        assert dawid_skene.confusions([]) == ()

    @pytest.mark.usefixtures("crowdkit")
    def test_counts_by_hand(self) -> None:
        """Two experts always agree, so they are the truth; the third calls 5 of 20 ones a four."""
        table = [
            judgement
            for number in range(40)
            for judgement in panel(
                "q", f"{number:02}", *(3 * [4] if number >= 20 else [1, 1, 4 if number < 5 else 1])
            )
        ]
        nothing = [math.nan] * 4
        right = np.array([[1, 0, 0, 0], nothing, nothing, [0, 0, 0, 1]])
        one, two, three = dawid_skene.confusions(table)
        assert [one.rater, two.rater, three.rater] == ["1", "2", "3"]
        np.testing.assert_allclose(one.matrix, right, atol=1e-6)
        np.testing.assert_allclose(two.matrix, right, atol=1e-6)
        erring = np.array([[0.75, 0, 0, 0.25], nothing, nothing, [0, 0, 0, 1]])
        np.testing.assert_allclose(three.matrix, erring, atol=1e-6)

    @pytest.mark.usefixtures("crowdkit")
    def test_a_rater_who_never_met_a_grade_has_no_rates_for_it(self) -> None:
        table = [j for n in range(9) for j in panel("q", f"a{n}", 1, 1)]
        table += [j for n in range(9) for j in panel("q", f"b{n}", 4, 4)]
        _, _, third = dawid_skene.confusions([*table, Judgement("q", "a0", "3", 1)])
        assert np.isnan(third.matrix).all(axis=1).tolist() == [False, True, True, True]

    @pytest.mark.usefixtures("crowdkit")
    def test_recovers_the_raters_that_made_the_grades(self) -> None:
        source = np.random.default_rng(0)
        sure = np.full((4, 4), 0.05) + 0.8 * np.eye(4)
        strict = np.array([[0.9, 0.1, 0, 0], [0.4, 0.6, 0, 0], [0, 0.4, 0.6, 0], [0, 0, 0.4, 0.6]])
        matrices = [sure, sure, sure, strict]
        table = [
            Judgement("q", f"{number:04}", str(rater), int(source.choice(4, p=matrix[true])) + 1)
            for number, true in enumerate(source.integers(4, size=3000))
            for rater, matrix in enumerate(matrices)
        ]
        for found, matrix in zip(dawid_skene.confusions(table), matrices, strict=True):
            np.testing.assert_allclose(found.matrix, matrix, atol=0.05)

    @pytest.mark.usefixtures("crowdkit")
    @settings(max_examples=20, deadline=None)
    @given(judgement_tables.filter(bool), st.randoms())
    def test_rows_are_shares_and_order_does_not_matter(
        self, judgements: list[Judgement], source: random.Random
    ) -> None:
        found = dawid_skene.confusions(judgements)
        assert [one.rater for one in found] == sorted({j.rater for j in judgements})
        for one in found:
            known = one.matrix[~np.isnan(one.matrix).any(axis=1)]
            assert ((known >= 0) & (known <= 1)).all()
            np.testing.assert_allclose(known.sum(axis=1), 1)
        shuffled = dawid_skene.confusions(source.sample(judgements, len(judgements)))
        for one, other in zip(found, shuffled, strict=True):
            np.testing.assert_array_equal(one.matrix, other.matrix)


@pytest.mark.archive
class TestRealArchive:
    @pytest.mark.usefixtures("crowdkit")
    def test_sorted_columns_make_the_middle_one_look_perfect(self, real: Dataset) -> None:
        """Decision 4: on sorted columns Dawid and Skene's model degenerates to the median."""
        low, middle, high = (one.matrix for one in dawid_skene.confusions(real.judgements))
        np.testing.assert_allclose(middle, np.eye(4), atol=1e-3)
        np.testing.assert_allclose(np.triu(low, 1), 0, atol=1e-3)
        np.testing.assert_allclose(np.tril(high, -1), 0, atol=1e-3)
