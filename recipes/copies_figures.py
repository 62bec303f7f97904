"""Prints how many changed copies of photos that `under-16` doesn't show are held back.

Usage: python recipes/copies_figures.py DATA [--photos 100]

The photos are of Flickr8k's dev split and those of COCO. Beside them stand the share that the scene
classifier alone would hold back, and the unrelated photos that the comparison holds back.
"""

import argparse
import io
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from kadr.law.assessor import Assessor
from kadr.law.policy import PRESETS
from kadr.law.verdict import hidden
from kadr.library.library import Library
from kadr.matcher import bundle
from kadr.photos import images
from kadr.types import Filters

LAW = PRESETS["under-16"]
SIDE = 640
SENTENCES = 6
OTHERS = 1500

Picture: TypeAlias = Image.Image
Change: TypeAlias = Callable[[Picture, Sequence[Picture]], Picture]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--photos", type=int, default=100)
    options = parser.parse_args()
    chance = random.Random(0)
    matcher = bundle.load(bundle.MINI)
    photos = [images.decode(path, SIDE) for path in development(options.data)]
    suspected = np.array(children(matcher, photos)) >= LAW.review
    sources = chance.sample(np.flatnonzero(suspected).tolist(), options.photos)
    innocent = [photo for photo, flag in zip(photos, suspected, strict=True) if not flag]
    others = chance.sample(training(options.data), OTHERS)
    with (
        tempfile.TemporaryDirectory() as folder,
        Library.open(Path(folder) / "library.kadr", model=matcher, policy=LAW) as library,
    ):
        write(Path(folder) / "hidden", [photos[number] for number in sources])
        library.index([Path(folder) / "hidden"])
        print("| Change | Machine alone | With the comparison |\n|---|---|---|")
        for name, change in CHANGES.items():
            copies = [change(photos[number], chance.sample(innocent, 3)) for number in sources]
            alone = np.array(children(matcher, copies)) >= LAW.review
            held = held_back(library, write(Path(folder) / name, copies))
            print(f"| {name} | {alone.mean():.2f} | {held:.2f} |", flush=True)
        unrelated(library, Path(folder), [*innocent, *(images.decode(one, SIDE) for one in others)])


def unrelated(library: Library, folder: Path, photos: Sequence[Picture]) -> None:
    """Print how many photos that the machine alone would show the comparison holds back."""
    numbers = index(library, write(folder / "unrelated", photos))
    assessed = library.store.assessments(numbers)
    shown = [number for number in numbers if assessed[number].probability < LAW.review]
    held = hidden(library.store, LAW, shown)
    beside = len(numbers) - len(shown)
    print(f"\n{len(held)} of {len(shown)} unrelated photos held back, {beside} more hidden.")


def development(data: Path) -> list[Path]:
    """Photos that no tower learned from."""
    folder = data / "flickr8k"
    names = (folder / "dev.txt").read_text(encoding="utf-8").split()
    kept = [folder / "images224" / name for name in names]
    return [path for path in kept if path.exists()] + sorted((data / "coco/images").glob("*.jpg"))


def training(data: Path) -> list[Path]:
    """Photos that the towers did learn from: good enough to be taken for copies, or not."""
    folder = data / "flickr8k"
    names = (folder / "train.txt").read_text(encoding="utf-8").split()
    return [path for name in names if (path := folder / "images224" / name).exists()]


def children(matcher: bundle.Matcher, photos: Sequence[Picture]) -> list[float]:
    """The probability that each photo shows a child, by the machine alone."""
    encoder = matcher.image_encoder
    prepared = [encoder.prepare(photo) for photo in photos]
    rows = [encoder.encode(prepared[start : start + 64]) for start in range(0, len(photos), 64)]
    vectors = np.concatenate(rows)
    opened = [partial(_itself, photo) for photo in photos]
    assessed = Assessor().assess([[]] * len(photos), vectors, opened)
    return [one.probability for one in assessed]


def _itself(photo: Picture) -> Picture:
    return photo


def write(folder: Path, photos: Sequence[Picture]) -> Path:
    """Photos saved as files of a folder, in their order."""
    folder.mkdir()
    for number, photo in enumerate(photos):
        photo.save(folder / f"{number:04}.jpg", quality=92)
    return folder


