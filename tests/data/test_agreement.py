import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgements import judgement_tables, panel, vote_tables
from kadr.data import agreement
from kadr.errors import DataError
from kadr.metrics import ranking
from kadr.types import Dataset, Judgement, Votes


class TestCrowdAgreement:
    def test_by_hand(self) -> None:
        judgements = [
            *panel("q", "a", 1, 1, 1),
            *panel("q", "b", 2, 2, 2),
            *panel("q", "c", 2, 3, 4),
            *panel("q", "d", 4, 4, 4),
            *panel("q", "alone", 4, 4, 4),
        ]
        votes = [
            Votes("q", "a", 0, 3),
            Votes("q", "b", 2, 1),
            Votes("q", "c", 1, 2),
            Votes("q", "d", 3, 0),
            Votes("q", "unknown", 3, 0),
        ]
        found = agreement.crowd_agreement(judgements, votes)
        assert found.pairs == 4
        assert [(g.grade, g.pairs, g.share) for g in found.by_grade] == [
            (1, 1, 0),
            (2, 1, pytest.approx(2 / 3)),
            (3, 1, pytest.approx(1 / 3)),
            (4, 1, 1),
        ]
        assert found.expert_target == pytest.approx((0 + 1 / 3 + 2 / 3 + 1) / 4)
        assert found.crowd_share == pytest.approx(0.5)
        assert found.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
        assert found.kendall == pytest.approx((5 - 1) / 6)

    def test_a_constant_has_no_rank_correlation(self) -> None:
        judgements = panel("q", "a", 1, 1) + panel("q", "b", 4, 4)
        found = agreement.crowd_agreement(
            judgements, [Votes("q", "a", 0, 3), Votes("q", "b", 0, 3)]
        )
        assert math.isnan(found.spearman)
        assert math.isnan(found.kendall)

    def test_needs_a_common_pair(self) -> None:
        with pytest.raises(DataError, match="no pair was judged by experts and crowd"):
            agreement.crowd_agreement(panel("q", "a", 1, 1), [Votes("q", "b", 0, 3)])

    @settings(max_examples=25)
    @given(judgement_tables, vote_tables, st.randoms())
    def test_order_does_not_matter(
        self, judgements: list[Judgement], votes: list[Votes], source: random.Random
    ) -> None:
        shared = agreement.shared_pairs(judgements, votes).pairs
        if not shared:
            return
        found = agreement.crowd_agreement(judgements, votes)
        assert found.pairs == len(shared) == sum(grade.pairs for grade in found.by_grade)
        mixed = source.sample(judgements, len(judgements)), source.sample(votes, len(votes))
        assert repr(agreement.crowd_agreement(*mixed)) == repr(found)  # NaN equals nothing


