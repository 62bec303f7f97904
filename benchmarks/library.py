"""Prints how fast a library of made photos answers: from process start, in process, in memory.

Usage: python benchmarks/library.py [--photos 10000 500000] [--runs 15] [--keep FOLDER]

The photos are empty files, their vectors are random mixtures of those that mini gives to drawn
scenes, so that similarities are spread as real ones are. Nothing is decoded.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kadr.data import drawn as scenes
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.photos.images import decode
from kadr.stores import NewFile, NewPhoto, open_store
from kadr.types import PhotoFacts, Vectors

QUERIES = ("a dog runs in the water", "люди катаются на лыжах", "two men on a bench", "a red car")
BATCH = 5000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, nargs="+", default=[10_000, 500_000])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--keep", type=Path, help="Make the libraries here, or use them again.")
    options = parser.parse_args()
    print(
        "| photos | process start to answer, s | the same filtered | in process, p50 ms | p95 | "
        "filtered p50 | memory, MB | bytes a photo |\n|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for count in options.photos:
            folder = (options.keep or Path(scratch)) / str(count)
            if not (folder / "library.kadr").exists():
                make(folder, count)
            row(folder / "library.kadr", count, options.runs)


def row(library: Path, count: int, runs: int) -> None:
    """Measure one library."""
    command = [sys.executable, "-m", "kadr.cli.main", "search", "--library", str(library)]
    filtered = [*command, "--after", "2010", "--before", "2020"]
    starts, filters = [], []
    for number in range(runs):
        query = QUERIES[number % len(QUERIES)]
        starts.append(clock([*command, query]))
        filters.append(clock([*filtered, query]))
    inside = json.loads(
        subprocess.run(
            [sys.executable, __file__, "--inside", str(library), str(20 * runs)],
            check=True,
            capture_output=True,
        ).stdout
    )
    cells = [f"{count:,}", spread(starts), spread(filters)]
    cells += [f"{inside[name]:.0f}" for name in ("p50", "p95", "filtered", "memory")]
    print(f"| {' | '.join(cells)} | {library.stat().st_size / count:.0f} |", flush=True)


def spread(times: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def inside(library: Path, runs: int) -> None:
    """Search in this process, and print milliseconds and megabytes as JSON."""
    from kadr.types import Filters

    with Library.open(library, create=False) as opened:
        window = Filters(after="2010-01-01T00:00:00", before="2020-01-01T00:00:00")
        opened.search("warm")
        plain = [ask(opened, number, None) for number in range(runs)]
        narrow = [ask(opened, number, window) for number in range(runs // 5)]
    memory = peak()
    p50, p95 = np.percentile(plain, [50, 95])
    figures = {"p50": p50, "p95": p95, "filtered": float(np.median(narrow)), "memory": memory}
    print(json.dumps(figures))


def peak() -> float:
    """Megabytes that this process has held at most; on Linux without what its parent held."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ask(library: Library, number: int, window: object) -> float:
    """Milliseconds of one search; each has its own text."""
    text = f"{QUERIES[number % len(QUERIES)]} {number}"
    started = time.perf_counter()
    found = library.search(text, filters=window)  # type: ignore[arg-type]
    assert len(found.hits) == 10
    return (time.perf_counter() - started) * 1000


def clock(command: list[str]) -> float:
    """Seconds of one run; exit 1 means that nothing matches well."""
    started = time.perf_counter()
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    assert code in {0, 1}
    return time.perf_counter() - started


def make(folder: Path, count: int) -> None:
    """Write a library of so many made photos, below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    mini = matcher.load()
    seeds, random = drawn(mini), np.random.default_rng(0)
    store = open_store(folder / "library.kadr", create=True)
    store.note(encoder=mini.image_encoder.name, model="", space=mini.alignment.digest())
    photos = folder.resolve() / "photos"
    store.add_folder(photos)
    for start in range(0, count, BATCH):
        place = photos / f"{start:07}"
        place.mkdir(parents=True)
        numbers = range(start, min(start + BATCH, count))
        mixed = mixtures(seeds, len(numbers), random)
        joint = mini.alignment.images(mixed).vectors
        new, files = [], []
        for number, vector, where in zip(numbers, mixed, joint, strict=True):
            path = place / f"{number:07}.jpg"
            os.close(os.open(path, os.O_CREAT))
            digest = hashlib.sha256(str(number).encode()).digest()
            month = f"{2000 + number % 25}-{1 + number % 12:02}-15T12:00:00"
            facts = PhotoFacts("jpeg", 4000, 3000, month, f"camera {number % 7}", None, None)
            new.append(NewPhoto(digest, None, facts, number, vector, where))
            files.append(NewFile(path, 0, path.stat().st_mtime_ns, digest))
        store.keep(new, files)
    store.close()


def drawn(mini: matcher.Matcher) -> Vectors:
    """Vectors of some drawn scenes."""
    encoder = mini.image_encoder
    with tempfile.TemporaryDirectory() as scratch:
        scenes.generate(Path(scratch) / "scenes", images=60, seed=1)
        paths = sorted(Path(scratch, "scenes").rglob("*.jpg"))
        return encoder.encode([encoder.prepare(decode(path, encoder.size)) for path in paths])


def mixtures(seeds: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """Random mixtures [count, dim] of three of the rows, with noise."""
    rows = random.integers(len(seeds), size=(count, 3))
    weights = random.dirichlet((1, 1, 1), count).astype(np.float32)
    mixed = np.einsum("ij,ijk->ik", weights, seeds[rows])
    noise = random.normal(0, seeds.std(0) * 0.7, mixed.shape)
    return np.asarray(mixed + noise, np.float32)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
