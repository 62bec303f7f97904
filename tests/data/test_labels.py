import importlib.util
import math
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.data import dataset, labels
from kadr.data.labels import BetaPrior, Pair
from kadr.errors import DataError, MissingExtraError
from kadr.metrics import ranking
from kadr.types import Dataset, Experts, Judgement, Label, Votes

PRIOR = BetaPrior(0.2, 1.8)
RULES: tuple[Experts, ...] = ("majority", "median", "mean")


def panel(query: str, image: str, *given_grades: int) -> list[Judgement]:
    return [
        Judgement(query, image, str(rater), grade)
        for rater, grade in enumerate(given_grades, start=1)
    ]


def target_of(judgements: Sequence[Judgement], experts: Experts) -> float:
    (label,) = labels.combine(judgements, [], experts=experts)
    return label.target


pairs = st.tuples(st.sampled_from(["q1", "q2", "q3"]), st.sampled_from(["a.jpg", "b.jpg"]))
grade_lists = st.lists(st.integers(1, 4), min_size=1, max_size=5)
judgement_tables = st.dictionaries(pairs, grade_lists, max_size=6).map(
    lambda table: [j for (query, image), g in table.items() for j in panel(query, image, *g)]
)
counts = st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda count: sum(count) > 0)
vote_tables = st.dictionaries(pairs, counts, max_size=6).map(
    lambda table: [Votes(query, image, *count) for (query, image), count in table.items()]
)
rules = st.sampled_from(RULES)
shares = st.floats(0, 1)


