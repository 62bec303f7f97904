"""Prints how fast photos are encoded, beside decoding alone and the model alone.

Usage: python benchmarks/index.py FOLDER [--rounds N]

FOLDER holds photos. All three share the cores, so encoding can't be faster than
1 / (1 / decode + 1 / model). The rounds alternate, and the ratio is taken within each.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadr.encoders import vectors
from kadr.matcher import bundle as matcher
from kadr.photos import folders, images


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    encoder = matcher.load().image_encoder
    paths = list(folders.scan(options.folder))
    cache = vectors.VectorCache(Path(":memory:"))
    files, _ = vectors.identify(paths, options.folder, cache)

    def prepare(path: Path) -> NDArray[np.uint8]:
        return encoder.prepare(images.decode(path, encoder.size))

    with ThreadPoolExecutor() as pool:
        pixels = list(pool.map(prepare, paths[: vectors.BATCH]))
        encoder.encode(pixels)  # loads the model
        rounds = []
        for _ in range(options.rounds):
            decode = rate(len(paths), lambda: list(pool.map(prepare, paths)))
            model = rate(
                len(paths), lambda: [encoder.encode(pixels) for _ in paths[:: vectors.BATCH]]
            )
            both = rate(
                len(paths),
                lambda: vectors.encode_images(
                    encoder, files, vectors.VectorCache(Path(":memory:"))
                ),
            )
            rounds.append((decode, model, both, both * (1 / decode + 1 / model)))
    print("| decode alone | model alone | encode | share of the bound |\n|---|---|---|---|")
    for row in rounds:
        print("| {:.0f}/s | {:.0f}/s | {:.0f}/s | {:.0%} |".format(*row))
    print(f"median share of the bound: {statistics.median(r[-1] for r in rounds):.0%}")


def rate(photos: int, work: Callable[[], object]) -> float:
    """Photos per second."""
    start = time.perf_counter()
    work()
    return photos / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
