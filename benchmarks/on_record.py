"""Prints what words on record find, and whether captions meet names that say nothing.

Usage: python benchmarks/on_record.py PHOTOS CAPTIONS [--mixed 400]

PHOTOS is a folder of photos under names that say nothing, CAPTIONS a table `image,caption`, such as
Flickr8k's. First all captions are looked for among all names of the table: one that meets none is
answered as without words on record. Then a tenth of some photos is put on record by the two rarest
words of its caption, in turn in a name, a folder and a title in the file, and looked for by these;
and some of the others by their captions.
"""

import argparse
import csv
import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from kadr.library.library import Library
from kadr.stores import MEMORY, NewFile, NewPhoto, Selection, open_store, words
from kadr.types import PhotoFacts

LIMIT = 50
"""Places that are looked at; a photo beyond them has no reciprocal rank."""
OTHERS = 100
"""Photos without words on record that are looked for."""
FACTS = PhotoFacts("jpeg", 1, 1, None, None, None, None)
SHORT = 4
"""Letters of a word that says something."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--mixed", type=int, default=400)
    options = parser.parse_args()
    rows = table(options.captions)
    captions = dict(reversed(rows))
    print(f"{meeting(rows)} of {len(rows)} captions meet one of {len(captions)} names")
    photos = [path for path in sorted(options.folder.glob("*.jpg")) if path.name in captions]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "mixed"
        recorded = mix(photos[: options.mixed], captions, folder)
        others = [path.name for path in folder.rglob("*.jpg")]
        told = {name: words for _, name, words in recorded}
        plain = {name: captions[name] for name in sorted({*others} - told.keys())[:OTHERS]}
        found = ranks(folder, told | plain)
        print("| photos | queries | R@1 | R@5 | R@10 | MRR |\n|---|---|---|---|---|---|")
        for kind in ("name", "folder", "title"):
            own = [name for at, name, _ in recorded if at == kind]
            print(row(f"on record in a {kind}", [found[name] for name in own]))
        print(row("others, by caption", [found[name] for name in plain]))


def meeting(rows: Sequence[tuple[str, str]]) -> int:
    """How many captions find any photo by the names alone."""
    with closing(open_store(MEMORY, create=True)) as store:
        names = sorted({name for name, _ in rows})
        keys = [hashlib.sha256(name.encode()).digest() for name in names]
        one = np.ones(1, np.float32)
        store.keep(
            [NewPhoto(key, facts=FACTS, hash=0, vector=one, joint=one) for key in keys],
            [NewFile(Path("/p") / name, 1, 1, key) for name, key in zip(names, keys, strict=True)],
        )
        found = (store.recorded(words.wanted(text), Selection()).photos for _, text in rows)
        return sum(len(photos) > 0 for photos in found)


def table(path: Path) -> list[tuple[str, str]]:
    """Photos and captions."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["image"], row["caption"]) for row in csv.DictReader(file)]


def placed(path: Path) -> Path:
    """The path, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def mix(
    photos: Sequence[Path], captions: Mapping[str, str], folder: Path
) -> list[tuple[str, str, str]]:
    """Copy photos, a tenth of them put on record: where, by which name, by which words."""
    seen = Counter(word for path in photos for word in set(content(captions[path.name])))
    recorded = []
    for number, path in enumerate(photos):
        words = sorted(content(captions[path.name]), key=lambda word: (seen[word], word))[:2]
        kind = ("name", "folder", "title")[number // 10 % 3]
        if number % 10 or len(words) < 2:
            shutil.copy(path, placed(folder / path.name))
            continue
        name = f"{'-'.join(words)}_{number}.jpg" if kind == "name" else path.name
        target = placed(folder / (" ".join(words) if kind == "folder" else "") / name)
        if kind == "title":
            exif = Image.Exif()
            exif[0x010E] = " ".join(words)
            Image.open(path).save(target, exif=exif, quality=95)
        else:
            shutil.copy(path, target)
        recorded.append((kind, name, " ".join(words)))
    return recorded


def content(caption: str) -> list[str]:
    """Words of a caption that say something."""
    words = (word.strip(".,!\"'").lower() for word in caption.split())
    return list(dict.fromkeys(word for word in words if len(word) >= SHORT and word.isalpha()))


def ranks(folder: Path, queries: Mapping[str, str]) -> dict[str, int | None]:
    """The place of each photo, by its name, for its query; None beyond `LIMIT`."""
    found: dict[str, int | None] = {}
    with Library.open(folder.parent / f"{folder.name}.kadr") as library:
        library.index([folder])
        for name, query in queries.items():
            hits = library.search(query, LIMIT).hits
            names = [hit.image.path.name for hit in hits]
            found[name] = names.index(name) if name in names else None
    return found


def row(what: str, found: Sequence[int | None]) -> str:
    """A row of the table."""
    places = np.array([LIMIT if place is None else place for place in found])
    mrr = np.where(places < LIMIT, 1 / (places + 1), 0).mean()
    recalls = " | ".join(f"{(places < k).mean():.3f}" for k in (1, 5, 10))
    return f"| {what} | {len(places)} | {recalls} | {mrr:.3f} |"


if __name__ == "__main__":
    main()
