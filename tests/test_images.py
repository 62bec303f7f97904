"""Scanning a folder and decoding what people and attackers put into it."""

import contextlib
import io
import os
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kadr import images
from kadr.errors import DataError, ImageError
from kadr.types import ImageFile, Skipped

QUADRANTS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held in each EXIF orientation stores an upright scene."""


def quadrants(width: int = 96, height: int = 64) -> Image.Image:
    """Red, green above blue, yellow."""
    small = np.array(QUADRANTS, dtype=np.uint8).reshape(2, 2, 3)
    return Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST)


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colour in the middle of each quadrant."""
    assert image.mode == "RGB"
    pixels = np.asarray(image.resize((4, 4), Image.Resampling.BOX)).astype(int)
    return [tuple(pixels[y, x]) for y in (0, 3) for x in (0, 3)]


def assert_near(image: Image.Image, *colours: tuple[int, ...]) -> None:
    np.testing.assert_allclose(corners(image), colours * (4 // len(colours)), atol=12)


def saved(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def scanned(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in images.scan(root)]


def test_scan_finds_photos_in_a_stable_order(tmp_path: Path) -> None:
    names = [
        "b.JPG",
        "a.jpeg",
        "z/y/c.png",
        "собака.webp",
        "🐕.gif",
        "new\nline.bmp",
        "e\u0301.tif",
    ]
    touch(tmp_path, *names, "notes.txt", "jpg", ".jpg", ".hidden.png", ".git/d.png", "z/.t/e.jpg")
    found = scanned(tmp_path)
    assert sorted(found) == sorted(names)
    assert found == scanned(tmp_path)
    assert found[-1] == "z/y/c.png"


def test_scan_ends_where_links_loop(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg")
    (tmp_path / "in" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    assert scanned(tmp_path) == ["self.jpg", "in/a.jpg"]
    assert isinstance(images.identify(tmp_path / "self.jpg", tmp_path), Skipped)


def test_scan_of_no_folder_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "file.jpg")
    for path in (tmp_path / "none", tmp_path / "file.jpg"):
        with pytest.raises(DataError, match="no such folder"):
            list(images.scan(path))


def test_unreadable_root_is_an_error_and_unreadable_child_is_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "open/a.jpg", "shut/b.jpg")
    real, shut = os.scandir, tmp_path / "shut"

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if os.fspath(path) == os.fspath(shut):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)  # chmod doesn't stop root, whom CI may be
    assert scanned(tmp_path) == ["open/a.jpg"]
    with pytest.raises(DataError, match="Check its permissions"):
        list(images.scan(shut))


def test_identify_names_by_path_and_digests_by_content(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "two/b.jpg")
    one, two = (images.identify(path, tmp_path) for path in images.scan(tmp_path))
    assert isinstance(one, ImageFile)
    assert isinstance(two, ImageFile)
    assert (one.id, two.id) == ("one/a.jpg", "two/b.jpg")
    assert (
        one.digest
        == two.digest
        == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    )


def test_identify_says_why_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    for name in ("pipe.jpg", "gone.jpg"):
        skipped = images.identify(tmp_path / name, tmp_path)
        assert isinstance(skipped, Skipped)
        assert skipped.reason


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif", "a.gif"])
def test_formats(tmp_path: Path, name: str) -> None:
    assert_near(images.decode(saved(tmp_path, quadrants(), name), 32), *QUADRANTS)


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    how = STORED[orientation]
    stored = quadrants() if how is None else quadrants().transpose(how)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = images.decode(saved(tmp_path, stored, "a.jpg", exif=exif, quality=95), 64)
    assert upright.size == (96, 64)
    assert_near(upright, *QUADRANTS)


def test_cmyk(tmp_path: Path) -> None:
    red = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert_near(images.decode(saved(tmp_path, red, "a.jpg"), 32), (255, 0, 0))


def test_transparency_becomes_white(tmp_path: Path) -> None:
    palette = Image.new("P", (64, 64), 0)
    palette.putpalette([200, 0, 0, 0, 0, 200])
    grey = Image.new("LA", (64, 64), (0, 0))
    clear = [
        saved(tmp_path, palette, "p.png", transparency=0),
        saved(tmp_path, palette, "p.gif", transparency=0),
        saved(tmp_path, grey, "la.png"),
        saved(tmp_path, Image.new("RGBA", (64, 64), (9, 9, 9, 0)), "rgba.webp", lossless=True),
        saved(tmp_path, Image.new("RGB", (64, 64), (9, 8, 7)), "k.png", transparency=(9, 8, 7)),
    ]
    for path in clear:
        assert_near(images.decode(path, 32), (255, 255, 255))
    assert_near(images.decode(saved(tmp_path, palette, "opaque.png"), 32), (200, 0, 0))
    half = Image.new("LA", (64, 64), (0, 128))
    assert_near(images.decode(saved(tmp_path, half, "half.png"), 32), (127, 127, 127))


def test_wide_samples_are_scaled_not_clipped(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((64, 64), 32768, dtype=np.uint16))
    assert_near(images.decode(saved(tmp_path, deep, "a.png"), 32), (128, 128, 128))
    assert_near(images.decode(saved(tmp_path, deep, "a.tif"), 32), (128, 128, 128))
    real = Image.fromarray(np.full((64, 64), 100.0, dtype=np.float32))
    assert_near(images.decode(saved(tmp_path, real, "f.tif"), 32), (100, 100, 100))


def test_wide_samples_with_a_transparent_grey(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((64, 64), 32768, dtype=np.uint16))
    path = saved(tmp_path, deep, "a.png", transparency=7)
    assert_near(images.decode(path, 32), (128, 128, 128))


def test_samples_that_are_no_number_are_black(tmp_path: Path) -> None:
    samples = np.full((64, 64), np.nan, dtype=np.float32)
    samples[:, 32:] = 200
    decoded = images.decode(saved(tmp_path, Image.fromarray(samples), "a.tif"), 32)
    black, light = (0, 0, 0), (200, 200, 200)
    assert_near(decoded, black, light)


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in QUADRANTS]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert_near(images.decode(path, 32), (255, 0, 0))


def test_a_big_jpeg_is_decoded_small(tmp_path: Path) -> None:
    path = saved(tmp_path, quadrants(2000, 1600), "a.jpg")
    small = images.decode(path, 260)
    assert small.size == (500, 400)
    assert_near(small, *QUADRANTS)
    assert images.decode(path, 1700).size == (2000, 1600)


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    quadrants(400, 300).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("a dog on a beach\n" * 100)
    (tmp_path / "folder.jpg").mkdir()
    for name in ("cut.jpg", "empty.jpg", "text.jpg", "folder.jpg", "gone.jpg"):
        with pytest.raises(ImageError, match=r"not a readable photo \(.+\)"):
            images.decode(tmp_path / name, 32)


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(3000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [14_000, 100_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_its_pixels(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png(side, side))
    with pytest.raises(ImageError):
        images.decode(tmp_path / "bomb.png", 32)


def test_pixels_over_the_limit_are_refused_by_our_own_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, quadrants(), "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 96 * 64)
    images.decode(path, 32)
    monkeypatch.setattr(images, "MAX_PIXELS", 96 * 64 - 1)
    with pytest.raises(ImageError, match="96x64 pixels"):
        images.decode(path, 32)


def _samples() -> list[bytes]:
    files = []
    for kind in FORMATS:
        file = io.BytesIO()
        quadrants(16, 12).save(file, kind)
        files.append(file.getvalue())
    return files


SAMPLES = _samples()


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Noise, noise behind a real header, or a real file with bytes changed and cut."""
    start = draw(st.sampled_from([b"", *SAMPLES]))
    if draw(st.booleans()):
        return start[: draw(st.integers(0, 40))] + draw(st.binary(max_size=200))
    changed = bytearray(start)
    dice = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(min(len(changed), 8)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed[: draw(st.integers(0, len(changed)))])


@settings(max_examples=300, deadline=None)
@given(content=hostile())
def test_hostile_bytes_raise_nothing_but_image_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.jpg"
    path.write_bytes(content)
    with contextlib.suppress(ImageError):
        assert images.decode(path, 32).mode == "RGB"
