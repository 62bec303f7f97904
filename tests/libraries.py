"""A matcher of colours that learns in a moment, photos for it, and what a library holds."""

import hashlib
import os
import sqlite3
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.matcher import alignment, relevance
from kadr.matcher.bundle import Matcher
from kadr.matcher.relevance import Embeddings, Examples
from kadr.stores import NewFile, NewPhoto, Store, open_store
from kadr.stores.sqlite import SqliteStore
from kadr.types import Assessment, Filters, PhotoFacts, Vectors

PAINTS = {
    "red": (225, 30, 30),
    "green": (30, 190, 50),
    "blue": (40, 60, 220),
    "yellow": (235, 220, 40),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
}
NAMES = tuple(PAINTS)
FACTS = PhotoFacts("jpeg", 400, 300, None, None, None, None)


def vectors_of(seed: int, count: int) -> tuple[list[str], Vectors]:
    """Texts that name two colours, and the fake encoder's vectors of photos that show them."""
    random = np.random.default_rng(seed)
    palette = np.array(list(PAINTS.values()), np.float32) / 255
    pairs = random.integers(0, len(NAMES), (count, 2))
    cells = pairs[np.arange(count)[:, None], random.integers(0, 2, (count, 16))]
    pixels = palette[cells] + random.normal(0, 0.08, (count, 16, 3)).astype(np.float32)
    texts = [f"a {NAMES[a]} dog and a {NAMES[b]} car" for a, b in pairs.tolist()]
    return texts, np.clip(pixels, 0, 1).reshape(count, 48).astype(np.float32)


@cache
def colour_matcher(seed: int = 0) -> Matcher:
    """The fakes `colours` and `words`, having learned from made photos what colours are called."""
    images, words = load_image_encoder("colours"), load_text_encoder("words")
    texts, pictures = vectors_of(seed, 300)
    named = words.encode(texts)
    space = alignment.fit(pictures, named, dim=16)
    other = np.random.default_rng(seed).permutation(300)
    left = np.concatenate([pictures, pictures])
    right = np.concatenate([named, named[other]])
    truth = np.concatenate(
        [np.ones(300), [float(texts[i] == texts[j]) for i, j in enumerate(other)]]
    )
    groups = [str(number) for number in range(300)] * 2
    pairs = Examples(
        Embeddings(left, space.images(left)), Embeddings(right, space.texts(right)), truth, np.ones(600), groups, truth
    )  # fmt: skip
    head = relevance.fit(pairs, calibrate=False)
    return Matcher("colours", "words", images, words, space, head)


def corner_matcher() -> Matcher:
    """Colours' matcher made to take the corners' twelve figures; its ranking means nothing."""
    whole = colour_matcher()
    space = whole.alignment
    narrow = replace(space, image_mean=space.image_mean[:12], image_map=space.image_map[:12])
    corners = load_image_encoder("corners")
    return replace(whole, image_spec="corners", image_encoder=corners, alignment=narrow)


def judged(matcher: Matcher) -> relevance.Relevance:
    """What a matcher learned from judgements."""
    assert isinstance(matcher.relevance, relevance.Relevance)
    return matcher.relevance


def paint(path: Path, seed: int, kind: str = "PNG") -> Path:
    """A photo of 4x4 coloured fields, another one for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(fields).resize((16, 16), Image.Resampling.NEAREST).save(path, kind)
    return path


def digest(content: object) -> bytes:
    return hashlib.sha256(str(content).encode()).digest()


def new_photo(content: object, dim: int = 8, facts: PhotoFacts = FACTS) -> NewPhoto:
    """A content with a vector of its own."""
    key = digest(content)
    random = np.random.default_rng(list(key))
    vector = random.normal(size=dim).astype(np.float32)
    joint = vector / np.linalg.norm(vector)
    return NewPhoto(key, None, facts, int.from_bytes(key[:8]), vector, joint.astype(np.float32))


def new_file(path: Path, content: object, modified: int = 0) -> NewFile:
    return NewFile(path, 1, modified, digest(content))


def fill(store: Store, vectors: Vectors, matcher: Matcher, folder: Path) -> list[Path]:
    """Photos of given encoder vectors, their files empty but there: 00000.jpg and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05}.jpg" for number in range(len(vectors))]
    for path in paths:
        path.touch()
    store.note(encoder=matcher.image_encoder.name, model="", space=matcher.alignment.digest())
    if len(vectors):
        joint = matcher.alignment.images(vectors).vectors
        photos = [
            NewPhoto(digest(path), None, FACTS, 0, vector, place)
            for path, vector, place in zip(paths, vectors, joint, strict=True)
        ]
        store.keep(photos, [new_file(path, path) for path in paths])
        assess(store, dict.fromkeys(range(1, len(paths) + 1), 0.0))
    return paths


