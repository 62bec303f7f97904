import math
import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as reference

from kadr import metrics
from kadr.data import dataset, labels
from kadr.types import Dataset, Floats

Flags = NDArray[np.bool_]


@st.composite
def scored(draw: st.DrawFn) -> tuple[Floats, Flags]:
    """Scores, often tied, and truth with both classes."""
    size = draw(st.integers(2, 40))
    scores = draw(hnp.arrays(np.int64, size, elements=st.integers(-6, 6))) / 4
    truth = draw(hnp.arrays(np.bool_, size).filter(lambda flags: 0 < flags.sum() < len(flags)))
    return scores, truth


def simulated(size: int, *, seed: int = 0) -> tuple[Floats, Flags]:
    """Probabilities that crowd near 0, and outcomes that obey them."""
    source = np.random.default_rng(seed)
    probabilities = source.beta(0.5, 2.5, size)
    return probabilities, source.random(size) < probabilities


class TestRanking:
    @settings(max_examples=50)
    @given(scored())
    def test_roc_auc_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        assert metrics.roc_auc(scores, truth) == pytest.approx(
            reference.roc_auc_score(truth, scores)
        )

    @settings(max_examples=50)
    @given(scored())
    def test_average_precision_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        assert metrics.average_precision(scores, truth) == pytest.approx(
            reference.average_precision_score(truth, scores)
        )

    @settings(max_examples=50)
    @given(scored())
    def test_roc_curve_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        curve = metrics.roc_curve(scores, truth)
        expected = reference.roc_curve(truth, scores, drop_intermediate=False)
        np.testing.assert_allclose(curve.false_positive_rate, expected[0])
        np.testing.assert_allclose(curve.true_positive_rate, expected[1])
        np.testing.assert_allclose(curve.thresholds, expected[2])

    @settings(max_examples=50)
    @given(scored())
    def test_precision_recall_curve_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        curve = metrics.precision_recall_curve(scores, truth)
        precision, recall, thresholds = reference.precision_recall_curve(truth, scores)
        # sklearn runs the other way and adds the point (recall 0, precision 1) by hand.
        np.testing.assert_allclose(curve.precision, precision[-2::-1])
        np.testing.assert_allclose(curve.recall, recall[-2::-1])
        np.testing.assert_allclose(curve.thresholds, thresholds[::-1])

    @given(scored())
    def test_only_the_order_of_scores_counts(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        for figure in (metrics.roc_auc, metrics.average_precision):
            assert figure(np.exp(3 * scores) - 7, truth) == pytest.approx(figure(scores, truth))

    @given(scored())
    def test_reversed_scores_mirror_the_auc(self, data: tuple[Floats, Flags]) -> None:
        scores, truth = data
        both = metrics.roc_auc(scores, truth) + metrics.roc_auc(-scores, truth)
        assert both == pytest.approx(1)

    def test_constant_score_knows_nothing(self) -> None:
        truth = np.array([True, False, False, False])
        assert metrics.roc_auc(np.zeros(4), truth) == 0.5
        assert metrics.average_precision(np.zeros(4), truth) == 0.25

    def test_known_case(self) -> None:
        scores, truth = [0.9, 0.8, 0.7, 0.6], [True, False, True, False]
        assert metrics.roc_auc(scores, truth) == 0.75
        assert metrics.average_precision(scores, truth) == pytest.approx((1 + 2 / 3) / 2)

    def test_one_class_is_undefined(self) -> None:
        assert math.isnan(metrics.roc_auc([1, 2], [True, True]))
        assert math.isnan(metrics.average_precision([1, 2], [False, False]))
        with pytest.raises(ValueError, match="true and false"):
            metrics.roc_curve([1, 2], [True, True])
        with pytest.raises(ValueError, match="needs true pairs"):
            metrics.precision_recall_curve([1, 2], [False, False])

    def test_long_curves_are_thinned_and_keep_their_ends(self) -> None:
        scores, truth = simulated(5000)
        curve = metrics.roc_curve(scores, truth, points=100)
        assert len(curve.thresholds) == 100
        assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0, 0)
        assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)
        area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
        assert area == pytest.approx(metrics.roc_auc(scores, truth), abs=0.005)
        assert metrics.precision_recall_curve(scores, truth, points=100).recall[-1] == 1

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
            metrics.roc_auc(scores, truth)


