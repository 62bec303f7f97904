"""Copies are told from what merely looks alike from afar."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from kadr.data import drawn as scenes
from kadr.library import likeness
from kadr.library.likeness import Appearances, appearance
from kadr.photos import hashes, images

Ways = Image.Transpose
HOW = {
    Ways.FLIP_LEFT_RIGHT: 1, Ways.FLIP_TOP_BOTTOM: 2, Ways.ROTATE_180: 3, Ways.TRANSPOSE: 4,
    Ways.ROTATE_270: 5, Ways.ROTATE_90: 6, Ways.TRANSVERSE: 7,
}  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    scratch = tmp_path_factory.mktemp("scenes")
    scenes.generate(scratch / "archive", images=10, seed=3)
    return [images.decode(path, 256) for path in sorted((scratch / "archive").rglob("*.jpg"))]


def same(one: Image.Image, other: Image.Image, how: int = 0) -> bool:
    looks = Appearances([appearance(one), appearance(other)])
    return bool(list(looks.copies(np.array([[0, 1, how]]))))


def marks(photos: list[Image.Image]) -> likeness.Bits:
    return np.array([hashes.perceptual_hash(photo) for photo in photos], np.uint64)


@pytest.mark.parametrize("way", list(Ways))
def test_turned_and_mirrored_copies_are_found(photos: list[Image.Image], way: Ways) -> None:
    copies = [photo.transpose(way) for photo in photos]
    found = likeness.turned_pairs(marks([*photos, *copies])).tolist()
    expected = [[number, number + len(photos), HOW[way]] for number in range(len(photos))]
    assert sum(pair in found for pair in expected) >= 0.9 * len(photos)  # drawn ones are harder
    assert all(same(photo, copy, HOW[way]) for photo, copy in zip(photos, copies, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: photo.resize((120, 90)),
        lambda photo: photo.convert("L").convert("RGB"),
        lambda photo: photo.crop(
            (round(photo.width * 0.05), round(photo.height * 0.05), *photo.size)
        ),
    ],
)
def test_versions_are_copies_and_other_photos_are_none(
    photos: list[Image.Image], change: Callable[[Image.Image], Image.Image]
) -> None:
    for photo, other in zip(photos, [*photos[1:], photos[0]], strict=True):
        assert same(photo, change(photo))
        assert not same(photo, change(other))


def page(seed: int, ground: int, ink: int) -> Image.Image:
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (850, 1100), (ground,) * 3)
    draw = ImageDraw.Draw(image)
    for line in range(45):
        words = ("".join("aeionrst"[k] for k in random.integers(8, size=6)) for _ in range(12))
        draw.text((80, 60 + 22 * line), " ".join(words), fill=(ink,) * 3)
    return image


def ramp(least: int, most: int) -> Image.Image:
    row = np.linspace(least, most, 600)[None].repeat(400, axis=0)
    return Image.fromarray(row.astype(np.uint8)).convert("RGB")


def blank(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(240, 6, (800, 600, 3))
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Image.new("RGB", (400, 300), "red"), Image.new("RGB", (400, 300), "blue")),
        (ramp(0, 255), ramp(0, 250)),
        (blank(1), blank(2)),
        (page(1, 255, 0), page(2, 255, 0)),
        (page(1, 15, 60), page(2, 15, 60)),
    ],
    ids=["solid", "gradient", "blank scan", "text", "dark"],
)
def test_what_shows_too_little_or_text_is_no_copy(one: Image.Image, other: Image.Image) -> None:
    assert not same(one, other)


@given(st.integers(0, 2**64 - 1))
def test_hashes_are_turned_and_back(number: int) -> None:
    one = np.array([number], np.uint64)
    ways = likeness.turned(one)
    assert likeness.turned(ways[3])[3] == one  # rows and columns exchanged, twice
    assert all(likeness.turned(ways[k])[k] == one for k in range(3))
    assert likeness.alike(ways[5], one, np.zeros(1)).all()


def test_photos_that_show_nothing_are_near_to_none() -> None:
    """Ever so many dark frames have hashes of few bits, each close to each, turned or not."""
    assert len(likeness.turned_pairs(np.arange(2000, dtype=np.uint64))) == 0


def test_equal_hashes_are_looked_up_once() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 2**63, 40, dtype=np.uint64)
    other = likeness.turned(one)[2]
    pairs = likeness.turned_pairs(np.concatenate([one, other, other]))
    expected = {(n, n + 40) for n in range(40)} | {(n, n + 80) for n in range(40)}
    assert expected <= {(left, right) for left, right, _ in pairs.tolist()}
