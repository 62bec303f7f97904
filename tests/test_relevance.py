"""A probability is a promise: of pairs called 30 %, three in ten match."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from kadr import relevance
from kadr.alignment import Joint
from kadr.heads import Classifier
from kadr.relevance import Examples, Relevance, Side
from kadr.types import Floats

DIM = 8


def side(n: int, rng: np.random.Generator) -> Side:
    vectors = rng.normal(size=(n, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    density, correlations = np.zeros((n, 2), np.float32), np.full(DIM, 0.5, np.float32)
    return Side(vectors, Joint(vectors, density, correlations))


def pairs(n: int, seed: int, steepness: float = 8.0) -> tuple[Examples, Floats]:
    """Pairs that match with a known probability, which grows with their cosine."""
    rng = np.random.default_rng(seed)
    images, texts = side(n, rng), side(n, rng)
    cosine = (images.raw * texts.raw).sum(1).astype(np.float64)
    truth = 1 / (1 + np.exp(1.5 - steepness * cosine))
    verdicts = (rng.random(n) < truth).astype(np.float64)
    groups = [f"{number % (n // 5)}.jpg" for number in range(n)]
    return Examples(images, texts, verdicts, np.ones(n), groups, verdicts), truth


def error(probability: Floats, verdicts: Floats) -> float:
    """Expected calibration error over ten equally full bins."""
    parts = np.array_split(np.argsort(probability), 10)
    gaps = [abs(probability[part].mean() - verdicts[part].mean()) for part in parts]
    return float(np.mean(gaps))


@pytest.fixture(scope="module", params=get_args(Classifier))
def fitted(request: pytest.FixtureRequest) -> Relevance:
    return relevance.fit(pairs(3000, 1)[0], classifier=request.param)


def test_calibrated_on_fresh_pairs(fitted: Relevance) -> None:
    fresh, truth = pairs(5000, 2)
    probability = fitted.probability(fresh.images, fresh.texts)
    assert probability.dtype == np.float64
    assert ((probability > 0) & (probability < 1)).all()
    assert error(probability, fresh.verdicts) < 0.05
    assert np.corrcoef(probability, truth)[0, 1] > 0.9


def test_probability_rises_with_the_score(fitted: Relevance) -> None:
    fresh, _ = pairs(500, 2)
    scores = fitted.head.score(fitted._standardised(fresh.images, fresh.texts))
    ordered = fitted.probability(fresh.images, fresh.texts)[np.argsort(scores)]
    assert fitted.slope > 0
    assert (np.diff(ordered) >= 0).all()


def test_restores_exactly(fitted: Relevance) -> None:
    fresh, _ = pairs(200, 2)
    again = relevance.restore(fitted.features, fitted.classifier, fitted.arrays(), fitted.settings)
    np.testing.assert_array_equal(
        again.probability(fresh.images, fresh.texts),
        fitted.probability(fresh.images, fresh.texts),
    )


def test_restore_refuses_unknown_features(fitted: Relevance) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        relevance.restore("nonsense", fitted.classifier, fitted.arrays(), {})  # type: ignore[arg-type]


def test_one_seed_one_relevance() -> None:
    one, two = (relevance.fit(pairs(300, 1)[0]).arrays() for _ in range(2))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name], err_msg=name)


@pytest.mark.parametrize("features", ["aligned", "concat"])
@pytest.mark.parametrize("size", [1e3, 1e9])
def test_probability_stays_open_far_from_what_was_seen(
    features: relevance.Features, size: float
) -> None:
    fitted = relevance.fit(pairs(600, 1)[0], features=features)
    rng = np.random.default_rng(3)
    far = side(50, rng)
    distant = replace(far.joint, vectors=far.joint.vectors * np.float32(size))
    far = Side(far.raw * np.float32(size), distant)
    probability = fitted.probability(far, far)
    assert ((probability > 0) & (probability < 1)).all()


def test_calibration_looks_only_where_there_is_a_verdict() -> None:
    examples, _ = pairs(3000, 1)
    verdicts = examples.verdicts.copy()
    verdicts[::2] = np.nan
    half = Examples(
        examples.images,
        examples.texts,
        examples.targets,
        examples.weights,
        examples.groups,
        verdicts,
    )
    fresh, _ = pairs(5000, 2)
    probability = relevance.fit(half).probability(fresh.images, fresh.texts)
    assert error(probability, fresh.verdicts) < 0.05


def test_no_verdict_at_all_leaves_the_scores_as_they_are() -> None:
    examples, _ = pairs(300, 1)
    nothing = np.full(300, np.nan)
    blind = Examples(
        examples.images,
        examples.texts,
        examples.targets,
        examples.weights,
        examples.groups,
        nothing,
    )
    fitted = relevance.fit(blind)
    assert (fitted.slope, fitted.intercept) == (1.0, 0.0)


def test_targets_that_overstate_are_calibrated_away() -> None:
    """The crowd's soft targets may be high where the verdict is strict: the verdict wins."""
    examples, _ = pairs(3000, 1)
    lenient = Examples(
        examples.images,
        examples.texts,
        0.5 + examples.targets / 2,
        examples.weights,
        examples.groups,
        examples.verdicts,
    )
    fresh, _ = pairs(5000, 2)
    probability = relevance.fit(lenient).probability(fresh.images, fresh.texts)
    assert error(probability, fresh.verdicts) < 0.05


