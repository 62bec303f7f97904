"""Prints what `mini` reaches: the table of its figures in docs/results.md.

Usage: python recipes/mini_figures.py DATA [--work FOLDER]

DATA holds flickr8k/ and search_by_query/, and, for photos of other photographers, coco/, labelled/
and words/. About fifteen minutes on 2 cores, most of it text encoding; a minute or two the second
time. The towers and the joint space have learned from no photo here; from other photos of the
things that `labelled` shows, they have. The head has learned from judgements of 700 of Flickr8k's
1,000 test images; the rows that measure it use the other 300, or heads trained anew.
"""

import argparse
import csv
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from mini_children import photos, read_captions
from mini_classes import table
from numpy.typing import NDArray
from results import show

from kadr.data import dataset, labels
from kadr.encoders import vectors
from kadr.law import policy
from kadr.library.ranking import CANDIDATES, LIKELIEST, PROBABLE, standing_limit
from kadr.library.search import AT_LEAST
from kadr.matcher import alignment
from kadr.matcher import bundle as matcher
from kadr.matcher.alignment import Joint
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings
from kadr.metrics import calibration, ranking, resampling
from kadr.study import evaluate, figures, protocols
from kadr.types import Dataset, Floats, Interval, Vectors

RUSSIAN = Path(__file__).parents[1] / "tests" / "russian_queries.txt"
TOP = 10
DRAWS = 6
NOWHERE = {
    "a washing machine": "washing machine", "a bowl of borscht": "borscht", "борщ": "borscht",
    "a vacuum cleaner": "vacuum", "пылесос": "vacuum", "a passport": "passport",
    "паспорт": "passport", "a lightning strike": "lightning", "молния": "lightning",
    "a comet": "comet", "a birthday invitation": "invitation", "a fingerprint": "fingerprint",
    "a crossword puzzle": "crossword", "a solar eclipse": "eclipse", "qwxz plomb": "plomb",
    "a sewing machine": "sewing machine", "a hamster": "hamster", "хомяк": "hamster",
    "an iguana": "iguana", "стиральная машина": "washing machine",
}  # fmt: skip
"""Absent things whose word stands in no caption of Flickr8k either, and that word."""
Flags: TypeAlias = NDArray[np.bool_]


