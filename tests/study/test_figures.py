"""Figures: what scikit-learn and SciPy find on the same pairs."""

import math
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn import metrics as reference

from archives import write_archive
from kadr.data import dataset
from kadr.metrics import calibration, ranking, resampling
from kadr.study import figures
from kadr.study.figures import Judged, PairFigures
from kadr.types import Dataset, Floats, Pair

CONSTANTS = {"mean": 0.4, "median": 0.3}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.load(write_archive(tmp_path_factory.mktemp("figures") / "archive", images=30))


@pytest.fixture(scope="module")
def judged(drawn: Dataset) -> Judged:
    return figures.judged(drawn)


@pytest.fixture(scope="module")
def said(judged: Judged) -> dict[Pair, float]:
    """A probability of every judged pair that knows a little."""
    rng = np.random.default_rng(0)
    pairs = sorted({*judged.verdicts, *judged.shares})
    return {
        pair: float(np.clip(0.3 + 0.3 * judged.verdicts.get(pair, 0) + rng.normal() / 8, 0, 1))
        for pair in pairs
    }


@pytest.fixture(scope="module")
def found(judged: Judged, said: dict[Pair, float]) -> PairFigures:
    one = figures.pair_figures(
        "all",
        judged,
        list(judged.verdicts),
        list(judged.shares),
        lambda pairs: np.array([said[pair] for pair in pairs]),
        CONSTANTS,
    )
    assert one is not None
    return one


def panels(data: Dataset) -> dict[Pair, list[int]]:
    grades: defaultdict[Pair, list[int]] = defaultdict(list)
    for item in data.judgements:
        grades[item.query, item.image].append(item.grade)
    return dict(grades)


def test_judged_is_what_the_judges_said(drawn: Dataset, judged: Judged) -> None:
    by_pair = panels(drawn)
    assert judged.verdicts == {pair: np.median(g) >= 3 for pair, g in by_pair.items()}
    assert judged.targets == pytest.approx({p: (np.mean(g) - 1) / 3 for p, g in by_pair.items()})
    for pair, grades in by_pair.items():
        kept = judged.grades[pair]
        assert sorted(kept[~np.isnan(kept)].tolist()) == sorted(grades)
        assert judged.own[pair] == (pair[0].split("#")[0] == pair[1])
    assert any(judged.own.values())
    assert not all(judged.own.values())
    yes: defaultdict[Pair, int] = defaultdict(int)
    votes: defaultdict[Pair, int] = defaultdict(int)
    for vote in drawn.votes:
        yes[vote.query, vote.image] += vote.yes
        votes[vote.query, vote.image] += vote.yes + vote.no
    assert judged.shares == pytest.approx({pair: yes[pair] / votes[pair] for pair in votes})


def test_pair_figures_are_those_of_independent_computations(
    drawn: Dataset, judged: Judged, said: dict[Pair, float], found: PairFigures
) -> None:
    pairs = list(judged.verdicts)
    by_pair = panels(drawn)
    p = np.array([said[pair] for pair in pairs])
    truth = np.array([np.median(by_pair[pair]) >= 3 for pair in pairs])
    targets = np.array([(np.mean(by_pair[pair]) - 1) / 3 for pair in pairs])
    assert (found.name, found.pairs, found.matches) == ("all", len(pairs), truth.sum())
    assert found.images == len({image for _, image in pairs})
    assert found.roc_auc.value == pytest.approx(reference.roc_auc_score(truth, p))
    assert found.average_precision.value == pytest.approx(
        reference.average_precision_score(truth, p)
    )
    assert found.brier.value == pytest.approx(reference.brier_score_loss(truth, p))
    assert found.expected_calibration_error.value == pytest.approx(
        calibration.expected_calibration_error(p, truth)
    )
    assert found.mae.value == pytest.approx(reference.mean_absolute_error(targets, p))
    assert found.rmse.value == pytest.approx(reference.root_mean_squared_error(targets, p))
    assert found.constant_mae == pytest.approx(np.abs(targets - 0.3).mean())
    assert found.constant_rmse == pytest.approx(math.sqrt(((targets - 0.4) ** 2).mean()))