class TestCalibration:
    @settings(max_examples=50)
    @given(scored())
    def test_brier_is_that_of_sklearn(self, data: tuple[Floats, Flags]) -> None:
        probabilities, truth = (data[0] + 1.5) / 3, data[1]
        assert metrics.brier(probabilities, truth) == pytest.approx(
            reference.brier_score_loss(truth, probabilities)
        )

    @pytest.mark.parametrize("binning", ["mass", "width"])
    def test_calibrated_predictor_has_almost_no_error(self, binning: metrics.Binning) -> None:
        probabilities, truth = simulated(50_000)
        error = metrics.expected_calibration_error(probabilities, truth, binning=binning)
        assert error < 0.01

    @pytest.mark.parametrize("binning", ["mass", "width"])
    @pytest.mark.parametrize("shift", [0.05, 0.2])
    def test_shifted_predictor_shows_the_shift(
        self, binning: metrics.Binning, shift: float
    ) -> None:
        source = np.random.default_rng(1)
        probabilities = source.uniform(0.3, 0.7, 50_000)
        truth = source.random(50_000) < probabilities - shift
        error = metrics.expected_calibration_error(probabilities, truth, binning=binning)
        assert error == pytest.approx(shift, abs=0.01)

    def test_noise_of_a_calibrated_predictor_is_as_documented(self) -> None:
        source = np.random.default_rng(2)
        found = []
        for _ in range(50):
            probabilities = source.uniform(0.15, 0.25, 1500)
            truth = source.random(1500) < probabilities
            found.append(metrics.expected_calibration_error(probabilities, truth))
        assert np.mean(found) == pytest.approx(0.8 * math.sqrt(0.2 * 0.8 * 15 / 1500), rel=0.1)

    def test_known_case_by_hand(self) -> None:
        low, high = metrics.reliability(
            [0.125, 0.375, 0.625, 0.875], [0, 0, 0, 1], bins=2, binning="width"
        )
        assert low == metrics.Bin(0.0, 0.5, 2, 0.25, 0.0)
        assert high == metrics.Bin(0.5, 1.0, 2, 0.75, 0.5)
        error = metrics.expected_calibration_error(
            [0.125, 0.375, 0.625, 0.875], [0, 0, 0, 1], bins=2, binning="width"
        )
        assert error == 0.25

    def test_bins_of_equal_mass_hold_as_many(self) -> None:
        probabilities, truth = simulated(1500)
        found = metrics.reliability(probabilities, truth)
        assert [part.count for part in found] == [100] * 15
        assert all(left.high < right.low for left, right in pairwise(found))

    def test_equal_probabilities_share_a_bin(self) -> None:
        (only,) = metrics.reliability(np.full(100, 0.25), np.arange(100) < 40)
        assert only == metrics.Bin(0.25, 0.25, 100, 0.25, 0.4)

    @given(scored(), st.sampled_from(["mass", "width"]))
    def test_bins_hold_every_point_once_in_any_order(
        self, data: tuple[Floats, Flags], binning: metrics.Binning
    ) -> None:
        probabilities, truth = (data[0] + 1.5) / 3, data[1]
        found = metrics.reliability(probabilities, truth, binning=binning)
        assert sum(part.count for part in found) == len(truth)
        assert all(part.low <= part.mean_probability + 1e-12 for part in found)
        assert all(part.mean_probability <= part.high + 1e-12 for part in found)
        back = metrics.reliability(probabilities[::-1], truth[::-1], binning=binning)
        assert [(p.low, p.high, p.count) for p in back] == [(p.low, p.high, p.count) for p in found]

    @pytest.mark.parametrize("wrong", [-0.1, 1.1])
    def test_refuses_what_is_no_probability(self, wrong: float) -> None:
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metrics.brier([0.5, wrong], [True, False])

    def test_refuses_unknown_bins(self) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            metrics.reliability([0.5], [True], bins=0)
        with pytest.raises(ValueError, match="mass or width"):
            metrics.reliability([0.5], [True], binning="depth")  # type: ignore[arg-type]


