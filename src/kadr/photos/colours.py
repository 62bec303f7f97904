"""Colour profiles (ICC.1): photos in other spaces become sRGB."""

import io
import struct
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms

MOST_BYTES = 2**22
"""A larger profile is ignored; those of presses have 2 MB."""
SAME = 3
"""A profile that moves no sample by more is sRGB by another name."""

ToSrgb: TypeAlias = Callable[[Image.Image], Image.Image]


def to_srgb(profile: bytes, mode: str) -> ToSrgb | None:
    """What makes RGB in sRGB of a photo in `mode` with this profile.

    None where the profile changes nothing, fits another mode, or is broken.
    """
    if not profile or len(profile) > MOST_BYTES or mode not in {"RGB", "L", "CMYK", "LAB"}:
        return None
    return _transform(profile, mode)


@cache
def adobe_rgb() -> bytes:
    """The profile of photos that name Adobe RGB (1998) in EXIF and bring none (DCF 2.0)."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white = fixed(0.9642, 1.0, 0.8249)
    gamma = b"curv\0\0\0\0\0\0\0\x01\x02\x33\0\0"  # 2.2, and padding
    tags = {
        b"desc": b"desc\0\0\0\0\0\0\0\x02a\0".ljust(92, b"\0"),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"rXYZ": b"XYZ \0\0\0\0" + fixed(0.60974, 0.31111, 0.01947),
        b"gXYZ": b"XYZ \0\0\0\0" + fixed(0.20528, 0.62567, 0.06087),
        b"bXYZ": b"XYZ \0\0\0\0" + fixed(0.14919, 0.06322, 0.74457),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, data = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, 132 + 12 * len(tags) + len(data), len(content))
        data += content
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(table + data), b"", 0x02100000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + table + data


@cache
def lab_to_srgb() -> ToSrgb | None:
    """For photos in CIE L*a*b*."""
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "LAB")


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ToSrgb | None:
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )

        def apply(image: Image.Image) -> Image.Image:
            converted = ImageCms.applyTransform(image, transform)
            assert converted is not None  # only in place there is nothing to give back
            return converted

        return None if mode in {"RGB", "L"} and _changes_nothing(apply, mode) else apply
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # of another mode, or broken


def _changes_nothing(apply: ToSrgb, mode: str) -> bool:
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    if mode == "L":
        samples = np.linspace(0, 255, 64).astype(np.uint8)[None]
    else:
        samples = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(samples)
    after = np.asarray(apply(before), np.int16)
    return int(np.abs(after - np.asarray(before.convert("RGB"), np.int16)).max()) <= SAME