def main() -> None:
    """Print the figures, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mini-work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cache = vectors.VectorCache(options.work / "figures.sqlite")
    archive, mini = dataset.load(options.data / "search_by_query"), matcher.load()
    print("| figure | value |\n|---|---|")
    size = sum(f.stat().st_size for f in matcher.MINI.iterdir())
    row("size on disk", f"{size / 1e6:.1f} MB")

    gallery = side(mini, [archive.test_images[n] for n in sorted(archive.test_images)], cache)
    place = {name: number for number, name in enumerate(sorted(archive.test_images))}
    english = [(q.text, place[str(q.image)]) for q in archive.test_queries]
    by_id = {q.id: q for q in archive.test_queries}
    twins = [line.split(" | ") for line in RUSSIAN.read_text(encoding="utf-8").splitlines()]
    russian = [(text, place[str(by_id[query].image)]) for query, text in twins]
    same = [(by_id[query].text, place[str(by_id[query].image)]) for query, _ in twins]
    find("test images, 500 queries", mini, gallery, english, cache)
    find(f"test images, {len(twins)} of them in Russian", mini, gallery, russian, cache)
    find(f"the same {len(twins)} in English", mini, gallery, same, cache)

    names = sorted(archive.train_images)
    place = {name: number for number, name in enumerate(names)}
    with (options.data / "flickr8k" / "captions.txt").open(encoding="utf-8", newline="") as file:
        official = [
            (line["caption"], place[line["image"]])
            for line in csv.DictReader(file)
            if line["image"] in place
        ]
    thousand = side(mini, [archive.train_images[name] for name in names], cache)
    find(f"Flickr8k, {len(names)} test images", mini, thousand, official, cache)
    other_photographers(mini, archive, options.data, cache)

    found = evaluate.evaluate(mini, archive, cache, policy=policy.PRESETS["under-16"])
    named, cross = {item.name: item for item in found.pair_figures}, found.cross_validated
    assert cross is not None
    for name in (protocols.IMAGE_DISJOINT, protocols.QUERY_DISJOINT_HEAD):
        row(f"expert ROC-AUC, {name}", show(named[name].roc_auc))
    error = named[protocols.IMAGE_DISJOINT].expected_calibration_error
    row("ECE, held-out annotated pairs", show(error))
    row("Flickr8k-Expert tau-c, 5-fold", show(cross.tau_c))
    row("Flickr8k-CF tau-b, 5-fold", show(cross.tau_b))
    retrieved_calibration(mini, archive, cache)


def other_photographers(
    mini: Matcher, archive: Dataset, data: Path, cache: vectors.VectorCache
) -> None:
    """COCO's captions, and words, among photos that are not of Flickr8k's kind."""
    coco = table(data / "coco" / "captions.tsv")
    own = sorted({line["image"] for line in coco})
    _, check = photos(data / "flickr8k", archive)
    place = {name: number for number, name in enumerate(own)}
    shown = side(mini, [data / "coco" / "images" / name for name in own], cache)
    beside = side(mini, [data / "flickr8k" / "images224" / name for name in check], cache)
    queries = [(line["text"], place[line["image"]]) for line in coco]
    name = f"COCO, {len(own)} photos among {len(own) + len(check)}, {len(queries)} captions"
    find(name, mini, both(shown, beside), queries, cache)

    labelled = [line for line in table(data / "labelled" / "labels.tsv") if line["part"] == "dev"]
    things = side(mini, [data / "labelled" / line["image"] for line in labelled], cache)
    said = [[line["text"].lower() for line in coco if line["image"] == name] for name in own]
    said += [[line["label"].lower()] for line in labelled]
    words(mini, both(shown, things), said, data / "words", cache)
    folder = data / "flickr8k" / "images224"
    more_photos(mini, both(shown, things), side(mini, sorted(folder.iterdir()), cache), data, cache)


def words(
    mini: Matcher,
    gallery: Embeddings,
    said: Sequence[Sequence[str]],
    folder: Path,
    cache: vectors.VectorCache,
) -> None:
    """What people type: P@5 of what is possible, calibration of the five shown, and absence.

    A photo fits a word if what is `said` of it fits the word's pattern.
    """
    present = table(folder / "present.tsv")
    absent = (folder / "absent.txt").read_text(encoding="utf-8").splitlines()
    found = score(mini, gallery, [*(line["query"] for line in present), *absent], cache)
    fits = np.array([
        [any(re.search(line["pattern"], text) for text in texts) for texts in said]
        for line in present
    ])  # fmt: skip
    best = np.argsort(-found[: len(present)], axis=1)[:, :5]
    right = np.take_along_axis(fits, best, axis=1)
    shares = right.sum(1) / np.minimum(5, fits.sum(1))
    for language in ("en", "ru"):
        of = shares[[line["language"] == language for line in present]]
        mean = resampling.bootstrap(partial(_mean, of), np.arange(len(of)))
        name = f"{len(of)} words ({language}) among {len(said)} photos: P@5 of what is possible"
        row(name, show(mean))
    p, truth = np.take_along_axis(found[: len(present)], best, axis=1).ravel(), right.ravel()
    owner = np.repeat(np.arange(len(present)), 5)
    error = resampling.bootstrap(partial(_calibration_error, p, truth), owner)
    high = p >= 0.7
    row(
        "words: ECE of the five shown",
        f"{show(error)}; of {high.sum()} at 0.7 or more: mean {p[high].mean():.2f}, "
        f"right {truth[high].mean():.2f}",
    )
    most = found.max(axis=1)
    there = np.arange(len(found)) < len(present)
    area = resampling.bootstrap(lambda i: ranking.roc_auc(most[i], there[i]), np.arange(len(found)))
    row(f"words: AUROC of the best probability, {len(absent)} that nothing fits", show(area))

    queries = [*(line["query"] for line in present), *absent]
    texts = encode(queries, mini, cache)
    everything = np.arange(len(said))
    told(f"all {len(said)}", told_nothing(mini, gallery, queries, texts), fits, everything)
    draws = np.random.default_rng(0)
    few = [np.sort(draws.choice(len(said), 100, replace=False)) for _ in range(DRAWS)]
    flags = [told_nothing(mini, gallery.take(rows), queries, texts) for rows in few]
    shares = np.array([absence(one, fits, rows) for one, rows in zip(flags, few, strict=True)])
    nothing(f"100 of them ({DRAWS} draws)", *shares.mean(axis=0))


def more_photos(
    mini: Matcher, gallery: Embeddings, others: Embeddings, data: Path, cache: vectors.VectorCache
) -> None:
    """Words among these photos and many of Flickr8k's, whose captions may name what was absent."""
    folder = data / "words"
    present = table(folder / "present.tsv")
    said = " ".join(
        text.lower()
        for texts in read_captions(data / "flickr8k" / "captions.txt").values()
        for text in texts
    )
    absent = [
        line
        for line in (folder / "absent.txt").read_text(encoding="utf-8").splitlines()
        if line in NOWHERE and NOWHERE[line] not in said
    ]
    queries = [*(line["query"] for line in present), *absent]
    flags = told_nothing(mini, both(gallery, others), queries, encode(queries, mini, cache))
    count = len(gallery.raw) + len(others.raw)
    nothing(
        f"{count} photos, {len(absent)} absent",
        flags[len(present) :].mean(),
        flags[: len(present)].mean(),
    )


