"""The shipped matcher: a change of weights, decoding or engines must not pass in silence."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from kadr.data.drawn.dice import Dice
from kadr.data.drawn.picture import draw
from kadr.data.drawn.scene import compose
from kadr.encoders import LocatingImageEncoder, mini
from kadr.matcher import bundle as matcher
from kadr.photos.images import decode
from kadr.types import Vectors

SIZE_LIMIT = 20_000_000
IMAGES = {
    1: [-0.0, -0.013, -0.102, -0.036, -0.014, -0.034, 0.044, 0.114, -0.036, 0.145, 0.096, 0.042],
    2: [0.025, 0.009, -0.051, -0.047, -0.031, -0.091, 0.016, 0.178, -0.014, 0.125, 0.093, 0.038],
    3: [0.035, 0.028, -0.016, -0.018, -0.001, -0.057, -0.003, 0.135, -0.013, 0.133, 0.059, 0.055],
}
TEXTS = {
    "A dog runs on the beach": [
        0.335,
        -0.101,
        -0.094,
        -0.038,
        0.007,
        0.095,
        0.02,
        0.003,
        -0.04,
        -0.146,
        -0.31,
        0.103,
    ],
    "Собака бежит по пляжу": [
        0.413,
        -0.074,
        -0.095,
        -0.122,
        0.009,
        0.16,
        0.033,
        0.001,
        -0.026,
        -0.134,
        -0.338,
        0.108,
    ],
    "Two children play football": [
        -0.113,
        0.171,
        0.11,
        -0.188,
        0.471,
        -0.018,
        -0.012,
        -0.01,
        -0.2,
        0.148,
        0.109,
        0.048,
    ],
    "лыжник в прыжке": [
        -0.029,
        -0.349,
        0.13,
        0.298,
        0.245,
        -0.059,
        0.192,
        -0.0,
        0.159,
        -0.029,
        0.13,
        0.032,
    ],
    "zzqqx": [-0.011, 0.007, 0.112, 0.176, 0.027, 0.089, 0.13, 0.1, 0.001, -0.044, -0.0, -0.118],
}
"""First values of unit vectors, by the picture's seed and by the text."""
ROUNDING = 0.02
"""Engines round differently on other processors; other weights differ by ten times as much."""
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def picture(seed: int) -> Image.Image:
    """Smooth coloured noise, 320x240."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def unit(rows: Vectors) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def texts() -> mini.MiniTexts:
    loaded = mini.MiniTexts()
    loaded.encode(["load the engine"])
    return loaded


@pytest.mark.parametrize("seed", IMAGES)
def test_golden_image(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    picture(seed).save(path)
    encoder = mini.MiniImages()
    (vector,) = unit(encoder.encode([encoder.prepare(decode(path, encoder.size))]))
    np.testing.assert_allclose(vector[: len(IMAGES[seed])], IMAGES[seed], atol=ROUNDING)


def test_golden_images_differ_by_more_than_rounding() -> None:
    values = np.array(list(IMAGES.values()))
    assert all(np.abs(values - row).max(axis=1)[i != np.arange(len(values))].min() > ROUNDING
               for i, row in enumerate(values))  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_golden_text(text: str, texts: mini.MiniTexts) -> None:
    (vector,) = unit(texts.encode([text]))
    np.testing.assert_allclose(vector[: len(TEXTS[text])], TEXTS[text], atol=ROUNDING)


def test_a_photo_is_its_own_whatever_stands_beside_it() -> None:
    encoder = mini.MiniImages()
    pixels = [encoder.prepare(picture(seed)) for seed in range(3)]
    alone = np.concatenate([encoder.encode([one]) for one in pixels])
    np.testing.assert_allclose(encoder.encode(pixels), alone, atol=1e-4)


@pytest.fixture(scope="module")
def sights() -> list[NDArray[np.uint8]]:
    """Drawn scenes, smooth and fine noise, and pictures in which channels are silent."""
    random = np.random.default_rng(0)
    dice = [Dice(seed) for seed in range(4)]
    drawn = [draw(compose(one, with_child=False), one) for one in dice]
    flat = [Image.new("RGB", (60, 40), colour) for colour in ("black", "white", "green")]
    noise = Image.fromarray(random.integers(0, 256, (mini.SIDE, mini.SIDE, 3), dtype=np.uint8))
    return [mini.prepare(photo) for photo in (*drawn, *flat, noise, picture(1), picture(2))]


def test_places_add_up_to_the_vector(sights: list[NDArray[np.uint8]]) -> None:
    encoder = mini.MiniImages()
    assert isinstance(encoder, LocatingImageEncoder)
    places, vectors = encoder.locate(sights), encoder.encode(sights)
    assert places.dtype == np.float32
    assert places.shape == (len(sights), mini.GRID, mini.GRID, encoder.dim)
    left = np.linalg.norm(places.sum((1, 2)) - vectors, axis=1)
    assert (left / np.linalg.norm(vectors, axis=1)).max() < 1e-4
    assert encoder.locate([]).shape == (0, mini.GRID, mini.GRID, encoder.dim)


def test_a_change_in_a_quarter_shows_in_that_quarter() -> None:
    """Places further on see it too, and less."""
    encoder, half = mini.MiniImages(), mini.SIDE // 2
    plain = np.full((mini.SIDE, mini.SIDE, 3), 128, np.uint8)
    changed = plain.copy()
    changed[:half, half:] = mini.prepare(picture(1))[:half, half:]
    before, after = encoder.locate([plain, changed])
    difference = np.linalg.norm(after - before, axis=2)
    assert difference[:3, 4:].mean() > 1.5 * difference[:3, :3].mean()
    assert difference[:3, 4:].mean() > 1.5 * difference[4:].mean()


def test_places_leave_the_towers_alone() -> None:
    """Vectors in people's libraries are named by this digest; new towers need new golden values."""
    name = matcher.read_manifest(matcher.MINI)["image_encoder"]["name"]
    assert mini.MiniImages().name == name == "mini-images-5e534c82556c"
    assert mini.PLACES.stat().st_size < 10_000, "nodes only: the weights are those of the towers"


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_sharing_photos_out_keeps_vectors_and_their_order(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = mini.MiniImages()
    pixels = [encoder.prepare(picture(seed)) for seed in range(5)]
    alone = np.concatenate([encoder.encode([one]) for one in pixels])
    monkeypatch.setattr(mini, "CORES", cores)
    np.testing.assert_allclose(mini.MiniImages().encode(pixels), alone, atol=1e-4)


def test_the_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in matcher.MINI.iterdir()) <= SIZE_LIMIT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog", "en"),
        ("собака", "ru"),
        ("Собака породы Husky", "ru"),
        ("The word мир on a wall", "en"),
        ("Ein Hund", "en"),
        ("狗", "en"),
        ("", "en"),
        ("123 !", "en"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert mini.language(text) == expected


def test_russian_pieces_survive_endings_and_yo() -> None:
    one, other = mini.russian_terms("зелёная собака"), mini.russian_terms("ЗЕЛЕНУЮ СОБАКУ")
    assert "=<собака>" in one
    assert "<со" in one
    assert len(set(one) & set(other)) > len(set(one)) / 2


def test_english_pairs_of_neighbours() -> None:
    assert mini.english_terms("A Red-car!") == ["a", "red", "car", "a red", "red car"]


@given(LETTERS, st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_known_terms_weigh_one_together(text: str, more: set[int]) -> None:
    terms = mini.english_terms(text)
    keys = np.array(sorted({*more, *map(mini.key, terms[::2])}), dtype=np.uint32)
    places, weights = mini.weigh(terms, keys, np.ones(len(keys), np.float32))
    known = {mini.key(term) for term in terms} & set(keys.tolist())
    assert set(keys[places].tolist()) == known
    assert np.linalg.norm(weights) == pytest.approx(1 if known else 0)


def test_words_matter_and_unknown_ones_are_neutral(texts: mini.MiniTexts) -> None:
    language = texts._languages["en"]
    nothing = np.zeros(384, np.float32)
    np.testing.assert_allclose(
        language.vector("zzqqx", nothing), language.bias + language.neutral, rtol=1e-6
    )
    assert not np.allclose(language.vector("dog", nothing), language.vector("zzqqx", nothing))


def test_a_russian_sentence_lies_beside_its_twin(texts: mini.MiniTexts) -> None:
    with threadpool_limits(1):
        english = unit(texts.encode(["A dog runs on the beach", "A man plays the guitar"]))
        russian = unit(texts.encode(["Собака бежит по пляжу", "Мужчина играет на гитаре"]))
    cosines = english @ russian.T
    assert np.diag(cosines).min() > 0.6
    assert max(cosines[0, 1], cosines[1, 0]) < 0.3


def test_nobody_is_told_that_it_ran(tmp_path: Path) -> None:
    """ONNX Runtime, left to itself, numbers the user in their home, and tells its maker."""
    code = (
        "import numpy as np; from kadr.encoders.mini import MiniImages\n"
        "assert MiniImages().encode([np.zeros((224, 224, 3), np.uint8)]).any()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
