"""Decoding what people and attackers put into a folder."""

import contextlib
import io
import os
import random
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from kadr.errors import ImageError
from kadr.photos import colours, hashes, images, pixels
from kadr.types import PhotoFacts

QUADRANTS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
KINDS = {"JPEG": "jpeg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "TIFF": "tiff", "BMP": "bmp"}
KINDS |= {"AVIF": "avif", "HEIF": "heic"}
FORMATS = tuple(KINDS)
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


def encoded(form: str, image: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = image or quadrants()
    if form == "HEIF":
        if isinstance(exif := options.get("exif"), Image.Exif):
            options["exif"] = exif.tobytes()
        pillow_heif.from_pillow(image).save(file, **options)
    else:
        image.save(file, form, **options)
    return file.getvalue()


def camera_exif() -> Image.Exif:
    """Of a camera in Sydney."""
    exif = Image.Exif()
    exif[0x010F] = "NIKON CORPORATION"
    exif[0x0110] = "NIKON D90"
    exif[0x0132] = "2022:01:01 12:00:00"
    exif[0x8769] = {0x9003: "2021:07:03 18:05:09", 0x9004: "2021:07:04 00:00:00"}
    exif[0x8825] = {1: "S", 2: (33.0, 51.0, 27.0), 3: "E", 4: (151.0, 12.0, 54.0)}
    read = Image.Exif()
    read.load(exif.tobytes())
    return read


def facts_of(folder: Path, exif: Image.Exif) -> PhotoFacts:
    return images.read(saved(folder, quadrants(), "facts.jpg", exif=exif), 32)[1]


def test_photos_are_read_whatever_their_names(tmp_path: Path) -> None:
    for name in ("🐕.png", "new\nline.png", "собака.png", os.fsdecode(b"\xff.png")):
        try:
            (tmp_path / name).write_bytes(encoded("PNG"))
        except OSError:
            continue
        assert_near(images.decode(tmp_path / name, 32), *QUADRANTS)


@pytest.mark.parametrize("form", FORMATS)
def test_formats(tmp_path: Path, form: str) -> None:
    (tmp_path / "photo").write_bytes(encoded(form))
    photo, facts = images.read(tmp_path / "photo", 32)
    assert_near(photo, *QUADRANTS)
    assert facts == PhotoFacts(KINDS[form], 96, 64, None, None, None, None)
    assert type(photo) is Image.Image  # holds no file and no decoder


@pytest.mark.parametrize("form", FORMATS)
def test_a_photo_under_a_wrong_name_is_what_it_is(tmp_path: Path, form: str) -> None:
    for name in ("a.jpg", "a.png", "a.heic", "a.avif"):
        (tmp_path / name).write_bytes(encoded(form))
        assert images.read(tmp_path / name, 32)[1].kind == KINDS[form]


def test_avif_and_heif_are_told_apart_by_all_their_brands(tmp_path: Path) -> None:
    for form in ("AVIF", "HEIF"):
        content = bytearray(encoded(form))
        content[8:12] = b"mif1"  # both may say so; the list of compatible brands tells
        (tmp_path / form).write_bytes(content)
        assert images.read(tmp_path / form, 32)[1].kind == KINDS[form]


def test_an_mpo_is_the_jpeg_that_it_begins_with(tmp_path: Path) -> None:
    other = Image.new("RGB", (960, 640), "black")
    path = saved(tmp_path, quadrants(960, 640), "a.mpo", save_all=True, append_images=[other])
    with Image.open(path) as image:
        assert image.format == "MPO"
    photo, facts = images.read(path, 100)
    assert_near(photo, *QUADRANTS)
    assert (facts.kind, facts.width, photo.width) == ("jpeg", 960, 240)


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    how = STORED[orientation]
    stored = quadrants() if how is None else quadrants().transpose(how)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = images.decode(saved(tmp_path, stored, "a.jpg", exif=exif, quality=95), 64)
    assert upright.size == (96, 64)
    assert_near(upright, *QUADRANTS)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_facts_are_of_the_upright_photo(tmp_path: Path, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = quadrants().transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "a").write_bytes(encoded(form, stored, exif=exif))
    photo, facts = images.read(tmp_path / "a", 64)
    assert_near(photo, *QUADRANTS)
    assert (facts.width, facts.height) == photo.size == (96, 64)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_facts(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").write_bytes(encoded(form, exif=camera_exif()))
    facts = images.read(tmp_path / "a", 32)[1]
    assert facts == PhotoFacts(
        KINDS[form], 96, 64, "2021-07-03T18:05:09", "NIKON D90", -33.8575, 151.215
    )


def test_the_next_best_time_is_taken(tmp_path: Path) -> None:
    exif = camera_exif()
    times = []
    for tag in (0x9003, 0x9004):
        exif.get_ifd(0x8769)[tag] = "0000:00:00 00:00:00"
        times.append(facts_of(tmp_path, exif).taken)
    exif[0x0132] = "    :  :     :  :  "
    times.append(facts_of(tmp_path, exif).taken)
    assert times == ["2021-07-04T00:00:00", "2022-01-01T12:00:00", None]


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("EASTMAN KODAK COMPANY", "KODAK DX7590", "KODAK DX7590"),
        ("OLYMPUS  \0garbage", "E-M5\0\0", "OLYMPUS E-M5"),
        ("Зенит", "", "Зенит"),
        ("", "a\nb", "a b"),
        ("", "", None),
        ("m" * 60_000, "", "m" * 100),
    ],
)
def test_cameras(tmp_path: Path, make: str, model: str, camera: str | None) -> None:
    exif = Image.Exif()
    exif[0x010F] = make.encode()
    exif[0x0110] = model.encode()
    assert facts_of(tmp_path, exif).camera == camera


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (90.0, 0.0, 1.0), 3: "E", 4: (1.0, 0.0, 0.0)},
        {1: "N", 2: (1.0, 0.0, 0.0), 3: "E", 4: (180.0, 1.0, 0.0)},
        {1: "N", 2: (1.0, 0.0, 0.0)},
        {2: (1.0, 0.0, 0.0), 4: (1.0, 0.0, 0.0)},
        {1: "?", 2: (1.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)},
        {1: "N", 2: (IFDRational(0, 0), 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)},
    ],
)
def test_a_place_that_is_none(tmp_path: Path, gps: dict[int, Any]) -> None:
    exif = Image.Exif()
    exif[0x8825] = gps
    facts = facts_of(tmp_path, exif)
    assert (facts.latitude, facts.longitude) == (None, None)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_broken_exif_breaks_no_photo(tmp_path: Path, form: str) -> None:
    whole = camera_exif().tobytes()
    dice = random.Random(5)
    for trial in range(25):
        broken = bytearray(whole)
        for _ in range(6):
            broken[dice.randrange(6, len(broken))] = dice.choice((0, 255, dice.randrange(256)))
        if trial == 0:
            broken[6:] = bytes(len(broken) - 6)
        if form == "AVIF":  # Pillow writes no broken one
            content = encoded(form, exif=whole).replace(whole[6:], broken[6:])
            assert broken[6:] in content
        else:
            content = encoded(form, exif=bytes(broken))
        (tmp_path / "a").write_bytes(content)
        photo, facts = images.read(tmp_path / "a", 64)
        assert sorted(photo.size) == [64, 96]
        assert facts.latitude is None or -90 <= facts.latitude <= 90


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


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif", "a.tif"])
def test_an_animation_is_its_first_frame(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in QUADRANTS]
    path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
    assert_near(images.decode(path, 32), (255, 0, 0))