def told(name: str, flags: Flags, fits: Flags, rows: NDArray[np.intp]) -> None:
    """A row on "nothing" among some photos."""
    nothing(name, *absence(flags, fits, rows))


def absence(flags: Flags, fits: Flags, rows: NDArray[np.intp]) -> tuple[float, float]:
    """The share that is told "nothing" of absent words, and of those that fit some of these photos.

    `flags` [words] are of those first that `fits` [present, photos] knows, then of absent ones.
    """
    count = len(fits)
    return float(flags[count:].mean()), float(flags[:count][fits[:, rows].any(axis=1)].mean())


def nothing(name: str, absent: float, present: float) -> None:
    """A row on "nothing"."""
    row(
        f"words among {name}: told that nothing matches",
        f"absent {absent:.2f}, present {present:.3f}",
    )


def told_nothing(
    mini: Matcher, gallery: Embeddings, queries: Sequence[str], texts: Embeddings
) -> Flags:
    """Whether a search answers each text that nothing matches: as `kadr.library` does it."""
    flags = []
    for number, (query, text) in enumerate(zip(queries, texts.joint.vectors, strict=True)):
        cosines = gallery.joint.vectors @ text
        candidates = gallery.take(np.argsort(-cosines, kind="stable")[:CANDIDATES])
        asked = texts.take(np.full(len(candidates.raw), number, np.intp))
        p = mini.relevance.probability(candidates, asked)
        likeliest = candidates.joint.vectors[np.argsort(-p, kind="stable")[:LIKELIEST]]
        standing = alignment.standing_out(likeliest, text, mini.alignment.thing_bank).max()
        least = standing_limit(len(gallery.raw), query)
        flags.append(bool((standing < least and p.max() < PROBABLE) or p.max() < AT_LEAST))
    return np.array(flags)


def encode(texts: Sequence[str], mini: Matcher, cache: vectors.VectorCache) -> Embeddings:
    """Texts in the joint space."""
    return mini.texts(vectors.encode_texts(mini.text_encoder, texts, cache))


def both(left: Embeddings, right: Embeddings) -> Embeddings:
    """Photos of one side and the other."""
    joint = Joint(
        np.concatenate([left.joint.vectors, right.joint.vectors]),
        np.concatenate([left.joint.density, right.joint.density]),
        left.joint.correlations,
    )
    return Embeddings(np.concatenate([left.raw, right.raw]), joint)


def side(mini: Matcher, paths: Sequence[Path], cache: vectors.VectorCache) -> Embeddings:
    """Photos in the joint space, in this order."""
    root = Path(os.path.commonpath([path.parent for path in paths]))
    files, _ = vectors.identify(paths, root, cache)
    return mini.images(vectors.encode_images(mini.image_encoder, files, cache).vectors)


