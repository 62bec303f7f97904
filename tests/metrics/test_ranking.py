import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as reference

from kadr.data import agreement, dataset, labels
from kadr.metrics import ranking
from kadr.types import Dataset, Floats
from predictions import scored, simulated

Flags = NDArray[np.bool_]


class TestRanking:
    @settings(max_examples=50)
    @given(scored())
    def test_roc_auc_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        assert ranking.roc_auc(scores, truth) == pytest.approx(
            reference.roc_auc_score(truth, scores)
        )

    @settings(max_examples=50)
    @given(scored())
    def test_average_precision_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        assert ranking.average_precision(scores, truth) == pytest.approx(
            reference.average_precision_score(truth, scores)
        )

    @settings(max_examples=50)
    @given(scored(), st.data())
    def test_precision_at_k_is_the_mean_over_orders_of_ties(
        self, data: tuple[Floats, Flags], more: st.DataObject
    ) -> None:
        scores, truth = data
        k = more.draw(st.integers(1, len(scores)))
        # Of tied points those that come first in the best and in the worst order.
        best, worst = (truth[np.lexsort((side, -scores))][:k].mean() for side in (~truth, truth))
        found = ranking.precision_at(scores, truth, k)
        assert worst - 1e-12 <= found <= best + 1e-12
        if best == worst:
            assert found == pytest.approx(best)

    def test_precision_at_k_wants_a_k_that_there_is(self) -> None:
        assert ranking.precision_at([0.9, 0.5, 0.5], [True, True, False], 2) == 0.75
        for k in (0, 4):
            with pytest.raises(ValueError, match="choose 1 to 3"):
                ranking.precision_at([0.9, 0.5, 0.5], [True, True, False], k)

    @settings(max_examples=50)
    @given(scored())
    def test_roc_curve_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        curve = ranking.roc_curve(scores, truth)
        expected = reference.roc_curve(truth, scores, drop_intermediate=False)
        np.testing.assert_allclose(curve.false_positive_rate, expected[0])
        np.testing.assert_allclose(curve.true_positive_rate, expected[1])
        np.testing.assert_allclose(curve.thresholds, expected[2])

    @settings(max_examples=50)
    @given(scored())
    def test_precision_recall_curve_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        curve = ranking.precision_recall_curve(scores, truth)
        precision, recall, thresholds = reference.precision_recall_curve(truth, scores)
        # sklearn runs the other way and adds the point (recall 0, precision 1) by hand.
        np.testing.assert_allclose(curve.precision, precision[-2::-1])
        np.testing.assert_allclose(curve.recall, recall[-2::-1])
        np.testing.assert_allclose(curve.thresholds, thresholds[::-1])

    @given(scored())
    def test_only_the_order_of_scores_counts(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        for figure in (ranking.roc_auc, ranking.average_precision):
            assert figure(np.exp(3 * scores) - 7, truth) == pytest.approx(figure(scores, truth))

    @given(scored())
    def test_reversed_scores_mirror_the_auc(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        both = ranking.roc_auc(scores, truth) + ranking.roc_auc(-scores, truth)
        assert both == pytest.approx(1)

    def test_constant_score_knows_nothing(self) -> None:
        truth = np.array([True, False, False, False])
        assert ranking.roc_auc(np.zeros(4), truth) == 0.5
        assert ranking.average_precision(np.zeros(4), truth) == 0.25

    def test_known_case(self) -> None:
        scores, truth = [0.9, 0.8, 0.7, 0.6], [True, False, True, False]
        assert ranking.roc_auc(scores, truth) == 0.75
        assert ranking.average_precision(scores, truth) == pytest.approx((1 + 2 / 3) / 2)

    def test_one_class_is_undefined(self) -> None:
        assert math.isnan(ranking.roc_auc([1, 2], [True, True]))
        assert math.isnan(ranking.average_precision([1, 2], [False, False]))
        with pytest.raises(ValueError, match="true and false"):
            ranking.roc_curve([1, 2], [True, True])
        with pytest.raises(ValueError, match="needs true pairs"):
            ranking.precision_recall_curve([1, 2], [False, False])

    def test_long_curves_are_thinned_and_keep_their_ends(self) -> None:
        scores, truth = simulated(5000)
        curve = ranking.roc_curve(scores, truth, points=100)
        assert len(curve.thresholds) == 100
        assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0, 0)
        assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)
        area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
        assert area == pytest.approx(ranking.roc_auc(scores, truth), abs=0.005)
        assert ranking.precision_recall_curve(scores, truth, points=100).recall[-1] == 1

    @pytest.mark.parametrize(
        ("scores", "truth", "message"),
        [
            ([], [], "filled array"),
            ([1, 2], [True], "don't fit"),
            ([1, math.nan], [True, False], "NaN"),
            ([1, 2], [0.3, 1], "true or false"),
            ([[1, 2]], [[True, False]], "filled array"),
        ],
    )
    def test_refuses_arrays_that_do_not_fit(
        self, scores: list[float], truth: list[bool], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            ranking.roc_auc(scores, truth)


class TestTau:
    def test_expert_protocol_takes_every_grade_and_drops_own_captions(self) -> None:
        scores, grades = [0.1, 0.9, 0.5, 0.0], np.array([[1, 1], [3, 4], [2, 3], [4, 4]])
        found = ranking.tau_c_expert(scores, grades, [False, False, False, True])
        points = [0.1, 0.1, 0.9, 0.9, 0.5, 0.5]
        expected = stats.kendalltau(points, [1, 1, 3, 4, 2, 3], variant="c").statistic
        assert found == pytest.approx(expected)

    def test_missing_grades_are_no_points(self) -> None:
        found = ranking.tau_c_expert([0.1, 0.9], [[1, math.nan], [3.0, 4.0]], [False, False])
        expected = stats.kendalltau([0.1, 0.9, 0.9], [1, 3, 4], variant="c").statistic
        assert found == pytest.approx(expected)

    @given(scored())
    def test_crowd_protocol_is_tau_b(self, data: tuple[Floats, Flags]) -> None:
        scores, shares = data[0], data[1] / 3
        expected = stats.kendalltau(scores, shares, variant="b").statistic
        assert ranking.tau_b_crowd(scores, shares) == pytest.approx(expected, nan_ok=True)

    def test_two_points_suffice(self) -> None:
        assert ranking.tau_b_crowd([0.1, 0.2], [0, 1]) == 1
        assert ranking.tau_c_expert([0.1, 0.2], [[1], [4]], [False, False]) == 1

    def test_constant_score_is_undefined(self) -> None:
        assert math.isnan(ranking.tau_b_crowd([1, 1, 1], [0, 0.5, 1]))
        assert math.isnan(ranking.tau_c_expert([1, 1], [[1, 2], [3, 4]], [False, False]))

    def test_nothing_left_is_undefined(self) -> None:
        assert math.isnan(ranking.tau_c_expert([1, 2], [[1, 2], [3, 4]], [True, True]))

    def test_refuses_grades_that_do_not_fit(self) -> None:
        with pytest.raises(ValueError, match="don't fit"):
            ranking.tau_c_expert([1, 2], [[1, 2, 3]], [False, False])


class TestRetrieval:
    def test_known_case(self) -> None:
        ranks = ranking.rank_of([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]], [0, 1, 2])
        assert ranks.tolist() == [1, 3, 2]
        assert ranking.recall_at(ranks, 1) == pytest.approx(1 / 3)
        assert ranking.recall_at(ranks, 2) == pytest.approx(2 / 3)
        assert ranking.mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
        assert ranking.median_rank(ranks) == 2

    def test_constant_scorer_ranks_last(self) -> None:
        assert ranking.rank_of(np.zeros((2, 5)), [0, 4]).tolist() == [5, 5]

    @given(
        hnp.arrays(np.float32, (4, 7), elements=st.floats(-1, 1, width=32), unique=True),
        st.lists(st.integers(0, 6), min_size=4, max_size=4),
    )
    def test_rank_without_ties_is_the_place_in_the_sorted_row(
        self, similarities: NDArray[np.float32], right: list[int]
    ) -> None:
        order = np.argsort(-similarities, axis=1)
        places = [order[query].tolist().index(image) + 1 for query, image in enumerate(right)]
        assert ranking.rank_of(similarities, right).tolist() == places

    @given(st.lists(st.integers(1, 50), min_size=1), st.integers(1, 49))
    def test_recall_rises_with_k(self, ranks: list[int], k: int) -> None:
        assert ranking.recall_at(ranks, k) <= ranking.recall_at(ranks, k + 1)
        assert ranking.recall_at(ranks, 50) == 1
        assert ranking.recall_at(ranks, 1) <= ranking.mean_reciprocal_rank(ranks) <= 1

    @pytest.mark.parametrize(
        ("similarities", "right", "message"),
        [
            ([[0.1, math.nan]], [0], "NaN"),
            ([[0.1, 0.2]], [2], "columns from 0 to 1"),
            ([[0.1, 0.2]], [-1], "columns from 0 to 1"),
            ([[0.1, 0.2]], [0, 1], "don't fit"),
            ([0.1, 0.2], [0], "don't fit"),
            (np.zeros((0, 3)), np.zeros(0, dtype=int), "don't fit"),
        ],
    )
    def test_refuses_what_has_no_rank(
        self, similarities: list[list[float]], right: list[int], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            ranking.rank_of(similarities, right)

    def test_refuses_ranks_from_zero(self) -> None:
        with pytest.raises(ValueError, match="start at 1"):
            ranking.recall_at([0, 1], 1)


@pytest.mark.archive
class TestRealArchive:
    def test_experts_own_mean_reaches_the_published_ceiling(self, real: Dataset) -> None:
        table = agreement.grade_table(real.judgements)
        own = np.array([dataset.own_image(query) == image for query, image in table.pairs])
        assert 3 * np.sum(~own) == 16_992
        found = ranking.tau_c_expert(table.grades.mean(axis=1), table.grades, own)
        assert 100 * found == pytest.approx(70.6, abs=0.05)

    def test_crowd_pairs_against_themselves(self, real: Dataset) -> None:
        shares = np.array(list(labels.shares(real.votes).values()))
        assert len(shares) == 47_830
        assert ranking.tau_b_crowd(shares, shares) == pytest.approx(1)
