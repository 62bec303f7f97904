"""Prints how many versions of photos are told to be near duplicates, and how many different photos.

Usage: python benchmarks/duplicates.py FOLDER [--photos 1000] [--changed 200]

FOLDER holds photos that all show something else.
"""

import argparse
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from kadr.encoders import ImageEncoder
from kadr.library.likeness import alike
from kadr.matcher import bundle as matcher
from kadr.photos import folders, hashes, images
from kadr.types import Vectors

Photo = Image.Image
BATCH = 16


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--changed", type=int, default=200)
    options = parser.parse_args()
    encoder = matcher.load().image_encoder
    paths = list(folders.scan(options.folder))[: options.photos]
    photos = [images.decode(path, 4 * encoder.size) for path in paths]
    vectors, hashes = seen(encoder, photos)
    some = random.Random(0).sample(range(len(photos)), options.changed)
    print("| version | bits apart, median and 95th | cosine, 5th and median | found |")
    print("|---|---|---|---|")
    for name, change in VERSIONS.items():
        others = seen(encoder, [change(photos[number]) for number in some])
        cosines = (vectors[some] * others[0]).sum(axis=1)
        bits = np.bitwise_count(hashes[some] ^ others[1])
        far, near = np.percentile(bits, [50, 95]), np.percentile(cosines, [5, 50])
        share = alike(hashes[some], others[1], cosines).mean()
        print(
            f"| {name} | {far[0]:.0f}, {far[1]:.0f} | {near[0]:.2f}, {near[1]:.2f} | {share:.0%} |"
        )
    left, right = np.triu_indices(len(photos), 1)
    cosines = (vectors @ vectors.T)[left, right]
    print(
        f"\nDifferent photos told to be alike: "
        f"{alike(hashes[left], hashes[right], cosines).sum()} of {len(left):,} pairs"
    )


def seen(encoder: ImageEncoder, photos: Sequence[Photo]) -> tuple[Vectors, NDArray[np.uint64]]:
    """Unit vectors [n, dim] and perceptual hashes [n]."""
    parts = [
        encoder.encode([encoder.prepare(photo) for photo in photos[start : start + BATCH]])
        for start in range(0, len(photos), BATCH)
    ]
    vectors = np.concatenate(parts)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.array([hashes.perceptual_hash(photo) for photo in photos], np.uint64)


def saved(photo: Photo, quality: int) -> Photo:
    """As a JPEG of this quality, and back."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cut(photo: Photo, left: float, right: float) -> Photo:
    """These shares cut off left and above, right and below."""
    width, height = photo.size
    box = (left * width, left * height, (1 - right) * width, (1 - right) * height)
    return photo.crop(tuple(map(int, box)))  # type: ignore[arg-type]


VERSIONS: dict[str, Callable[[Photo], Photo]] = {
    "half the size": lambda photo: saved(photo.reduce(2), 85),
    "JPEG quality 30": lambda photo: saved(photo, 30),
    "JPEG quality 10": lambda photo: saved(photo, 10),
    "5 % cut off left and above": lambda photo: cut(photo, 0.05, 0),
    "10 % cut off all round": lambda photo: cut(photo, 0.1, 0.1),
    "30 % brighter": lambda photo: ImageEnhance.Brightness(photo).enhance(1.3),
    "grey": lambda photo: photo.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "white border of 12 pixels": lambda photo: ImageOps.expand(photo, 12, "white"),
    "turned by 2 degrees": lambda photo: photo.rotate(2),
}

if __name__ == "__main__":
    main()