class TestErrors:
    def test_known_case(self) -> None:
        assert metrics.mae([0, 0.5], [0.5, 0.5]) == 0.25
        assert metrics.rmse([0, 0.5], [0.5, 0.5]) == pytest.approx(math.sqrt(0.125))

    def test_constants_come_from_training(self) -> None:
        found = metrics.constant_errors([0, 0, 0.9], [0.3, 0.3])
        assert found.median == 0
        assert found.mean == pytest.approx(0.3)
        assert found.mae == pytest.approx(0.3)
        assert found.rmse == pytest.approx(0, abs=1e-12)

    @given(hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)), st.floats(0, 1))
    def test_no_other_constant_is_better_in_training(self, targets: Floats, other: float) -> None:
        best, guess = metrics.constant_errors(targets, targets), np.full_like(targets, other)
        assert best.mae <= metrics.mae(guess, targets) + 1e-12
        assert best.rmse <= metrics.rmse(guess, targets) + 1e-12


class TestTau:
    def test_expert_protocol_takes_every_grade_and_drops_own_captions(self) -> None:
        scores, grades = [0.1, 0.9, 0.5, 0.0], np.array([[1, 1], [3, 4], [2, 3], [4, 4]])
        found = metrics.tau_c_expert(scores, grades, [False, False, False, True])
        points = [0.1, 0.1, 0.9, 0.9, 0.5, 0.5]
        expected = stats.kendalltau(points, [1, 1, 3, 4, 2, 3], variant="c").statistic
        assert found == pytest.approx(expected)

    def test_missing_grades_are_no_points(self) -> None:
        found = metrics.tau_c_expert([0.1, 0.9], [[1, math.nan], [3.0, 4.0]], [False, False])
        expected = stats.kendalltau([0.1, 0.9, 0.9], [1, 3, 4], variant="c").statistic
        assert found == pytest.approx(expected)

    @given(scored())
    def test_crowd_protocol_is_tau_b(self, data: tuple[Floats, Flags]) -> None:
        scores, shares = data[0], data[1] / 3
        expected = stats.kendalltau(scores, shares, variant="b").statistic
        assert metrics.tau_b_crowd(scores, shares) == pytest.approx(expected, nan_ok=True)

    def test_two_points_suffice(self) -> None:
        assert metrics.tau_b_crowd([0.1, 0.2], [0, 1]) == 1
        assert metrics.tau_c_expert([0.1, 0.2], [[1], [4]], [False, False]) == 1

    def test_constant_score_is_undefined(self) -> None:
        assert math.isnan(metrics.tau_b_crowd([1, 1, 1], [0, 0.5, 1]))
        assert math.isnan(metrics.tau_c_expert([1, 1], [[1, 2], [3, 4]], [False, False]))

    def test_nothing_left_is_undefined(self) -> None:
        assert math.isnan(metrics.tau_c_expert([1, 2], [[1, 2], [3, 4]], [True, True]))

    def test_refuses_grades_that_do_not_fit(self) -> None:
        with pytest.raises(ValueError, match="don't fit"):
            metrics.tau_c_expert([1, 2], [[1, 2, 3]], [False, False])