def test_palette(tmp_path: Path) -> None:
    for name in ("a.png", "a.gif", "a.tif", "a.bmp"):
        path = saved(tmp_path, quadrants().quantize(4), name)
        assert_near(images.decode(path, 32), *QUADRANTS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_a_giant_is_handed_on_smaller_and_looks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    grey = np.zeros((400, 600), dtype=np.uint16)
    grey[:200] = {"I;16": 40_000, "1": 255}.get(mode, 200)
    whole = Image.fromarray(grey if mode == "I;16" else grey.astype(np.uint8))
    path = saved(tmp_path, whole.convert(mode), "a.tif")
    expected = np.asarray(images.decode(path, 50))
    monkeypatch.setattr(pixels, "KEPT_PIXELS", 50_000)
    monkeypatch.setattr(pixels, "BAND", 600 * 30)
    small, facts = images.read(path, 50)
    assert (facts.width, facts.height) == (600, 400)
    assert small.size == (150, 100)
    np.testing.assert_allclose(np.asarray(small), expected[::4, ::4], atol=1)


def test_a_long_giant_keeps_no_more_than_may_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "KEPT_PIXELS", 5_000)
    photo = images.decode(saved(tmp_path, quadrants(1000, 40), "a.png"), 32)
    assert photo.size == (334, 14)


@pytest.mark.parametrize("form", ["HEIF", "PNG", "TIFF"])
def test_a_large_photo_is_reduced_before_its_colours_are_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = tmp_path / "a.photo"
    path.write_bytes(encoded(form, quadrants(1200, 900), icc_profile=colours.adobe_rgb()))
    whole = images.decode(path, 100)
    assert whole.size == (1200, 900)
    monkeypatch.setattr(pixels, "REDUCED_PIXELS", 1_000_000)
    small, facts = images.read(path, 100)
    assert (facts.width, facts.height) == (1200, 900)
    assert small.size == (400, 300)
    near = whole.resize((100, 100)), small.resize((100, 100))
    assert np.abs(np.asarray(near[0], int) - np.asarray(near[1], int)).mean() < 1
    assert images.decode(path, 400).size == (1200, 900)


