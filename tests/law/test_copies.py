"""What is hidden stays hidden in other bytes: changed copies wait for a person."""

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from kadr.law import copies, review
from kadr.law.policy import PRESETS
from kadr.law.verdict import hidden, verdict, verdicts
from kadr.law.verdict import shown as allowed
from kadr.library.library import Library
from kadr.matcher.bundle import Matcher
from kadr.photos import hashes
from kadr.stores import MEMORY, Selection, open_store
from kadr.types import Assessment, Filters, Ruling
from libraries import assess, colour_matcher, fill, vectors_of

LAW = PRESETS["under-16"]
HIDE, ALLOW = (
    Ruling(verdict, "a", "2026-01-01T00:00:00+00:00", "") for verdict in ("hide", "allow")
)


def picture(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture with something at every scale."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size)
    for side in (4, 8, 16, 48):
        noise = Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8))
        image = Image.blend(
            image, noise.resize(size, Image.Resampling.BICUBIC), 0.5 if side > 4 else 1
        )
    return image


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, 25, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _collage(image: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (400, 400))
    for place, one in enumerate([picture(91), image, picture(92), picture(93)]):
        sheet.paste(one.resize((200, 200)), (place % 2 * 200, place // 2 * 200))
    return sheet


def _screenshot(image: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (image.width + 60, image.height * 2), (244, 244, 244))
    sheet.paste((40, 60, 90), (0, 0, sheet.width, 24))
    sheet.paste(image, (30, 60))
    sheet.paste((80, 80, 80), (30, image.height + 90, 150, image.height + 98))
    return sheet


def _cut(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 4, height // 4, width - width // 4, height - height // 4))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": lambda image: _jpeg(image, 10),
    "half": lambda image: image.resize((160, 120)),
    "turned": lambda image: image.rotate(90, expand=True),
    "upside down": lambda image: image.rotate(180),
    "turned back": lambda image: image.rotate(270, expand=True),
    "mirrored": ImageOps.mirror,
    "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
    "grey and turned": lambda image: (
        ImageOps.grayscale(image).convert("RGB").rotate(90, expand=True)
    ),
    "negative": ImageOps.invert,
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(4)),
    "noisy": _noisy,
    "framed": lambda image: ImageOps.expand(image, 40, "white"),
    "in a collage": _collage,
    "in a screenshot": _screenshot,
    "cut": _cut,
}


@pytest.fixture(scope="module")
def scorer() -> Matcher:
    return colour_matcher()


@pytest.fixture(scope="module")
def indexed(scorer: Matcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of a photo, a changed copy of each kind, and twenty others, none with a child."""
    folder = tmp_path_factory.mktemp("photos")
    picture(1).save(folder / "original.png")
    for name, change in CHANGES.items():
        change(picture(1)).save(folder / f"{name}.png")
    for seed in range(2, 22):
        picture(seed).save(folder / f"{seed}.png")
    path = tmp_path_factory.mktemp("library") / "library.kadr"
    with Library.open(path, model=scorer) as opened:
        index(opened, folder)
        everything = opened.store.numbers(
            bytes.fromhex(digest) for *_, digest in opened.store.contents()
        )
        assess(opened.store, dict.fromkeys(everything, 0.0))
    return path


def index(library: Library, folder: Path) -> None:
    """Without a law, so without mini's vectors: by those, noise looks like noise."""
    with Library.open(library.name, model=colour_matcher()) as opened:
        opened.index([folder])


@pytest.fixture
def library(indexed: Path, scorer: Matcher, tmp_path: Path) -> Iterator[Library]:
    shutil.copy(indexed, tmp_path / "library.kadr")
    with Library.open(tmp_path / "library.kadr", model=scorer, policy=LAW) as opened:
        yield opened


def names_hidden(library: Library) -> set[str]:
    numbers = library.store.matching(_EVERYTHING).tolist()
    kept = hidden(library.store, LAW, numbers)
    return {path.stem for paths in library.store.present(sorted(kept)).values() for path in paths}


def number(library: Library, name: str) -> tuple[int, str]:
    path = next(path for path, *_ in library.store.contents() if path.stem == name)
    digest = library.store.digest_at(path)
    assert digest is not None
    found = library.store.number(digest)
    assert found is not None
    return found, digest


def test_a_person_s_hide_holds_for_changed_copies(library: Library) -> None:
    _, digest = number(library, "original")
    assert names_hidden(library) == set()
    review.decide(library.store, digest, HIDE)
    assert names_hidden(library) == {"original", *CHANGES}
    waiting = {doubt.paths[0].stem for doubt in review.queue(library.store, LAW)}
    assert waiting == set(CHANGES), "they wait for a person"


def test_copies_that_come_later_wait_too(library: Library, tmp_path: Path) -> None:
    original, digest = number(library, "original")
    review.decide(library.store, digest, HIDE)
    library.forget(original)
    folder = tmp_path / "later"
    folder.mkdir()
    picture(1).resize((300, 225)).save(folder / "small.jpg")
    (half,) = [path for path, *_ in library.store.contents() if path.stem == "half"]
    (folder / "bytes.png").write_bytes(half.read_bytes() + b"\0")
    picture(99).save(folder / "another.png")
    index(library, folder)
    come = {one: number(library, one)[0] for one in ("small", "bytes", "another")}
    assess(library.store, dict.fromkeys(come.values(), 0.0))
    assert hidden(library.store, LAW, list(come.values())) == {come["small"], come["bytes"]}


def test_a_person_decides_about_copies(library: Library) -> None:
    (original, digest), (copy, other) = number(library, "original"), number(library, "grey")
    review.decide(library.store, digest, HIDE)
    review.decide(library.store, other, ALLOW)
    assert names_hidden(library) == {"original", *CHANGES} - {"grey"}
    review.decide(library.store, digest, ALLOW, HIDE)
    assert names_hidden(library) == set(), "with the photo, its copies are seen again"
    review.decide(library.store, other, replace(HIDE, who="b", why="a child"), ALLOW)
    assert copy in hidden(library.store, LAW, [original, copy])


def test_what_the_machine_hides_is_held_back_changed_too(library: Library) -> None:
    original, _ = number(library, "original")
    for probability in (LAW.hide, LAW.review):
        assess(library.store, {original: probability})
        copies.CopyFinder(library.store).keep([original])
        assert names_hidden(library) == {"original", *CHANGES}
    assess(library.store, {original: LAW.review - 0.01})
    assert names_hidden(library) == set()


def test_a_photo_of_which_a_layer_failed_hides_its_copies(library: Library) -> None:
    """It waits for a person, however improbable a child is by the layers that did speak."""
    original, _ = number(library, "original")
    failed = Assessment((), None, None, ("scene",), 0.1, "v")
    library.store.keep_assessments({original: failed})
    copies.CopyFinder(library.store).keep([original])
    lenient = replace(LAW, review=0.9, hide=0.95)
    everything = library.store.matching(_EVERYTHING).tolist()
    kept = hidden(library.store, lenient, everything)
    assert len(kept) == 1 + len(CHANGES)
    library.store.keep_assessments({original: replace(failed, failed=())})
    assert hidden(library.store, lenient, everything) == set()


def test_plain_pictures_are_no_copies_of_each_other(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    for name in ("red", "black", "white", "gold"):
        Image.new("RGB", (64, 64), name).save(folder / f"{name}.png")
    index(library, folder)
    plain = {name: number(library, name) for name in ("red", "black", "white", "gold")}
    assess(library.store, dict.fromkeys(library.store.matching(_EVERYTHING).tolist(), 0.0))
    review.decide(library.store, plain["red"][1], HIDE)
    assert names_hidden(library) == {"red"}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), quarter=st.integers(0, 3), mirrored=st.booleans())
def test_the_hash_of_a_turned_photo_is_known(seed: int, quarter: int, *, mirrored: bool) -> None:
    image = picture(seed, (96, 96))
    turned = (ImageOps.mirror(image) if mirrored else image).rotate(90 * quarter)
    ways = hashes.turned(np.array([hashes.perceptual_hash(image)], np.uint64))[0]
    apart = np.bitwise_count(ways ^ np.uint64(hashes.perceptual_hash(turned)))
    assert apart.min() <= 12


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_visible_is_what_the_verdict_shows(
    scorer: Matcher, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The question to the store and the verdict say the same, whatever is on record."""
    policy = replace(
        LAW,
        review=data.draw(st.sampled_from([0.0, 0.2, 0.5])),
        hide=0.8,
        faces=data.draw(st.sampled_from(["never", "always"])),
    )
    store = open_store(MEMORY, create=True)
    paths = fill(store, vectors_of(1, 6)[1], scorer, tmp_path_factory.getbasetemp() / "visible")
    vector = scorer.alignment.images(vectors_of(1, 1)[1]).vectors[0]
    everything = range(1, 7)
    digests = {n: str(store.digest_at(path)) for n, path in enumerate(paths, start=1)}
    known = {n: data.draw(_assessments) for n in everything}
    store.keep_assessments(known)
    ruled = {n: data.draw(st.sampled_from([None, None, HIDE, ALLOW])) for n in everything}
    for n, ruling in ruled.items():
        store.set_ruling(digests[n], ruling)
    pairs = data.draw(st.sets(st.tuples(st.sampled_from(everything), st.sampled_from(everything))))
    store.keep_copies([pair for pair in pairs if pair[0] != pair[1]])

    def suspect(n: int) -> bool:
        ruling, one = ruled[n], known[n]
        if ruling is not None:
            return ruling.verdict == "hide"
        return bool(one.failed) or not one.version or one.probability >= policy.review

    expected = {
        n: verdict(
            policy,
            known[n],
            ruled[n],
            copies=any(suspect(of) for copy, of in pairs if copy == n != of),
        )
        for n in everything
    }
    shown = {n for n, one in expected.items() if one == "show"}
    view = Selection(shown=allowed(policy))
    assert store.count(view) == len(shown)
    found = store.nearest(vector, view, 0, 6).photos.tolist()
    assert len(found) == len(set(found))
    assert set(found) == set(store.sample(view, 6).tolist()) == shown
    assert hidden(store, policy, list(everything)) == set(everything) - shown
    assert verdicts(store, policy, list(everything)) == expected
    store.close()


_EVERYTHING = Filters()
_assessments = st.builds(
    Assessment,
    st.just(()),
    st.none(),
    st.sampled_from([None, ()]),
    st.sampled_from([(), (), ("scene",)]),
    st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.8, 1.0]),
    st.sampled_from(["test", "test", ""]),
)
