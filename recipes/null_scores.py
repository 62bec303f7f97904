"""Prints how well probabilities without judgements agree with judgements, and fits their slopes.

Usage: python recipes/null_scores.py DATA [--work FOLDER]

DATA holds flickr8k/ and search_by_query/. Three pairs of encoders: `mini`, and two whose space is
learned from Flickr8k's captions (EfficientNet-Lite2 with e5, and with TF-IDF of 400 components).
No judgement of a pair is used for it: its slopes are fitted to what experts said of 700 training
photos, as the other two pairs see them, and it is measured on 300 held-out ones. Needs the
research extra. Ten minutes on 2 cores, a minute the second time.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mini_children import photos, read_captions
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from kadr.data import dataset, labels
from kadr.encoders import load_image_encoder, load_text_encoder, vectors
from kadr.matcher import alignment, bundle, label_free, reference_texts
from kadr.matcher.null_scores import NullScores
from kadr.matcher.relevance import Embeddings
from kadr.metrics import calibration, ranking
from kadr.study import train
from kadr.types import Dataset, Floats, Vectors

CAPTIONS = 2
"""Of each photo, to learn a joint space from."""
TOP = 10
LIBRARIES = (300, 100, 20, 0)
"""So many photos are known as those that a text is asked of."""


@dataclass(frozen=True)
class Pair:
    """Two encoders' vectors in their joint space: archive's photos, its queries, captions."""

    name: str
    photos: Vectors
    queries: Vectors
    captions: Vectors


@dataclass(frozen=True)
class Judged:
    """What experts said: rows of queries [n] and of photos [n], and the verdicts [n]."""

    queries: NDArray[np.intp]
    photos: NDArray[np.intp]
    verdicts: NDArray[np.bool_]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mini-work"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cache = vectors.VectorCache(options.work / "null-scores.sqlite")
    archive = dataset.load(options.data / "search_by_query")
    names = sorted(archive.train_images)
    training, held = train.split(names, 0.3, train.Config().seed)
    fold = {"training": rows_of(training, names), "held out": rows_of(held, names)}
    said = {name: judged(archive, [names[row] for row in rows]) for name, rows in fold.items()}
    pairs = encode(archive, options.data, cache)

    taught = {pair.name: figures(pair, fold["training"], 300) for pair in pairs}
    print("| pair | library | Brier | ECE | ECE, top 10 | mean, matches | ROC-AUC |")
    print("|---|---|---|---|---|---|---|")
    for count in LIBRARIES:
        for pair in pairs:
            others = [taught[other.name] for other in pairs if other is not pair]
            held_out = figures(pair, fold["held out"], count)
            fitted = fit(others, said["training"])
            measure(f"{pair.name} | {count}", fitted, held_out, said["held out"])
    everything = fit(list(taught.values()), said["training"])
    print("slopes", everything.coef_.round(3), "intercept", everything.intercept_.round(3))


def rows_of(chosen: Sequence[str], names: Sequence[str]) -> NDArray[np.intp]:
    """Where names stand in a sorted list."""
    return np.searchsorted(names, sorted(chosen)).astype(np.intp)


def judged(archive: Dataset, names: Sequence[str]) -> Judged:
    """The experts' verdicts on pairs of these photos."""
    queries = {query: row for row, query in enumerate(sorted(archive.queries))}
    place = {name: row for row, name in enumerate(names)}
    known = [
        (queries[query], place[image], verdict)
        for (query, image), verdict in labels.verdicts(archive.judgements).items()
        if query in queries and image in place
    ]
    left, right, verdicts = zip(*known, strict=True)
    return Judged(np.array(left), np.array(right), np.array(verdicts, np.bool_))


