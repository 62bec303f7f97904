"""Times whole commands, from process start to exit, side by side in one run.

Usage: python benchmarks/commands.py ARCHIVE [--runs 5]

Prints the median and the range in seconds. ARCHIVE is the folder that holds train_dataset.csv.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        photos = options.archive / "train_images"
        train = ["train", str(options.archive), "--out", f"{scratch}/model"]
        index = ["index", str(photos)]
        search = ["search", "a dog runs in the water"]
        russian = ["search", "собака бежит по воде"]
        environment = {
            **os.environ,
            "KADR_CACHE": f"{scratch}/cache.sqlite",
            "KADR_LIBRARY": f"{scratch}/library.kadr",
        }
        show("train, cold", [clock(train, environment)])
        show("train, warm", [clock(train, environment) for _ in range(2)])
        show("index, 1,000 photos", [clock(index, environment)])
        pairs = [
            (
                clock(search, environment),
                clock(russian, environment),
                clock(index, environment),
                clock(["--help"], environment),
            )
            for _ in range(options.runs)
        ]
        for name, times in zip(
            ("search, 1,000 photos", "the same in Russian", "index, nothing to do", "--help"),
            zip(*pairs, strict=True),
            strict=True,
        ):
            show(name, list(times))


def clock(arguments: list[str], environment: dict[str, str]) -> float:
    """Seconds of one run."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "kadr.cli.main", *arguments]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def show(name: str, times: list[float]) -> None:
    """One row."""
    low, high = min(times), max(times)
    print(f"| {name} | {statistics.median(times):.2f} | {low:.2f}-{high:.2f} |", flush=True)


if __name__ == "__main__":
    main()
