"""What a version makes, kept so that every later one must read it: tests/releases/VERSION.

Usage: python recipes/release_files.py

A library of five drawn photos under a law, with a decision, a collection and an audit log, and a
matcher trained on a drawn archive. Run once for each release, before the version is raised.
"""

import gzip
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

import kadr
from kadr import Library, TrainConfig, VectorCache, load_dataset, train_matcher
from kadr.law.review import Decision
from kadr.library import collection
from kadr.matcher import bundle
from kadr.types import Ruling

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
COLOURS = ("red", "green", "blue", "yellow", "white")


def main() -> None:
    """Write both beside the tests."""
    from archives import write_archive

    target = ROOT / "tests" / "releases" / kadr.__version__
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        library_of(folder)
        with (
            (folder / "photos.kadr").open("rb") as plain,
            gzip.GzipFile(target / "photos.kadr.gz", "wb", mtime=0) as packed,
        ):
            shutil.copyfileobj(plain, packed)
        shutil.copy(folder / "photos.kadr.audit.key", target)
        shutil.copytree(folder / "photos", target / "photos")
        archive = load_dataset(write_archive(folder / "archive", images=24))
        config = TrainConfig(text_encoder="tfidf", policy="none")
        trained = train_matcher(archive, config, VectorCache(":memory:"))
        bundle.save(trained.matcher, target / "matcher")


def library_of(folder: Path) -> None:
    """Five photos: one hidden, one of a collection, one with a name that tells."""
    photos = folder / "photos"
    photos.mkdir()
    for colour in COLOURS:
        picture = Image.new("RGB", (160, 120), "grey")
        ImageDraw.Draw(picture).ellipse((40, 20, 120, 100), fill=colour)
        picture.save(photos / f"{colour} ball 2021-05-17.jpg")
    with Library.open(folder / "photos.kadr", policy="under-16") as library:
        library.index(photos)
        found = list(library.store.all_photos())
        for photo in found:
            decision: Decision = "hide" if photo is found[0] else "allow"
            ruling = Ruling(decision, "anna", "2026-11-29T12:00:00", "looked at")
            library.rule(photo.digest.hex(), ruling)
        collection.make(library.store, "balls")
        collection.change(library.store, "balls", add=[photo.digest.hex() for photo in found])


if __name__ == "__main__":
    main()
