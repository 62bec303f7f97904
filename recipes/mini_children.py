"""Makes src/kadr/models/mini/children.npz: tells from a photo's vectors whether a child is in it.

Usage: python recipes/mini_children.py DATA [--work FOLDER]

DATA holds flickr8k/ (captions.txt, train.txt, dev.txt, images224/), search_by_query/ and labelled/.
Needs the extra `faces`. About twenty minutes on one core: vectors of photos 3, of their parts 12,
faces of 450 photos 1, networks 3; vectors and faces are kept in the work folder.

A photo of Flickr8k counts by the shares of its five captions that name nobody, adults only, and a
child, so that a caption which says "girl" where four say "woman" is weighed and not believed. The
networks learn from all photos that the towers of `mini` learned from: beside Flickr8k's those of
things and animals, whose captions (`classes.txt`, `things.txt`) name nobody. Those photos' vectors
are better than a new photo's, so noise is added to them, and calibration and the ages' evidence are
fitted on the 450 development photos that no tower has seen. No photo of the archive takes part.

Prints what came out of it on photos for development: of Flickr8k, of things, of COCO. The figures
on test photos are those of `law_figures.py`.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from children_networks import Lesson, learn
from mini_classes import CLASSES, THINGS, read, table
from people import names_person
from PIL import Image

from kadr.data import dataset
from kadr.encoders import vectors
from kadr.encoders.mini import MiniImages
from kadr.law import scene
from kadr.law.faces import Faces
from kadr.law.scene import WEIGHTS, Evidence, Look, SceneClassifier, save
from kadr.law.words import names_child
from kadr.metrics import ranking
from kadr.photos.images import decode
from kadr.types import Dataset, Floats, Vectors

CHILD = 0.6
"""A photo shows a child where so many of its captions name one, 3 of 5; none where none does."""
CHECKED = 450
FIRST, SECOND = (6, 128), (6, 96)
"""Networks, and units of each, of the first look and the second."""
THINGS_WEIGHT = 0.3
"""What a photo of a thing counts, beside one of Flickr8k: with 1 children are found less well."""
UNSURE = (0.05, 0.9)
"""Where the first look's probability lies between these, a second is taken."""
READ = 400
"""Photos are decoded at this many pixels a side or more, before their parts are cut."""
PERSON = 0.5
"""A photo shows somebody where more of its captions say so."""
HOLD_PEOPLE = frozenset(
    {"wheelchair", "inline skate", "accordion", "euphonium", "saxophone", "maillot"}
)
"""Things that somebody wears, plays or sits in on many of their photos."""
YOUNGEST, OLDEST = 4.0, 40.0
"""Apparent ages beyond these say no more."""
WIDE = (640, 480)
"""Flickr8k's photos came squashed to squares; this is what most of them were before."""
RIDGE = 1.0
RECALL = 0.95
"""Of photos with children, that a person should see or nobody."""


@dataclass(frozen=True)
class Seen:
    """Photos as both looks see them, and what their captions say.

    `rows` float32 [n, 256] and `parts` [n, 5, 256] are vectors. `child` and `person` float64 [n]
    are shares of a photo's captions that name one.
    """

    rows: Vectors
    parts: Vectors
    child: Floats
    person: Floats


