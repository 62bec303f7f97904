"""Prints what reviewing gives: what decisions teach the classifier, and which order is the best.

Usage: python recipes/review_figures.py DATA [--work FOLDER]

DATA holds flickr8k/, coco/, labelled/ and search_by_query/. Photos are development photos alone:
900 of Flickr8k's dev split (of which the classifier's networks learned from 450), COCO's 159, and
Caltech's 1,212. About four minutes on one core; vectors are kept in the work folder.

Decisions are made by captions: hide where 3 of 5 name a child, allow where none does, the rest is
left out. Caltech's photos show no child. What decisions teach is repeated with 20 seeds; figures
are means, of the photos that nobody decided about. The order is compared once, in a library of all
these photos and of 100 bursts.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from mini_children import CHILD, encode, read_captions, share
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from kadr.data import dataset
from kadr.encoders import vectors
from kadr.encoders.mini import MiniImages
from kadr.law import copies, learning, scene
from kadr.law.calibration import Calibration
from kadr.law.learning import Quality, Reviewed
from kadr.law.policy import PRESETS
from kadr.photos.images import decode
from kadr.types import Floats, Vectors

LAW = PRESETS["under-16"]
SEEDS = 20
BURSTS, FRAMES = 100, 3
"""Photos of which a burst is made, and frames that are added to each."""
AFTER = (0, 25, 50, 100, 200)
Rows: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True)
class Library:
    """Photos: vectors, log-odds of the scene, and whether a child is in them; all [n]."""

    vectors: Vectors
    odds: Floats
    child: NDArray[np.bool_]

    @property
    def p(self) -> Floats:
        """Probabilities, float64 [n]."""
        return scene.probability(self.odds)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mini-work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cache = vectors.VectorCache(options.work / "review.sqlite")
    known = photographs(options.data)
    flickr = library({"flickr": known["flickr"]}, cache)
    mixed = library(known, cache)
    for name, photos in (("Flickr8k", flickr), ("Flickr8k, COCO and Caltech", mixed)):
        teach(name, photos)
    order(with_bursts(mixed, known))


def photographs(data: Path) -> Mapping[str, tuple[Path, Mapping[str, float]]]:
    """Folder, and share of captions that name a child by photo, of each source."""
    archive = dataset.load(data / "search_by_query")
    captions = read_captions(data / "flickr8k" / "captions.txt")
    forbidden = {*archive.test_images, *archive.train_images}
    folder = data / "flickr8k" / "images224"
    names = (data / "flickr8k" / "dev.txt").read_text(encoding="utf-8").split()
    dev = [name for name in names if name not in forbidden and (folder / name).exists()]
    others: dict[str, list[str]] = defaultdict(list)
    for row in table(data / "coco" / "captions.tsv"):
        others[row["image"]].append(row["text"])
    things = [r["image"] for r in table(data / "labelled" / "labels.tsv") if r["part"] == "dev"]
    return {
        "flickr": (folder, {name: share(captions[name]) for name in dev}),
        "coco": (data / "coco" / "images", {name: share(texts) for name, texts in others.items()}),
        "caltech": (data / "labelled", dict.fromkeys(things, 0.0)),
    }


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def clear(shares: Mapping[str, float]) -> list[str]:
    """Photos that show a child by most captions, or by none."""
    return [name for name, named in shares.items() if named == 0 or named >= CHILD]


def library(
    known: Mapping[str, tuple[Path, Mapping[str, float]]], cache: vectors.VectorCache
) -> Library:
    """The clear photos of these sources."""
    rows, child = [], []
    for folder, shares in known.values():
        names = clear(shares)
        rows.append(encode(folder, names, cache))
        child += [shares[name] >= CHILD for name in names]
    return made(np.concatenate(rows), np.array(child))


def made(rows: Vectors, child: NDArray[np.bool_]) -> Library:
    """A library of photos by their vectors."""
    return Library(rows, scene.load().log_odds(rows), child)


# What decisions teach.


def teach(name: str, photos: Library) -> None:
    """A row for each number of decisions: before and after, on photos that nobody decided about."""
    print(f"\n{name}: {len(photos.odds)} photos, {photos.child.sum()} of children\n")
    print("| decisions | sample | adopted | Brier | recall | over-blocking |")
    print("|---|---|---|---|---|---|")
    for count in (50, 100, 200, 500):
        for sampled in (0, 50, 100):
            runs = [taught(photos, count, sampled, seed) for seed in range(SEEDS)]
            if known := [run for run in runs if run is not None]:
                row(known, sampled)
        if known and known[0][0] < count:
            break  # there are no more doubts


def row(runs: Sequence[tuple[int, Quality, Quality | None]], sampled: int) -> None:
    """Means over the seeds; what isn't adopted changes nothing."""
    pairs = [(old, new or old) for _, old, new in runs]
    adopted = sum(new is not None for *_, new in runs)
    figures = [
        f"{np.mean([getattr(old, name) for old, _ in pairs]):.3f} to "
        f"{np.mean([getattr(new, name) for _, new in pairs]):.3f}"
        for name in ("brier", "recall", "over_blocking")
    ]
    decisions = np.mean([count for count, *_ in runs])
    print(f"| {decisions:.0f} | {sampled} | {adopted} of {SEEDS} | {' | '.join(figures)} |")