class TestGrades:
    @pytest.mark.parametrize("experts", RULES)
    @pytest.mark.parametrize(("grade", "target"), [(1, 0.0), (2, 1 / 3), (3, 2 / 3), (4, 1.0)])
    def test_unanimous_experts_set_the_target(
        self, experts: Experts, grade: int, target: float
    ) -> None:
        assert target_of(panel("q", "i", grade, grade, grade), experts) == pytest.approx(target)

    @pytest.mark.parametrize(
        ("experts", "given_grades", "grade"),
        [
            ("majority", (1, 1, 4), 1),
            ("majority", (2, 3, 3), 3),
            ("majority", (4,), 4),
            ("median", (1, 2, 4), 2),
            ("median", (1, 2), 1.5),
            ("mean", (1, 2, 4), 7 / 3),
        ],
    )
    def test_known_cases(
        self, experts: Experts, given_grades: tuple[int, ...], grade: float
    ) -> None:
        found = labels.grades(panel("q", "i", *given_grades), experts)
        assert found == {("q", "i"): pytest.approx(grade)}

    @pytest.mark.parametrize("given_grades", [(1, 2, 3), (1, 1, 2, 2), (1, 4)])
    def test_majority_leaves_out_pairs_without_a_most_frequent_grade(
        self, given_grades: tuple[int, ...]
    ) -> None:
        assert labels.grades(panel("q", "i", *given_grades), "majority") == {}

    def test_unknown_rule_names_the_known_ones(self) -> None:
        with pytest.raises(ValueError, match="majority, median, mean, dawid-skene"):
            labels.grades([], "vote")  # type: ignore[arg-type]

    @given(st.data(), rules)
    def test_a_higher_grade_never_lowers_the_result(
        self, data: st.DataObject, experts: Experts
    ) -> None:
        low = data.draw(grade_lists)
        high = [data.draw(st.integers(grade, 4)) for grade in low]
        before = labels.grades(panel("q", "i", *low), experts)
        after = labels.grades(panel("q", "i", *high), experts)
        for pair in before.keys() & after.keys():
            # A plurality may swing down when votes for its rival part ways: 1 1 2 2 2 -> 1 1 2 3 4.
            if experts != "majority" or len(low) <= 3:
                assert after[pair] >= before[pair]

    @given(grade_lists, rules)
    def test_result_lies_between_the_extremes(self, given_grades: list[int], rule: Experts) -> None:
        for grade in labels.grades(panel("q", "i", *given_grades), rule).values():
            assert min(given_grades) <= grade <= max(given_grades)

    @given(grade_lists)
    def test_majority_is_a_grade_that_somebody_gave(self, given_grades: list[int]) -> None:
        found = labels.grades(panel("q", "i", *given_grades), "majority")
        assert set(found.values()) <= set(given_grades)


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
            labels.confusions(panel("q", "i", 1, 2, 3))

    @pytest.mark.usefixtures("crowdkit")
    def test_nothing_judged_gives_nothing(self) -> None:
        assert labels.confusions([]) == ()

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
        one, two, three = labels.confusions(table)
        assert [one.rater, two.rater, three.rater] == ["1", "2", "3"]
        np.testing.assert_allclose(one.matrix, right, atol=1e-6)
        np.testing.assert_allclose(two.matrix, right, atol=1e-6)
        erring = np.array([[0.75, 0, 0, 0.25], nothing, nothing, [0, 0, 0, 1]])
        np.testing.assert_allclose(three.matrix, erring, atol=1e-6)

    @pytest.mark.usefixtures("crowdkit")
    def test_a_rater_who_never_met_a_grade_has_no_rates_for_it(self) -> None:
        table = [j for n in range(9) for j in panel("q", f"a{n}", 1, 1)]
        table += [j for n in range(9) for j in panel("q", f"b{n}", 4, 4)]
        _, _, third = labels.confusions([*table, Judgement("q", "a0", "3", 1)])
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
        for found, matrix in zip(labels.confusions(table), matrices, strict=True):
            np.testing.assert_allclose(found.matrix, matrix, atol=0.05)

    @pytest.mark.usefixtures("crowdkit")
    @settings(max_examples=20, deadline=None)
    @given(judgement_tables.filter(bool), st.randoms())
    def test_rows_are_shares_and_order_does_not_matter(
        self, judgements: list[Judgement], source: random.Random
    ) -> None:
        found = labels.confusions(judgements)
        assert [one.rater for one in found] == sorted({j.rater for j in judgements})
        for one in found:
            known = one.matrix[~np.isnan(one.matrix).any(axis=1)]
            assert ((known >= 0) & (known <= 1)).all()
            np.testing.assert_allclose(known.sum(axis=1), 1)
        shuffled = labels.confusions(source.sample(judgements, len(judgements)))
        for one, other in zip(found, shuffled, strict=True):
            np.testing.assert_array_equal(one.matrix, other.matrix)


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
        found = labels.crowd_agreement(judgements, votes)
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
        found = labels.crowd_agreement(judgements, [Votes("q", "a", 0, 3), Votes("q", "b", 0, 3)])
        assert math.isnan(found.spearman)
        assert math.isnan(found.kendall)

    def test_needs_a_common_pair(self) -> None:
        with pytest.raises(DataError, match="no pair was judged by experts and crowd"):
            labels.crowd_agreement(panel("q", "a", 1, 1), [Votes("q", "b", 0, 3)])

    @settings(max_examples=25)
    @given(judgement_tables, vote_tables, st.randoms())
    def test_order_does_not_matter(
        self, judgements: list[Judgement], votes: list[Votes], source: random.Random
    ) -> None:
        shared = labels.shared_pairs(judgements, votes).pairs
        if not shared:
            return
        found = labels.crowd_agreement(judgements, votes)
        assert found.pairs == len(shared) == sum(grade.pairs for grade in found.by_grade)
        mixed = source.sample(judgements, len(judgements)), source.sample(votes, len(votes))
        assert repr(labels.crowd_agreement(*mixed)) == repr(found)  # NaN equals nothing


class TestPrior:
    def test_without_votes_it_is_uniform(self) -> None:
        prior = labels.fit_prior([])
        assert prior.yes == pytest.approx(1)
        assert prior.no == pytest.approx(1)

    @pytest.mark.parametrize(("alpha", "beta"), [(0.3, 1.5), (2.0, 6.0)])
    def test_recovers_the_prior_that_made_the_votes(self, alpha: float, beta: float) -> None:
        source = np.random.default_rng(0)
        yes = source.binomial(5, source.beta(alpha, beta, size=20_000))
        prior = labels.fit_prior(
            [Votes("q", str(i), int(y), 5 - int(y)) for i, y in enumerate(yes)]
        )
        assert prior.yes == pytest.approx(alpha, rel=0.1)
        assert prior.no == pytest.approx(beta, rel=0.1)

    @pytest.mark.parametrize("rows", [1, 10, 10_000])
    def test_unanimous_crowd_leaves_it_proper(self, rows: int) -> None:
        yes = labels.fit_prior([Votes("q", str(row), 3, 0) for row in range(rows)])
        no = labels.fit_prior([Votes("q", str(row), 0, 3) for row in range(rows)])
        for prior in (yes, no):
            assert 0 < prior.yes < math.inf
            assert 0 < prior.no < math.inf
        assert 0.5 < yes.posterior_mean(3, 0) < 1
        assert 0 < no.posterior_mean(0, 3) < 0.5
        assert yes.posterior_mean(3, 0) == pytest.approx(1 - no.posterior_mean(0, 3), abs=1e-3)

    @settings(max_examples=25)
    @given(vote_tables)
    def test_is_proper_for_any_votes(self, votes: list[Votes]) -> None:
        prior = labels.fit_prior(votes)
        assert 0 < prior.yes < math.inf
        assert 0 < prior.no < math.inf


