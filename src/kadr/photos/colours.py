"""Colour profiles (ICC.1): photos in other spaces become sRGB."""

import io
from collections.abc import Callable
from functools import lru_cache
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
