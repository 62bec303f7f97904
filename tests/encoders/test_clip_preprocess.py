"""Pixels are those of the published recipes, to the last bit, on photos that aren't square.

`torchvision_*` and `transformers_*` write the recipes down anew, as open_clip's transform.py with
torchvision and transformers' CLIPImageProcessor and SiglipImageProcessor do them on Pillow images.
"""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from kadr.encoders.clip_preprocess import CLIP_MEAN, CLIP_STD, Preprocessing
from kadr.errors import KadrError

SIZES = [(64, 48), (48, 64), (301, 200), (37, 111), (20, 30), (33, 33), (225, 224)]
BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR


def photo(size: tuple[int, int]) -> Image.Image:
    dice = np.random.default_rng(size[0])
    return Image.fromarray(dice.integers(0, 256, (size[1], size[0], 3), np.uint8))


def torchvision_shortest(image: Image.Image, side: int, how: Image.Resampling) -> Image.Image:
    """Resize(side), then CenterCrop(side)."""
    short, long = min(image.size), max(image.size)
    long = int(side * long / short)
    image = image.resize((side, long) if image.width <= image.height else (long, side), how)
    top, left = round((image.height - side) / 2.0), round((image.width - side) / 2.0)
    return image.crop((left, top, left + side, top + side))


def torchvision_longest(
    image: Image.Image, side: int, fill: int, how: Image.Resampling
) -> Image.Image:
    """ResizeKeepRatio(longest=1), then CenterCropOrPad."""
    ratio = max(image.height / side, image.width / side)
    image = image.resize((round(image.width / ratio), round(image.height / ratio)), how)
    wide, high = side - image.width, side - image.height
    padding = (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2)
    return ImageOps.expand(image, padding, (fill,) * 3)


def transformers_shortest(image: Image.Image, edge: int, side: int) -> Image.Image:
    """get_resize_output_image_size and center_crop of transformers' numpy processors."""
    short, long = min(image.size), max(image.size)
    long = int(edge * long / short)
    image = image.resize((edge, long) if image.width <= image.height else (long, edge), BICUBIC)
    top, left = (image.height - side) // 2, (image.width - side) // 2
    return image.crop((left, top, left + side, top + side))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["bicubic", "bilinear"])
def test_open_clip(size: tuple[int, int], how: str) -> None:
    image, filter_ = photo(size), Image.Resampling[how.upper()]
    wanted = {
        "shortest": torchvision_shortest(image, 32, filter_),
        "longest": torchvision_longest(image, 32, 7, filter_),
        "squash": image.resize((32, 32), filter_),
    }
    for mode, by_hand in wanted.items():
        config = {"size": [32, 32], "resize_mode": mode, "interpolation": how, "fill_color": 7}
        assert np.array_equal(
            Preprocessing.from_open_clip(config).pixels(image), np.asarray(by_hand)
        ), mode


@pytest.mark.parametrize("size", SIZES)
def test_transformers(size: tuple[int, int]) -> None:
    image = photo(size)
    clip = {
        "do_center_crop": True,
        "crop_size": {"height": 28, "width": 28},
        "size": {"shortest_edge": 32},
    }
    found = Preprocessing.from_transformers(clip | {"resample": 3}).pixels(image)
    assert np.array_equal(found, np.asarray(transformers_shortest(image, 32, 28)))
    old = {"do_center_crop": True, "crop_size": 28, "size": 32, "resample": 3}
    assert np.array_equal(Preprocessing.from_transformers(old).pixels(image), found)
    siglip = {"size": {"height": 24, "width": 24}, "resample": 2}
    squashed = np.asarray(image.resize((24, 24), BILINEAR))
    assert np.array_equal(Preprocessing.from_transformers(siglip).pixels(image), squashed)


def test_a_square_photo_hides_which_mode_it_was() -> None:
    square, wide = photo((40, 40)), photo((80, 40))
    modes = [
        Preprocessing.from_open_clip({"size": 32, "resize_mode": m}) for m in ("shortest", "squash")
    ]
    one, other = modes
    assert np.array_equal(one.pixels(square), other.pixels(square))
    assert not np.array_equal(one.pixels(wide), other.pixels(wide))
    assert len({mode.name for mode in modes}) == 2


def test_defaults_are_open_clips() -> None:
    steps = Preprocessing.from_open_clip({})
    assert (steps.height, steps.width, steps.resize, steps.resample) == (224, 224, "shortest", 3)
    assert (steps.mean, steps.std) == (CLIP_MEAN, CLIP_STD)


def test_scaling_is_float32_as_published() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    found = Preprocessing.from_open_clip({"size": 16}).scaled(pixels)
    tensor = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)  # ToTensor
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    assert found.dtype == np.float32
    assert np.array_equal(found, (tensor - mean) / std)


def test_steps_can_be_left_out() -> None:
    bare = {"do_rescale": False, "do_normalize": False, "size": {"height": 2, "width": 2}}
    pixels = np.full((1, 2, 2, 3), 200, np.uint8)
    assert (Preprocessing.from_transformers(bare).scaled(pixels) == 200).all()


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["shortest", "longest", "squash"]))
def test_any_photo_becomes_the_size(width: int, height: int, mode: str) -> None:
    steps = Preprocessing.from_open_clip({"size": [20, 20], "resize_mode": mode})
    assert steps.pixels(Image.new("RGB", (width, height))).shape == (20, 20, 3)


def test_a_strip_takes_no_gigabytes() -> None:
    assert Preprocessing.from_open_clip({}).pixels(Image.new("RGB", (60_000, 1))).shape == (
        224,
        224,
        3,
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"size": 10**9}, "sides of 1000000000 pixels"),
        ({"size": "many"}, "sides of 'many' pixels"),
        ({"size": [1, 2, 3]}, "no size"),
        ({"size": 0.5}, "sides of 0.5 pixels"),
        ({"resize_mode": "stretch"}, "unknown resize_mode 'stretch'"),
        ({"mode": "L"}, "not RGB"),
        ({"mean": [1, 2]}, "three channels"),
        ({"std": ["a", "b", "c"]}, "no number"),
        ({"mean": [math.inf, 0, 0]}, "no number"),
    ],
)
def test_nonsense_of_open_clip(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(KadrError, match=reason):
        Preprocessing.from_open_clip(config)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"size": {"longest_edge": 3000}, "resample": 99}, "unknown interpolation"),
        ({"size": {"shortest_edge": 32}}, "no size that all photos"),
        ({"size": {"height": -1, "width": 5}}, "sides of -1 pixels"),
        ({"size": {"height": 5, "width": 5}, "image_std": [0, None, 1]}, "no number"),
    ],
)
def test_nonsense_of_transformers(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(KadrError, match=reason):
        Preprocessing.from_transformers(config)
