"""Pixels of any mode to 8-bit RGB, and giants to a smaller photo."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

KEPT_PIXELS = 20_000_000
"""A photo that is decoded to more pixels than this is reduced before it is handed on."""

BAND = 2**22
"""Pixels that change their mode at a time, so that a giant isn't held in three modes at once."""


def to_rgb(image: Image.Image, size: int) -> Image.Image:
    """Any mode to 8-bit RGB, and a giant to a smaller photo."""
    factor = _reduction(image, size)
    if factor == 1 and image.mode == "RGB" and not image.has_transparency_data:
        return image.copy()  # a photo that holds neither its file nor its decoder
    white = _white(image)
    canvas = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, band in _bands(image, factor):
        part = _flatten(band, white)
        canvas.paste(part.reduce(factor) if factor > 1 else part, (0, top // factor))
    return canvas


def _reduction(image: Image.Image, size: int) -> int:
    """By how much a giant's sides are divided: twice `size` is left, or `KEPT_PIXELS`."""
    pixels = image.width * image.height
    if pixels <= KEPT_PIXELS:
        return 1
    return max(math.ceil(math.sqrt(pixels / KEPT_PIXELS)), min(image.size) // (2 * size))


def _bands(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    """The image from top to bottom in parts, each a multiple of `factor` high but the last."""
    rows = factor * max(1, BAND // (image.width * factor))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flatten(image: Image.Image, white: float) -> Image.Image:
    """Any mode to 8-bit RGB; `white` is the wide sample that becomes 255."""
    if _has_wide_samples(image):
        grey = np.clip(_samples(image) * (255.0 / white), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _has_wide_samples(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F"))  # 16 or 32 bits: convert() would clip them to white


def _white(image: Image.Image) -> float:
    """The sample that is white: 65535 where any is more than 8 bits can hold, else 255."""
    if not _has_wide_samples(image):
        return 255.0
    bright = any(_samples(band).max(initial=0.0) > 255 for _, band in _bands(image, 1))
    return 65535.0 if bright else 255.0


def _samples(image: Image.Image) -> NDArray[np.float32]:
    """Finite float32 [height, width]."""
    samples = np.asarray(image, dtype=np.float32)
    return np.nan_to_num(samples, posinf=0.0, neginf=0.0)