class TestRetrieval:
    def test_known_case(self) -> None:
        ranks = metrics.rank_of([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]], [0, 1, 2])
        assert ranks.tolist() == [1, 3, 2]
        assert metrics.recall_at(ranks, 1) == pytest.approx(1 / 3)
        assert metrics.recall_at(ranks, 2) == pytest.approx(2 / 3)
        assert metrics.mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
        assert metrics.median_rank(ranks) == 2

    def test_constant_scorer_ranks_last(self) -> None:
        assert metrics.rank_of(np.zeros((2, 5)), [0, 4]).tolist() == [5, 5]

    @given(
        hnp.arrays(np.float32, (4, 7), elements=st.floats(-1, 1, width=32), unique=True),
        st.lists(st.integers(0, 6), min_size=4, max_size=4),
    )
    def test_rank_without_ties_is_the_place_in_the_sorted_row(
        self, similarities: NDArray[np.float32], right: list[int]
    ) -> None:
        order = np.argsort(-similarities, axis=1)
        places = [order[query].tolist().index(image) + 1 for query, image in enumerate(right)]
        assert metrics.rank_of(similarities, right).tolist() == places

    @given(st.lists(st.integers(1, 50), min_size=1), st.integers(1, 49))
    def test_recall_rises_with_k(self, ranks: list[int], k: int) -> None:
        assert metrics.recall_at(ranks, k) <= metrics.recall_at(ranks, k + 1)
        assert metrics.recall_at(ranks, 50) == 1
        assert metrics.recall_at(ranks, 1) <= metrics.mean_reciprocal_rank(ranks) <= 1

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
            metrics.rank_of(similarities, right)

    def test_refuses_ranks_from_zero(self) -> None:
        with pytest.raises(ValueError, match="start at 1"):
            metrics.recall_at([0, 1], 1)


def mean_of(values: Floats) -> Callable[[NDArray[np.intp]], float]:
    return lambda positions: float(values[positions].mean())


class TestBootstrap:
    def test_value_is_that_of_the_data(self) -> None:
        values = np.arange(10.0)
        found = metrics.bootstrap(mean_of(values), np.arange(10))
        assert found.value == 4.5
        assert found.low < 4.5 < found.high

    def test_agrees_with_theory_for_a_mean(self) -> None:
        values = np.random.default_rng(0).normal(size=400)
        found = metrics.bootstrap(mean_of(values), np.arange(400), resamples=2000)
        half_width = 1.96 * values.std() / math.sqrt(400)
        assert (found.high - found.low) / 2 == pytest.approx(half_width, rel=0.1)

    def test_copies_of_a_point_teach_nothing(self) -> None:
        values = np.random.default_rng(0).normal(size=50)
        once = metrics.bootstrap(mean_of(values), np.arange(50))
        groups = [f"{number}.jpg" for number in np.repeat(np.arange(50), 8)]
        copied = metrics.bootstrap(mean_of(np.repeat(values, 8)), groups)
        width = once.high - once.low
        assert copied.high - copied.low == pytest.approx(width, rel=0.1)

    def test_covers_the_truth_about_as_often_as_it_says(self) -> None:
        source, covered = np.random.default_rng(0), 0
        groups = np.repeat(np.arange(40), 5)
        for trial in range(100):
            values = source.normal(size=40)[groups] + source.normal(size=200)
            found = metrics.bootstrap(mean_of(values), groups, resamples=200, seed=trial)
            covered += found.low <= 0 <= found.high
        assert 86 <= covered <= 100

    @settings(max_examples=25)
    @given(st.lists(st.integers(0, 5), min_size=2, max_size=30))
    def test_groups_stay_whole(self, groups: list[int]) -> None:
        sizes = np.bincount(groups)

        def check(positions: NDArray[np.intp]) -> float:
            drawn = np.bincount(np.asarray(groups)[positions], minlength=len(sizes))
            assert all(drawn[sizes > 0] % sizes[sizes > 0] == 0)
            assert sum(drawn[sizes > 0] // sizes[sizes > 0]) == len(set(groups))
            return 0.0

        metrics.bootstrap(check, np.array(groups), resamples=20)

    def test_same_seed_gives_the_same_interval(self) -> None:
        values = np.random.default_rng(0).normal(size=30)
        first, again, other = (
            metrics.bootstrap(mean_of(values), np.arange(30), seed=seed) for seed in (1, 1, 2)
        )
        assert first == again
        assert first != other

    def test_wider_level_gives_a_wider_interval(self) -> None:
        values = np.random.default_rng(0).normal(size=30)
        half, most = (
            metrics.bootstrap(mean_of(values), np.arange(30), level=level) for level in (0.5, 0.99)
        )
        assert most.low < half.low < half.high < most.high

    def test_undefined_resamples_are_skipped(self) -> None:
        """A resample that misses the one true pair has no AUC."""
        truth = np.arange(6) < 1
        scores = -np.arange(6.0)
        found = metrics.bootstrap(
            lambda chosen: metrics.roc_auc(scores[chosen], truth[chosen]), np.arange(6)
        )
        assert (found.value, found.low, found.high) == (1, 1, 1)

    def test_ends_are_undefined_where_most_resamples_are(self) -> None:
        found = metrics.bootstrap(
            lambda chosen: 1.0 if len(set(chosen.tolist())) == 6 else math.nan, np.arange(6)
        )
        assert found.value == 1
        assert math.isnan(found.low)
        assert math.isnan(found.high)

    def test_one_group_has_no_spread_to_show(self) -> None:
        found = metrics.bootstrap(mean_of(np.arange(4.0)), ["a.jpg"] * 4)
        assert found.value == 1.5
        assert math.isnan(found.low)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"resamples": 0}, "need resamples >= 1, not 0"),
            ({"level": 0.0}, "need 0 < level < 1, not 0.0"),
            ({"level": 1.0}, "need 0 < level < 1, not 1.0"),
        ],
    )
    def test_refuses_options_without_an_interval(
        self, options: dict[str, int], message: str
    ) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            metrics.bootstrap(mean_of(np.arange(4.0)), np.arange(4), **options)

    def test_refuses_nothing(self) -> None:
        with pytest.raises(ValueError, match="nothing to resample"):
            metrics.bootstrap(mean_of(np.arange(4.0)), [])

    def test_an_auc_takes_about_a_second(self) -> None:
        scores, truth = simulated(1700)
        groups = np.random.default_rng(0).integers(0, 300, 1700)
        start = time.process_time()
        metrics.bootstrap(lambda chosen: metrics.roc_auc(scores[chosen], truth[chosen]), groups)
        assert time.process_time() - start < 3


