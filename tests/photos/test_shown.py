"""Photos look as they should: colour profiles, wide samples, frames, files that end early."""

import io
import struct
from collections.abc import Callable
from functools import partial
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from blocks import SCENE, saved
from kadr.errors import ImageError
from kadr.photos import colours, endings, frames, images

DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71187, 0.0), (0.03134, 0.00009, 0.82491))
PATCHES = ((200, 60, 60), (220, 120, 60), (210, 190, 80), (120, 130, 140))


def srgb_curve(sample: float) -> float:
    return sample / 12.92 if sample <= 0.04045 else ((sample + 0.055) / 1.055) ** 2.4


def gamma(power: float) -> Callable[[float], float]:
    return lambda sample: sample**power


def profile(primaries: Any, curve: Callable[[float], float]) -> bytes:
    """A profile of a display (ICC.1:2001-04) with these primaries, seen in D50."""

    def xyz(values: Any) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    steps = [round(curve(step / 255) * 65535) for step in range(256)]
    white = (0.9642, 1.0, 0.8249)
    tags = {
        b"desc": struct.pack(">4sII", b"desc", 0, 2) + b"x\0" + bytes(78),
        b"cprt": b"text\0\0\0\0x\0",
        b"wtpt": xyz(white),
        **{tag: xyz(one) for tag, one in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)},
        **dict.fromkeys(
            (b"rTRC", b"gTRC", b"bTRC"), struct.pack(">4sII256H", b"curv", 0, 256, *steps)
        ),
    }
    table, data = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, 132 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(table + data), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ "
    ) + struct.pack(">6H4s28s", 2020, 1, 1, 0, 0, 0, b"acsp", bytes(28))
    return (head + xyz(white)[8:]).ljust(128, b"\0") + table + data


WIDE = {
    "Display P3": profile(DISPLAY_P3, srgb_curve),
    "Adobe RGB": profile(ADOBE_RGB, gamma(2.2)),
    "ProPhoto RGB": profile(PROPHOTO, gamma(1.8)),
}


def patches() -> Image.Image:
    small = np.array([PATCHES], np.uint8)
    return Image.fromarray(small).resize((128, 32), Image.Resampling.NEAREST)


def middles(image: Image.Image) -> NDArray[np.int_]:
    assert image.mode == "RGB"
    small = image.resize((len(PATCHES), 1), Image.Resampling.BOX)
    row: NDArray[np.int_] = np.asarray(small, int)[0]
    return row


def encoded(form: str, image: Image.Image, **options: Any) -> bytes:
    if form == "HEIF":
        file = io.BytesIO()
        pillow_heif.from_pillow(image).save(file, quality=-1, **options)
        return file.getvalue()
    quality: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    return saved(form, image, **quality.get(form, {}), **options)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_colours_of_wider_spaces_become_srgb(form: str, name: str) -> None:
    srgb = ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(
        patches(),
        io.BytesIO(WIDE[name]),
        srgb,
        outputMode="RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert expected is not None
    wanted = middles(expected)
    assert np.abs(wanted - middles(patches())).max() > 15
    shown = middles(images.read(encoded(form, patches(), icc_profile=WIDE[name]), 128)[0])
    np.testing.assert_allclose(shown, wanted, atol=9)


def test_srgb_stays_as_it_is() -> None:
    for same in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"", b"bad"):
        photo, _ = images.read(encoded("PNG", patches(), icc_profile=same), 128)
        assert photo.tobytes() == patches().tobytes()
        assert colours.to_srgb(same, "RGB") is None


def test_a_profile_of_another_mode_or_size_is_ignored() -> None:
    wide = WIDE["Display P3"]
    assert colours.to_srgb(wide, "CMYK") is None
    assert colours.to_srgb(wide, "L") is None
    assert colours.to_srgb(wide + bytes(colours.MOST_BYTES), "RGB") is None
    grey = encoded("PNG", patches().convert("L"), icc_profile=wide)
    assert images.read(grey, 128)[0].tobytes() == patches().convert("L").convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_profiles_of_other_modes(mode: str) -> None:
    flat = Image.new("RGB", (64, 64), PATCHES[0])
    flat = flat.quantize(4) if mode == "P" else flat.convert(mode)
    plain, wide = (
        images.read(encoded("PNG", flat, icc_profile=icc), 64)[0]
        for icc in (b"", WIDE["Display P3"])
    )
    assert plain.getpixel((9, 9)) == PATCHES[0]
    assert np.abs(np.asarray(wide, int)[9, 9] - PATCHES[0]).max() > 10