class TestCombine:
    def test_weighs_experts_and_crowd(self) -> None:
        found = labels.combine(panel("q", "i", 4, 4, 4), [Votes("q", "i", 1, 2)], prior=PRIOR)
        crowd = (0.2 + 1) / (2 + 3)
        assert [label.target for label in found] == [pytest.approx(0.6 + 0.4 * crowd)]

    def test_either_side_stands_alone_where_the_other_is_missing(self) -> None:
        found = labels.combine(panel("q", "a", 4, 4, 4), [Votes("q", "b", 0, 3)], prior=PRIOR)
        assert [(label.image, label.target) for label in found] == [
            ("a", 1.0),
            ("b", pytest.approx(0.2 / 5)),
        ]

    def test_crowd_speaks_where_experts_all_differ(self) -> None:
        (label,) = labels.combine(panel("q", "i", 1, 2, 3), [Votes("q", "i", 3, 0)], prior=PRIOR)
        assert label.target == pytest.approx(3.2 / 5)

    @pytest.mark.parametrize(("weight", "target"), [(0.0, 0.04), (1.0, 1.0)])
    def test_extreme_weights_hear_one_side(self, weight: float, target: float) -> None:
        (label,) = labels.combine(
            panel("q", "i", 4, 4, 4), [Votes("q", "i", 0, 3)], expert_weight=weight, prior=PRIOR
        )
        assert label.target == pytest.approx(target)

    @pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
    def test_refuses_a_weight_that_is_no_share(self, weight: float) -> None:
        with pytest.raises(ValueError, match="choose a number from 0 to 1"):
            labels.combine([], [], expert_weight=weight)

    def test_nothing_judged_gives_no_label(self) -> None:
        assert labels.combine([], []) == ()

    def test_pair_without_a_vote_is_not_judged(self) -> None:
        assert labels.combine([], [Votes("q", "i", 0, 0)]) == ()

    def test_rows_of_one_pair_add_up(self) -> None:
        twice = [Votes("q", "i", 1, 0), Votes("q", "i", 0, 2)]
        assert labels.combine([], twice) == labels.combine([], [Votes("q", "i", 1, 2)])

    def test_weight_is_the_effective_number_of_judges(self) -> None:
        found = labels.combine(
            panel("q", "a", 4, 4, 4) + panel("q", "b", 4, 4, 4),
            [Votes("q", "b", 0, 3), Votes("q", "c", 1, 5)],
            prior=PRIOR,
        )
        judges = [3, 1 / (0.36 / 3 + 0.16 / 3), 6]
        expected = [number / fmean(judges) for number in judges]
        assert [label.weight for label in found] == [pytest.approx(weight) for weight in expected]

    @settings(max_examples=25)
    @given(judgement_tables, vote_tables, rules, shares)
    def test_labels_are_sound(
        self, judgements: list[Judgement], votes: list[Votes], experts: Experts, weight: float
    ) -> None:
        found = labels.combine(judgements, votes, experts=experts, expert_weight=weight)
        assert all(0 <= label.target <= 1 and label.weight > 0 for label in found)
        assert not found or fmean(label.weight for label in found) == pytest.approx(1)
        keys = [(label.query, label.image) for label in found]
        assert keys == sorted(set(keys))

    @given(judgement_tables, vote_tables, rules)
    def test_outer_join_has_the_size_of_the_union(
        self, judgements: list[Judgement], votes: list[Votes], experts: Experts
    ) -> None:
        found = labels.combine(judgements, votes, experts=experts, prior=PRIOR)
        judged = {(j.query, j.image) for j in judgements} | {(v.query, v.image) for v in votes}
        report = labels.coverage(judgements, votes, experts=experts)
        assert len(found) == len(judged) - report.left_out
        assert len(found) == report.expert_only + report.crowd_only + report.both
        assert report.left_out <= report.undecided
        assert experts == "majority" or report.undecided == 0

    @settings(max_examples=25)
    @given(judgement_tables, vote_tables, rules, st.randoms())
    def test_order_does_not_matter(
        self,
        judgements: list[Judgement],
        votes: list[Votes],
        experts: Experts,
        source: random.Random,
    ) -> None:
        mixed = source.sample(judgements, len(judgements)), source.sample(votes, len(votes))
        assert labels.combine(*mixed, experts=experts) == labels.combine(
            judgements, votes, experts=experts
        )

    @given(grade_lists, counts, shares)
    def test_another_yes_never_lowers_the_target(
        self, given_grades: list[int], count: tuple[int, int], weight: float
    ) -> None:
        yes, no = count
        targets = [
            labels.combine(
                panel("q", "i", *given_grades),
                [Votes("q", "i", said, no)],
                experts="mean",
                expert_weight=weight,
                prior=PRIOR,
            )[0].target
            for said in (yes, yes + 1)
        ]
        assert targets[0] <= targets[1] + 1e-12

    @given(st.integers(1, 4), counts, shares)
    def test_a_higher_grade_never_lowers_the_target(
        self, grade: int, count: tuple[int, int], weight: float
    ) -> None:
        targets = [
            labels.combine(
                panel("q", "i", first, 2, 2),
                [Votes("q", "i", *count)],
                experts="mean",
                expert_weight=weight,
                prior=PRIOR,
            )[0].target
            for first in (grade, min(grade + 1, 4))
        ]
        assert targets[0] <= targets[1] + 1e-12

    @given(counts)
    def test_more_votes_weigh_more(self, count: tuple[int, int]) -> None:
        yes, no = count
        votes = [Votes("q", "a", yes, no), Votes("q", "b", yes, no + 1)]
        few, more = labels.combine([], votes, prior=PRIOR)
        assert few.weight < more.weight