def find(
    name: str,
    mini: Matcher,
    gallery: Embeddings,
    queries: Sequence[tuple[str, int]],
    cache: vectors.VectorCache,
) -> None:
    """Recall, and how well the best result tells whether the query's photo is there."""
    right = np.array([image for _, image in queries], dtype=np.intp)
    texts = mini.texts(
        vectors.encode_texts(mini.text_encoder, [text for text, _ in queries], cache)
    )
    table = mini.relevance.table(gallery, texts)
    ranks = ranking.rank_of(table, right)
    recall = figures.retrieval_figures(name, ranks, right, len(gallery.raw))
    row(f"{name}: R@1", show(recall.recall_1))
    row(f"{name}: R@5", show(recall.recall_5))
    row(f"{name}: R@10", show(recall.recall_10))
    row(
        f"{name}: AUROC of the best probability, photo there or removed",
        show(presence(table, right)),
    )
    standing = np.stack([
        alignment.standing_out(gallery.joint.vectors, text, mini.alignment.thing_bank)
        for text in texts.joint.vectors
    ])  # fmt: skip
    row(
        f"{name}: AUROC of what stands out most, photo there or removed",
        show(presence(standing, right)),
    )
    flags = told_nothing(mini, gallery, [text for text, _ in queries], texts)
    row(f"{name}: told that nothing matches", f"{flags.mean():.3f}")


def presence(table: Floats | Vectors, right: NDArray[np.intp]) -> Interval:
    """AUROC of the best of [texts, photos], with the photo `right` [texts] against without it."""
    without = table.copy()
    without[np.arange(len(right)), right] = -np.inf
    best = np.concatenate([table.max(axis=1), without.max(axis=1)])
    there = np.arange(len(best)) < len(right)
    return resampling.bootstrap(
        lambda i: ranking.roc_auc(best[i], there[i]), np.concatenate([right, right])
    )


def score(
    mini: Matcher, gallery: Embeddings, texts: Sequence[str], cache: vectors.VectorCache
) -> Floats:
    """Probabilities [texts, photos]."""
    encoded = vectors.encode_texts(mini.text_encoder, texts, cache)
    return mini.relevance.table(gallery, mini.texts(encoded))


def retrieved_calibration(mini: Matcher, archive: Dataset, cache: vectors.VectorCache) -> None:
    """ECE among the ten best of the held-out photos for each text, where people judged the pair.

    Experts' verdicts are what the probability means. The crowd's bar (most say yes) is higher: its
    row says how far the two are apart.
    """
    names = sorted(mini.manifest["split"]["held_out"])
    gallery = side(mini, [archive.train_images[name] for name in names], cache)
    queries = sorted(archive.queries)
    table = score(mini, gallery, [archive.queries[query].text for query in queries], cache)
    best: NDArray[np.intp] = np.argsort(-table, axis=1)[:, :TOP]
    experts = labels.verdicts(archive.judgements)
    shares = labels.shares(archive.votes)
    crowd = {pair: share >= 0.5 for pair, share in shares.items() if pair not in experts}
    for judges, said in (("experts", experts), ("the crowd alone", crowd)):
        judged = [
            (table[number, image], said[pair], names[image])
            for number, query in enumerate(queries)
            for image in best[number]
            if (pair := (query, names[image])) in said
        ]
        p, truth = np.array([j[0] for j in judged]), np.array([j[1] for j in judged])
        error = resampling.bootstrap(
            partial(_calibration_error, p, truth), [photo for _, _, photo in judged]
        )
        row(
            f"ECE, top {TOP} of {len(names)} held-out photos, {len(judged)} pairs that {judges} "
            "judged",
            f"{show(error)}; mean probability {p.mean():.3f}, matches {truth.mean():.3f}; "
            f"noise alone {show(noise(p))}",
        )


def noise(p: Floats) -> Interval:
    """ECE of probabilities that are right: mean and 95 % of draws of what they promise."""
    random = np.random.default_rng(0)
    draws = [
        calibration.expected_calibration_error(p, random.random(len(p)) < p)
        for _ in range(resampling.RESAMPLES)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(np.mean(draws)), float(low), float(high))


def _mean(values: Floats, rows: NDArray[np.intp]) -> float:
    return float(values[rows].mean())


def _calibration_error(p: Floats, truth: NDArray[np.bool_], rows: NDArray[np.intp]) -> float:
    return calibration.expected_calibration_error(p[rows], truth[rows])


def row(name: str, value: str) -> None:
    """One line of the table."""
    print(f"| {name} | {value} |", flush=True)


if __name__ == "__main__":
    main()
