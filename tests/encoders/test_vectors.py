"""Vectors are computed once, whatever happens in between."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kadr.encoders import load_image_encoder, load_text_encoder, vectors
from kadr.encoders.vectors import BATCH, VectorCache
from kadr.errors import KadrError
from kadr.photos import files as photo_files
from kadr.photos import folders
from kadr.types import ImageFile, Skipped, Vectors


class CountedImages:
    """The fake image encoder; counts photos and may be interrupted at a batch."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        self._inner = load_image_encoder("colours")
        self.name, self.dim, self.size = self._inner.name, self._inner.dim, self._inner.size
        self.count, self._batches, self._interrupted_at = 0, 0, interrupted_at

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        return self._inner.prepare(image)

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Vectors:
        self._batches += 1
        if self._batches == self._interrupted_at:
            raise KeyboardInterrupt
        self.count += len(images)
        return self._inner.encode(images)


class CountedTexts:
    """The fake text encoder; remembers what it was asked."""

    def __init__(self) -> None:
        self._inner = load_text_encoder("words")
        self.name, self.dim = self._inner.name, self._inner.dim
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        return self._inner.encode(texts)


class Recorder:
    """Holds progress to its word: never back, and to the end."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))

    def check(self, total: int) -> None:
        assert self.calls == sorted(self.calls)
        assert {call[1] for call in self.calls} == {total}
        assert self.calls[-1] == (total, total)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[VectorCache]:
    opened = VectorCache(tmp_path / "cache" / "vectors.db")
    yield opened
    opened.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def paint(folder: Path, name: str, shade: int) -> Path:
    Image.new("RGB", (8, 8), (shade, 255 - shade, shade // 2)).save(folder / name, "PNG")
    return folder / name


def fill(folder: Path, count: int) -> list[Path]:
    return [paint(folder, f"{number:03}.png", number) for number in range(count)]


def identified(folder: Path, cache: VectorCache) -> list[ImageFile]:
    files, skipped = vectors.identify(folders.scan(folder), folder, cache)
    assert not skipped
    return files


def test_second_run_encodes_nothing_and_reads_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(photos, BATCH * 2 + 3)
    runs, counts = [], []
    for _ in range(2):
        cache, encoder, progress = VectorCache(tmp_path / "v.db"), CountedImages(), Recorder()
        runs.append(vectors.encode_images(encoder, identified(photos, cache), cache, progress))
        counts.append(encoder.count)
        progress.check(BATCH * 2 + 3)
        cache.close()
        monkeypatch.setattr(photo_files, "identify", lambda *_: pytest.fail("read a known file"))
    assert counts == [BATCH * 2 + 3, 0]
    assert runs[0].files == runs[1].files
    np.testing.assert_array_equal(runs[0].vectors, runs[1].vectors)


def test_rows_keep_the_files_order(photos: Path, cache: VectorCache) -> None:
    fill(photos, 40)
    encoder = CountedImages()
    forward = identified(photos, cache)
    backward = forward[::-1]
    one = vectors.encode_images(encoder, backward[:25], cache)
    two = vectors.encode_images(encoder, forward, cache)
    assert two.files == tuple(forward)
    np.testing.assert_array_equal(one.vectors, two.vectors[::-1][:25])
    reds = two.vectors[:, 0] * 255
    np.testing.assert_allclose(reds, np.arange(40), atol=1e-3)


def test_a_copy_is_encoded_once(photos: Path, cache: VectorCache) -> None:
    for name in ("a.png", "b.png", "c.png"):
        paint(photos, name, 7)
    encoder, progress = CountedImages(), Recorder()
    encoded = vectors.encode_images(encoder, identified(photos, cache), cache, progress)
    assert encoder.count == 1
    assert len(encoded.files) == len(encoded.vectors) == 3
    progress.check(3)


def test_a_rename_costs_no_encoding_and_a_change_does(photos: Path, cache: VectorCache) -> None:
    fill(photos, 3)
    encoder = CountedImages()
    before = vectors.encode_images(encoder, identified(photos, cache), cache)
    (photos / "000.png").rename(photos / "renamed.png")
    renamed = vectors.encode_images(encoder, identified(photos, cache), cache)
    assert encoder.count == 3
    np.testing.assert_array_equal(renamed.vectors[-1], before.vectors[0])
    changed = paint(photos, "001.png", 200)
    os.utime(changed, ns=(1, 1))
    after = vectors.encode_images(encoder, identified(photos, cache), cache)
    assert encoder.count == 4
    np.testing.assert_allclose(after.vectors[0, 0] * 255, 200, atol=1e-3)


def test_unreadable_photos_are_skipped_with_a_reason(photos: Path, cache: VectorCache) -> None:
    paint(photos, "good.png", 1)
    (photos / "bad.jpg").write_text("no photo")
    (photos / "copy.jpg").write_text("no photo")
    (photos / "link.jpg").symlink_to(photos / "nowhere")
    files, lost = vectors.identify(folders.scan(photos), photos, cache)
    progress = Recorder()
    encoded = vectors.encode_images(CountedImages(), files, cache, progress)
    assert [file.id for file in encoded.files] == ["good.png"]
    assert encoded.vectors.shape == (1, 48)
    reasons = {skip.path.name: skip.reason for skip in (*lost, *encoded.skipped)}
    assert reasons.keys() == {"bad.jpg", "copy.jpg", "link.jpg"}
    assert "not a readable photo" in reasons["bad.jpg"]
    assert "No such file" in reasons["link.jpg"]
    progress.check(3)


def test_only_unreadable_photos_give_no_rows(photos: Path, cache: VectorCache) -> None:
    (photos / "bad.jpg").write_text("no photo")
    encoded = vectors.encode_images(CountedImages(), identified(photos, cache), cache)
    assert encoded.vectors.shape == (0, 48)
    assert encoded.vectors.dtype == np.float32
    assert len(encoded.skipped) == 1


def test_names_that_are_no_utf8_are_encoded_too(photos: Path, cache: VectorCache) -> None:
    paint(photos, os.fsdecode(b"\xff\xfe.png"), 5)
    encoded = vectors.encode_images(CountedImages(), identified(photos, cache), cache)
    assert len(encoded.vectors) == 1
    assert cache.problem is None


def test_a_file_that_vanishes_is_skipped(photos: Path, cache: VectorCache) -> None:
    paths = fill(photos, 3)
    files = identified(photos, cache)
    paths[1].unlink()
    encoded = vectors.encode_images(CountedImages(), files, cache)
    assert [file.id for file in encoded.files] == ["000.png", "002.png"]
    assert encoded.skipped == (
        Skipped(paths[1], "not a readable photo (No such file or directory)"),
    )


def test_an_interrupted_run_goes_on(photos: Path, tmp_path: Path) -> None:
    fill(photos, BATCH * 4)
    cache = VectorCache(tmp_path / "v.db")
    with pytest.raises(KeyboardInterrupt):
        vectors.encode_images(CountedImages(interrupted_at=3), identified(photos, cache), cache)
    cache.close()
    again, encoder, progress = VectorCache(tmp_path / "v.db"), CountedImages(), Recorder()
    encoded = vectors.encode_images(encoder, identified(photos, again), again, progress)
    again.close()
    assert encoder.count == BATCH * 2
    assert len(encoded.files) == BATCH * 4
    assert progress.calls[0] == (BATCH * 2, BATCH * 4)


def not_a_database(path: Path) -> None:
    path.write_text("this is no database " * 500)


def another_database(path: Path) -> None:
    base = sqlite3.connect(path)
    base.executescript("CREATE TABLE vectors (a); CREATE TABLE digests (b);")
    base.close()


def damaged_pages(path: Path) -> None:
    cache = VectorCache(path)
    cache.keep("words", [str(n) for n in range(500)], np.ones((500, 48), np.float32))
    cache.keep_digests((f"/{n}" * 20, 1, 1, "x" * 64) for n in range(500))
    cache.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [not_a_database, another_database, damaged_pages, a_folder])
def test_a_broken_cache_says_what_to_do(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "v.db"
    spoil(path)

    def use() -> None:
        cache = VectorCache(path)
        try:
            cache.digests(["/0"])
            cache.vectors("words", ["1"])
        finally:
            cache.close()

    with pytest.raises(KadrError, match=r"v\.db.*Delete the file"):
        use()


def test_a_full_disk_stops_the_writing_not_the_work(photos: Path, cache: VectorCache) -> None:
    fill(photos, BATCH * 3)
    pages = cache._base.execute("PRAGMA page_count").fetchone()[0]
    cache._base.execute(f"PRAGMA max_page_count = {pages}")
    encoder = CountedImages()
    encoded = vectors.encode_images(encoder, identified(photos, cache), cache)
    assert encoded.vectors.shape == (BATCH * 3, 48)
    assert cache.problem is not None
    assert "full" in cache.problem


def test_encoders_don_t_share_vectors(cache: VectorCache) -> None:
    cache.keep("one", ["key"], np.ones((1, 3), np.float32))
    assert cache.vectors("two", ["key"]) == {}
    assert cache.vectors("one", ["key", "other"]).keys() == {"key"}


def test_more_keys_than_sqlite_takes_in_one_go(cache: VectorCache) -> None:
    keys = [str(number) for number in range(vectors.LOOKUP * 2 + 1)]
    cache.keep("one", keys, np.arange(len(keys), dtype=np.float32)[:, None])
    found = cache.vectors("one", keys)
    assert [float(found[key][0]) for key in keys] == list(range(len(keys)))


def test_the_cache_holds_no_text(tmp_path: Path) -> None:
    path, secret = tmp_path / "v.db", "ann had an operation in may"
    for expected in ([secret], []):
        cache, encoder = VectorCache(path), CountedTexts()
        vectors.encode_texts(encoder, [secret, secret], cache)
        cache.close()
        assert encoder.asked == expected
    assert secret.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


@settings(max_examples=40, deadline=None)
@given(runs=st.lists(st.lists(st.text(max_size=8), max_size=150), min_size=1, max_size=3))
def test_cached_texts_are_the_encoders_texts(
    runs: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache, encoder = VectorCache(tmp_path_factory.mktemp("texts") / "v.db"), CountedTexts()
    for texts in runs:
        progress = Recorder()
        encoded = vectors.encode_texts(encoder, texts, cache, progress)
        np.testing.assert_array_equal(encoded, load_text_encoder("words").encode(texts))
        progress.check(len(texts))
    cache.close()
    assert len(encoder.asked) == len(set(encoder.asked)) == len({t for run in runs for t in run})
