"""A probability is a promise: of pairs called 30 %, three in ten match."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from kadr.matcher import Classifier, Features, alignment, heads, relevance
from kadr.matcher.alignment import Joint
from kadr.matcher.heads import Settings
from kadr.matcher.relevance import Embeddings, Examples, Relevance
from kadr.types import Floats, Label, Vectors

DIM = 8


def side(n: int, rng: np.random.Generator) -> Embeddings:
    vectors = rng.normal(size=(n, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    density, correlations = np.zeros((n, 2), np.float32), np.full(DIM, 0.5, np.float32)
    return Embeddings(vectors, Joint(vectors, density, correlations))


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


def test_a_photo_that_is_near_to_every_text_is_no_find(fitted: Relevance) -> None:
    fresh, _ = pairs(500, 2)
    hubs = replace(fresh.images.joint, density=fresh.images.joint.density + np.float32(0.5))
    probability = fitted.probability(replace(fresh.images, joint=hubs), fresh.texts)
    usual = fitted.probability(fresh.images, fresh.texts)
    assert (probability - usual).mean() < -0.02


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
def test_probability_stays_open_far_from_what_was_seen(features: Features, size: float) -> None:
    fitted = relevance.fit(pairs(600, 1)[0], features=features)
    rng = np.random.default_rng(3)
    far = side(50, rng)
    distant = replace(far.joint, vectors=far.joint.vectors * np.float32(size))
    far = Embeddings(far.raw * np.float32(size), distant)
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
    probability = heads.sigmoid(slope * scores + intercept)
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
    for features in get_args(Features):
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


def cross_fitted(examples: Examples, fitted: Relevance, settings: Settings) -> float:
    """ROC-AUC of scores by heads without the fold, computed without relevance's own functions."""
    fold = relevance.folds(examples.groups, relevance.FOLDS, 42)
    x = np.asarray(fitted._standardised(examples.images, examples.texts), dtype=np.float32)
    scores = np.zeros(len(x))
    for number in range(relevance.FOLDS):
        held = fold == number
        head = heads.fit(
            fitted.classifier,
            x[~held],
            examples.targets[~held],
            examples.weights[~held],
            seed=42,
            settings=settings,
        )
        scores[held] = head.score(x[held])
    known = ~np.isnan(examples.verdicts)
    return float(roc_auc_score(examples.verdicts[known], scores[known]))


GRID: tuple[Settings, ...] = ({"C": 1e-6}, {"C": 1e-3}, {"C": 0.3})


@pytest.mark.parametrize("features", get_args(Features))
def test_grid_takes_the_setting_that_ranks_fresh_groups_best(
    features: Features,
) -> None:
    examples, _ = pairs(400, 1, steepness=3)
    blind = examples.verdicts.copy()
    blind[::3] = np.nan
    examples = replace(examples, verdicts=blind)
    fitted = relevance.fit(examples, features=features, grid=GRID)
    areas = [cross_fitted(examples, fitted, settings) for settings in GRID]
    assert len({round(area, 6) for area in areas}) == 3
    assert fitted.settings == GRID[int(np.argmax(areas))]
    assert fitted.validation == pytest.approx(max(areas))


def test_grid_is_not_decided_by_its_order() -> None:
    examples, _ = pairs(400, 1, steepness=3)
    one, two = (relevance.fit(examples, grid=grid) for grid in (GRID, GRID[::-1]))
    assert one.settings == two.settings
    np.testing.assert_array_equal(
        heads.arrays(one.head)["weights"], heads.arrays(two.head)["weights"]
    )


def test_head_is_trained_on_all_with_the_setting_that_was_found() -> None:
    examples, _ = pairs(400, 1, steepness=3)
    found = relevance.fit(examples, grid=GRID)
    alone = relevance.fit(examples, grid=(found.settings,))
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(array, alone.arrays()[name], err_msg=name)