def main() -> None:
    """Make the file, and print what it says of photos for development."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mini-work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    folder = options.data / "flickr8k"
    captions = read_captions(folder / "captions.txt")
    learned, checked = photos(folder, dataset.load(options.data / "search_by_query"))
    images = folder / "images224"
    look = Looker(options.work)
    known = look.at("learned", images, learned, [captions[name] for name in learned])
    check = look.at("checked", images, checked, [captions[name] for name in checked])
    nobody = look.at("things", options.data / "labelled", *things(options.data / "labelled"))
    first, second = (
        calibrated(learn(lesson(known, nobody, view), *size), view(check), check)
        for view, size in ((whole, FIRST), (parted, SECOND))
    )
    made = SceneClassifier(MiniImages().name, "", first, second, UNSURE, NO_EVIDENCE)
    ages = apparent_ages(images, checked, options.work / "ages.npy")
    odds = odds_of(made, check)
    evidence = fit_evidence([captions[name] for name in learned], odds, check.child, ages)
    save(WEIGHTS, replace(made, evidence=evidence))
    print(evidence)
    propose("Flickr8k, development", made, check)
    propose("COCO", made, look.at("coco", *coco(options.data / "coco")))
    rest = look.at(
        "things-dev", options.data / "labelled", *things(options.data / "labelled", "dev")
    )
    propose("things, development", made, rest)


NO_EVIDENCE = Evidence(0, 0, 0, 0, 0, YOUNGEST, OLDEST)
"""Until it is fitted."""


class Looker:
    """Gives photos' vectors, and those of their parts; keeps them in a folder."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._cache = vectors.VectorCache(work / "cache.sqlite")

    def at(
        self, kept: str, folder: Path, names: Sequence[str], captions: Sequence[Sequence[str]]
    ) -> Seen:
        """Photos, in this order."""
        return Seen(
            encode(folder, names, self._cache),
            self._parts(self._work / f"parts-{kept}.npy", [folder / name for name in names]),
            np.array([share(texts) for texts in captions]),
            np.array([np.mean([names_person(text) for text in texts]) for texts in captions]),
        )

    def _parts(self, kept: Path, paths: Sequence[Path]) -> Vectors:
        if not kept.exists():
            found = []
            for number, path in enumerate(paths):
                found.append(scene.look_at_parts(decode(path, READ)))
                if number % 500 == 0:
                    print(f"{kept.stem}: {number}/{len(paths)}", flush=True)
            np.save(kept, np.stack(found))
        return np.asarray(np.load(kept))


def things(folder: Path, part: str = "train") -> tuple[list[str], list[list[str]]]:
    """Photos of things and animals without people, and their captions: names, captions."""
    named = read(CLASSES) if part == "train" else []
    captions = {one.label: one.caption for one in read(THINGS)}
    rows = [row for row in table(folder / "labels.tsv") if row["part"] == part]
    # Two classes may share a label (crane, maillot): their order tells them apart.
    of_class = [one.caption for one in named]
    told = [*of_class, *(captions[row["label"]] for row in rows[len(of_class) :])]
    kept = [
        (row["image"], caption)
        for row, caption in zip(rows, told, strict=True)
        if not names_person(caption) and row["label"] not in HOLD_PEOPLE
    ]
    return [image for image, _ in kept], [[caption] for _, caption in kept]


def coco(folder: Path) -> tuple[Path, list[str], list[list[str]]]:
    """Folder, names and captions of other photographers' photos."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in table(folder / "captions.tsv"):
        found[row["image"]].append(row["text"])
    return folder / "images", list(found), list(found.values())


def whole(seen: Seen) -> Vectors:
    """What the first look takes."""
    return seen.rows


def parted(seen: Seen) -> Vectors:
    """What the second look takes."""
    return scene.together(seen.rows, seen.parts)


def lesson(known: Seen, nobody: Seen, view: Callable[[Seen], Vectors]) -> Lesson:
    """What networks learn: photos of Flickr8k, and of things."""
    child = np.concatenate([known.child, nobody.child])
    person = np.concatenate([np.maximum(known.person, known.child), nobody.person])
    return Lesson(
        rows=np.vstack([view(known), view(nobody)]),
        target=np.stack([1 - person, person - child, child], axis=1).astype(np.float32),
        weight=np.repeat([1.0, THINGS_WEIGHT], [len(known.child), len(nobody.child)]),
    )


def calibrated(look: Look, rows: Vectors, truth: Seen) -> Look:
    """The same, its log-odds of a child given a person fitted to photos that show somebody."""
    there = truth.person > PERSON
    _, child = look.parts(rows[there])
    slope, offset = logistic(child[:, None], truth.child[there])
    return replace(look, slope=float(slope), offset=float(offset))


def odds_of(made: SceneClassifier, seen: Seen) -> Floats:
    """Log-odds after both looks, float64 [n]."""
    first = made.log_odds(seen.rows)
    return np.where(made.is_unsure(first), made.second_log_odds(seen.rows, seen.parts), first)


def read_captions(path: Path) -> Mapping[str, list[str]]:
    """Photo -> its captions."""
    found: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            found[line["image"]].append(line["caption"])
    return found


def photos(folder: Path, archive: Dataset) -> tuple[list[str], list[str]]:
    """Photos to learn from, and those to check choices on.

    The archive's photos are Flickr8k's test split and 100 of its development split: neither.
    """
    forbidden = {*archive.test_images, *archive.train_images}

    def usable(split: str) -> list[str]:
        names = (folder / split).read_text(encoding="utf-8").split()
        return [n for n in names if n not in forbidden and (folder / "images224" / n).exists()]

    development = usable("dev.txt")
    return usable("train.txt") + development[CHECKED:], development[:CHECKED]


def encode(folder: Path, names: Sequence[str], cache: vectors.VectorCache) -> Vectors:
    """Vectors of photos in this order, float32 [n, 256]."""
    files, skipped = vectors.identify([folder / name for name in names], folder, cache)
    found = vectors.encode_images(MiniImages(), files, cache)
    if skipped or found.skipped:
        raise ValueError(f"{folder}: photos that can't be read: {[*skipped, *found.skipped]}")
    return found.vectors


def share(captions: Sequence[str]) -> float:
    """Of a photo's captions, those that name a child."""
    return float(np.mean([names_child(caption) for caption in captions]))