def encode(archive: Dataset, data: Path, cache: vectors.VectorCache) -> list[Pair]:
    """The three pairs."""
    learn, _ = photos(data / "flickr8k", archive)
    written = read_captions(data / "flickr8k" / "captions.txt")
    told = [(name, text) for name in learn for text in written[name][:CAPTIONS]]
    texts = [text for _, text in told]
    queries = [archive.queries[query].text for query in sorted(archive.queries)]
    asked = [queries, reference_texts.captions()]

    mini = bundle.load()
    own = sorted(archive.train_images)
    seen = mini.images(pixels("mini", archive.train_images[own[0]].parent, own, cache))
    rows = [mini.texts(vectors.encode_texts(mini.text_encoder, part, cache)) for part in asked]
    found = [Pair("mini", seen.joint.vectors, *(part.joint.vectors for part in rows))]

    shown = np.sqrt(pixels("efficientnet-lite2", data / "flickr8k" / "images224", learn, cache))
    place = {name: row for row, name in enumerate(learn)}
    left = shown[[place[name] for name, _ in told]]
    ours = np.sqrt(pixels("efficientnet-lite2", archive.train_images[own[0]].parent, own, cache))
    e5 = load_text_encoder("e5")
    counter = TfidfVectorizer(min_df=2, ngram_range=(1, 2), sublinear_tf=True)
    basis = TruncatedSVD(400, random_state=0).fit(counter.fit_transform(texts))
    for name, view in (
        ("Lite2, e5", lambda part: vectors.encode_texts(e5, part, cache)),
        ("Lite2, TF-IDF", lambda part: basis.transform(counter.transform(part)).astype(np.float32)),
    ):
        space = alignment.fit(left, view(texts), image_ridge=1.0, text_ridge=0.3)
        rest = (space.texts(view(part)).vectors for part in asked)
        found.append(Pair(name, space.images(ours).vectors, *rest))
    return found


def pixels(spec: str, folder: Path, names: Sequence[str], cache: vectors.VectorCache) -> Vectors:
    """Photos of a folder as an encoder sees them, in this order."""
    files, _ = vectors.identify([folder / name for name in names], folder, cache)
    return vectors.encode_images(load_image_encoder(spec), files, cache).vectors


def figures(pair: Pair, rows: NDArray[np.intp], count: int) -> Floats:
    """Every query with photos of these rows, `count` of them known: [queries, photos, 3]."""
    space = label_free.shared(pair.captions)
    seen, said = pair.photos[rows], pair.queries
    drawn = np.random.default_rng(0).choice(len(rows), min(count, len(rows)), replace=False)
    scores = NullScores.learn(space.text_bank).among(seen[drawn], space.text_bank)
    images, texts = Embeddings(seen, space.images(seen)), Embeddings(said, space.texts(said))
    table = [
        scores.figures(images, texts.take(np.full(len(seen), row, np.intp))).T
        for row in range(len(said))
    ]
    return np.stack(table)


def fit(taught: Sequence[Floats], said: Judged) -> LogisticRegression:
    """Slopes for what experts said of pairs of encoders."""
    rows = np.concatenate([part[said.queries, said.photos] for part in taught])
    return LogisticRegression(C=10, max_iter=500).fit(rows, np.tile(said.verdicts, len(taught)))


def measure(name: str, fitted: LogisticRegression, table: Floats, said: Judged) -> None:
    """A row of the table."""
    whole = fitted.predict_proba(table.reshape(-1, 3))[:, 1].reshape(table.shape[:2])
    p, truth = whole[said.queries, said.photos], said.verdicts
    least = -np.partition(-whole, TOP - 1, axis=1)[:, TOP - 1]
    top = p >= least[said.queries]
    error = calibration.expected_calibration_error
    cells = (
        name,
        f"{np.mean((p - truth) ** 2):.4f}",
        f"{error(p, truth):.3f}",
        f"{error(p[top], truth[top]):.3f} ({top.sum()})",
        f"{p[top].mean():.2f}, {truth[top].mean():.2f}",
        f"{ranking.roc_auc(p, truth):.3f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
