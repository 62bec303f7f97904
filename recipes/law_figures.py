"""Prints how well the law finds photos with children: the tables of "The law" in docs/results.md.

Usage: python recipes/law_figures.py DATA [--work FOLDER] [--review P] [--hide P]

DATA holds flickr8k/captions.txt and search_by_query/. About six minutes on 2 cores, most of it
faces (the extra `faces`; without it those rows are left out); vectors and faces are kept in the
work folder. Nothing here was used to fit or to choose anything. The rows of the scene alone look at
parts of every photo, to tell what that is worth; how many deserve it is printed.

Truth are the five captions of a photo: at least 3 name a child, or none does; the rest is reported
apart. Where a caption stands for the photo's title, the other four are the truth (at least 3, or
none).
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from mini_children import CHILD, READ, RECALL, Looker, read_captions
from numpy.typing import NDArray
from people import names_person
from results import show

from kadr.data import dataset
from kadr.errors import MissingExtraError
from kadr.law import faces, policy, scene
from kadr.law.assessor import joined
from kadr.law.words import names_child
from kadr.metrics import calibration, ranking, resampling
from kadr.photos.images import decode
from kadr.types import Floats, Interval

Flags = NDArray[np.bool_]
Ages = tuple[float, ...]
LIMITS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Of the curve."""
YOUNG = (16.0, 20.0, 25.0)
"""Apparent ages below which a face could count as a child's."""
BLOCKED = (0.05, 0.08, 0.12, 0.2)
"""Shares of photos without a child, at which recall is told."""
GROUPS = {
    "baby, toddler": r"bab(?:y|ies)|toddlers?|infants?",
    "boy": r"boys?",
    "girl": r"girls?",
    "teenager, youth": r"teen\w*|youths?",
    "man": r"m[ae]n|guys?|gentlem[ae]n",
    "woman": r"wom[ae]n|lady|ladies",
}
"""Words of sex and age: a photo is of a group where at least 3 captions name it."""
TIMED = 40
"""Photos by which a second look is timed."""
FEW = 5
"""Of fewer photos no share is told."""
NOBODY = 1000.0
"""Stands for the age where no face was found."""


@dataclass(frozen=True)
class Photos:
    """Photos and what is known of them; `named` bool [n, 5]: which captions name a child.

    `first` and `second` float64 [n] are the log-odds of both looks; `ages` are those of each
    photo's faces, None where nobody looked.
    """

    names: Sequence[str]
    captions: Sequence[Sequence[str]]
    named: Flags
    first: Floats
    second: Floats
    ages: Sequence[Ages] | None

    @property
    def share(self) -> Floats:
        """Of a photo's captions, those that name a child: float64 [n]."""
        return np.asarray(self.named.mean(axis=1))

    @property
    def odds(self) -> Floats:
        """What the scene says: the second look where the first is unsure."""
        return np.where(scene.load().is_unsure(self.first), self.second, self.first)


@dataclass(frozen=True)
class Limits:
    """From which probability a photo is reviewed, and hidden."""

    review: float
    hide: float


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mini-work"))
    law = policy.PRESETS["under-16"]
    parser.add_argument("--review", type=float, default=law.review)
    parser.add_argument("--hide", type=float, default=law.hide)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    limits = Limits(options.review, options.hide)
    archive = dataset.load(options.data / "search_by_query")
    captions = read_captions(options.data / "flickr8k" / "captions.txt")
    for name, images in (
        ("Flickr8k's official test photos", archive.train_images),
        ("the archive's test images", archive.test_images),
    ):
        print(f"\n### {name}\n")
        report(look(images, captions, options.work), limits)


def look(images: Mapping[str, Path], captions: Mapping[str, list[str]], work: Path) -> Photos:
    """What every layer says of photos."""
    names = sorted(images)
    folder = images[names[0]].parent
    said = [captions[name] for name in names]
    seen = Looker(work).at(f"law-{folder.name}", folder, names, said)
    print_cost([images[name] for name in names[:TIMED]])
    named = [[names_child(caption) for caption in texts] for texts in said]
    ages = apparent_ages(images, names, work / "law-ages.json")
    made = scene.load()
    second = made.second_log_odds(seen.rows, seen.parts)
    return Photos(names, said, np.array(named), made.log_odds(seen.rows), second, ages)


def print_cost(paths: Sequence[Path]) -> None:
    """Print what a second look takes."""
    scene.look_at_parts(decode(paths[0], READ))  # loads the encoder
    start = time.process_time()
    for path in paths:
        scene.look_at_parts(decode(path, READ))
    spent = (time.process_time() - start) / len(paths)
    print(f"A second look takes {spent * 1000:.0f} ms of CPU a photo, with opening it.\n")


