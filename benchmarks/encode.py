"""Prints what encoding by way of Parquet costs, beside indexing: CPU seconds of all processes.

Usage: python benchmarks/encode.py FOLDER [--rounds N] [--ray] [--part N]

FOLDER holds photos. Both are run as a person runs them, from nothing, in turn, and the ratio is
taken within each round. A round also compares both libraries.
"""

import argparse
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Seconds of the processors and of the clock."""

    cpu: float
    wall: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", default="1000")
    parser.add_argument("--ray", action="store_true", help="on a Ray of this machine too")
    options = parser.parse_args()
    engines = [("native", []), ("Ray", ["--ray", "local"])][: 2 if options.ray else 1]
    ratios: dict[str, list[float]] = {name: [] for name, _ in engines}
    print("| round | way | encode, CPU s (wall) | load, CPU s | together | of kadr index |")
    print("|---|---|---|---|---|---|")
    for number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory() as scratch:
            plain = Path(scratch, "plain.kadr")
            index = run(options.folder, "--library", plain, command="index")
            print(f"| {number} | kadr index | | | {index.cpu:.1f} ({index.wall:.1f}) | 1 |")
            for name, more in engines:
                out, library = Path(scratch, name), Path(scratch, f"{name}.kadr")
                how = (*more, "--part", options.part)
                encode = run(options.folder, "--to", out, *how, command="encode")
                load = run(
                    "--from", out, "--at", options.folder, "--library", library, command="index"
                )
                ratio = (encode.cpu + load.cpu) / index.cpu
                ratios[name].append(ratio)
                bytes_ = sum(path.stat().st_size for path in out.glob("*.parquet"))
                print(
                    f"| {number} | {name} | {encode.cpu:.1f} ({encode.wall:.1f}) | {load.cpu:.1f} |"
                    f" {encode.cpu + load.cpu:.1f} | {ratio:.3f} |", flush=True,
                )  # fmt: skip
                same = photos(plain) == photos(library)
            print(f"\nthe same photos and vectors: {same}; {bytes_ / 1e6:.2f} MB of Parquet\n")
    for name, found in ratios.items():
        print(f"{name}: median {statistics.median(found):.3f} of kadr index's CPU seconds")


def run(*arguments: object, command: str) -> Cost:
    """What a command takes, with the processes that it starts and waits for."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "kadr.cli.main", command, *map(str, arguments)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.monotonic() - started)


def photos(library: Path) -> set[tuple[object, ...]]:
    """What two libraries must have in common."""
    base = sqlite3.connect(library)
    try:
        return set(
            base.execute(
                "SELECT path, size, modified, digest, hash, texts, taken, vector, scene"
                " FROM files f JOIN photos p ON p.id = f.photo JOIN vectors v ON v.photo = p.id"
                " LEFT JOIN assessments a ON a.photo = p.id"
            )
        )
    finally:
        base.close()


if __name__ == "__main__":
    main()
