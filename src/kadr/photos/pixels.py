"""Pixels of any mode to 8-bit RGB, and large photos to smaller ones."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from kadr.photos import colours

KEPT_PIXELS = 20_000_000
"""A photo that is decoded to more pixels than this is reduced before it is handed on."""

REDUCED_PIXELS = 4_000_000
"""One with more than this is reduced where three times the wanted size is left."""

BAND = 2**22
"""Pixels that change their mode at a time, so that a giant isn't held in three modes at once."""

FLOAT_WHITE = 2.0
"""Floats up to this are shares of white, some a little above 1."""
PHOTOMETRIC = 262
"""TIFF's tag that tells whether 0 is black or (0) white."""


def to_rgb(image: Image.Image, size: int, profile: bytes = b"") -> Image.Image:
    """Any mode to 8-bit RGB in sRGB, and a large photo to a smaller one.

    Args:
        image: its pixels read.
        size: a giant's shorter side is left twice as long, another's three times.
        profile: its colour profile.
    """
    factor = _reduction(image, size)
    space = _space(image.mode)
    convert = colours.to_srgb(profile, space)
    if convert is None and space == "LAB":
        convert = colours.lab_to_srgb()
    if factor == 1 and image.mode == "RGB" and not image.has_transparency_data:
        # copied: a photo that holds neither its file nor its decoder
        return convert(image) if convert else image.copy()
    scale = _scale(image)
    canvas = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, band in _bands(image, factor):
        part = convert(band) if convert and space in _WHOLE else _flatten(band, scale)
        part = part.reduce(factor) if factor > 1 else part
        if convert and space not in _WHOLE:
            part = convert(part.convert(space))
        canvas.paste(part, (0, top // factor))
    return canvas


_WHOLE = frozenset({"CMYK", "LAB"})
"""Spaces that only a profile takes to RGB as they look."""


def _space(mode: str) -> str:
    """What a profile of a photo in this mode speaks of."""
    if mode in _WHOLE:
        return mode
    return "L" if mode in {"L", "LA", "La"} or _is_wide(mode) else "RGB"


def _reduction(image: Image.Image, size: int) -> int:
    """By how much the sides are divided: colours of fewer pixels are converted in less time.

    Of a giant twice `size` is left, or `KEPT_PIXELS`; of a large photo three times `size`, which is
    more than resizing to it looks at.
    """
    pixels = image.width * image.height
    if pixels <= KEPT_PIXELS:
        return max(1, min(image.size) // (3 * size)) if pixels > REDUCED_PIXELS else 1
    return max(math.ceil(math.sqrt(pixels / KEPT_PIXELS)), min(image.size) // (2 * size))


def _bands(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    """The image from top to bottom in parts, each a multiple of `factor` high but the last."""
    rows = factor * max(1, BAND // (image.width * factor))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flatten(image: Image.Image, scale: "_Scale") -> Image.Image:
    """Any mode to 8-bit RGB."""
    if _is_wide(image.mode):
        grey = np.clip(_samples(image) * (255.0 / scale.white), 0, 255).astype(np.uint8)
        return Image.fromarray(255 - grey if scale.inverted else grey).convert("RGB")
    if image.has_transparency_data:
        if image.mode in {"La", "RGBa"}:  # colours that are multiplied with their opacity
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _is_wide(mode: str) -> bool:
    return mode.startswith(("I", "F"))  # 16 or 32 bits: convert() would clip them to white


@dataclass(frozen=True, slots=True)
class _Scale:
    """The wide sample that becomes 255, and whether it is black in truth."""

    white: float
    inverted: bool


def _scale(image: Image.Image) -> _Scale:
    """By the brightest sample: no format tells how many bits of a wide sample are used."""
    if not _is_wide(image.mode):
        return _Scale(255.0, inverted=False)
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == 0
    brightest = max(float(_samples(band).max(initial=0.0)) for _, band in _bands(image, 1))
    if image.mode == "F" and brightest <= FLOAT_WHITE:
        return _Scale(1.0, inverted)
    steps = (step for step in (255.0, 65535.0) if brightest <= step)
    return _Scale(next(steps, brightest), inverted)


def _samples(image: Image.Image) -> NDArray[np.float32]:
    """Finite float32 [height, width]."""
    samples = np.asarray(image, dtype=np.float32)
    return np.nan_to_num(samples, posinf=0.0, neginf=0.0)
