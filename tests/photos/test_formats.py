"""PNG, JPEG and GIF: what stands beside the pixels makes no photo unreadable, and is read."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blocks import SCENE, chunk, jpeg, packet, photoshop, png, record, saved, segment
from kadr.errors import ImageError
from kadr.photos import gif, images
from kadr.photos import jpeg as jpeg_format
from kadr.photos import png as png_format
from kadr.photos.metadata import LIMIT
from kadr.types import PhotoFacts

EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
STANDARD = b"http://ns.adobe.com/xap/1.0/\0"


def read(content: bytes) -> PhotoFacts:
    """The facts of a file whose pixels are the scene."""
    photo, facts = images.read(content, 512)
    shown, scene = (np.asarray(image.convert("L"), int) for image in (photo, SCENE))
    assert np.abs(shown - scene).mean() < 12
    return facts


def texts(content: bytes) -> tuple[str, ...]:
    facts = read(content)
    assert facts.texts_complete
    return facts.texts


def compressed(key: bytes, text: bytes) -> bytes:
    return chunk(b"zTXt", key + b"\0\0" + zlib.compress(text))


def international(key: bytes, text: str, *, packed: bool = False) -> bytes:
    raw = zlib.compress(text.encode()) if packed else text.encode()
    return chunk(b"iTXt", key + b"\0" + bytes((packed, 0)) + b"en\0Title\0" + raw)


def test_texts_of_a_png() -> None:
    content = png(
        chunk(b"tEXt", b"Title\0kids"),
        compressed(b"Description", "дети на пляже".encode()),
        international(b"Comment", "сад"),
        international(b"Caption", "школа", packed=True),
        chunk(b"tEXt", b"Software\0Kids Paint"),
        last=[chunk(b"tEXt", b"Headline\0behind the pixels")],
    )
    expected = ("kids", "дети на пляже", "сад", "школа", "behind the pixels")
    assert texts(content) == expected


def test_metadata_of_other_formats_in_a_png() -> None:
    block = photoshop(record(25, b"kids"))
    raw = b"\niptc\n%8d\n" % len(block) + block.hex().encode()
    exif = Image.Exif()
    exif[0x010E] = "beach"
    assert texts(
        png(
            compressed(b"Raw profile type iptc", raw),
            international(b"XML:com.adobe.xmp", packet("<dc:title>sea</dc:title>").decode()),
            chunk(b"eXIf", exif.tobytes()[6:]),
        )
    ) == ("beach", "kids", "sea")


@pytest.mark.parametrize(
    "extra",
    [
        compressed(b"workflow", b"x" * 20_000_000),
        chunk(b"tEXt", b"Software\0x", right=False),
        chunk(b"tIME", b"\0", right=False),
        chunk(b"gAMA", b""),
        chunk(b"pHYs", b"12"),
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iCCP", b"icc\0\0nothing packed"),
        chunk(b"eXIf", b"nonsense"),
        chunk(b"PLTE", b"1234", right=False),
        chunk(b"acTL", b"1") + chunk(b"fcTL", b"2"),
        chunk(b"prVt", bytes(100_000)),
        chunk(b"tEXt", b"") + chunk(b"zTXt", b"Title") + chunk(b"iTXt", b"Title\0"),
    ],
)
def test_a_png_is_read_whatever_stands_beside_its_pixels(extra: bytes) -> None:
    read(png(extra))
    read(png(last=[extra]))


def test_a_png_without_its_end() -> None:
    whole = png()
    for missing in (1, 2, 4, 12):
        read(whole[:-missing])
    read(whole + bytes(5000))
    with pytest.raises(ImageError):
        read(whole[:-400])


def test_words_of_a_png_that_are_too_many_or_broken_count_as_unread() -> None:
    for extra in (
        compressed(b"Description", b"x" * (LIMIT + 1)),
        3 * compressed(b"Title", b"x" * (LIMIT // 2)),
        chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"kids" * 99)[:-9]),
        compressed(b"Raw profile type iptc", b"\niptc\n 3\nxyz"),
    ):
        assert not read(png(extra)).texts_complete


def test_a_png_that_is_too_short_for_its_pixels_is_refused_unread() -> None:
    head = struct.pack(">IIBBBBB", 16_000, 16_000, 8, 2, 0, 0, 0)
    bomb = png_format.SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(3000)))
    with pytest.raises(ImageError, match="too short for its pixels"):
        images.read(bomb, 32)


def extended(xmp: bytes, pieces: int, key: bytes = b"k" * 32) -> list[bytes]:
    """Segments of an extended packet."""
    step = -(-len(xmp) // pieces)
    return [
        segment(
            0xE1, EXTENSION + key + struct.pack(">II", len(xmp), start) + xmp[start : start + step]
        )
        for start in range(0, len(xmp), step)
    ]


def test_texts_of_a_jpeg() -> None:
    content = jpeg(
        segment(0xFE, b"kids"),
        segment(0xE1, STANDARD + packet("<dc:title>sea</dc:title>")),
        segment(0xED, b"Photoshop 3.0\0" + photoshop(b"odd", 1) + photoshop(record(120, b"sand"))),
        segment(0xFE, "дети".encode("cp1251")),
    )
    assert texts(content) == ("sand", "sea", "kids", "дети")


def test_extended_xmp() -> None:
    xmp = packet("<dc:title>" + "far " * 80_000 + "</dc:title><dc:subject>kids</dc:subject>")
    main = segment(0xE1, STANDARD + packet(attributes='xmpNote:HasExtendedXMP="' + "k" * 32 + '"'
                                           ' xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'))  # fmt: skip
    segments = extended(xmp, 6)
    assert "kids" in read(jpeg(main, *segments)).texts
    assert "kids" in read(jpeg(main, *reversed(segments))).texts
    for lost in (segments[:-1], segments[1:], segments[:2] + segments[3:], []):
        assert not read(jpeg(main, *lost)).texts_complete


def test_an_extended_packet_that_is_too_large_counts_as_unread() -> None:
    large = packet("<dc:title>kids</dc:title>" + " " * LIMIT)
    assert not read(jpeg(*extended(large, 300))).texts_complete


@pytest.mark.parametrize(
    "extra",
    [
        segment(0xE1, b"Exif\0\0nonsense"),
        segment(0xE2, b"ICC_PROFILE\0\x01\x01" + bytes(60_000)),
        segment(0xE2, b"MPF\0nonsense"),
        segment(0xE0, b""),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\x09"),
        segment(0xE2, b"FLIR\0" + bytes(65_000)) * 300,
        b"\xff\xff\xff" + segment(0xFE, b"x"),
    ],
)
def test_a_jpeg_is_read_whatever_stands_before_its_pixels(extra: bytes) -> None:
    read(jpeg(extra))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_read_whatever_follows_it(progressive: bool) -> None:
    content = jpeg(progressive=progressive, quality=95)
    other = content[20:] * 50  # a JPEG has its own scans
    read(content + bytes(5000))
    read(content + b"\0\0\0\x18ftypmp42" + np.random.default_rng(0).bytes(200_000))
    read(content + other)


def test_scans_are_counted_up_to_the_end() -> None:
    content = jpeg(progressive=True)
    with_others = content + content + b"\xff\xda" * 1000
    image, _ = jpeg_format.open_jpeg(io.BytesIO(with_others))
    assert jpeg_format.scans(image) == 10
    image, _ = jpeg_format.open_jpeg(io.BytesIO(jpeg()))
    assert jpeg_format.scans(image) == 1


def test_a_jpeg_of_too_many_segments_is_refused() -> None:
    with pytest.raises(ImageError, match="segments"):
        images.read(jpeg(segment(0xFE, b"") * (jpeg_format.MOST_SEGMENTS + 1)), 32)


def with_extension(label: int, *pieces: bytes, last: bool) -> bytes:
    """A GIF with an extension before its frames or behind them."""
    whole = saved("GIF")
    block = bytes((0x21, label)) + b"".join(bytes([len(p)]) + p for p in pieces) + b"\0"
    first = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    place = len(whole) - 1 if last else first
    return whole[:place] + block + whole[place:]


@pytest.mark.parametrize("last", [False, True])
def test_texts_of_a_gif(last: bool) -> None:
    assert texts(with_extension(0xFE, b"ki", b"ds", last=last)) == ("kids",)
    xmp = packet("<dc:title>sea</dc:title>")
    trailer = bytes([1, *range(255, -1, -1)])
    whole = with_extension(0xFF, b"XMP DataXMP", last=last)
    mark = whole.index(b"XMP DataXMP") + 11
    assert texts(whole[:mark] + xmp + trailer + whole[mark:]) == ("sea",)


def test_a_gif_that_ends_early_tells_what_it_can() -> None:
    whole = with_extension(0xFE, b"kids", last=False)
    assert gif.read(io.BytesIO(whole[:-2])).comments == (b"kids",)
    assert not gif.read(io.BytesIO(whole[: whole.index(b"kids") + 2])).complete
    assert gif.read(io.BytesIO(b"GIF89a")).comments == ()
    too_many = with_extension(0xFE, *[b"x"] * (gif.MOST_BLOCKS + 1), last=False)
    assert not gif.read(io.BytesIO(too_many)).complete


@pytest.mark.parametrize("form", ["TIFF", "WEBP", "AVIF"])
def test_xmp_of_other_formats(form: str) -> None:
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    if form == "TIFF":
        options = {"tiffinfo": {700: packet("<dc:title>sea</dc:title>")}}
    else:
        options["xmp"] = packet("<dc:title>sea</dc:title>")
    assert texts(saved(form, **options)) == ("sea",)


def test_iptc_of_a_tiff() -> None:
    assert texts(saved("TIFF", tiffinfo={33723: record(25, b"kids")})) == ("kids",)