class TestVerdicts:
    @pytest.mark.parametrize(
        ("given_grades", "verdict"),
        [((1, 3, 3), True), ((2, 2, 4), False), ((1, 2, 3), False), ((2, 3), False)],
    )
    def test_median_of_three_or_more_matches(
        self, given_grades: tuple[int, ...], verdict: bool
    ) -> None:
        assert labels.verdicts(panel("q", "i", *given_grades)) == {("q", "i"): verdict}

    def test_shared_pairs_are_those_of_both_sides(self) -> None:
        judgements = panel("q", "b", 4, 4, 4) + panel("q", "a", 1, 1, 1) + panel("q", "c", 1, 1, 1)
        votes = [Votes("q", "a", 1, 2), Votes("q", "b", 3, 0), Votes("q", "d", 3, 0)]
        shared = labels.shared_pairs(judgements, votes)
        assert shared.pairs == (("q", "a"), ("q", "b"))
        assert shared.shares.tolist() == [pytest.approx(1 / 3), 1.0]
        assert shared.verdicts.tolist() == [False, True]


class TestAgreement:
    def test_perfect_agreement(self) -> None:
        found = labels.agreement(panel("q", "a", 1, 1, 1) + panel("q", "b", 4, 4, 4))
        assert (found.pairs, found.alpha, found.all_agree) == (2, 1.0, 1.0)
        assert all(rater.difference == 0 for rater in found.severity)
        assert not found.columns_sorted

    def test_shares_of_pairs(self) -> None:
        table = panel("q", "a", 1, 1, 1) + panel("q", "b", 2, 1, 1) + panel("q", "c", 1, 2, 3)
        found = labels.agreement(table + panel("q", "alone", 4))
        assert found.pairs == 3
        assert (found.all_agree, found.some_agree, found.all_differ) == (1 / 3, 1 / 3, 1 / 3)

    def test_severity_is_set_against_the_mean_of_all(self) -> None:
        found = labels.agreement(panel("q", "a", 1, 3) + panel("q", "b", 2, 4))
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
        assert labels.agreement(table).alpha == pytest.approx(0.815, abs=5e-4)

    def test_alpha_is_undefined_where_nothing_differs(self) -> None:
        assert math.isnan(labels.agreement(panel("q", "a", 2, 2)).alpha)

    def test_tells_sorted_columns(self) -> None:
        table = panel("q", "a", 1, 1, 2) + panel("q", "b", 2, 4, 4)
        assert labels.agreement(table).columns_sorted
        assert not labels.agreement(table + panel("q", "c", 3, 2, 4)).columns_sorted

    @given(st.randoms())
    def test_alpha_does_not_depend_on_who_is_who(self, source: random.Random) -> None:
        rows = [(1, 1, 2), (2, 3, 4), (4, 4, 4), (1, 1, 1)]
        mixed = [source.sample(row, 3) for row in rows]
        plain = [j for i, row in enumerate(rows) for j in panel("q", str(i), *row)]
        other = [j for i, row in enumerate(mixed) for j in panel("q", str(i), *row)]
        assert labels.agreement(other).alpha == pytest.approx(labels.agreement(plain).alpha)

    def test_one_expert_cannot_agree(self) -> None:
        with pytest.raises(DataError, match="no pair was graded by two experts"):
            labels.agreement(panel("q", "a", 1) + panel("q", "b", 2))

    def test_refuses_a_rater_who_graded_a_pair_twice(self) -> None:
        with pytest.raises(DataError, match="graded i with query q twice"):
            labels.grade_table(panel("q", "i", 1) + panel("q", "i", 2))

    def test_table_marks_what_is_missing(self) -> None:
        table = labels.grade_table(panel("q", "b", 3, 4) + panel("q", "a", 1))
        assert table.pairs == (("q", "a"), ("q", "b"))
        assert table.raters == ("1", "2")
        np.testing.assert_equal(table.grades, [[1, np.nan], [3, 4]])