def apparent_ages(
    images: Mapping[str, Path], names: Sequence[str], kept: Path
) -> Sequence[Ages] | None:
    """Ages of each photo's faces, None without the extra; kept as long as nothing changes."""
    try:
        finder = faces.Faces()
    except MissingExtraError as error:
        print(f"Faces are left out: {error}\n")
        return None
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in names:
        key = f"{finder.version} {name}"
        if key not in known:
            known[key] = finder.find(decode(images[name], faces.SIDE))
    kept.write_text(json.dumps(known), encoding="utf-8")
    return [tuple(known[f"{finder.version} {name}"]) for name in names]


def report(photos: Photos, limits: Limits) -> None:
    """Print the tables of one set of photos."""
    child, none = photos.share >= CHILD, photos.share == 0
    clear = child | none
    print(
        f"{child.sum()} with a child, {none.sum()} without, {(~clear).sum()} unclear. "
        f"Review from {limits.review:g}, hide from {limits.hide:g}.\n"
    )
    head(
        "layer",
        "ROC-AUC",
        "recall, review or hide",
        "over-blocking",
        "recall, hide",
        "over-blocking, hide",
    )
    every = layers(photos, limits)
    for name, odds in every.items():
        layer(name, odds, photos, limits)
    if photos.ages is not None:
        by_age(photos, photos.ages)
    titled(photos, limits)
    print()
    by_kind(photos, limits)
    by_words(photos, limits)
    print()
    head("of those unclear", "review or hide", "hide")
    for name, odds in every.items():
        p = scene.probability(odds)[~clear]
        cell(name, f"{(p >= limits.review).mean():.3f}", f"{(p >= limits.hide).mean():.3f}")
    for name, odds in every.items():
        p, truth = scene.probability(odds)[clear], child[clear]
        curve(name, p, truth)
        print_calibration(name, p, truth)


def layers(photos: Photos, limits: Limits, named: Flags | None = None) -> dict[str, Floats]:
    """Log-odds by the layers that speak, float64 [n].

    `named` bool [n]: whose text names a child; None: no photo has a text.
    """
    if named is None:
        named = np.zeros(len(photos.names), np.bool_)
    found = {
        "scene, first look": together(photos.first, named),
        "scene": together(photos.odds, named),
        "scene, parts of every photo": together(photos.second, named),
    }
    if photos.ages is not None:
        looked = together(photos.odds, named, photos.ages)
        p = scene.probability(found["scene"])
        unsure = (p >= limits.review) & (p <= limits.hide)
        found["scene; faces where unsure"] = np.where(unsure, looked, found["scene"])
        found["scene and faces"] = looked
    return found


def together(seen: Floats, named: Flags, ages: Sequence[Ages] | None = None) -> Floats:
    """What the law makes of scenes [n], texts [n], and ages where faces were looked for."""
    evidence = scene.load().evidence
    every: Sequence[Ages | None] = ages or [None] * len(seen)
    return np.array([
        joined(evidence, float(odds), named=bool(text), faces=faces)
        for odds, text, faces in zip(seen, named, every, strict=True)
    ])  # fmt: skip


def layer(name: str, odds: Floats, photos: Photos, limits: Limits) -> None:
    """One row: all figures of a layer."""
    p = scene.probability(odds)
    child, none = photos.share >= CHILD, photos.share == 0
    clear = np.flatnonzero(child | none)
    auc = resampling.bootstrap(
        lambda i: ranking.roc_auc(p[clear[i]], child[clear[i]]), np.array(photos.names)[clear]
    )
    cells = [show(auc)]
    for limit in (limits.review, limits.hide):
        cells += [show(rate(p >= limit, group)) for group in (child, none)]
    cell(name, *cells)


def by_age(photos: Photos, ages: Sequence[Ages]) -> None:
    """Rows of faces alone: the youngest orders photos; plain limits of age; any face."""
    child, none = photos.share >= CHILD, photos.share == 0
    clear = np.flatnonzero(child | none)
    youngest = np.array([min(one, default=NOBODY) for one in ages])
    auc = resampling.bootstrap(
        lambda i: ranking.roc_auc(-youngest[clear[i]], child[clear[i]]), np.arange(len(clear))
    )
    for limit in (*YOUNG, NOBODY):
        name = f"looks under {limit:g}" if limit < NOBODY else "is found"
        rates = [show(rate(youngest < limit, group)) for group in (child, none)]
        cell(f"a face {name}", show(auc) if limit == YOUNG[0] else "", *rates, "", "")


