import math
import random
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgements import counts, grade_lists, judgement_tables, panel, unanimous_pairs, vote_tables
from kadr.data import Experts, agreement, labels
from kadr.data.labels import BetaPrior
from kadr.types import Dataset, Judgement, Label, Votes

PRIOR = BetaPrior(0.2, 1.8)
RULES: tuple[Experts, ...] = ("majority", "median", "mean")


def target_of(judgements: Sequence[Judgement], experts: Experts) -> float:
    (label,) = labels.combine(judgements, [], experts=experts)
    return label.target


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
        shared = agreement.shared_pairs(judgements, votes)
        assert shared.pairs == (("q", "a"), ("q", "b"))
        assert shared.shares.tolist() == [pytest.approx(1 / 3), 1.0]
        assert shared.verdicts.tolist() == [False, True]


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
def real_labels(real: Dataset) -> tuple[Label, ...]:
    return labels.combine(real.judgements, real.votes)


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
        middle = labels.median_grades(real.judgements)
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

    def test_prior_is_that_of_a_crowd_that_mostly_says_no(self, real: Dataset) -> None:
        prior = labels.fit_prior(real.votes)
        assert prior.posterior_mean(0, 0) == pytest.approx(0.069, abs=0.002)
        assert prior.posterior_mean(0, 3) < 0.02
        assert prior.posterior_mean(3, 0) == pytest.approx(0.77, abs=0.01)
