"""Perceptual hashes: of a photo, of its parts, and of the photo turned and mirrored.

The pHash of N. Krawetz ("Looks Like It", 2011): signs of 64 low frequencies about their median. Two
are compared by the number of bits in which they differ. The values are those of the package
ImageHash, in a quarter of its time.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # comparing hashes needs no decoders
    from PIL import Image

Levels: TypeAlias = NDArray[np.floating[Any]]

SIDE, LOW = 32, 8
_REDUCED = 4 * SIDE
_COSINES = np.cos(np.pi * (2 * np.arange(SIDE)[None] + 1) * np.arange(LOW)[:, None] / (2 * SIDE))
_ODD_COLUMNS, _ODD_ROWS = 0x5555555555555555, 0x00FF00FF00FF00FF
_FLAT = 2.0
"""Standard deviation in grey levels below which there is nothing to see."""
_APART, _MOSTLY, _LEAST = 12, 0.5, 0.15
"""Grey levels apart from the ground; share of a line that is; share of the whole for a picture."""


def part_hashes(image: "Image.Image") -> tuple[int, ...]:
    """Seven hashes: of a photo, its quarters, its middle, and the picture within a plain frame.

    So a photo is known again in a collage of four, cut by a quarter a side, and in a screenshot.
    A part without content has the hash 0.
    """
    from PIL import Image

    grey = reduced(image).resize((4 * SIDE, 4 * SIDE), Image.Resampling.BOX)
    levels = np.asarray(grey, np.float32)
    fine, half = _halved(levels), SIDE // 2
    corners = ((0, 0), (0, SIDE), (SIDE, 0), (SIDE, SIDE), (half, half))
    quarters = [fine[top : top + SIDE, left : left + SIDE] for top, left in corners]
    within = grey.resize((SIDE, SIDE), Image.Resampling.BOX, box=_within(levels))
    parts = np.stack([_halved(fine), *quarters, np.asarray(within, np.float32)])
    apart = parts.std(axis=(1, 2)) >= _FLAT
    return tuple(bits if flag else 0 for bits, flag in zip(_bits(parts), apart, strict=True))


def perceptual_hash(image: "Image.Image") -> int:
    """The hash of a photo as a whole, reduced by a better filter than its parts."""
    from PIL import Image

    resized = reduced(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _bits(np.asarray(resized, np.float64)[None])[0]


def reduced(image: "Image.Image") -> "Image.Image":
    """The photo in grey, its shorter side at most 255 pixels: all that a hash looks at.

    A photo reduced once, for several hashes, has the same hashes.
    """
    grey_already = image.mode == "L" and min(image.size) < 2 * _REDUCED
    return image if grey_already else image.reduce(max(1, min(image.size) // _REDUCED)).convert("L")


def turned(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes [n] of the photos as they would be in the eight ways to turn and mirror: [n, 8].

    Mirroring changes the sign of odd frequencies, turning swaps the axes; the median moves a
    little, so that up to 6 bits differ from the hash of the turned photo (in 9 of 10 photos).
    """
    flips = np.array([0, _ODD_COLUMNS, _ODD_ROWS, _ODD_COLUMNS ^ _ODD_ROWS], np.uint64)
    both = np.stack([hashes.astype(np.uint64), transposed(hashes)], axis=1)
    return (both[:, :, None] ^ flips).reshape(-1, 2 * len(flips))


def transposed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes [n] with rows and columns of their 8x8 bits exchanged (Hacker's Delight, 7-3)."""
    x = hashes.astype(np.uint64)
    for shift, mask in (
        (7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0),
    ):  # fmt: skip
        t = (x ^ (x >> np.uint64(shift))) & np.uint64(mask)
        x = x ^ t ^ (t << np.uint64(shift))
    return x


def _halved(levels: Levels) -> Levels:
    """Means of squares of two pixels a side."""
    pairs = levels[::2] + levels[1::2]
    return (pairs[:, ::2] + pairs[:, 1::2]) / 4


def _bits(levels: Levels) -> list[int]:
    """The hashes of pictures [n, 32, 32]."""
    cosines = _COSINES.astype(levels.dtype, copy=False)
    low = (cosines @ levels @ cosines.T).reshape(len(levels), LOW * LOW)
    middle = np.partition(low, (LOW * LOW // 2 - 1, LOW * LOW // 2), axis=1)
    median = middle[:, LOW * LOW // 2 - 1 : LOW * LOW // 2 + 1].mean(axis=1, keepdims=True)
    return [int.from_bytes(row.tobytes()) for row in np.packbits(low > median, axis=1)]


def _within(levels: Levels) -> tuple[int, int, int, int]:
    """The box of what differs from the ground, the whole where that is no picture."""
    ground = int(np.bincount((levels.astype(np.uint8) >> 3).ravel()).argmax()) * 8 + 4
    apart = np.abs(levels - ground) > _APART
    top, bottom = _longest(apart.mean(axis=1) > _MOSTLY)
    if bottom > top:
        left, right = _longest(apart[top:bottom].mean(axis=0) > _MOSTLY)
        if (bottom - top) * (right - left) >= _LEAST * levels.size:
            return left, top, right, bottom
    return 0, 0, *levels.shape[::-1]


def _longest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Start and end of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best])
