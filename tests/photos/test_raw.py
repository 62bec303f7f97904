"""RAW: the preview inside or the sensor's pixels, upright, with the file's own facts."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.errors import ImageError
from kadr.photos import folders, images, kinds
from kadr.photos.folders import PAIRED
from kadr.photos.ignore import Rules

needs_rawpy = pytest.mark.skipif(not kinds.reads_raw(), reason="needs the extra raw")
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 10: 8}
"""Bytes of a value of each of TIFF's types."""
SIDES = 96, 64


@dataclass(frozen=True)
class Tag:
    """A tag of a directory; `data` is its values as they are written."""

    number: int
    kind: int
    data: bytes


def shorts(number: int, *values: int) -> Tag:
    return Tag(number, 3, struct.pack(f"<{len(values)}H", *values))


def longs(number: int, *values: int) -> Tag:
    return Tag(number, 4, struct.pack(f"<{len(values)}I", *values))


def text(number: int, value: str) -> Tag:
    return Tag(number, 2, value.encode() + b"\0")


def directory(start: int, tags: list[Tag]) -> bytes:
    """An IFD (TIFF 6.0) that begins at a place in the file, and what doesn't fit into its tags."""
    entries, behind = b"", b""
    free = start + 2 + 12 * len(tags) + 4
    for tag in sorted(tags, key=lambda one: one.number):
        value = tag.data.ljust(4, b"\0")
        if len(tag.data) > 4:
            value = struct.pack("<I", free + len(behind))
            behind += tag.data + b"\0" * (len(tag.data) % 2)
        entries += struct.pack("<HHI", tag.number, tag.kind, len(tag.data) // SIZES[tag.kind])
        entries += value
    return struct.pack("<H", len(tags)) + entries + bytes(4) + behind


def dng(preview: Image.Image | None = None, orientation: int = 1, sides: tuple[int, int] = SIDES,
        stated: tuple[int, int] | None = None) -> bytes:  # fmt: skip
    """A DNG of a Bayer sensor that saw red above and blue below; `stated`: what it says it is."""
    width, height = sides
    bayer = np.full((height, width), 500, "<u2")
    bayer[: height // 2 : 2, ::2] = 60_000
    bayer[height // 2 + 1 :: 2, 1::2] = 60_000
    jpeg = io.BytesIO()
    if preview is not None:
        preview.save(jpeg, "JPEG")
    pixels, small = 8, 8 + bayer.nbytes
    inner = small + len(jpeg.getvalue()) + len(jpeg.getvalue()) % 2
    of_preview = [] if preview is None else [
        longs(254, 1), longs(256, preview.width), longs(257, preview.height), shorts(258, 8, 8, 8),
        shorts(259, 7), shorts(262, 6), longs(273, small), shorts(277, 3),
        longs(278, preview.height), longs(279, len(jpeg.getvalue())),
    ]  # fmt: skip
    second = directory(inner, of_preview) if of_preview else b""
    ones = struct.pack(
        "<18i", *(int(n % 4 == 0) if even else 1 for n in range(9) for even in (1, 0))
    )
    details = inner + len(second)
    taken = directory(details, [text(0x9003, "2021:07:03 18:05:09")])
    said = stated or sides
    tags = [
        longs(254, 0), longs(256, said[0]), longs(257, said[1]), shorts(258, 16), shorts(259, 1),
        shorts(262, 32803), text(271, "Leica"), text(272, "Leica Q"), longs(273, pixels),
        shorts(274, orientation), shorts(277, 1), longs(278, said[1]), longs(279, bayer.nbytes),
        shorts(0x828D, 2, 2), Tag(0x828E, 1, bytes((0, 1, 1, 2))), longs(0x8769, details),
        Tag(0xC612, 1, bytes((1, 4, 0, 0))), text(0xC614, "Leica Q"), longs(0xC61D, 65535),
        Tag(0xC621, 10, ones), shorts(0xC65A, 21), text(270, "beach"),
    ]  # fmt: skip
    if of_preview:
        tags.append(longs(330, inner))
    last = details + len(taken)
    body = bayer.tobytes() + jpeg.getvalue().ljust(inner - small, b"\0") + second + taken
    return b"II*\0" + struct.pack("<I", last) + body + directory(last, tags)


def green(width: int, height: int) -> Image.Image:
    """A preview, white on its left edge."""
    photo = Image.new("RGB", (width, height), "green")
    photo.paste("white", (0, 0, width // 8, height))
    return photo


@needs_rawpy
def test_the_preview_stands_for_the_photo_where_it_is_large_enough() -> None:
    for size in (32, 900):
        photo, facts = images.read(dng(green(1200, 800)), size)
        assert photo.size == ((1200, 800) if size == 900 else (150, 100))
        assert np.abs(np.asarray(photo)[50, -10] - (0, 128, 0)).max() < 12
        assert (facts.kind, facts.width, facts.height) == ("raw", *SIDES)
        assert (facts.camera, facts.taken) == ("Leica Q", "2021-07-03T18:05:09")
        assert facts.texts == ("beach",)


@needs_rawpy
@pytest.mark.parametrize("preview", [None, green(300, 200)])
def test_the_sensor_is_read_at_half_its_size_where_no_preview_is(
    preview: Image.Image | None,
) -> None:
    photo, facts = images.read(dng(preview), 32)
    assert photo.size == (SIDES[0] // 2, SIDES[1] // 2)
    above, below = np.asarray(photo, int)[8, 24], np.asarray(photo, int)[24, 24]
    assert above[0] > 2 * above[2]
    assert below[2] > 2 * below[0]
    assert (facts.width, facts.height) == SIDES


@needs_rawpy
@pytest.mark.parametrize("preview", [None, green(1200, 800)])
def test_a_raw_is_upright(preview: Image.Image | None) -> None:
    photo, facts = images.read(dng(preview, orientation=6), 32)
    assert photo.width < photo.height
    assert (facts.width, facts.height) == SIDES[::-1]
    if preview is not None:  # what was left is above
        assert np.asarray(photo)[2, 50].min() > 200


@needs_rawpy
def test_a_sensor_without_colours_gives_grey() -> None:
    grey = dng().replace(struct.pack("<HHII", 262, 3, 1, 32803), struct.pack("<HHII", 262, 3, 1, 1))
    assert grey != dng()
    photo = np.asarray(images.read(grey, 32)[0], int)
    assert np.ptp(photo, axis=2).max() == 0
    assert np.ptp(photo) > 50


@needs_rawpy
def test_a_broken_raw_is_refused_in_a_line() -> None:
    whole = dng()
    for content in (
        dng(stated=(60_000, 60_000)),
        whole[:200],
        b"FUJIFILMCCD-RAW 0201" + bytes(400),
    ):
        with pytest.raises(ImageError) as caught:
            images.read(content, 32)
        assert "\n" not in str(caught.value)


@needs_rawpy
def test_a_raw_of_too_many_pixels_is_refused_before_they_are_read() -> None:
    with pytest.raises(ImageError, match="more than are read"):
        images.read(dng(), 32, most_pixels=1000)


@needs_rawpy
def test_a_tiff_of_a_camera_that_is_no_raw_stays_one(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Leica"
    green(60, 40).save(tmp_path / "a.tif", exif=exif)
    assert images.read(tmp_path / "a.tif", 32)[1].kind == "tiff"


def walked(folder: Path) -> dict[str, tuple[str, str]]:
    return {one.path.name: (one.met, one.reason) for one in folders.walk(folder, Rules(folder))}


def test_of_a_shot_the_jpeg_is_indexed_not_the_raw_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.CR2", "A.jpg", "b.nef", "c.dng", "c.heic", "d.dng", "d.png", ".e.jpg", "e.arw"):
        (tmp_path / name).touch()
    monkeypatch.setattr(kinds, "reads_raw", lambda: True)
    assert {name for name, (met, _) in walked(tmp_path).items() if met == "photo"} == {
        "A.jpg", "b.nef", "c.heic", "d.dng", "d.png", "e.arw",
    }  # fmt: skip
    assert walked(tmp_path)["a.CR2"] == walked(tmp_path)["c.dng"] == ("ignored", PAIRED)
    monkeypatch.setattr(kinds, "reads_raw", lambda: False)
    assert walked(tmp_path)["a.CR2"] == ("unsupported", "CR2")
    assert walked(tmp_path)["b.nef"] == ("unsupported", "NEF")


def test_without_the_extra_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "reads_raw", lambda: False)
    with pytest.raises(ImageError, match=r"pip install 'kadr\[raw\]'"):
        images.read(b"FUJIFILMCCD-RAW 0201" + bytes(400), 32)
    (tmp_path / "in").mkdir()
    green(60, 40).save(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "b.cr2").touch()
    library = str(tmp_path / "k.kadr")
    result = CliRunner().invoke(app, ["index", str(tmp_path / "in"), "--library", library])
    assert "left out: 1 RAW (1 CR2)" in result.output
    assert "pip install 'kadr[raw]'" in result.output


@needs_rawpy
def test_a_raw_is_indexed_and_its_pair_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dng").write_bytes(dng(green(1200, 800)))
    (tmp_path / "in" / "b.dng").write_bytes(dng(green(1200, 800)))
    green(60, 40).save(tmp_path / "in" / "b.jpg")
    library = str(tmp_path / "k.kadr")
    result = CliRunner().invoke(app, ["index", str(tmp_path / "in"), "--library", library])
    assert "2 new" in result.output
    assert f"1 ({PAIRED})" in result.output
    told = CliRunner().invoke(app, ["library", "ignored", "--library", library])
    assert "b.dng" in told.output
    assert PAIRED in told.output


@needs_rawpy
def test_raws_that_cannot_be_read_are_told_by_format(tmp_path: Path) -> None:
    for name in ("1.CR2", "2.cr2", "3.NEF"):
        (tmp_path / f"IMG_{name}").write_bytes(b"II*\0" + b"\x07" * 20_000)
    done = CliRunner().invoke(app, ["index", str(tmp_path), "--library", str(tmp_path / "l.kadr")])
    assert "Not readable, so skipped: 3 RAW (2 CR2, 1 NEF)" in done.output