def apparent_ages(folder: Path, names: Sequence[str], kept: Path) -> Floats:
    """The youngest apparent age of each photo, NaN where no face was found: float64 [n]."""
    if not kept.exists():
        look = Faces()
        found = [
            look.find(decode(folder / name, 224).resize(WIDE, Image.Resampling.BICUBIC))
            for name in names
        ]
        np.save(kept, np.array([min(ages, default=np.nan) for ages in found]))
    return np.asarray(np.load(kept))


def logistic(columns: Floats, target: Floats, offset: Floats | float = 0.0) -> Floats:
    """Coefficients of columns [n, k] and a constant, by Newton's method: float64 [k + 1].

    With targets in [0, 1]; a ridge of `RIDGE` photos keeps rare columns in place.
    """
    rows = np.column_stack([columns, np.ones(len(columns))])
    found = np.zeros(rows.shape[1])
    ridge = RIDGE * np.eye(len(found))
    for _ in range(50):
        p = 1 / (1 + np.exp(-(rows @ found + offset)))
        slope = rows.T @ (p - target) + ridge @ found
        found = found - np.linalg.solve((rows.T * (p * (1 - p))) @ rows + ridge, slope)
    return np.asarray(found, dtype=np.float64)


def fit_evidence(
    captions: Sequence[Sequence[str]], odds: Floats, truth: Floats, ages: Floats
) -> Evidence:
    """What words and ages add. Words: captions of photos that were learned; ages: held back."""
    faces = ~np.isnan(ages)
    younger = np.where(faces, 16 - np.clip(np.nan_to_num(ages), YOUNGEST, OLDEST), 0)
    per_year, face, no_face = logistic(np.column_stack([younger, faces]), truth, odds)
    return Evidence(
        prior=float(np.log(truth.mean() / (1 - truth.mean()))),
        word=word_evidence(captions),
        no_face=float(no_face),
        face=float(face + no_face),
        per_year=float(per_year),
        youngest=YOUNGEST,
        oldest=OLDEST,
    )


def word_evidence(captions: Sequence[Sequence[str]]) -> float:
    """How much likelier, in logarithms, a text names a child where one is than where none is.

    Each caption is the text once, and the other four are the truth.
    """
    named = np.array([[names_child(caption) for caption in texts] for texts in captions])
    others = named.sum(axis=1, keepdims=True) - named
    return float(np.log(named[others >= 3].mean() / named[others == 0].mean()))


def propose(name: str, made: SceneClassifier, seen: Seen) -> None:
    """Print recall and over-blocking at some limits, by the first look and after the second."""
    child, none, nobody = seen.child >= CHILD, seen.child == 0, seen.person == 0
    first = made.log_odds(seen.rows)
    print(f"\n{name}: second look at {made.is_unsure(first).mean():.2f} of {len(first)} photos")
    for look, odds in (("first look", first), ("both looks", odds_of(made, seen))):
        p = scene.probability(odds)
        if child.any():
            clear = child | none
            print(f"{look}: ROC-AUC {ranking.roc_auc(p[clear], child[clear]):.4f}")
        for limit in (0.1, 0.15, 0.2, 0.3, 0.5, 0.8):
            rates = [
                f"{what} {(p[group] >= limit).mean():.3f}"
                for what, group in (
                    ("child", child),
                    ("none", none),
                    ("adults only", none & (seen.person > PERSON)),
                    ("nobody", nobody),
                )
                if group.any()
            ]
            print(f"  {look}, from {limit}: {', '.join(rates)}")


if __name__ == "__main__":
    main()
