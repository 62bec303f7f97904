"""Kills indexing at random instants, and looks whether anything is lost.

Usage: python benchmarks/kill.py FOLDER [--kills 200] [--seed 0]

FOLDER holds photos; some hundred are enough. `kadr index` runs as its own process with the shipped
matcher and is killed (SIGKILL) at an instant drawn anew each time from the length of a whole run,
start-up and making the library included. After each kill the library must open and contradict
itself nowhere, and keep what it had. When a run ends by itself, the library is compared with that
of a run that nobody disturbed, and the next kills get a new library. Exits 1 where they differ.
"""

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kadr.stores.sqlite import SqliteStore
from kadr.types import Vectors

CLOSE = 1e-4
"""Batches of other sizes may round a vector's last digits differently."""


@dataclass
class Tally:
    """What was counted."""

    kills: int = 0
    early: int = 0
    torn: int = 0
    before_any: int = 0
    completed: int = 0
    differences: int = 0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch, "whole.kadr")
        seconds = undisturbed(options.folder, whole)
        tally, number = Tally(), 0
        instants = random.Random(options.seed)
        while tally.kills < options.kills:
            library = Path(scratch, f"{number}.kadr")
            disturb(options.folder, library, tally, options.kills, instants, seconds)
            differing = differences(library, whole)
            tally.completed += 1
            tally.differences += len(differing)
            for line in differing:
                print(line, file=sys.stderr)
            number += 1
    print(
        "| kills | before the library was made | before a photo was kept | within a write |"
        " libraries completed | differences | seconds |\n|---|---|---|---|---|---|---|"
    )
    print(
        f"| {tally.kills} | {tally.early} | {tally.before_any} | {tally.torn} | {tally.completed} |"
        f" {tally.differences} | {time.perf_counter() - started:.0f} |"
    )
    sys.exit(1 if tally.differences else 0)


def start(folder: Path, library: Path) -> "subprocess.Popen[bytes]":
    """The real command."""
    command = [sys.executable, "-m", "kadr.cli.main", "index", str(folder)]
    return subprocess.Popen(
        [*command, "--library", str(library), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def undisturbed(folder: Path, library: Path) -> float:
    """Seconds that a run takes by itself."""
    started = time.perf_counter()
    if start(folder, library).wait():
        raise SystemExit(f"kadr index {folder} fails by itself")
    return time.perf_counter() - started


def disturb(
    folder: Path,
    library: Path,
    tally: Tally,
    kills: int,
    instants: random.Random,
    seconds: float,
) -> None:
    """Kill and start again, until a run ends by itself."""
    kept = 0
    while True:
        run = start(folder, library)
        if tally.kills < kills:
            try:
                run.wait(timeout=instants.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
                tally.kills += 1
                kept = examine(library, kept, tally)
                continue
        if run.wait():
            raise SystemExit(f"{library}: kadr index fails after a kill (exit {run.returncode})")
        return


def examine(library: Path, kept: int, tally: Tally) -> int:
    """How many photos the library holds after a kill; what is wrong with it counts."""
    tally.torn += torn(library.with_name(library.name + "-wal"))  # opening would mend it
    if not library.exists() or not is_made(library):
        tally.early += 1
        return kept
    store = SqliteStore(str(library))
    problems, photos = store.check(), store.totals().photos
    store.close()
    if photos < kept:
        problems.append(f"{kept - photos} photos that were kept are lost")
    for problem in problems:
        print(f"after kill {tally.kills}: {problem}", file=sys.stderr)
    tally.differences += len(problems)
    tally.before_any += not photos
    return photos


def is_made(library: Path) -> bool:
    """Whether the first transaction is in the file."""
    base = sqlite3.connect(library)
    (version,) = base.execute("PRAGMA user_version").fetchone()
    base.close()
    return bool(version)


def torn(log: Path) -> bool:
    """Whether the write-ahead log ends within a transaction (sqlite.org/fileformat2.html, 4)."""
    if not log.exists() or log.stat().st_size <= 32:
        return False
    raw = log.read_bytes()
    page = int.from_bytes(raw[8:12])
    frames = [raw[at : at + 24] for at in range(32, len(raw), page + 24)]
    current = [frame for frame in frames if frame[8:16] == raw[16:24]]  # others are left over
    whole = (len(raw) - 32) % (page + 24) == 0
    return bool(current) and not (whole and int.from_bytes(current[-1][4:8]))


def differences(library: Path, whole: Path) -> list[str]:
    """What two libraries don't have in common; empty where they are equal."""
    ours, theirs = contents(library), contents(whole)
    found = [f"{path!r}: only in one" for path in ours.keys() ^ theirs.keys()]
    for path in ours.keys() & theirs.keys():
        (facts, vector, row), (facts_, vector_, row_) = ours[path], theirs[path]
        if facts != facts_:
            found.append(f"{path!r}: {facts} instead of {facts_}")
        elif not np.allclose(vector, vector_, atol=CLOSE):
            found.append(f"{path!r}: another vector, by {np.abs(vector - vector_).max():.2g}")
        elif not np.allclose(row, row_, atol=0.01):
            found.append(f"{path!r}: another row of the scan")
    return found


def contents(
    library: Path,
) -> dict[bytes, tuple[tuple[object, ...], Vectors, Vectors]]:
    """By path: what is known of the file and its photo, the vector, the row of the scan."""
    store = SqliteStore(str(library))
    assert store.check() == []
    scan = store.scan()
    store.close()
    rows = dict(zip(scan.photos.tolist(), scan.vectors * scan.scales[:, None], strict=True))
    base = sqlite3.connect(library)
    found = base.execute(
        "SELECT path, p.id, vector, size, modified, missing, f.problem, digest, encoded, p.problem,"
        " kind, width, height, taken, camera, latitude, longitude, hash FROM files f"
        " LEFT JOIN photos p ON p.id = f.photo LEFT JOIN vectors v ON v.photo = p.id"
    ).fetchall()
    base.close()
    nothing = np.zeros(1, np.float32)
    return {
        path: (tuple(facts), np.frombuffer(vector or b"", np.float32), rows.get(number, nothing))
        for path, number, vector, *facts in found
    }


if __name__ == "__main__":
    main()