def test_without_calibration_there_is_no_cross_fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    examples, _ = pairs(100, 1)
    monkeypatch.setattr(relevance, "_cross_fit", lambda *_: pytest.fail("cross-fitted"))
    fitted = relevance.fit(examples, calibrate=False)
    assert (fitted.slope, fitted.intercept) == (1.0, 0.0)
    assert np.isnan(fitted.validation)
    assert fitted.settings == heads.GRID["logistic"][0]


@pytest.mark.parametrize("verdict", [0.0, 1.0, np.nan])
def test_no_validation_where_verdicts_are_alike(verdict: float) -> None:
    examples, _ = pairs(100, 1)
    fitted = relevance.fit(replace(examples, verdicts=np.full(100, verdict)), grid=GRID)
    assert np.isnan(fitted.validation)
    assert fitted.settings == GRID[0]


def test_spaces_are_learned_once_for_each_fold() -> None:
    examples, _ = pairs(100, 1)
    asked: list[NDArray[np.bool_]] = []

    def spaces(held: NDArray[np.bool_]) -> tuple[Embeddings, Embeddings]:
        asked.append(held.copy())
        return examples.images, examples.texts

    anew = relevance.fit(examples, spaces=spaces, grid=GRID)  # not once more for each setting
    assert len(asked) == relevance.FOLDS
    np.testing.assert_array_equal(np.sum(asked, axis=0), np.ones(100))
    for held in asked:
        assert held.dtype == np.bool_
        inside = {group for group, out in zip(examples.groups, held, strict=True) if out}
        outside = {group for group, out in zip(examples.groups, held, strict=True) if not out}
        assert inside
        assert outside
        assert inside.isdisjoint(outside)
    # A space that is the same in all folds changes no more than the standardisation does.
    np.testing.assert_allclose(
        anew.validation, relevance.fit(examples, grid=GRID).validation, atol=0.02
    )


@pytest.mark.parametrize("options", [{"features": "concat"}, {"calibrate": False}])
def test_spaces_are_not_learned_in_vain(options: dict[str, Any]) -> None:
    examples, _ = pairs(100, 1)
    relevance.fit(examples, spaces=lambda _: pytest.fail("learned a space"), **options)


def test_one_group_alone_still_trains_without_a_space_for_nothing() -> None:
    examples, _ = pairs(50, 1)
    alone = replace(examples, groups=["a.jpg"] * 50)
    fitted = relevance.fit(alone, spaces=lambda _: pytest.fail("a space of no example"))
    probability = fitted.probability(alone.images, alone.texts)
    assert ((probability > 0) & (probability < 1)).all()


def test_a_space_that_has_overfitted_is_calibrated_by_spaces_that_have_not() -> None:
    """Few matching pairs in many dimensions: to the space all that taught it look alike."""

    def world(n: int, seed: int) -> tuple[Vectors, Vectors, Floats]:
        rng = np.random.default_rng(seed)
        meaning = rng.normal(size=(n, 3))
        match = rng.random(n) < 0.4
        other = np.where(match[:, None], meaning, rng.normal(size=(n, 3)))
        images = np.hstack([meaning, rng.normal(size=(n, 37)) * 1.5])
        texts = np.hstack([other, rng.normal(size=(n, 37)) * 1.5])
        return images.astype(np.float32), texts.astype(np.float32), match.astype(np.float64)

    def space(rows: NDArray[np.bool_]) -> alignment.Alignment:
        taught = rows & (match == 1)
        return alignment.fit(
            images[taught], texts[taught], dim=20, image_ridge=1e-3, text_ridge=1e-3
        )

    def sides(
        joint: alignment.Alignment, left: Vectors, right: Vectors
    ) -> tuple[Embeddings, Embeddings]:
        return Embeddings(left, joint.images(left)), Embeddings(right, joint.texts(right))

    images, texts, match = world(300, 1)
    fresh_images, fresh_texts, fresh_match = world(3000, 2)
    joint = space(np.ones(300, dtype=np.bool_))
    examples = Examples(
        *sides(joint, images, texts), match, np.ones(300), [f"{i}.jpg" for i in range(300)], match
    )
    fresh = sides(joint, fresh_images, fresh_texts)
    trusting = relevance.fit(examples)
    careful = relevance.fit(examples, spaces=lambda held: sides(space(~held), images, texts))
    assert trusting.validation > careful.validation + 0.1
    errors = [error(fitted.probability(*fresh), fresh_match) for fitted in (trusting, careful)]
    assert errors[1] < 0.6 * errors[0]


