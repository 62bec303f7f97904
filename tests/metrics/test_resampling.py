import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats

from kadr.data import agreement
from kadr.metrics import ranking, resampling
from kadr.types import Dataset, Floats

Flags = NDArray[np.bool_]


def mean_of(values: Floats) -> Callable[[NDArray[np.intp]], float]:
    return lambda positions: float(values[positions].mean())


class TestBootstrap:
    def test_value_is_that_of_the_data(self) -> None:
        values = np.arange(10.0)
        found = resampling.bootstrap(mean_of(values), np.arange(10))
        assert found.value == 4.5
        assert found.low < 4.5 < found.high

    def test_agrees_with_theory_for_a_mean(self) -> None:
        values = np.random.default_rng(0).normal(size=400)
        found = resampling.bootstrap(mean_of(values), np.arange(400), resamples=2000)
        half_width = 1.96 * values.std() / math.sqrt(400)
        assert (found.high - found.low) / 2 == pytest.approx(half_width, rel=0.1)

    def test_copies_of_a_point_teach_nothing(self) -> None:
        values = np.random.default_rng(0).normal(size=50)
        once = resampling.bootstrap(mean_of(values), np.arange(50))
        groups = [f"{number}.jpg" for number in np.repeat(np.arange(50), 8)]
        copied = resampling.bootstrap(mean_of(np.repeat(values, 8)), groups)
        width = once.high - once.low
        assert copied.high - copied.low == pytest.approx(width, rel=0.1)

    def test_covers_the_truth_about_as_often_as_it_says(self) -> None:
        source, covered = np.random.default_rng(0), 0
        groups = np.repeat(np.arange(40), 5)
        for trial in range(100):
            values = source.normal(size=40)[groups] + source.normal(size=200)
            found = resampling.bootstrap(mean_of(values), groups, resamples=200, seed=trial)
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

        resampling.bootstrap(check, np.array(groups), resamples=20)

    def test_same_seed_gives_the_same_interval(self) -> None:
        values = np.random.default_rng(0).normal(size=30)
        first, again, other = (
            resampling.bootstrap(mean_of(values), np.arange(30), seed=seed) for seed in (1, 1, 2)
        )
        assert first == again
        assert first != other

    def test_wider_level_gives_a_wider_interval(self) -> None:
        values = np.random.default_rng(0).normal(size=30)
        half, most = (
            resampling.bootstrap(mean_of(values), np.arange(30), level=level)
            for level in (0.5, 0.99)
        )
        assert most.low < half.low < half.high < most.high

    def test_undefined_resamples_are_skipped(self) -> None:
        """A resample that misses the one true pair has no AUC."""
        truth = np.arange(6) < 1
        scores = -np.arange(6.0)
        found = resampling.bootstrap(
            lambda chosen: ranking.roc_auc(scores[chosen], truth[chosen]), np.arange(6)
        )
        assert (found.value, found.low, found.high) == (1, 1, 1)

    def test_ends_are_undefined_where_most_resamples_are(self) -> None:
        found = resampling.bootstrap(
            lambda chosen: 1.0 if len(set(chosen.tolist())) == 6 else math.nan, np.arange(6)
        )
        assert found.value == 1
        assert math.isnan(found.low)
        assert math.isnan(found.high)

    def test_one_group_has_no_spread_to_show(self) -> None:
        found = resampling.bootstrap(mean_of(np.arange(4.0)), ["a.jpg"] * 4)
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
            resampling.bootstrap(mean_of(np.arange(4.0)), np.arange(4), **options)

    def test_refuses_nothing(self) -> None:
        with pytest.raises(ValueError, match="nothing to resample"):
            resampling.bootstrap(mean_of(np.arange(4.0)), [])


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
        found = resampling.auc_differences(
            scores[1:], scores[0], truth, groups, resamples=60, seed=3
        )
        assert len(found) == 2
        for ours, difference in zip(scores[1:], found, strict=True):
            values: list[float] = []

            def figure(rows: NDArray[np.intp], ours: Floats = ours) -> float:
                areas = [ranking.roc_auc(s[rows], truth[rows]) for s in (ours, scores[0])]
                values.append(areas[0] - areas[1])  # noqa: B023 - called within this round
                return values[-1]  # noqa: B023

            plain = resampling.bootstrap(figure, groups, resamples=60, seed=3)
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
        (one,) = resampling.auc_differences([better], worse, truth, groups)
        (two,) = resampling.auc_differences([worse], better, truth, groups)
        assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
        assert one.p == two.p

    def test_identical_scores_do_not_differ(self) -> None:
        _, worse, truth, groups = two_methods()
        (found,) = resampling.auc_differences([np.exp(worse)], worse, truth, groups)
        assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)

    def test_a_clear_difference_has_the_smallest_p(self) -> None:
        better, worse, truth, groups = two_methods()
        (found,) = resampling.auc_differences([better], worse, truth, groups, resamples=500)
        assert 0 < found.low < found.value < found.high
        assert found.p == pytest.approx(2 / 501)

    def test_p_is_about_uniform_where_nothing_differs(self) -> None:
        chances = []
        for trial in range(200):
            source = np.random.default_rng(trial)
            truth = np.arange(120) % 3 == 0
            groups = np.repeat(np.arange(40), 3)
            ours, theirs = truth + source.normal(size=(2, 120))
            (found,) = resampling.auc_differences([ours], theirs, truth, groups, resamples=200)
            chances.append(found.p)
        assert stats.kstest(chances, "uniform").pvalue > 0.01
        assert 0.01 <= np.mean(np.array(chances) <= 0.05) <= 0.1

    def test_each_method_is_tested_as_if_alone(self) -> None:
        better, worse, truth, groups = two_methods()
        third = worse + np.random.default_rng(1).normal(size=len(worse))
        both = resampling.auc_differences([better, third], worse, truth, groups)
        alone = [resampling.auc_differences([s], worse, truth, groups)[0] for s in (better, third)]
        assert both == alone
        assert resampling.auc_differences([], worse, truth, groups) == []

    def test_seed_chooses_the_draws(self) -> None:
        better, worse, truth, groups = two_methods(60)
        one, again, other = (
            resampling.auc_differences([better], worse, truth, groups, seed=seed)
            for seed in (1, 1, 2)
        )
        assert one == again
        assert one != other

    def test_one_group_has_no_spread_to_show(self) -> None:
        (found,) = resampling.auc_differences([[1, 2]], [2, 1], [False, True], ["a.jpg"] * 2)
        assert found.value == 1
        assert all(math.isnan(figure) for figure in (found.low, found.high, found.p))

    @pytest.mark.parametrize("truth", [[True, True, True], [False, False, False]])
    def test_one_class_has_no_area(self, truth: list[bool]) -> None:
        (found,) = resampling.auc_differences([[1, 2, 3]], [3, 2, 1], truth, ["a", "b", "c"])
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
            resampling.auc_differences(**given | change)


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

        found = resampling.holm(raw)
        for p, adjusted in zip(raw, found, strict=True):
            if math.isnan(p):
                assert math.isnan(adjusted)
            else:
                assert adjusted == naive(p)

    @given(chances)
    def test_never_below_raw_and_in_their_order(self, raw: list[float]) -> None:
        known = [
            (p, q) for p, q in zip(raw, resampling.holm(raw), strict=True) if not math.isnan(p)
        ]
        assert all(p <= q <= 1 for p, q in known)
        ordered = [q for _, q in sorted(known)]
        assert ordered == sorted(ordered)

    def test_nan_is_not_counted(self) -> None:
        assert resampling.holm([0.02, 0.01]) == [0.02, 0.02]
        kept = resampling.holm([math.nan, 0.02, math.nan, 0.01])
        assert (kept[1], kept[3]) == (0.02, 0.02)
        assert resampling.holm([]) == []

    def test_leaves_its_input_alone(self) -> None:
        raw = [0.04, 0.03]
        resampling.holm(raw)
        assert raw == [0.04, 0.03]

    def test_keeps_the_family_wise_error(self) -> None:
        source = np.random.default_rng(0)
        wrong = [min(resampling.holm(source.random(20).tolist())) <= 0.05 for _ in range(500)]
        assert np.mean(wrong) < 0.08


@pytest.mark.archive
class TestRealArchive:
    def test_crowd_share_ranks_expert_relevance(self, real: Dataset) -> None:
        shared = agreement.shared_pairs(real.judgements, real.votes)
        shares, verdicts = shared.shares, shared.verdicts
        found = resampling.bootstrap(
            lambda chosen: ranking.roc_auc(shares[chosen], verdicts[chosen]),
            [image for _, image in shared.pairs],
        )
        assert found.value == pytest.approx(0.855, abs=5e-4)
        assert found.low == pytest.approx(0.836, abs=0.003)
        assert found.high == pytest.approx(0.873, abs=0.003)