def taught(
    photos: Library, count: int, sampled: int, seed: int
) -> tuple[int, Quality, Quality | None] | None:
    """Decisions about doubts, and on the other photos before and after; None: they are too few."""
    drawn = np.random.default_rng(seed).permutation(len(photos.odds))
    pool, test = np.split(drawn, [int(0.6 * len(drawn))])
    doubts, shown = pool[is_doubt(photos.p[pool])], pool[photos.p[pool] < LAW.review]
    chosen = doubts[np.argsort(by_shown(photos.p[doubts]))][:count]
    looked = np.concatenate([chosen, shown[:sampled]])
    weights = np.ones(len(looked))
    if sampled:
        stands = (len(shown) / min(sampled, len(shown))) / (len(doubts) / len(chosen))
        weights[len(chosen) :] = min(stands, learning._HEAVIEST)
    before = Calibration("simulated")
    scaled = weights / weights.mean()
    reviewed = Reviewed(photos.odds[looked], photos.child[looked], scaled, sampled)
    try:
        learned = learning.lesson(reviewed, before, LAW.review)
    except learning.TooFewDecisionsError:
        return None
    rest = Reviewed(photos.odds[test], photos.child[test], np.ones(len(test)))
    old, new = (
        learning.quality(rest, own.corrected(rest.odds), LAW.review)
        for own in (before, learned.calibration)
    )
    return len(chosen), old, None if learned.objection else new


def is_doubt(p: Floats) -> NDArray[np.bool_]:
    """Whether a person must look."""
    return np.asarray((p >= LAW.review) & (p < LAW.hide))


# Which order is the best.


def by_middle(p: Floats) -> Floats:
    """Least first: nearest to the middle between the limits."""
    return np.abs(p - (LAW.review + LAW.hide) / 2)


def by_limits(p: Floats) -> Floats:
    """Least first: nearest to a limit."""
    return np.minimum(np.abs(p - LAW.review), np.abs(p - LAW.hide))


def by_shown(p: Floats) -> Floats:
    """Least first: nearest to being shown."""
    return p


ORDERS: Mapping[str, tuple[bool, Callable[[Floats], Floats]]] = {
    "nearest to the middle": (False, by_middle),
    "large groups first, then nearest to the middle": (True, by_middle),
    "nearest to a limit": (False, by_limits),
    "large groups first, then nearest to a limit": (True, by_limits),
    "the least probable first": (False, by_shown),
    "large groups first, then the least probable": (True, by_shown),
}
"""Whether groups of near duplicates come by size, and what orders them."""


def with_bursts(photos: Library, known: Mapping[str, tuple[Path, Mapping[str, float]]]) -> Library:
    """The library with frames beside some of its photos: moved a little, and darker or lighter."""
    random, encoder = np.random.default_rng(0), MiniImages()
    paths = [folder / name for folder, shares in known.values() for name in clear(shares)]
    chosen = np.repeat(random.choice(len(paths), BURSTS, replace=False), FRAMES)
    frames = [encoder.prepare(frame(decode(paths[one], 224), random)) for one in chosen]
    parts = [encoder.encode(frames[start : start + 64]) for start in range(0, len(frames), 64)]
    rows = np.concatenate([photos.vectors, *parts])
    return made(rows, np.concatenate([photos.child, photos.child[chosen]]))


def frame(photo: Image.Image, random: np.random.Generator) -> Image.Image:
    """The photo a moment later."""
    width, height = photo.size
    left, top = (int(random.integers(0, 1 + side // 16)) for side in photo.size)
    moved = photo.crop((left, top, width - width // 16 + left, height - height // 16 + top))
    return ImageEnhance.Brightness(moved).enhance(float(random.uniform(0.85, 1.15)))


def order(photos: Library) -> None:
    """A row for each order: what is wrong, and what is left, after so many looks."""
    unit = photos.vectors / np.linalg.norm(photos.vectors, axis=1, keepdims=True)
    near = unit @ unit.T >= copies.ALIKE
    print(f"\n{len(photos.odds)} photos, {is_doubt(photos.p).sum()} wait\n")
    print(f"| order | {' | '.join(f'after {count}' for count in AFTER)} |")
    print(f"|{'---|' * (len(AFTER) + 1)}")
    for name, how in ORDERS.items():
        print(f"| {name} | {' | '.join(reviewed_in(photos, near, how))} |", flush=True)


def reviewed_in(
    photos: Library, near: NDArray[np.bool_], how: tuple[bool, Callable[[Floats], Floats]]
) -> list[str]:
    """Shares of photos wrongly shown and withheld, and photos left, after each number of looks."""
    decided = np.zeros(len(photos.odds), np.bool_)
    cells = [state(photos, decided)]
    for look in range(1, AFTER[-1] + 1):
        waiting = np.flatnonzero(~decided & is_doubt(photos.p))
        decided[take(photos, near, waiting, how)] = True
        if look in AFTER:
            cells.append(state(photos, decided))
    return cells


def take(
    photos: Library,
    near: NDArray[np.bool_],
    waiting: Rows,
    how: tuple[bool, Callable[[Floats], Floats]],
) -> Rows:
    """The next photo, with those near duplicates for which the same decision is right."""
    groups, key = how
    sizes = near[np.ix_(waiting, waiting)].sum(axis=1) if groups else np.zeros(len(waiting))
    first = waiting[np.lexsort((key(photos.p[waiting]), -sizes))[0]]
    alike = waiting[near[first, waiting]]
    return np.union1d(alike[photos.child[alike] == photos.child[first]], [first])


def state(photos: Library, decided: NDArray[np.bool_]) -> str:
    """Such as "0.021 + 0.182, 250 left": wrongly shown, wrongly withheld, left."""
    shown = np.where(decided, ~photos.child, photos.p < LAW.review)
    missed, over = (shown & photos.child).mean(), (~shown & ~photos.child).mean()
    return f"{missed:.3f} + {over:.3f}, {(~decided & is_doubt(photos.p)).sum()} left"


if __name__ == "__main__":
    main()
