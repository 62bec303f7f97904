"""Prints what judging costs a search beside the rest: milliseconds of CPU, medians.

Usage: python benchmarks/judging.py [--dim 512]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from kadr.library.ranking import CANDIDATES, LIKELIEST
from kadr.matcher import label_free
from kadr.matcher.alignment import standing_out
from kadr.matcher.null_scores import PHOTOS, NullScores
from kadr.matcher.relevance import Embeddings
from kadr.types import Vectors

ROUNDS = 300


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=512)
    dim = parser.parse_args().dim
    random = np.random.default_rng(0)
    captions, things, photos = (units(random, count, dim) for count in (1000, 1074, PHOTOS))
    space = label_free.shared(captions)
    scores = NullScores.learn(space.text_bank).among(photos, captions)
    images = Embeddings(photos[:CANDIDATES], space.images(photos[:CANDIDATES]))
    one = np.zeros(CANDIDATES, np.intp)
    texts = Embeddings(captions[:1], space.texts(captions[:1])).take(one)
    print("| what | ms |\n|---|---|")
    row("whether a photo stands out", lambda: standing_out(photos[:LIKELIEST], photos[0], things))
    row("probability without judgements", lambda: scores.probability(images, texts))
    row("the library's photos, once", lambda: scores.among(photos, captions))


def units(random: np.random.Generator, count: int, dim: int) -> Vectors:
    """Random unit vectors [count, dim]."""
    rows = random.normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def row(name: str, call: Callable[[], object]) -> None:
    """A row of the table."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        call()
        times.append((time.process_time() - started) * 1000)
    print(f"| {name} | {statistics.median(times):.2f} |", flush=True)


if __name__ == "__main__":
    main()
