"""Makes src/kadr/models/mini/children.npz: tells from a photo's vector whether a child is in it.

Usage: python recipes/mini_children.py DATA [--work FOLDER]

DATA holds flickr8k/ (captions.txt, train.txt, dev.txt, images224/) and search_by_query/. Needs the
extra `faces`. About four minutes on one core: vectors 2, faces of 450 photos 1, networks 1; vectors
and faces are kept in the work folder.

An image counts by the share of its five captions that name a child, so that a caption which says
"girl" where four say "woman" is weighed and not believed. The networks learn from all photos that
the towers of `mini` learned from. Those photos' vectors are better than a new photo's, so noise is
added to them, and calibration, the ages' evidence and the limits are fitted on the 450 development
photos that no tower has seen. No photo of the archive takes part.

Expect on those 450 photos ROC-AUC 0.94 (at least 3 of 5 captions name a child, against none), and
at recall 0.95 a quarter of the photos without a child above the limit; `law_figures.py` measures.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kadr.data import dataset
from kadr.encoders import vectors
from kadr.encoders.mini import MiniImages
from kadr.law import assessor
from kadr.law.faces import Faces
from kadr.law.scene import WEIGHTS, Evidence, SceneClassifier, save
from kadr.law.words import names_child
from kadr.metrics import ranking
from kadr.photos.images import decode
from kadr.types import Dataset, Floats, Vectors

CHILD = 0.6
"""A photo shows a child where so many of its captions name one, 3 of 5; none where none does."""
CHECKED = 450
MEMBERS, UNITS = 6, 128
EPOCHS, BATCH, RATE = 40, 64, 2e-3
DECAY, DROPPED = 0.05, 0.5
NOISE = 1.5
"""Standard deviation of the noise, in those of the vectors' directions together."""
YOUNGEST, OLDEST = 4.0, 40.0
"""Apparent ages beyond these say no more."""
WIDE = (640, 480)
"""Flickr8k's photos came squashed to squares; this is what most of them were before."""
RIDGE = 1.0
RECALL = 0.95
"""Of photos with children, that a person should see or nobody."""