@st.composite
def compared(draw: st.DrawFn) -> tuple[Floats, Flags, NDArray[np.int64]]:
    """Tied scores of three methods [3, n], truth with both classes, and groups."""
    size = draw(st.integers(2, 25))
    scores = draw(hnp.arrays(np.int64, (3, size), elements=st.integers(-3, 3))) / 4
    truth = draw(hnp.arrays(np.bool_, size).filter(lambda flags: 0 < flags.sum() < len(flags)))
    return scores, truth, draw(hnp.arrays(np.int64, size, elements=st.integers(0, 9)))


def two_methods(size: int = 300, *, seed: int = 0) -> tuple[Floats, Floats, Flags, list[str]]:
    """One that knows something, one that knows more, truth, and groups of five."""
    source = np.random.default_rng(seed)
    truth = source.random(size) < 0.4
    worse = truth + source.normal(size=size) * 1.5
    better = worse + truth
    return better, worse, truth, [f"{number // 5}.jpg" for number in range(size)]


class TestAucDifferences:
    @settings(max_examples=40, deadline=None)
    @given(compared())
    def test_is_the_plain_definition_on_the_same_draws(
        self, data: tuple[Floats, Flags, NDArray[np.int64]]
    ) -> None:
        scores, truth, groups = data
        found = metrics.auc_differences(scores[1:], scores[0], truth, groups, resamples=60, seed=3)
        assert len(found) == 2
        for ours, difference in zip(scores[1:], found, strict=True):
            values: list[float] = []

            def figure(rows: NDArray[np.intp], ours: Floats = ours) -> float:
                areas = [metrics.roc_auc(s[rows], truth[rows]) for s in (ours, scores[0])]
                values.append(areas[0] - areas[1])  # noqa: B023 - called within this round
                return values[-1]  # noqa: B023

            plain = metrics.bootstrap(figure, groups, resamples=60, seed=3)
            seen = (difference.value, difference.low, difference.high)
            assert seen == pytest.approx((plain.value, plain.low, plain.high), nan_ok=True)
            if math.isnan(plain.low):
                assert math.isnan(difference.p)
            else:
                drawn = np.round([v for v in values[1:] if not math.isnan(v)], 12)
                tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
                assert difference.p == min(1.0, 2 * (tail + 1) / (len(drawn) + 1))

    def test_turns_round_with_its_methods(self) -> None:
        better, worse, truth, groups = two_methods()
        (one,) = metrics.auc_differences([better], worse, truth, groups)
        (two,) = metrics.auc_differences([worse], better, truth, groups)
        assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
        assert one.p == two.p

    def test_identical_scores_do_not_differ(self) -> None:
        _, worse, truth, groups = two_methods()
        (found,) = metrics.auc_differences([np.exp(worse)], worse, truth, groups)
        assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)

    def test_a_clear_difference_has_the_smallest_p(self) -> None:
        better, worse, truth, groups = two_methods()
        (found,) = metrics.auc_differences([better], worse, truth, groups, resamples=500)
        assert 0 < found.low < found.value < found.high
        assert found.p == pytest.approx(2 / 501)

    def test_p_is_about_uniform_where_nothing_differs(self) -> None:
        chances = []
        for trial in range(200):
            source = np.random.default_rng(trial)
            truth = np.arange(120) % 3 == 0
            groups = np.repeat(np.arange(40), 3)
            ours, theirs = truth + source.normal(size=(2, 120))
            (found,) = metrics.auc_differences([ours], theirs, truth, groups, resamples=200)
            chances.append(found.p)
        assert stats.kstest(chances, "uniform").pvalue > 0.01
        assert 0.01 <= np.mean(np.array(chances) <= 0.05) <= 0.1

    def test_each_method_is_tested_as_if_alone(self) -> None:
        better, worse, truth, groups = two_methods()
        third = worse + np.random.default_rng(1).normal(size=len(worse))
        both = metrics.auc_differences([better, third], worse, truth, groups)
        alone = [metrics.auc_differences([s], worse, truth, groups)[0] for s in (better, third)]
        assert both == alone
        assert metrics.auc_differences([], worse, truth, groups) == []

    def test_seed_chooses_the_draws(self) -> None:
        better, worse, truth, groups = two_methods(60)
        one, again, other = (
            metrics.auc_differences([better], worse, truth, groups, seed=seed) for seed in (1, 1, 2)
        )
        assert one == again
        assert one != other

    def test_one_group_has_no_spread_to_show(self) -> None:
        (found,) = metrics.auc_differences([[1, 2]], [2, 1], [False, True], ["a.jpg"] * 2)
        assert found.value == 1
        assert all(math.isnan(figure) for figure in (found.low, found.high, found.p))

    @pytest.mark.parametrize("truth", [[True, True, True], [False, False, False]])
    def test_one_class_has_no_area(self, truth: list[bool]) -> None:
        (found,) = metrics.auc_differences([[1, 2, 3]], [3, 2, 1], truth, ["a", "b", "c"])
        assert all(math.isnan(f) for f in (found.value, found.low, found.high, found.p))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"methods": [[1, 2]]}, "don't fit"),
            ({"methods": [[1, 2, math.nan]]}, "holds NaN"),
            ({"reference": [1, 2]}, "don't fit"),
            ({"reference": [1, math.nan, 2]}, "holds NaN"),
            ({"truth": [0, 0.5, 1]}, "true or false"),
            ({"groups": ["a", "b"]}, "2 groups and 3 points don't fit"),
            ({"groups": []}, "nothing to resample"),
            ({"resamples": 0}, "need resamples >= 1"),
        ],
    )
    def test_refuses_what_does_not_fit(self, change: dict[str, Any], message: str) -> None:
        given: dict[str, Any] = {
            "methods": [[1, 2, 3]],
            "reference": [3, 1, 2],
            "truth": [True, False, True],
            "groups": ["a", "b", "c"],
        }
        with pytest.raises(ValueError, match=message):
            metrics.auc_differences(**given | change)

    def test_many_methods_take_seconds(self) -> None:
        source = np.random.default_rng(0)
        truth, groups = source.random(1726) < 0.2, source.integers(0, 290, 1726)
        scores = truth + source.normal(size=(10, 1726))
        start = time.process_time()
        metrics.auc_differences(scores[1:], scores[0], truth, groups)
        assert time.process_time() - start < 1.5