def test_taus_are_scipys_on_the_points_of_the_protocols(
    drawn: Dataset, judged: Judged, said: dict[Pair, float], found: PairFigures
) -> None:
    points = [
        (said[item.query, item.image], item.grade)
        for item in drawn.judgements
        if item.query.split("#")[0] != item.image
    ]
    tau_c = kendalltau(*zip(*points, strict=True), variant="c").statistic
    assert found.tau_c.value == pytest.approx(tau_c)
    shares = [(said[pair], share) for pair, share in judged.shares.items()]
    assert found.tau_b is not None
    tau_b = kendalltau(*zip(*shares, strict=True), variant="b").statistic
    assert found.tau_b.value == pytest.approx(tau_b)


def test_intervals_are_by_image(
    judged: Judged, said: dict[Pair, float], found: PairFigures
) -> None:
    pairs = list(judged.verdicts)
    p = np.array([said[pair] for pair in pairs])
    truth = np.array([judged.verdicts[pair] for pair in pairs])
    assert found.roc_auc == resampling.bootstrap(
        lambda i: ranking.roc_auc(p[i], truth[i]), [image for _, image in pairs]
    )
    for one in (found.brier, found.mae, found.rmse, found.tau_c, found.average_precision):
        assert one.low < one.value < one.high


@pytest.mark.parametrize("verdict", [True, False])
def test_verdicts_all_alike_have_no_figures(judged: Judged, verdict: bool) -> None:
    alike = [pair for pair, match in judged.verdicts.items() if match is verdict]
    assert alike

    def score(_: object) -> Floats:
        pytest.fail("scored")

    for pairs in (alike, []):
        assert figures.pair_figures("alike", judged, pairs, (), score, CONSTANTS) is None


@pytest.mark.parametrize("crowd", [0, 1])
def test_no_tau_b_of_fewer_than_two_pairs(
    judged: Judged, said: dict[Pair, float], crowd: int
) -> None:
    found = figures.pair_figures(
        "experts",
        judged,
        list(judged.verdicts),
        list(judged.shares)[:crowd],
        lambda pairs: np.array([said[pair] for pair in pairs]),
        CONSTANTS,
    )
    assert found is not None
    assert found.tau_b is None


def test_thresholds_are_what_sklearn_finds() -> None:
    rng = np.random.default_rng(3)
    p = rng.beta(0.5, 0.8, 300).round(2)  # some on a threshold
    truth = rng.random(300) < p
    for item in figures.thresholds(p, truth):
        shown = p >= item.at_least
        assert (item.shown, item.matches) == (shown.sum(), (shown & truth).sum())
        assert item.precision.value == pytest.approx(reference.precision_score(truth, shown))
        assert item.recall.value == pytest.approx(reference.recall_score(truth, shown))
        for figure in (item.precision, item.recall):
            assert 0 <= figure.low <= figure.value <= figure.high <= 1
            assert figure.low < figure.high
    nothing = figures.thresholds(np.zeros(4), np.array([True, False, False, False]))
    assert all(math.isnan(item.precision.value) and item.recall.value == 0 for item in nothing)


def test_precision_of_the_surest_leaves_out_a_k_of_most_pairs() -> None:
    rng = np.random.default_rng(4)
    p = rng.random(150)
    truth = rng.random(150) < p
    found = {item.k: item.precision for item in figures.surest(p, truth)}
    assert set(found) == {10, 50}
    best = np.argsort(-p)
    for k, precision in found.items():
        assert precision.value == pytest.approx(truth[best[:k]].mean())
        assert precision.low < precision.value <= precision.high
    assert figures.surest(p[:19], truth[:19]) == ()


def test_retrieval_figures_are_their_definitions() -> None:
    ranks = np.array([1, 3, 7, 2, 30, 1, 5, 11], dtype=np.intp)
    right = np.array([0, 0, 1, 1, 2, 2, 3, 3], dtype=np.intp)
    found = figures.retrieval_figures("some", ranks, right, 40)
    assert (found.name, found.queries, found.images) == ("some", 8, 40)
    recalls = (found.recall_1.value, found.recall_5.value, found.recall_10.value)
    assert recalls == (2 / 8, 5 / 8, 6 / 8)
    assert found.mean_reciprocal_rank.value == pytest.approx(np.mean(1 / ranks))
    assert found.median_rank == 4
    for one in (found.recall_1, found.recall_5, found.recall_10):
        assert 0 <= one.low <= one.value <= one.high <= 1
