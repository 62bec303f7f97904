"""The joint space finds a relation that was planted."""

import numpy as np
import pytest

from kadr.matcher import alignment
from kadr.matcher.alignment import NEAREST, Alignment
from kadr.types import Vectors

IMAGE_DIM, TEXT_DIM = 40, 30


def planted(n: int, seed: int, noise: float = 0.3) -> tuple[Vectors, Vectors]:
    """Both sides show the same 16 hidden causes through fixed random lenses."""
    lenses, rng = np.random.default_rng(99), np.random.default_rng(seed)
    causes = rng.normal(size=(n, 16))
    images = causes @ lenses.normal(size=(16, IMAGE_DIM)) + noise * rng.normal(size=(n, IMAGE_DIM))
    texts = causes @ lenses.normal(size=(16, TEXT_DIM)) + noise * rng.normal(size=(n, TEXT_DIM))
    return (images + 5).astype(np.float32), (texts - 3).astype(np.float32)


def recall(fitted: Alignment, images: Vectors, texts: Vectors) -> float:
    similarity = fitted.texts(texts).vectors @ fitted.images(images).vectors.T
    return float((similarity.argmax(1) == np.arange(len(texts))).mean())


def test_finds_the_planted_relation() -> None:
    images, texts = planted(600, 1)
    fitted = alignment.fit(images, texts)
    fresh_images, fresh_texts = planted(200, 2)
    assert recall(fitted, fresh_images, fresh_texts) > 0.95
    assert recall(fitted, fresh_images, fresh_texts[::-1]) < 0.05


def test_finds_nothing_where_nothing_is() -> None:
    fitted = alignment.fit(planted(600, 1)[0], planted(600, 3)[1])
    assert recall(fitted, *planted(200, 2)) < 0.1


def test_vectors_are_unit_and_densities_similarities() -> None:
    images, texts = planted(300, 1)
    fitted = alignment.fit(images, texts, dim=8)
    for joint in (fitted.images(images), fitted.texts(texts)):
        assert joint.vectors.shape == (300, 8)
        assert joint.vectors.dtype == joint.density.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(joint.vectors, axis=1), 1, atol=1e-5)
        assert joint.density.shape == (300, len(NEAREST))
        assert (np.abs(joint.density) <= 1 + 1e-5).all()
        assert (joint.density[:, 0] >= joint.density[:, 1]).all()


def test_density_is_the_mean_over_the_nearest() -> None:
    images, texts = planted(300, 1)
    fitted = alignment.fit(images, texts)
    joint = fitted.texts(texts)
    similarity = np.sort(joint.vectors @ fitted.image_bank.T, axis=1)[:, ::-1]
    expected = np.stack([similarity[:, :k].mean(1) for k in NEAREST], axis=1)
    np.testing.assert_allclose(joint.density, expected, atol=1e-5)


def test_what_stands_out_is_compared_with_what_else_an_image_might_show() -> None:
    images, texts = planted(300, 1)
    fitted = alignment.fit(images, texts).with_things(texts[:40])
    seen, said = fitted.images(images[50:57]).vectors, fitted.texts(texts[50:51]).vectors[0]
    found = alignment.standing_out(seen, said, fitted.thing_bank)
    assert found.shape == (7,)
    assert found.dtype == np.float32
    scores = fitted.thing_bank @ seen[3]
    named = fitted.thing_bank @ said
    rivals = scores[named < named.mean() + alignment.SAME * named.std()]
    nearest = np.sort(rivals)[-alignment.RIVALS :].mean()
    np.testing.assert_allclose(found[3], (seen[3] @ said - nearest) / scores.std(), atol=1e-4)


def test_a_thing_does_not_rival_its_own_name() -> None:
    things = np.eye(40, dtype=np.float32)
    image = np.zeros((1, 40), np.float32)
    image[0, :3] = 0.9, 0.3, 0.3
    image /= np.linalg.norm(image)
    named = alignment.standing_out(image, things[0], things)
    other = alignment.standing_out(image, things[1], things)
    assert named[0] > 2 > other[0]


def test_a_text_that_is_of_no_thing_stands_out() -> None:
    things = np.eye(40, dtype=np.float32)
    text = np.full(40, 1 / np.sqrt(40), np.float32)
    assert np.isinf(alignment.standing_out(things[:2], text, things)).all()