def test_scores_that_mislead_become_the_base_rate() -> None:
    scores = np.random.default_rng(1).normal(-6, 1, 2000)
    verdicts = (np.random.default_rng(2).random(2000) < 1 / (1 + np.exp(scores + 7))).astype(float)
    slope, intercept = relevance._calibrate(scores, verdicts)
    assert slope > 0
    probability = relevance._sigmoid(slope * scores + intercept)
    np.testing.assert_allclose(probability.mean(), verdicts.mean(), atol=0.02)


def test_concatenation_can_t_say_match_and_alignment_can() -> None:
    """The additive trap: each side alone says nothing, so a sum of what they say doesn't either."""

    def xor(seed: int) -> Examples:
        examples, _ = pairs(2000, seed)
        match = ((examples.images.raw * examples.texts.raw).sum(1) > 0).astype(np.float64)
        return Examples(
            examples.images, examples.texts, match, examples.weights, examples.groups, match
        )

    train, fresh = xor(1), xor(2)
    area = {}
    for features in get_args(relevance.Features):
        fitted = relevance.fit(train, features=features)
        area[features] = roc_auc_score(
            fresh.verdicts, fitted.probability(fresh.images, fresh.texts)
        )
    assert abs(area["concat"] - 0.5) < 0.06
    assert area["aligned"] > 0.9


@pytest.mark.parametrize("n", [2, 7])
def test_a_handful_of_pairs_is_enough_to_run(n: int) -> None:
    rng = np.random.default_rng(1)
    verdicts = np.zeros(n)
    verdicts[0] = 1
    groups = [f"{number}.jpg" for number in range(n)]
    few = Examples(side(n, rng), side(n, rng), verdicts, np.ones(n), groups, verdicts)
    fitted = relevance.fit(few)
    probability = fitted.probability(few.images, few.texts)
    assert ((probability > 0) & (probability < 1)).all()


@given(
    groups=st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60),
    count=st.integers(2, 6),
    seed=st.integers(0, 1000),
)
def test_folds_keep_a_group_together(groups: list[str], count: int, seed: int) -> None:
    fold = relevance.folds(groups, count, seed)
    places = {
        name: {int(f) for f, g in zip(fold, groups, strict=True) if g == name} for name in groups
    }
    assert all(len(place) == 1 for place in places.values())
    sizes = np.bincount([place.pop() for place in places.values()])
    assert len(sizes) == min(count, len(places))
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(fold, relevance.folds(groups, count, seed))