def by_kind(photos: Photos, limits: Limits) -> None:
    """A table: what is withheld of photos without anybody, with adults only, with a child."""
    people = np.array([np.mean([names_person(t) for t in texts]) for texts in photos.captions])
    kinds = {
        "nobody in any caption": people == 0,
        "adults only (3 of 5 name a person, none a child)": (people >= CHILD) & (photos.share == 0),
        "a child (3 of 5)": photos.share >= CHILD,
    }
    deserve = scene.load().is_unsure(photos.first)
    head("photos", "count", "withheld, first look", "withheld", "hidden", "second look")
    for name, group in kinds.items():
        odds = ((photos.first, limits.review), (photos.odds, limits.review))
        rates = [rate(scene.probability(o) >= limit, group) for o, limit in odds]
        rates += [rate(scene.probability(photos.odds) >= limits.hide, group), rate(deserve, group)]
        cell(name, str(group.sum()), *(show(one) for one in rates))


def by_words(photos: Photos, limits: Limits) -> None:
    """A table of errors by words of sex and age: photos with a child, and those without."""
    withheld = scene.probability(photos.odds) >= limits.review
    print()
    head("3 of 5 captions say", "with a child: withheld", "without: withheld in vain")
    for name, pattern in GROUPS.items():
        word = re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
        said = [np.mean([bool(word.search(t)) for t in texts]) for texts in photos.captions]
        group = np.array(said) >= CHILD
        cells = [
            f"{show(rate(withheld, kind))} of {kind.sum()}"
            if kind.sum() >= FEW
            else f"{kind.sum()} photos"
            for kind in (group & (photos.share >= CHILD), group & (photos.share == 0))
        ]
        cell(name, *cells)


def titled(photos: Photos, limits: Limits) -> None:
    """Rows of words: one caption stands for the photo's title, the other four are the truth."""
    others = photos.named.sum(axis=1, keepdims=True) - photos.named
    every = [layers(photos, limits, titles) for titles in photos.named.T]
    rows = {
        "a title's words": np.where(photos.named, np.inf, -np.inf),
        "scene, by the titles' truth": np.repeat(photos.odds[:, None], len(every), axis=1),
    }
    for name in every[0]:
        rows[f"a title's words, {name}"] = np.stack([one[name] for one in every], axis=1)
    for name, odds in rows.items():
        p = scene.probability(odds)
        cells = []
        for limit in (limits.review, limits.hide):
            cells += [show(rate(p >= limit, group)) for group in (others >= 3, others == 0)]
        cell(name, "", *cells)


def rate(flags: Flags, group: Flags) -> Interval:
    """Share of flags in a group, both [n] or [n, captions]; resampled by photo."""
    photo = np.repeat(np.arange(len(flags)), flags[0].size)[group.ravel()]
    chosen = flags.ravel()[group.ravel()]
    return resampling.bootstrap(lambda rows: float(chosen[rows].mean()), photo)


def curve(name: str, p: Floats, truth: Flags) -> None:
    """What each limit gives, and how far the photos are from what was asked."""
    print(f"\n{name}, the curve:\n")
    head("limit", "recall", "over-blocking")
    for limit in LIMITS:
        cell(f"{limit:g}", *(show(rate(p >= limit, group)) for group in (truth, ~truth)))
    figures: list[tuple[str, Callable[..., float]]] = [
        *((f"recall at over-blocking {share:g}", partial(_recall, share)) for share in BLOCKED),
        (f"over-blocking at recall {RECALL:g}", _over),
    ]
    for what, figure in figures:
        print(
            f"\n{what}: {show(resampling.bootstrap(partial(figure, p, truth), np.arange(len(p))))}"
        )


def _recall(share: float, p: Floats, truth: Flags, rows: NDArray[np.intp]) -> float:
    chosen, known = p[rows], truth[rows]
    return float((chosen[known] > np.quantile(chosen[~known], 1 - share)).mean())


def _over(p: Floats, truth: Flags, rows: NDArray[np.intp]) -> float:
    chosen, known = p[rows], truth[rows]
    limit = np.quantile(chosen[known], 1 - RECALL, method="lower")
    return float((chosen[~known] >= limit).mean())


def print_calibration(name: str, p: Floats, truth: Flags) -> None:
    """Probabilities beside what came true."""
    error = resampling.bootstrap(
        lambda i: calibration.expected_calibration_error(p[i], truth[i], bins=10), np.arange(len(p))
    )
    print(f"\n{name}, calibration: ECE {show(error)}\n")
    head("photos", "mean probability", "share with a child")
    for one in calibration.reliability(p, truth, bins=10):
        cell(str(one.count), f"{one.mean_probability:.3f}", f"{one.share_true:.3f}")


def head(*names: str) -> None:
    """The head of a table."""
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def cell(*cells: str) -> None:
    """A row of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