def engine(store: Store) -> SqliteStore:
    """The engine behind a store, to damage it or to watch it."""
    assert isinstance(store, SqliteStore)
    return store


def add(store: Store, files: dict[str, object], modified: int = 0) -> dict[str, int]:
    """Keep contents by path; the numbers of their photos."""
    wanted = {digest(c): c for c in files.values() if not store.settled(digest(c))}
    store.keep(
        [new_photo(c) for c in wanted.values()],
        [new_file(Path(p), c, modified) for p, c in files.items()],
    )
    return {p: number(store, c) for p, c in files.items()}


def number(store: Store, content: object) -> int:
    found = store.number(digest(content).hex())
    assert found is not None
    return found


def matching(store: Store, filters: Filters) -> set[str]:
    numbers = store.matching(filters).tolist()
    assert numbers == sorted(numbers)
    return {str(p) for paths in store.present(numbers).values() for p in paths}


def assess(store: Store, probabilities: dict[int, float], failed: tuple[str, ...] = ()) -> None:
    """Put on record how probably a child is in each of these photos."""
    store.keep_assessments(
        {
            number: Assessment((), probability, None, failed, probability, "test")
            for number, probability in probabilities.items()
        },
    )


@dataclass(frozen=True)
class Content:
    """All that a library holds but its numbers.

    `files` by path: size, time, missing, problem, digest, facts, hash, vector, what the law's layers
    say, words on record. `scan` by digest.
    """

    files: dict[str, tuple[object, ...]]
    folders: list[bytes]
    meta: dict[str, str]
    scan: dict[bytes, Vectors]


def content(path: Path) -> Content:
    """All that a library holds, so that two libraries can be compared."""
    base = sqlite3.connect(path)
    try:
        files = base.execute(
            "SELECT path, size, modified, missing, f.problem, digest, encoded, p.problem, kind,"
            " width, height, taken, p.camera, latitude, longitude, hash, texts, vector, a.words, failed,"
            " w.text, w.name, w.folder, w.camera, w.date"
            " FROM files f LEFT JOIN photos p ON p.id = f.photo LEFT JOIN vectors v"
            " ON v.photo = p.id LEFT JOIN assessments a ON a.photo = p.id"
            " LEFT JOIN words w ON w.rowid = p.id"
        ).fetchall()
        folders = [row[0] for row in base.execute("SELECT path FROM folders ORDER BY path")]
        meta = dict(base.execute("SELECT key, value FROM meta"))
        named = dict(
            base.execute("SELECT p.id, digest FROM photos p JOIN vectors v ON v.photo = p.id")
        )
    finally:
        base.close()
    store = open_store(path)
    scan = engine(store).scan()
    store.close()
    rows = scan.vectors * scan.scales[:, None]
    alive = {named[n]: row for n, row in zip(scan.photos.tolist(), rows, strict=True) if n in named}
    return Content({os.fsdecode(row[0]): row[1:] for row in files}, folders, meta, alive)


def assert_same(one: Content, other: Content) -> None:
    """Whether two libraries hold the same; a product of matrices depends on how many rows it has."""
    assert one.files == other.files
    assert one.folders == other.folders
    assert one.meta.keys() == other.meta.keys()
    own = {"model", "ids"}  # where the matcher lies, and a key that each library draws
    assert {k: v for k, v in one.meta.items() if k not in own} == {
        k: v for k, v in other.meta.items() if k not in own
    }
    assert one.scan.keys() == other.scan.keys()
    for key, row in one.scan.items():
        np.testing.assert_allclose(row, other.scan[key], atol=0.01)