def test_threads_wait_while_others_hold_too_many_pixels() -> None:
    work = images._PixelsInWork(100)
    together, most = 0, []
    lock = threading.Lock()

    def decode(pixels: int) -> None:
        nonlocal together
        with work.take(pixels):
            with lock:
                together += min(pixels, 100)
                most.append(together)
            time.sleep(0.001)
            with lock:
                together -= min(pixels, 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [60, 40, 200, 1, 99, 50, 50, 0] * 5))
    assert 50 < max(most) <= 100
    assert work.free == 100


def test_pixels_are_free_again_after_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(encoded("PNG")[:-40])
    with pytest.raises(ImageError):
        images.decode(tmp_path / "cut.png", 32)
    assert images._pixels_in_work.free == images._pixels_in_work.total


def test_a_thumbnail_inside_a_heic_is_not_taken_for_the_photo(tmp_path: Path) -> None:
    file = pillow_heif.from_pillow(quadrants(640, 480))
    file[0].info["thumbnails"] = []
    file.save(tmp_path / "a.heic", thumbnails=[128])
    assert images.decode(tmp_path / "a.heic", 64).size == (640, 480)


def test_a_big_jpeg_is_decoded_small(tmp_path: Path) -> None:
    path = saved(tmp_path, quadrants(2000, 1600), "a.jpg")
    small = images.decode(path, 260)
    assert small.size == (500, 400)
    assert_near(small, *QUADRANTS)
    assert images.decode(path, 1700).size == (2000, 1600)


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(encoded("JPEG", quadrants(400, 300))[:2000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("a dog on a beach\n" * 100)
    (tmp_path / "script.jpg").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage"
    )
    (tmp_path / "film.heic").write_bytes(b"\0\0\0\x14ftypisom\0\0\0\0isom" + bytes(99))
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    reasons = {}
    for path in (*tmp_path.iterdir(), tmp_path / "gone.jpg"):
        with pytest.raises(ImageError, match=r"^not a readable photo \(.+\)$") as caught:
            images.decode(path, 32)
        reasons[path.name] = str(caught.value).partition("(")[2].rstrip(")")
    none = "its bytes are no photo, or damaged at the start"
    assert reasons.pop("cut.jpg").startswith("image file is truncated")
    assert reasons == {
        "empty.jpg": "the file is empty",
        "text.jpg": none,
        "script.jpg": "a document: PostScript",
        "film.heic": "a video: MP4",
        "folder.jpg": "not a file",
        "pipe.jpg": "not a file",
        "gone.jpg": "No such file or directory",
    }


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), KeyError(1), EOFError()])
def test_whatever_a_decoder_raises_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def load(self: Image.Image) -> None:
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    with pytest.raises(ImageError, match=r"^not a readable photo \(.+\)$"):
        images.decode(tmp_path / "a.png", 32)


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.heic").open("wb") as file:
        file.write(encoded("HEIF"))
        file.truncate(images.MAX_BYTES + 1)  # takes no room on the disk
    with pytest.raises(ImageError, match=r"1\.1 GB"):
        images.decode(tmp_path / "a.heic", 32)


def test_a_jpeg_of_too_many_scans_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, quadrants(), "a.jpg", progressive=True)
    assert_near(images.decode(path, 32), *QUADRANTS)
    monkeypatch.setattr(images, "MAX_PIXELS", 96 * 64)
    monkeypatch.setattr(images, "SCANS", 5)
    with pytest.raises(ImageError, match="96x64 pixels in 10 scans"):
        images.decode(path, 32)


def test_warnings_of_decoders_are_neither_errors_nor_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([200, 0, 0, 0, 0, 200])
    path = saved(tmp_path, palette, "a.png", transparency=bytes([0, 255]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images.decode(path, 32)
        (tmp_path / "b.png").write_bytes(png(10_000, 10_000))
        with pytest.raises(ImageError):
            images.decode(tmp_path / "b.png", 32)
        with pytest.raises(UserWarning, match="of others"):
            warnings.filterwarnings("error", message="of others")
            warnings.warn("of others", stacklevel=1)
    assert caught == []
    assert capfd.readouterr().err == ""


def test_perceptual_hashes_are_near_for_copies_and_far_for_others(tmp_path: Path) -> None:
    rough = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    photo = Image.fromarray(rough).resize((400, 300), Image.Resampling.BICUBIC)
    copies = [photo, photo.resize((200, 150)), images.decode(saved(tmp_path, photo, "a.jpg"), 224)]
    first, *others = map(hashes.perceptual_hash, copies)
    assert 0 <= first < 2**64
    assert all((first ^ other).bit_count() <= 6 for other in others)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    assert (first ^ hashes.perceptual_hash(Image.fromarray(noise))).bit_count() > 16
    assert 0 <= hashes.perceptual_hash(Image.new("RGB", (64, 64))) < 2**64


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


SAMPLES = [encoded(form, quadrants(16, 12)) for form in FORMATS]


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