chances = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=12)


class TestHolm:
    @given(chances)
    def test_is_the_naive_one(self, raw: list[float]) -> None:
        known = [p for p in raw if not math.isnan(p)]

        def naive(p: float) -> float:
            """The largest of each smaller p-value times those that are at least as large."""
            ordered = sorted(known)
            last = len(ordered) - 1 - ordered[::-1].index(p)  # ties: all of them
            return min(1.0, max(ordered[at] * (len(ordered) - at) for at in range(last + 1)))

        found = metrics.holm(raw)
        for p, adjusted in zip(raw, found, strict=True):
            if math.isnan(p):
                assert math.isnan(adjusted)
            else:
                assert adjusted == naive(p)

    @given(chances)
    def test_never_below_raw_and_in_their_order(self, raw: list[float]) -> None:
        known = [(p, q) for p, q in zip(raw, metrics.holm(raw), strict=True) if not math.isnan(p)]
        assert all(p <= q <= 1 for p, q in known)
        ordered = [q for _, q in sorted(known)]
        assert ordered == sorted(ordered)

    def test_nan_is_not_counted(self) -> None:
        assert metrics.holm([0.02, 0.01]) == [0.02, 0.02]
        kept = metrics.holm([math.nan, 0.02, math.nan, 0.01])
        assert (kept[1], kept[3]) == (0.02, 0.02)
        assert metrics.holm([]) == []

    def test_leaves_its_input_alone(self) -> None:
        raw = [0.04, 0.03]
        metrics.holm(raw)
        assert raw == [0.04, 0.03]

    def test_keeps_the_family_wise_error(self) -> None:
        source = np.random.default_rng(0)
        wrong = [min(metrics.holm(source.random(20).tolist())) <= 0.05 for _ in range(500)]
        assert np.mean(wrong) < 0.08


