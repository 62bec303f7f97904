"""Prints what is found of photos on whose record most of a query's words stand, and what it costs.

Usage: python benchmarks/some_words.py PHOTOS CAPTIONS [--photos 400] [--seed 0]

PHOTOS is a folder of photos under names that say nothing, CAPTIONS a table `image,caption`, such as
Flickr8k's. Thirty photos get a name and an event in their files' names, and are asked for by these
and by a thing in their captions, which is on no record. Beside half of them lies one of the same
name and event that shows other things; others have one of the two words. Thirty others are asked
for by words of their captions, of which some stand in the names of photos that show other things.
Each is asked with and without the lift, in one library.
"""

import argparse
import csv
import random
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from kadr.library.library import Library
from kadr.stores import words as on_record
from kadr.types import Floats, Hit

NAMES = ("grandma", "olga", "peter", "lena", "marco", "anna", "igor", "julia", "omar", "nina")
EVENTS = ("birthday", "wedding", "reunion", "picnic", "graduation", "anniversary")
THINGS = ("dog", "beach", "snow", "bike", "water", "grass", "ball", "horse", "rock", "car",
          "street", "mountain", "swing", "pool", "bench", "wall", "boat", "football")  # fmt: skip
QUERIES = 30
LIMIT = 50
_WORD = re.compile("[a-z]+")
_PLAIN = frozenset(
    re.findall(
        r"\S+",
        "a an the and or of in on at to with is are his her their its by for from into up while"
        " near as it that this two three some there another one",
    )
)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    captions = table(options.captions)
    photos = [path for path in sorted(options.folder.glob("*.jpg")) if path.name in captions]
    random.Random(options.seed).shuffle(photos)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "mixed"
        asked = mix(photos[: options.photos], captions, folder, random.Random(options.seed))
        with Library.open(Path(scratch) / "mixed.kadr") as library:
            library.index([folder])
            print("| asked for | queries | first without | with | difference | of 1 / place |")
            print("|---|---|---|---|---|---|")
            for kind, queries in asked.items():
                before, after = (ranks(library, queries, lift=lift) for lift in (False, True))
                print(row(kind, before, after))


def table(path: Path) -> dict[str, list[str]]:
    """Captions by photo."""
    captions: dict[str, list[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            captions.setdefault(row["image"], []).append(row["caption"])
    return captions


def words(captions: Sequence[str]) -> list[str]:
    """Words that tell something, in order."""
    found = (word for text in captions for word in _WORD.findall(text.lower()))
    return [word for word in dict.fromkeys(found) if word not in _PLAIN and len(word) > 2]


def mix(
    photos: Sequence[Path], captions: Mapping[str, Sequence[str]], folder: Path, draw: random.Random
) -> dict[str, dict[str, str]]:
    """Copy photos, some under names that tell; what is asked, by kind and by the file's name."""
    folder.mkdir(parents=True)
    shelf = _Shelf(list(photos), captions, folder)
    recorded = _recorded(shelf, draw)
    seen = _seen(shelf)
    for path in shelf.left:
        shelf.put(path, path.stem)
    return recorded | {"seen": seen}


class _Shelf:
    """Photos that have no place yet, and the folder that they are put into."""

    def __init__(
        self, left: list[Path], captions: Mapping[str, Sequence[str]], folder: Path
    ) -> None:
        self.left, self.captions, self._folder = left, captions, folder

    def take(self, wanted: Collection[str], unwanted: Collection[str] = ()) -> Path | None:
        """A photo whose captions hold these words and none of those."""
        for path in self.left:
            said = set(words(self.captions[path.name]))
            if said.issuperset(wanted) and said.isdisjoint(unwanted):
                self.left.remove(path)
                return path
        return None

    def put(self, path: Path | None, *named: str) -> str:
        """Copy it under these words; its new name."""
        if path is None:
            return ""
        target = self._folder / f"{'-'.join(named)}_{len(list(self._folder.iterdir()))}.jpg"
        shutil.copy(path, target)
        return target.name


def _recorded(shelf: _Shelf, draw: random.Random) -> dict[str, dict[str, str]]:
    """Photos with a name and an event on record, alone, and beside another one with these."""
    alone, beside = dict[str, str](), dict[str, str]()
    pairs = [(name, event) for name in NAMES for event in EVENTS]
    draw.shuffle(pairs)
    for number, (name, event) in enumerate(pairs[:QUERIES]):
        thing = THINGS[number % len(THINGS)]
        target = shelf.put(shelf.take({thing}), name, event)
        if target:
            (beside if number % 2 else alone)[target] = f"{name} {event} {thing}"
        if number % 2:
            shelf.put(shelf.take((), {thing}), name, event)
        shelf.put(shelf.take((), {thing}), event)
        shelf.put(shelf.take({thing}), draw.choice(NAMES))
    return {"alone": alone, "beside one of the same words": beside}


def _seen(shelf: _Shelf) -> dict[str, str]:
    """Photos without words on record; others have half of theirs, or two of three."""
    seen: dict[str, str] = {}
    while shelf.left and len(seen) < QUERIES:
        path = shelf.left.pop(0)
        told = words([shelf.captions[path.name][0]])[:4]
        seen[shelf.put(path, path.stem)] = " ".join(told)
        shelf.put(shelf.take((), told), told[0])
        shelf.put(shelf.take((), told), *told[-2:])
    return seen


def ranks(library: Library, queries: Mapping[str, str], *, lift: bool) -> list[int]:
    """The place of each photo for its query; LIMIT beyond."""
    kept = on_record.LONGEST_IN_PART
    on_record.LONGEST_IN_PART = kept if lift else 0
    try:
        found = [names(library.search(query, LIMIT).hits) for query in queries.values()]
    finally:
        on_record.LONGEST_IN_PART = kept
    return [
        one.index(name) if name in one else LIMIT for name, one in zip(queries, found, strict=True)
    ]


def names(hits: Sequence[Hit]) -> list[str]:
    """The files' names."""
    return [hit.image.path.name for hit in hits]


def row(kind: str, before: Sequence[int], after: Sequence[int]) -> str:
    """Share of right first hits before and after, and the paired difference with its interval."""
    one, other = (np.array([place == 0 for place in places], float) for places in (before, after))
    reciprocal = [np.array([1 / (p + 1) if p < LIMIT else 0 for p in ps]) for ps in (before, after)]
    told = f"| {kind} | {len(before)} | {one.mean():.3f} | {other.mean():.3f}"
    for left, right in ((one, other), reciprocal):
        told += f" | {(right - left).mean():+.3f} [{', '.join(interval(right - left))}]"
    return told + " |"


def interval(differences: Floats) -> tuple[str, str]:
    """95 % of the mean, by the bootstrap."""
    draws = np.random.default_rng(0).choice(differences, (10_000, len(differences))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{low:+.3f}", f"{high:+.3f}"


if __name__ == "__main__":
    main()