def test_adobe_rgb_that_exif_alone_names() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    named = middles(images.read(encoded("JPEG", patches(), exif=exif), 128)[0])
    wide = encoded("JPEG", patches(), icc_profile=WIDE["Adobe RGB"])
    np.testing.assert_allclose(named, middles(images.read(wide, 128)[0]), atol=3)
    assert np.abs(named - middles(patches())).max() > 15


def test_a_giant_has_its_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded("PNG", patches(), icc_profile=WIDE["Adobe RGB"])
    whole = middles(images.read(content, 32)[0])
    monkeypatch.setattr("kadr.photos.pixels.KEPT_PIXELS", 2000)
    monkeypatch.setattr("kadr.photos.pixels.BAND", 128 * 8)
    small = images.read(content, 8)[0]
    assert small.size < (128, 32)
    np.testing.assert_allclose(middles(small), whole, atol=2)


GREY = np.asarray(SCENE.convert("L"))


@pytest.mark.parametrize(
    "samples",
    [
        GREY.astype(np.float32) / 255,
        GREY.astype(np.float32) / 255 * 1.2,
        GREY.astype(np.float32),
        GREY.astype(np.float32) * 257,
        GREY.astype(np.uint16) * 257,
        GREY.astype(np.int32) * 257,
        GREY,
    ],
)
def test_grey_of_any_depth_looks_the_same(samples: NDArray[Any]) -> None:
    bright = 1.2 if samples.dtype == np.float32 and 1 < samples.max() < 2 else 1.0
    for photometric in (None, 1, 0):
        if samples.dtype == np.int32 and photometric == 0:
            continue  # Pillow can't read those
        options = {} if photometric is None else {"tiffinfo": {262: photometric}}
        inverted = photometric == 0 and samples.dtype != np.uint8  # Pillow inverts these itself
        photo, _ = images.read(saved("TIFF", Image.fromarray(samples), **options), 32)
        shown = np.asarray(photo.convert("L"), int)
        wanted = np.clip(GREY * bright, 0, 255)
        np.testing.assert_allclose(shown, 255 - wanted if inverted else wanted, atol=2)


def test_lab_and_premultiplied_colours() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    other = ImageCms.profileToProfile(patches(), srgb, lab, outputMode="LAB")
    assert other is not None
    np.testing.assert_allclose(
        middles(images.read(saved("TIFF", other), 32)[0]), middles(patches()), atol=4
    )


def frames_of(*shades: float, size: tuple[int, int] = (48, 32)) -> list[Image.Image]:
    scene = SCENE.resize(size)
    return [Image.eval(scene, partial(mul, shade)) for shade in shades]


ANIMATED = {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "AVIF": {}}


@pytest.mark.parametrize("form", ANIMATED)
def test_an_animation_is_its_first_frame_that_shows_something(form: str) -> None:
    first, *others = frames_of(0, 0.02, 0.6, 1)
    content = saved(form, first, save_all=True, append_images=others, **ANIMATED[form])
    shown = np.asarray(images.read(content, 32)[0].convert("L"), float)
    wanted = np.asarray(others[1].convert("L"), float)
    assert np.abs(shown - wanted).mean() < 12


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_empty_first_frame_is_passed_over(form: str) -> None:
    clear, full = Image.new("RGBA", (48, 32), (0, 0, 0, 0)), SCENE.convert("RGBA")
    content = saved(form, clear, save_all=True, append_images=[full], disposal=2) if form != "WEBP" else (
        saved(form, clear, save_all=True, append_images=[full], lossless=True)
    )  # fmt: skip
    assert np.asarray(images.read(content, 32)[0].convert("L"), float).std() > 30


