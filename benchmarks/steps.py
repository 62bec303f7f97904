"""Indexes a copy of real folders, changes it step by step, and prints counts and seconds.

Usage: python benchmarks/steps.py FOLDER

FOLDER holds some thousand photos; it is copied first. Each row is one run of `kadr index`, from
process start to exit, and its counts are checked.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kadr.library.library import Library
from kadr.photos import folders

RENAMED, DELETED, CORRUPTED, ADDED = 500, 300, 50, 200


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    source = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch:
        photos, library = Path(scratch, "photos"), Path(scratch, "library.kadr")
        everything = sorted(folders.scan(source))
        random.Random(0).shuffle(everything)
        fresh, kept = everything[:ADDED], everything[ADDED:]
        for number, path in enumerate(kept):
            place = photos / f"{number % 40:02}" / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place if not place.exists() else place.with_stem(f"{number}"))
        count = len(kept)
        print("| step | seconds | encoded | known | unchanged | gone | skipped |")
        print("|---|---|---|---|---|---|---|")
        first = step("first", photos, library, lambda: None, {"files": count})
        step("again, nothing to do", photos, library, lambda: None, {"unchanged": count})
        step("again, nothing to do", photos, library, lambda: None, {"unchanged": count})
        names = sorted(path for path in photos.rglob("*.jpg"))
        random.Random(1).shuffle(names)
        renamed, gone, broken = names[:500], names[500:800], names[800:850]
        step(f"{RENAMED} renamed", photos, library, lambda: rename(renamed, photos),
             {"known": RENAMED, "gone": RENAMED, "encoded": 0})  # fmt: skip
        step(f"{DELETED} deleted", photos, library, lambda: delete(gone),
             {"gone": DELETED, "encoded": 0})  # fmt: skip
        step(f"{CORRUPTED} corrupted", photos, library, lambda: corrupt(broken),
             {"skipped": CORRUPTED, "encoded": 0})  # fmt: skip
        step(f"{ADDED} added", photos, library, lambda: add(fresh, photos), {"encoded": ADDED})
        step("again, pruned", photos, library, lambda: None, {"pruned": RENAMED + DELETED},
             "--prune")  # fmt: skip
        with Library.open(library) as opened:
            wrong = list(opened.verify())
            totals = opened.totals()
        assert wrong == [], wrong
        assert totals.files == count - DELETED - CORRUPTED + ADDED, totals
        assert totals.problems == CORRUPTED, totals
        print(f"\nverified: {totals}; first run skipped {first['skipped']}")


def step(
    name: str,
    photos: Path,
    library: Path,
    change: Callable[[], object],
    expected: dict[str, int],
    *options: str,
) -> dict[str, int]:
    """Change the folder, index it, compare the counts."""
    change()
    command = [sys.executable, "-m", "kadr.cli.main", "index", str(photos), "--json"]
    started = time.perf_counter()
    run = subprocess.run(
        [*command, "--library", str(library), *options],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - started
    found: dict[str, int] = json.loads(run.stdout)
    names = ("encoded", "known", "unchanged", "gone", "skipped")
    print(f"| {name} | {seconds:.2f} | {' | '.join(str(found[n]) for n in names)} |", flush=True)
    wrong = {n: found[n] for n, value in expected.items() if found[n] != value}
    assert not wrong, (name, wrong, expected)
    return found


def rename(paths: list[Path], photos: Path) -> None:
    """Into another folder, under another name."""
    (photos / "переименованы").mkdir()
    for number, path in enumerate(paths):
        path.rename(photos / "переименованы" / f"фото {number}.jpg")


def delete(paths: list[Path]) -> None:
    """Delete files."""
    for path in paths:
        path.unlink()


def corrupt(paths: list[Path]) -> None:
    """Cut files to a third."""
    for path in paths:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def add(paths: list[Path], photos: Path) -> None:
    """Copy files into a new folder."""
    (photos / "new").mkdir()
    for path in paths:
        shutil.copy2(path, photos / "new" / path.name)


if __name__ == "__main__":
    main()