class TestTraps:
    def test_a_constant_flatters_mae(self) -> None:
        """A figure that looks good is worth nothing without the constant's beside it."""
        targets = np.repeat([0, 1 / 3, 1], [60, 30, 10])
        found = metrics.constant_errors(targets, targets)
        assert found.mae == pytest.approx(0.2)
        assert found.mae < metrics.mae(np.full(100, targets.mean()), targets)


@pytest.fixture(scope="module")
def real(archive: Path) -> Dataset:
    return dataset.load(archive)


@pytest.mark.archive
class TestRealArchive:
    def test_experts_own_mean_reaches_the_published_ceiling(self, real: Dataset) -> None:
        table = labels.grade_table(real.judgements)
        own = np.array([dataset.own_image(query) == image for query, image in table.pairs])
        assert 3 * np.sum(~own) == 16_992
        found = metrics.tau_c_expert(table.grades.mean(axis=1), table.grades, own)
        assert 100 * found == pytest.approx(70.6, abs=0.05)

    def test_crowd_pairs_against_themselves(self, real: Dataset) -> None:
        shares = np.array(list(labels.shares(real.votes).values()))
        assert len(shares) == 47_830
        assert metrics.tau_b_crowd(shares, shares) == pytest.approx(1)

    def test_crowd_share_ranks_expert_relevance(self, real: Dataset) -> None:
        shared = labels.shared_pairs(real.judgements, real.votes)
        shares, verdicts = shared.shares, shared.verdicts
        found = metrics.bootstrap(
            lambda chosen: metrics.roc_auc(shares[chosen], verdicts[chosen]),
            [image for _, image in shared.pairs],
        )
        assert found.value == pytest.approx(0.855, abs=5e-4)
        assert found.low == pytest.approx(0.836, abs=0.003)
        assert found.high == pytest.approx(0.873, abs=0.003)

    def test_constant_looks_good_on_the_mean_grade(self, real: Dataset) -> None:
        grades = labels.grades(real.judgements, "mean")
        targets = (np.array(list(grades.values())) - 1) / 3
        found = metrics.constant_errors(targets, targets)
        assert found.mae == pytest.approx(0.194, abs=5e-4)
        assert found.rmse == pytest.approx(0.269, abs=5e-4)
