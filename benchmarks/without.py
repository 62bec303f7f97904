"""Prints how often "A without B" shows A and not B, by several ways to answer it.

Usage: python benchmarks/without.py PHOTOS CAPTIONS [--photos 500] [--russian]

PHOTOS is a folder, CAPTIONS a table of images and captions, such as Flickr8k's, or COCO's with
tabs; what a photo shows is what its captions say. Of each pair of a thing A and a thing B of which
one of the first ten photos for A says both, the share of the first ten that say A and not B.
"""

import argparse
import csv
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from kadr.library.library import Library

WANTED = {
    "dog": "собака", "man": "мужчина", "woman": "женщина", "people": "люди", "person": "человек",
}  # fmt: skip
UNWANTED = {
    "grass": "травы", "water": "воды", "snow": "снега", "ball": "мяча", "beach": "пляжа",
    "street": "улицы", "bike": "велосипеда", "hat": "шляпы", "leash": "поводка", "rock": "камня",
    "table": "стола", "car": "машины", "building": "здания", "kitchen": "кухни",
}  # fmt: skip
"""English, as captions name them, and Russian, as a query does after "без"."""
LIMITS = (0.02, 0.05, 0.1, 0.2, 0.4)
FIRST = 10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--russian", action="store_true")
    options = parser.parse_args()
    captions = read(options.captions)
    shares = defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch) / "photos"
        photos.mkdir()
        for path in sorted(options.folder.glob("*.jpg"))[: options.photos]:
            shutil.copy(path, photos)
        with Library.open(Path(scratch) / "library.kadr") as library:
            library.index([photos])
            for thing in WANTED:
                measure(library, thing, captions, shares, russian=options.russian)
    print(f"| way | P@{FIRST} | pairs |\n|---|---|---|")
    for way, all_ in shares.items():
        print(f"| {way} | {sum(all_) / len(all_):.3f} | {len(all_)} |")


def read(table: Path) -> dict[str, list[str]]:
    """The captions of each image, in lower case."""
    captions = defaultdict(list)
    with table.open(encoding="utf-8", newline="") as file:
        for image, caption in csv.reader(file, dialect(table)):
            captions[image].append(caption.lower())
    return captions


def dialect(table: Path) -> type[csv.Dialect]:
    """Commas, or tabs in a table of that name."""
    return csv.excel_tab if table.suffix == ".tsv" else csv.excel


def measure(
    library: Library,
    thing: str,
    captions: dict[str, list[str]],
    shares: dict[str, list[float]],
    *,
    russian: bool,
) -> None:
    """Add the shares of one wanted thing, by the way in which it was looked for."""
    wanted, without = (WANTED[thing], "без") if russian else (thing, "without")
    found = ranked(library, wanted)
    for other, genitive in UNWANTED.items():
        unwanted = genitive if russian else other
        right = {n for n in found if says(captions[n], thing) and not says(captions[n], other)}
        if len(right) < FIRST or not any(says(captions[n], other) for n in list(found)[:FIRST]):
            continue
        probable = ranked(library, unwanted)
        orders = {
            "the text as typed": list(ranked(library, f'"{wanted} {without} {unwanted}"')),
            "A - B": list(ranked(library, f"{wanted} - {unwanted}")),
            "A alone": list(found),
            f"A {without} B": list(ranked(library, f"{wanted} {without} {unwanted}")),
            "A -B": list(ranked(library, f"{wanted} -{unwanted}")),
        }
        for least in LIMITS:
            kept = [name for name in found if probable[name] < least]
            orders[f"B below {least:g}"] = kept
        for way, order in orders.items():
            shares[way].append(share(order, right))


def ranked(library: Library, query: str) -> dict[str, float]:
    """All photos for a query, best first, with their probabilities; 0 where there is none."""
    hits = library.search(query, 10**6, at_least=0).hits
    return {hit.image.path.name: hit.probability or 0.0 for hit in hits}


def says(captions: Sequence[str], thing: str) -> bool:
    """Whether a caption names the thing, or several of it."""
    return any(re.search(rf"\b{thing}(?:s|es)?\b", caption) for caption in captions)


def share(order: Sequence[str], right: set[str]) -> float:
    """The share of the first ten that are right."""
    return len(right.intersection(order[:FIRST])) / FIRST


if __name__ == "__main__":
    main()
