"""Switches a library to another model and back while another process searches, and counts answers.

Usage: python benchmarks/switch.py FOLDER [--photos 1000]

FOLDER holds photos. The library is indexed by mini; `kadr index --reencode` switches it to the
tests' encoder of colours and back, each time as its own process. Meanwhile this one searches the
library that it holds open, and each answer is compared with those of both models. Exits 1 where a
search fails, or an answer is neither's.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "plugins")]

from kadr.library.library import Library  # noqa: E402 - its encoders are found by then
from kadr.matcher import bundle  # noqa: E402
from kadr.photos.folders import SUFFIXES  # noqa: E402
from libraries import colour_matcher  # noqa: E402

QUERY = "two men on a bench"
HITS = 50


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "photos").mkdir()
        for path in [p for p in sorted(options.folder.rglob("*")) if p.suffix.lower() in SUFFIXES][
            : options.photos
        ]:
            shutil.copy(path, place / "photos")
        models = {"colours": bundle.save(colour_matcher(), place / "colours"), "mini": bundle.MINI}
        sys.exit(0 if measured(place, models) else 1)


def measured(place: Path, models: dict[str, Path]) -> bool:
    """Switch there and back; whether every answer was one model's."""
    library = place / "library.kadr"
    with Library.open(library) as opened:
        opened.index([place / "photos"])
    known = {}
    for name in ("colours", "mini"):
        switch(library, models[name]).wait()
        with Library.open(library) as opened:
            known[answer(opened)] = name
    good = len(known) == 2
    print(
        "| to | photos | seconds | searches meanwhile | by the old model | by the new one |"
        " others | ms, p50 | ms, max |\n|---|---|---|---|---|---|---|---|---|"
    )
    with Library.open(library) as held:
        photos = held.totals().photos
        for name in ("colours", "mini"):
            met, times, started = Counter[str](), list[float](), time.perf_counter()
            child = switch(library, models[name])
            while child.poll() is None:
                before = time.perf_counter()
                met[known.get(answer(held), "neither")] += 1
                times.append((time.perf_counter() - before) * 1000)
            seconds = time.perf_counter() - started
            good = good and not met["neither"] and child.returncode == 0
            good = good and known.get(answer(held)) == name
            print(
                f"| {name} | {photos:,} | {seconds:.1f} | {met.total()} |"
                f" {met.total() - met[name] - met['neither']} | {met[name]} | {met['neither']} |"
                f" {statistics.median(times):.0f} | {max(times):.0f} |",
                flush=True,
            )
    return good


def switch(library: Path, model: Path) -> "subprocess.Popen[bytes]":
    """The real command."""
    paths = [str(TESTS / "plugins"), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "kadr.cli.main", "index", "--library", str(library)]
    return subprocess.Popen(
        [*command, "--model", str(model), "--reencode"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def answer(library: Library) -> tuple[tuple[str, float], ...]:
    """What a search finds, so that two answers can be compared."""
    hits = library.search(QUERY, HITS).hits
    assert len(hits) == HITS
    return tuple((hit.image.digest, round(hit.similarity, 3)) for hit in hits)


if __name__ == "__main__":
    main()