def held_back(library: Library, folder: Path) -> float:
    """The share of a folder's photos that aren't shown, once they are indexed."""
    numbers = index(library, folder)
    share = len(hidden(library.store, LAW, numbers)) / len(numbers)
    for path in folder.iterdir():
        path.unlink()
    library.index([folder], prune=True)
    return share


def index(library: Library, folder: Path) -> list[int]:
    """The numbers of a folder's photos, new in the library."""
    library.index([folder])
    return [int(number) for number in library.store.matching(Filters(folder=folder))]


def saved(quality: int) -> Change:
    """Saved again as JPEG."""

    def change(photo: Picture, _others: Sequence[Picture]) -> Picture:
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def alone(change: Callable[[Picture], Picture]) -> Change:
    """A change that needs no other photo."""
    return lambda photo, _others: change(photo)


def cut(share: float) -> Change:
    """Without so much of each side."""

    def change(photo: Picture) -> Picture:
        width, height = photo.size
        left, top = int(width * share), int(height * share)
        return photo.crop((left, top, width - left, height - top))

    return alone(change)


def grey(photo: Picture) -> Picture:
    """Without its colours."""
    return ImageOps.grayscale(photo).convert("RGB")


def noisy(photo: Picture) -> Picture:
    """With noise of 30 levels."""
    noise = np.random.default_rng(1).normal(0, 30, (photo.height, photo.width, 3))
    return Image.fromarray(np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8))


def collage(photo: Picture, others: Sequence[Picture]) -> Picture:
    """One of four."""
    sheet = Image.new("RGB", (448, 448))
    for place, one in enumerate([*others[:2], photo, others[2]]):
        sheet.paste(one.resize((224, 224)), (place % 2 * 224, place // 2 * 224))
    return sheet


def screenshot(photo: Picture) -> Picture:
    """Below a coloured bar, above lines of text."""
    width, height = photo.size
    sheet = Image.new("RGB", (int(width * 1.2), int(height * 1.8)), (245, 245, 245))
    sheet.paste((30, 60, 120), (0, 0, sheet.width, height // 10))
    sheet.paste(photo, (int(width * 0.1), int(height * 0.25)))
    for line in range(SENTENCES):
        top = int(height * 1.3) + line * height // 14
        right = int(width * (0.5 + 0.1 * (line % 5)))
        sheet.paste((90, 90, 90), (int(width * 0.1), top, right, top + height // 40))
    return sheet


CHANGES: Mapping[str, Change] = {
    "saved again as JPEG, quality 85": saved(85),
    "JPEG, quality 10": saved(10),
    "half size": alone(lambda photo: photo.resize((photo.width // 2, photo.height // 2))),
    "150 pixels": alone(lambda photo: ImageOps.contain(photo, (150, 150))),
    "turned by 90 degrees": alone(lambda photo: photo.rotate(90, expand=True)),
    "turned by 180 degrees": alone(lambda photo: photo.rotate(180)),
    "turned by 270 degrees": alone(lambda photo: photo.rotate(270, expand=True)),
    "mirrored": alone(ImageOps.mirror),
    "turned by 5 degrees": alone(lambda photo: photo.rotate(5, expand=True, fillcolor="white")),
    "grey": alone(grey),
    "grey and turned by 90 degrees": alone(lambda photo: grey(photo).rotate(90, expand=True)),
    "negative": alone(ImageOps.invert),
    "darkened by half": alone(lambda photo: Image.eval(photo, lambda level: level // 2)),
    "blurred": alone(lambda photo: photo.filter(ImageFilter.GaussianBlur(max(photo.size) / 60))),
    "with noise": alone(noisy),
    "white border of 12 %": alone(
        lambda photo: ImageOps.expand(photo, int(min(photo.size) * 0.12), "white")
    ),
    "cut by 10 % a side": cut(0.1),
    "cut by 25 % a side": cut(0.25),
    "in a collage of four": collage,
    "in a screenshot": alone(screenshot),
}


if __name__ == "__main__":
    main()