def test_where_all_frames_are_empty_the_first_is_taken() -> None:
    black, red = Image.new("RGB", (48, 32)), Image.new("RGB", (48, 32), "red")
    content = saved("GIF", red, save_all=True, append_images=[black, red])
    assert np.asarray(images.read(content, 32)[0])[5, 5, 0] > 250


def test_frames_are_looked_at_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = frames_of(0, 0.02, 0.04, 1)
    content = saved("WEBP", first, save_all=True, append_images=others, lossless=True)
    assert np.asarray(images.read(content, 32)[0]).max() > 200
    monkeypatch.setattr(frames, "FRAMES", 3)
    assert np.asarray(images.read(content, 32)[0]).max() < 20
    monkeypatch.setattr(frames, "FRAMES", 100)
    monkeypatch.setattr(images, "MAX_PIXELS", 48 * 32 * 3)
    assert np.asarray(images.read(content, 32)[0]).max() < 20


def test_facts_of_an_animation_are_of_the_file() -> None:
    first, *others = frames_of(0, 1)
    exif = Image.Exif()
    exif[0x010F] = "Nikon"
    content = saved("PNG", first, save_all=True, append_images=others, exif=exif.tobytes())
    assert images.read(content, 32)[1].camera == "Nikon"


def rough() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((480, 320))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(progressive: bool, missing: int) -> None:
    large = SCENE.resize((480, 320))
    whole = saved("JPEG", large, progressive=progressive, quality=92)
    photo, facts = images.read(whole[:-missing], 480)
    wanted, _ = images.read(whole, 480)
    np.testing.assert_allclose(np.asarray(photo, int), np.asarray(wanted, int), atol=2)
    assert (facts.kind, facts.width) == ("jpeg", 480)


@pytest.mark.parametrize("form", ["TIFF", "BMP", "WEBP", "HEIF", "AVIF"])
def test_two_missing_bytes_are_not_missed(form: str) -> None:
    whole = encoded(form, rough()) if form != "WEBP" else saved("WEBP", rough())
    photo, _ = images.read(whole[:-2], 480)
    wanted = np.asarray(images.read(whole, 480)[0], int)
    assert np.abs(np.asarray(photo, int) - wanted).mean() < 2


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "BMP", "WEBP", "HEIF", "AVIF", "PNG", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_photo_is_none(form: str, share: float) -> None:
    whole = saved("WEBP", rough()) if form == "WEBP" else encoded(form, rough())
    with pytest.raises(ImageError):
        images.read(whole[: int(len(whole) * share)], 480)


def test_what_is_missing_is_found_by_what_stands_in_its_place() -> None:
    def read(file: Any) -> Any:
        content = file.read()
        shade = content[8:9] or b"\0"
        image = Image.new("RGB", (100, 100))
        image.paste((shade[0],) * 3, (0, 0, 100, width))
        return image, None

    width = 1
    assert endings.mend(io.BytesIO(b"BM" + bytes(6)), read) is not None
    width = 9
    assert endings.mend(io.BytesIO(b"BM" + bytes(6)), read) is None
    assert endings.mend(io.BytesIO(b"text"), read) is None


def test_limits_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    SCENE.resize((640, 480)).save(path)
    area = 640 * 480
    monkeypatch.setattr(images, "MAX_PIXELS", area // 2)
    assert images.decode(path, 32).size == (80, 60)  # it is decoded at a reduced size
    monkeypatch.setattr(images, "MAX_DRAFTED_PIXELS", area - 1)
    with pytest.raises(ImageError, match="640x480 pixels"):
        images.decode(path, 32)
    SCENE.resize((640, 480)).save(path, progressive=True)
    with pytest.raises(ImageError, match="640x480 pixels"):
        images.decode(path, 32)
    monkeypatch.setattr(images, "MAX_PIXELS", area)
    with pytest.raises(ImageError, match=f"more than are read .{area - 1:,}"):
        images.read(path, 32, area - 1)
    SCENE.resize((640, 480)).save(path, "WEBP")
    monkeypatch.setattr(images, "MAX_COPIED_PIXELS", area - 1)
    with pytest.raises(ImageError, match="640x480 pixels"):
        images.decode(path, 32)
