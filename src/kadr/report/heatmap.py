"""Where in a photo the match lies, as a warm layer over the photo."""

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from kadr.types import Vectors

COLD, HOT = np.array([(196, 64, 0), (255, 236, 96)], np.float32)
"""Dark orange to pale yellow: lighter is more, whatever colours one can tell apart."""
DENSEST = 0.7
"""How much of the layer hides the photo where it is hottest."""
DIM, GREY = 0.4, 0.7
"""How much darker, and how much nearer to grey, the photo is where nothing matches."""


def overlay(photo: Image.Image, heat: ArrayLike) -> Image.Image:
    """An RGB photo with the positive part of `heat` [rows, columns] as a translucent layer.

    The hottest place is brightest, however hot it is. A photo where no place is above zero comes
    back as it is.
    """
    warmth = _spread(np.asarray(heat, dtype=np.float32), photo.size)
    if not warmth.any():
        return photo.copy()
    share = warmth[..., None]
    layer = (1 - share) * COLD + share * HOT
    pixels = np.asarray(photo, dtype=np.float32)
    grey = np.asarray(photo.convert("L"), dtype=np.float32)[..., None]
    cold = (1 - DIM) * (pixels + GREY * (grey - pixels))
    shown = cold + share * (pixels - cold)
    mixed = shown + DENSEST * share * (layer - shown)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def _spread(heat: Vectors, size: tuple[int, int]) -> Vectors:
    """The positive part, smooth over (width, height) pixels: float32 [height, width], 0 to 1."""
    # Cut after the enlargement: cut before it, places below zero would look like zero's neighbours.
    smooth = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BICUBIC))
    positive = np.maximum(smooth, 0)
    return np.asarray(positive / max(float(positive.max()), 1e-12), dtype=np.float32)