class TestTraps:
    """Mistakes of others on this very data, on a miniature."""

    def test_sum_of_grades_is_no_majority(self) -> None:
        """e1 + e2 + e3 >= 2 is always true: grades start at 1."""
        assert target_of(panel("q", "i", 1, 1, 1), "majority") < 0.05
        assert target_of(panel("q", "i", 4, 4, 4), "majority") > 0.95

    def test_target_is_not_rounded(self) -> None:
        judgements = panel("q", "a", 2, 2, 2) + panel("q", "b", 3, 3, 3)
        votes = [Votes("q", "a", 1, 2), Votes("q", "b", 2, 1)]
        targets = [label.target for label in labels.combine(judgements, votes)]
        assert all(0.05 < target < 0.95 for target in targets)

    def test_captions_of_one_image_keep_their_own_grade(self) -> None:
        judgements = panel("x#0", "i", 1, 1, 1) + panel("x#1", "i", 4, 4, 4)
        votes = [Votes("x#2", "i", 0, 3)]
        found = {label.query: label.target for label in labels.combine(judgements, votes)}
        assert len(found) == 3
        assert (found["x#0"], found["x#1"]) == (0, 1)
        assert found["x#2"] < 0.5

    def test_inner_join_would_lose_most(self) -> None:
        judgements = panel("q", "a", 1, 1, 1) + panel("q", "b", 4, 4, 4)
        votes = [Votes("q", "b", 3, 0), Votes("q", "c", 0, 3)]
        assert [label.image for label in labels.combine(judgements, votes)] == ["a", "b", "c"]


@pytest.fixture(scope="module")
def real(archive: Path) -> Dataset:
    return dataset.load(archive)


@pytest.fixture(scope="module")
def real_labels(real: Dataset) -> tuple[Label, ...]:
    return labels.combine(real.judgements, real.votes)


def unanimous_pairs(real: Dataset) -> dict[Pair, int]:
    panels: defaultdict[Pair, set[int]] = defaultdict(set)
    for judgement in real.judgements:
        panels[judgement.query, judgement.image].add(judgement.grade)
    return {pair: min(given) for pair, given in panels.items() if len(given) == 1}