def main() -> None:
    """Make the file, and print the limits that the 450 photos propose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mini-work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    folder = options.data / "flickr8k"
    captions = read_captions(folder / "captions.txt")
    learn, check = photos(folder, dataset.load(options.data / "search_by_query"))
    cache = vectors.VectorCache(options.work / "cache.sqlite")
    learned, checked = (encode(folder / "images224", names, cache) for names in (learn, check))
    ages = apparent_ages(folder / "images224", check, options.work / "ages.npy")
    target, truth = (
        np.array([share(captions[name]) for name in names]) for names in (learn, check)
    )
    raw = network(learned, target)
    odds = np.maximum(checked @ raw[0].astype(np.float64) + raw[1], 0) @ raw[2] + raw[3]
    slope, offset = logistic(odds[:, None], truth)
    evidence = fit_evidence([captions[name] for name in learn], slope * odds + offset, truth, ages)
    scene = SceneClassifier(
        encoder=MiniImages().name,
        version="",
        hidden=raw[0],
        hidden_bias=raw[1],
        out=(raw[2] * slope).astype(np.float32),
        bias=float(raw[3] * slope + offset),
        evidence=evidence,
    )
    save(WEIGHTS, scene)
    propose(scene, checked, truth, ages)


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


def network(rows: Vectors, target: Floats) -> tuple[NDArray[np.float16], Vectors, Vectors, float]:
    """Networks with one hidden layer side by side: `hidden`, `hidden_bias`, `out`, `bias`.

    Together they give the mean of their log-odds.
    """
    mean = rows.mean(axis=0)
    scale = float(np.sqrt(((rows - mean) ** 2).mean()))
    scaled = ((rows - mean) / scale).astype(np.float32)
    members = [train(scaled, target.astype(np.float32), seed) for seed in range(MEMBERS)]
    hidden = (np.hstack([member[0] for member in members]) / scale).astype(np.float16)
    bias = np.concatenate([member[1] for member in members]) - mean @ hidden.astype(np.float32)
    out = np.concatenate([member[2] for member in members]) / np.float32(MEMBERS)
    constant = float(np.mean([member[3] for member in members]))
    return hidden, bias.astype(np.float32), out.astype(np.float32), constant


def train(rows: Vectors, target: Vectors, seed: int) -> list[Vectors]:
    """One network, by Adam (Kingma and Ba 2015) with decoupled weight decay: cross-entropy.

    Noise on the rows and dropped units keep it from learning photos by heart.
    """
    random = np.random.default_rng(seed)
    dim = rows.shape[1]
    weights = [
        random.normal(0, dim**-0.5, (dim, UNITS)).astype(np.float32),
        np.zeros(UNITS, np.float32),
        random.normal(0, UNITS**-0.5, UNITS).astype(np.float32),
        np.zeros(1, np.float32),
    ]
    first, second = [0 * w for w in weights], [0 * w for w in weights]
    steps = EPOCHS * (len(rows) // BATCH)
    for step in range(1, steps + 1):
        chosen = random.integers(0, len(rows), BATCH)
        batch = rows[chosen] + random.normal(0, NOISE, (BATCH, dim)).astype(np.float32)
        slopes = gradients(weights, batch, target[chosen], random)
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        for at, slope in enumerate(slopes):
            first[at] = 0.9 * first[at] + 0.1 * slope
            second[at] = 0.999 * second[at] + 0.001 * slope**2
            moved = first[at] / (1 - 0.9**step)
            moved = moved / (np.sqrt(second[at] / (1 - 0.999**step)) + 1e-8)
            decay = DECAY * weights[at] if at in (0, 2) else 0
            weights[at] = (weights[at] - rate * (moved + decay)).astype(np.float32)
    return weights


def gradients(
    weights: Sequence[Vectors], rows: Vectors, target: Vectors, random: np.random.Generator
) -> list[Vectors]:
    """Of the mean cross-entropy of a batch, for each of the weights."""
    hidden, hidden_bias, out, bias = weights
    units = np.maximum(rows @ hidden + hidden_bias, 0)
    kept = (random.random(units.shape, dtype=np.float32) > DROPPED) / np.float32(1 - DROPPED)
    dropped = units * kept
    error = (1 / (1 + np.exp(-(dropped @ out + bias))) - target) / len(rows)
    back = error[:, None] * out * kept * (units > 0)
    return [rows.T @ back, back.sum(axis=0), dropped.T @ error, error.sum(keepdims=True)]


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


def propose(scene: SceneClassifier, rows: Vectors, truth: Floats, ages: Floats) -> None:
    """Print what the limits could be, without faces and with all of them."""
    clear = (truth == 0) | (truth >= CHILD)
    child = truth[clear] >= CHILD
    for name, looked in (("scene", False), ("scene and faces", True)):
        odds = scene.log_odds(rows)
        if looked:
            seen = [() if np.isnan(age) else (float(age),) for age in ages]
            odds = odds + [assessor.age_evidence(scene.evidence, faces) for faces in seen]
        p = (1 / (1 + np.exp(-odds)))[clear]
        print(f"{name}: ROC-AUC {ranking.roc_auc(p, child):.3f} on {len(p)} photos")
        for wanted in (0.9, RECALL, 0.97, 0.98):
            limit = float(np.quantile(p[child], 1 - wanted))
            print(f"  recall {wanted}: limit {limit:.3f}, {(p[~child] >= limit).mean():.3f} more")
        for limit in (0.5, 0.6, 0.7, 0.8, 0.9):
            above = p >= limit
            print(f"  from {limit}: recall {above[child].mean():.3f}, {above[~child].mean():.3f}")
    print(scene.evidence)


if __name__ == "__main__":
    main()