@pytest.mark.parametrize("known", [0, alignment.RIVALS - 1])
def test_where_too_few_things_are_known_all_stand_out(known: int) -> None:
    things = np.eye(8, dtype=np.float32)[:known]
    image = np.eye(8, dtype=np.float32)[:2]
    assert np.isinf(alignment.standing_out(image, image[0], things)).all()


def test_things_without_a_word_of_their_own_are_one() -> None:
    images, texts = planted(300, 1)
    fitted = alignment.fit(images, texts).with_things(texts[[0, 1, 1, 1, 2]])
    assert len(fitted.thing_bank) == 3


def test_rows_are_independent_and_taken_in_order() -> None:
    images, texts = planted(200, 1)
    fitted = alignment.fit(images, texts)
    joint, rows = fitted.images(images), np.array([5, 0, 5], dtype=np.intp)
    alone = fitted.images(images[rows])
    np.testing.assert_allclose(joint.take(rows).vectors, alone.vectors, atol=1e-5)
    np.testing.assert_allclose(joint.take(rows).density, alone.density, atol=1e-5)
    assert fitted.images(images[:0]).vectors.shape[0] == 0


def test_same_pairs_same_alignment_and_a_round_trip() -> None:
    images, texts = planted(300, 1)
    one, two = alignment.fit(images, texts), alignment.fit(images, texts)
    restored = alignment.restore(one.arrays())
    for name, array in one.arrays().items():
        assert array.dtype == np.float32, name
        np.testing.assert_array_equal(array, two.arrays()[name])
        np.testing.assert_array_equal(array, restored.arrays()[name])


@pytest.mark.parametrize(("image_scale", "text_scale"), [(100.0, 0.01), (0.001, 50.0)])
def test_units_of_the_inputs_don_t_matter(image_scale: float, text_scale: float) -> None:
    images, texts = planted(300, 1)
    plain = alignment.fit(images, texts).images(images).vectors
    scaled_images = (images * image_scale).astype(np.float32)
    scaled = alignment.fit(scaled_images, (texts * text_scale).astype(np.float32))
    np.testing.assert_allclose(scaled.images(scaled_images).vectors, plain, atol=5e-3)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_pairs_is_enough_to_run(n: int) -> None:
    images, texts = planted(n, 1)
    fitted = alignment.fit(images, texts)
    joint = fitted.images(images)
    assert np.isfinite(joint.vectors).all()
    assert np.isfinite(joint.density).all()
    assert joint.vectors.shape == (n, max(1, n - 1))


def test_constant_dimensions_do_no_harm() -> None:
    images, texts = planted(300, 1)
    images[:, :10], texts[:, :5] = 1.0, 0.0
    assert recall(alignment.fit(images, texts), images, texts) > 0.9


def test_canonical_directions_make_both_sides_white_and_meet_in_pairs() -> None:
    images, texts = (side - side.mean(0) for side in planted(600, 1))
    x, y = images.astype(np.float64), texts.astype(np.float64)
    covariances = (x.T @ x / 600, y.T @ y / 600, x.T @ y / 600)
    left, right, correlations = alignment.canonical(
        *covariances, 8, image_ridge=1e-9, text_ridge=1e-9
    )
    assert left.shape == (IMAGE_DIM, 8)
    assert right.shape == (TEXT_DIM, 8)
    np.testing.assert_allclose(left.T @ covariances[0] @ left, np.eye(8), atol=1e-5)
    np.testing.assert_allclose(right.T @ covariances[1] @ right, np.eye(8), atol=1e-5)
    np.testing.assert_allclose(left.T @ covariances[2] @ right, np.diag(correlations), atol=1e-5)
    assert (np.diff(correlations) <= 0).all()
    assert ((correlations > 0) & (correlations <= 1)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_map", np.zeros((3, 3), np.float32)),
        ("thing_bank", np.zeros((9, 2), np.float32)),
        ("thing_bank", np.float32(1)),
        ("text_bank", np.zeros((0, 4), np.float32)),
        ("correlations", np.zeros(2, np.float32)),
        ("image_mean", np.full(8, np.nan, np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, value: Vectors) -> None:
    images, texts = planted(60, 1)
    arrays = alignment.fit(images, texts).arrays() | {name: value}
    with pytest.raises((ValueError, TypeError)):
        alignment.restore(arrays)