@pytest.mark.archive
class TestRealArchive:
    def test_unanimous_pairs_come_out_at_the_ends(
        self, real: Dataset, real_labels: tuple[Label, ...]
    ) -> None:
        voted = {(votes.query, votes.image) for votes in real.votes}
        found = {(label.query, label.image): label.target for label in real_labels}
        alone = {p: grade for p, grade in unanimous_pairs(real).items() if p not in voted}
        assert {found[pair] for pair, grade in alone.items() if grade == 1} == {0.0}
        assert {found[pair] for pair, grade in alone.items() if grade == 4} == {1.0}

    def test_targets_are_probabilities_that_were_not_rounded(
        self, real_labels: tuple[Label, ...]
    ) -> None:
        targets = np.array([label.target for label in real_labels])
        assert len(np.unique(targets)) > 50
        assert np.mean((targets > 0.1) & (targets < 0.9)) > 0.1

    @pytest.mark.parametrize(
        ("experts", "expert_only", "both", "undecided", "left_out"),
        [("majority", 3438, 2258, 126, 55), ("median", 3493, 2329, 0, 0)],
    )
    def test_outer_join_keeps_every_judged_pair(
        self,
        real: Dataset,
        experts: Experts,
        expert_only: int,
        both: int,
        undecided: int,
        left_out: int,
    ) -> None:
        report = labels.coverage(real.judgements, real.votes, experts=experts)
        crowd_only = 47_830 - both
        assert report == labels.LabelReport(expert_only, crowd_only, both, undecided, left_out)

    def test_every_label_is_of_one_pair(self, real_labels: tuple[Label, ...]) -> None:
        assert len(real_labels) == 5822 + 47_830 - 2329 - 55
        assert len({(label.query, label.image) for label in real_labels}) == len(real_labels)

    def test_rows_do_not_multiply(self, real: Dataset) -> None:
        found = labels.combine(real.judgements, [], experts="median")
        assert len(found) == 5822
        middle = labels.grades(real.judgements, "median")
        assert all(
            label.target == pytest.approx((middle[label.query, label.image] - 1) / 3)
            for label in found
        )

    def test_shares_of_the_majority_grade(self, real: Dataset) -> None:
        found = np.array(list(labels.grades(real.judgements, "majority").values()))
        shares = [np.sum(found == grade) / 5822 for grade in (1, 2, 3, 4)]
        np.testing.assert_allclose(shares, [0.57, 0.27, 0.085, 0.053], atol=0.01)

    def test_event_of_record(self, real: Dataset) -> None:
        assert fmean(labels.verdicts(real.judgements).values()) == pytest.approx(0.142, abs=5e-4)

    def test_crowd_ranks_what_experts_call_relevant(self, real: Dataset) -> None:
        shared = labels.shared_pairs(real.judgements, real.votes)
        assert len(shared.pairs) == 2329
        assert ranking.roc_auc(shared.shares, shared.verdicts) == pytest.approx(0.855, abs=5e-4)

    def test_agreement(self, real: Dataset) -> None:
        found = labels.agreement(real.judgements)
        assert found.pairs == 5822
        assert found.alpha == pytest.approx(0.694, abs=5e-4)
        assert found.all_agree == pytest.approx(0.582, abs=5e-4)
        assert found.all_differ == pytest.approx(126 / 5822)

    def test_the_columns_are_sorted_grades_and_not_people(self, real: Dataset) -> None:
        found = labels.agreement(real.judgements)
        assert found.columns_sorted
        means = [rater.mean for rater in found.severity]
        assert means == [pytest.approx(mean, abs=0.005) for mean in (1.44, 1.62, 1.88)]

    def test_crowd_and_experts_are_on_different_scales(self, real: Dataset) -> None:
        found = labels.crowd_agreement(real.judgements, real.votes)
        assert [grade.pairs for grade in found.by_grade] == [604, 957, 463, 305]
        assert [grade.share for grade in found.by_grade] == [
            pytest.approx(share, abs=5e-4) for share in (0.003, 0.048, 0.310, 0.890)
        ]
        assert found.expert_target == pytest.approx(0.403, abs=5e-4)
        assert found.crowd_share == pytest.approx(0.198, abs=5e-4)
        assert found.spearman == pytest.approx(0.715, abs=5e-4)
        assert found.kendall == pytest.approx(0.620, abs=5e-4)

    @pytest.mark.usefixtures("crowdkit")
    def test_sorted_columns_make_the_middle_one_look_perfect(self, real: Dataset) -> None:
        """Decision 4: on sorted columns Dawid and Skene's model degenerates to the median."""
        low, middle, high = (one.matrix for one in labels.confusions(real.judgements))
        np.testing.assert_allclose(middle, np.eye(4), atol=1e-3)
        np.testing.assert_allclose(np.triu(low, 1), 0, atol=1e-3)
        np.testing.assert_allclose(np.tril(high, -1), 0, atol=1e-3)

    def test_prior_is_that_of_a_crowd_that_mostly_says_no(self, real: Dataset) -> None:
        prior = labels.fit_prior(real.votes)
        assert prior.posterior_mean(0, 0) == pytest.approx(0.069, abs=0.002)
        assert prior.posterior_mean(0, 3) < 0.02
        assert prior.posterior_mean(3, 0) == pytest.approx(0.77, abs=0.01)