def wide(n: int, seed: int, image_dim: int, text_dim: int) -> Examples:
    rng = np.random.default_rng(seed)
    made = pairs(n, seed)[0]
    raws = [
        (rng.normal(size=(n, dim)) * np.linspace(5, 0.1, dim) + 3).astype(np.float32)
        for dim in (image_dim, text_dim)
    ]
    images, texts = (
        replace(side, raw=raw) for side, raw in zip((made.images, made.texts), raws, strict=True)
    )
    return replace(made, images=images, texts=texts)


@pytest.mark.parametrize(("image_dim", "text_dim"), [(12, 12), (12, 5), (5, 12), (6, 6)])
def test_wide_sides_are_concatenated_by_their_principal_components(
    image_dim: int, text_dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relevance, "COMPONENTS", 6)
    examples = wide(200, 1, image_dim, text_dim)
    fitted = relevance.fit(examples, features="concat")
    assert fitted.center.shape == fitted.scale.shape == (min(image_dim, 6) + min(text_dim, 6),)
    for basis, side, dim in (
        (fitted.bases.image, examples.images, image_dim),
        (fitted.bases.text, examples.texts, text_dim),
    ):
        if dim <= 6:
            assert basis is None
            continue
        assert basis is not None
        assert basis.shape == (dim, 6)
        assert basis.dtype == np.float32
        np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-5)
        reference = PCA(6).fit(side.raw).components_
        np.testing.assert_allclose(np.abs((reference @ basis).diagonal()), 1, atol=1e-4)
    arrays = fitted.arrays()
    assert ("image_basis" in arrays, "text_basis" in arrays) == (image_dim > 6, text_dim > 6)
    again = relevance.restore("concat", "logistic", arrays, fitted.settings)
    fresh = wide(60, 2, image_dim, text_dim)
    np.testing.assert_array_equal(
        again.probability(fresh.images, fresh.texts),
        fitted.probability(fresh.images, fresh.texts),
    )


def test_aligned_features_have_no_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relevance, "COMPONENTS", 2)
    arrays = relevance.fit(pairs(100, 1)[0]).arrays()
    assert not {"image_basis", "text_basis"} & arrays.keys()


@pytest.mark.parametrize("n", [3, 5])
def test_wide_sides_of_fewer_rows_than_components(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relevance, "COMPONENTS", 6)
    made = wide(n + 5, 1, 12, 12)
    few = np.arange(n, dtype=np.intp)
    verdicts = (few % 2).astype(np.float64)
    groups = [f"{i}.jpg" for i in range(n)]
    examples = Examples(
        made.images.take(few), made.texts.take(few), verdicts, np.ones(n), groups, verdicts
    )
    fitted = relevance.fit(examples, features="concat")
    probability = fitted.probability(examples.images, examples.texts)
    assert ((probability > 0) & (probability < 1)).all()


def test_training_weights_have_mean_one_and_favour_experts() -> None:
    items = [Label("q1", "a", 0.5, 2.0), Label("q2", "a", 0.5, 2.0), Label("q3", "a", 0.5, 1.0)]
    weights = relevance.training_weights(items, {("q1", "a")})
    assert weights.mean() == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx(relevance.EXPERT_EMPHASIS)
    assert weights[1] / weights[2] == pytest.approx(2)