class TestAgreement:
    def test_perfect_agreement(self) -> None:
        found = agreement.expert_agreement(panel("q", "a", 1, 1, 1) + panel("q", "b", 4, 4, 4))
        assert (found.pairs, found.alpha, found.all_agree) == (2, 1.0, 1.0)
        assert all(rater.difference == 0 for rater in found.severity)
        assert not found.columns_sorted

    def test_shares_of_pairs(self) -> None:
        table = panel("q", "a", 1, 1, 1) + panel("q", "b", 2, 1, 1) + panel("q", "c", 1, 2, 3)
        found = agreement.expert_agreement(table + panel("q", "alone", 4))
        assert found.pairs == 3
        assert (found.all_agree, found.some_agree, found.all_differ) == (1 / 3, 1 / 3, 1 / 3)

    def test_severity_is_set_against_the_mean_of_all(self) -> None:
        found = agreement.expert_agreement(panel("q", "a", 1, 3) + panel("q", "b", 2, 4))
        assert [(s.rater, s.mean, s.difference) for s in found.severity] == [
            ("1", 1.5, -1.0),
            ("2", 3.5, 1.0),
        ]

    def test_alpha_matches_a_published_example(self) -> None:
        """Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", data C, ordinal."""
        rows = {
            "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
            "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
            "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
            "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
        }
        table = [
            Judgement("q", f"{unit:02}", rater, grade)
            for rater, row in rows.items()
            for unit, grade in enumerate(row)
            if grade is not None
        ]
        assert agreement.expert_agreement(table).alpha == pytest.approx(0.815, abs=5e-4)

    def test_alpha_is_undefined_where_nothing_differs(self) -> None:
        assert math.isnan(agreement.expert_agreement(panel("q", "a", 2, 2)).alpha)

    def test_tells_sorted_columns(self) -> None:
        table = panel("q", "a", 1, 1, 2) + panel("q", "b", 2, 4, 4)
        assert agreement.expert_agreement(table).columns_sorted
        assert not agreement.expert_agreement(table + panel("q", "c", 3, 2, 4)).columns_sorted

    @given(st.randoms())
    def test_alpha_does_not_depend_on_who_is_who(self, source: random.Random) -> None:
        rows = [(1, 1, 2), (2, 3, 4), (4, 4, 4), (1, 1, 1)]
        mixed = [source.sample(row, 3) for row in rows]
        plain = [j for i, row in enumerate(rows) for j in panel("q", str(i), *row)]
        other = [j for i, row in enumerate(mixed) for j in panel("q", str(i), *row)]
        assert agreement.expert_agreement(other).alpha == pytest.approx(
            agreement.expert_agreement(plain).alpha
        )

    def test_one_expert_cannot_agree(self) -> None:
        with pytest.raises(DataError, match="no pair was graded by two experts"):
            agreement.expert_agreement(panel("q", "a", 1) + panel("q", "b", 2))

    def test_refuses_a_rater_who_graded_a_pair_twice(self) -> None:
        with pytest.raises(DataError, match="graded i with query q twice"):
            agreement.grade_table(panel("q", "i", 1) + panel("q", "i", 2))

    def test_table_marks_what_is_missing(self) -> None:
        table = agreement.grade_table(panel("q", "b", 3, 4) + panel("q", "a", 1))
        assert table.pairs == (("q", "a"), ("q", "b"))
        assert table.raters == ("1", "2")
        np.testing.assert_equal(table.grades, [[1, np.nan], [3, 4]])


@pytest.mark.archive
class TestRealArchive:
    def test_crowd_ranks_what_experts_call_relevant(self, real: Dataset) -> None:
        shared = agreement.shared_pairs(real.judgements, real.votes)
        assert len(shared.pairs) == 2329
        assert ranking.roc_auc(shared.shares, shared.verdicts) == pytest.approx(0.855, abs=5e-4)

    def test_agreement(self, real: Dataset) -> None:
        found = agreement.expert_agreement(real.judgements)
        assert found.pairs == 5822
        assert found.alpha == pytest.approx(0.694, abs=5e-4)
        assert found.all_agree == pytest.approx(0.582, abs=5e-4)
        assert found.all_differ == pytest.approx(126 / 5822)

    def test_the_columns_are_sorted_grades_and_not_people(self, real: Dataset) -> None:
        found = agreement.expert_agreement(real.judgements)
        assert found.columns_sorted
        means = [rater.mean for rater in found.severity]
        assert means == [pytest.approx(mean, abs=0.005) for mean in (1.44, 1.62, 1.88)]

    def test_crowd_and_experts_are_on_different_scales(self, real: Dataset) -> None:
        found = agreement.crowd_agreement(real.judgements, real.votes)
        assert [grade.pairs for grade in found.by_grade] == [604, 957, 463, 305]
        assert [grade.share for grade in found.by_grade] == [
            pytest.approx(share, abs=5e-4) for share in (0.003, 0.048, 0.310, 0.890)
        ]
        assert found.expert_target == pytest.approx(0.403, abs=5e-4)
        assert found.crowd_share == pytest.approx(0.198, abs=5e-4)
        assert found.spearman == pytest.approx(0.715, abs=5e-4)
        assert found.kendall == pytest.approx(0.620, abs=5e-4)
