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
from kadr.encoders.language import language
from kadr.matcher import bundle as matcher
from kadr.photos.images import decode
from kadr.types import Vectors

SIZE_LIMIT = 30_000_000
IMAGES = {
    1: [
        -0.04800000041723251,
        -0.0020000000949949026,
        0.13600000739097595,
        0.04899999871850014,
        -0.006000000052154064,
        0.019999999552965164,
        -0.010999999940395355,
        -0.10300000011920929,
        -0.0430000014603138,
        -0.0689999982714653,
        0.0729999989271164,
        0.012000000104308128,
    ],
    2: [
        0.007000000216066837,
        -0.017999999225139618,
        0.10199999809265137,
        0.052000001072883606,
        0.004000000189989805,
        0.07199999690055847,
        0.01899999938905239,
        -0.19699999690055847,
        -0.028999999165534973,
        -0.07599999755620956,
        0.07100000232458115,
        -0.03500000014901161,
    ],
    3: [
        0.0020000000949949026,
        -0.050999999046325684,
        0.052000001072883606,
        0.054999999701976776,
        -0.04699999839067459,
        0.05700000002980232,
        0.04100000113248825,
        -0.12200000137090683,
        -0.023000000044703484,
        -0.09799999743700027,
        0.054999999701976776,
        -0.027000000700354576,
    ],
}
TEXTS = {
    "A dog runs on the beach": [
        0.36500000953674316,
        0.13300000131130219,
        0.0689999982714653,
        0.07500000298023224,
        0.009999999776482582,
        -0.08500000089406967,
        -0.004999999888241291,
        0.014999999664723873,
        0.0820000022649765,
        0.039000000804662704,
        -0.30799999833106995,
        -0.04500000178813934,
    ],
    "Собака бежит по пляжу": [
        0.34200000762939453,
        0.08799999952316284,
        0.0729999989271164,
        0.11599999666213989,
        0.05299999937415123,
        -0.10499999672174454,
        -0.03799999877810478,
        -0.029999999329447746,
        0.10100000351667404,
        -0.008999999612569809,
        -0.3490000069141388,
        -0.061000000685453415,
    ],
    "Two children play football": [
        -0.11500000208616257,
        -0.19200000166893005,
        -0.07999999821186066,
        0.3440000116825104,
        -0.421999990940094,
        0.009999999776482582,
        0.03400000184774399,
        0.09600000083446503,
        0.2540000081062317,
        -0.061000000685453415,
        0.0010000000474974513,
        0.22699999809265137,
    ],
    "лыжник в прыжке": [
        0.035999998450279236,
        0.3619999885559082,
        -0.11100000143051147,
        -0.19300000369548798,
        -0.37299999594688416,
        0.08900000154972076,
        -0.1940000057220459,
        -0.050999999046325684,
        -0.2160000056028366,
        -0.019999999552965164,
        0.125,
        -0.039000000804662704,
    ],
    "zzqqx": [
        0.014000000432133675,
        0.003000000026077032,
        -0.10100000351667404,
        -0.22499999403953552,
        -0.07199999690055847,
        -0.04800000041723251,
        -0.12999999523162842,
        -0.09200000017881393,
        -0.019999999552965164,
        0.050999999046325684,
        0.024000000208616257,
        0.027000000700354576,
    ],
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
    assert mini.MiniImages().name == name == "mini-images-161df265c2eb"
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
    assert language(text) == expected


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
