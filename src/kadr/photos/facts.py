"""What a photo's file says of it: when, where, with what, and in which words.

EXIF (Exif 2.32), IPTC (IIM 4.2) and XMP's Dublin Core. What is broken is left out; nothing here
makes a photo unreadable.
"""

import html
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import chain, islice
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from kadr.types import PhotoFacts

LONGEST = 1000
"""Characters of a text that are kept."""
MOST = 100
"""Texts of a photo that are kept."""

_TIME = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?!\d)", flags=re.ASCII)
_ISO = r"\1-\2-\3T\4:\5:\6"
_WINDOWS = (0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F)
"""Title, comment, keywords and subject, as Windows writes them: UTF-16."""
_IPTC = ((2, 5), (2, 25), (2, 105), (2, 120))
"""Object name, keywords, headline, caption."""
_PACKET = 2**18
"""Bytes of XMP that are looked at."""
_DUBLIN = re.compile(r"<dc:(title|description|subject)\b[^>]*>(.*?)</dc:\1\s*>", re.DOTALL)
_ITEM = re.compile(r">([^<>]+)<")


def exif(image: Image.Image) -> Image.Exif:
    """The EXIF of an open image; empty where it is broken."""
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001 - broken facts don't make a photo unreadable
        return Image.Exif()


def orientation(exif: Image.Exif) -> int:
    """EXIF's orientation, 1 to 8; 0 where it says nothing that can be believed."""
    value = _tag(exif, Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 0


def texts(image: Image.Image) -> tuple[str, ...]:
    """Titles, captions and keywords in an open image's IPTC and XMP."""
    return tuple(islice(chain(_iptc(image), _xmp(image)), MOST))


def read(
    exif: Image.Exif, kind: str, size: tuple[int, int], texts: tuple[str, ...] = ()
) -> PhotoFacts:
    """The facts of a photo of this kind and upright size, from its EXIF."""
    details, gps = _directory(exif, IFD.Exif), _directory(exif, IFD.GPSInfo)
    times = (
        _time(_tag(details, Base.DateTimeOriginal)),
        _time(_tag(details, Base.DateTimeDigitized)),
        _time(_tag(exif, Base.DateTime)),
    )
    latitude = _degrees(_tag(gps, GPS.GPSLatitude), _tag(gps, GPS.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(_tag(gps, GPS.GPSLongitude), _tag(gps, GPS.GPSLongitudeRef), "EW", 180)
    whole = latitude is not None and longitude is not None
    return PhotoFacts(
        kind,
        *size,
        taken=next((time for time in times if time), None),
        camera=_camera(_text(_tag(exif, Base.Make)), _text(_tag(exif, Base.Model))),
        latitude=latitude if whole else None,
        longitude=longitude if whole else None,
        texts=tuple(dict.fromkeys(text for text in (*_titles(exif, details), *texts) if text)),
    )


def _directory(exif: Image.Exif, tag: int) -> Mapping[int, Any]:
    try:
        return exif.get_ifd(tag)
    except Exception:  # noqa: BLE001 - see exif
        return {}


def _tag(tags: Mapping[int, Any], tag: int) -> object:
    try:
        return tags.get(tag)
    except Exception:  # noqa: BLE001 - a tag is parsed when it is asked for
        return None


def _text(value: object) -> str:
    """One printable line of a tag, without what follows a NUL."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return ""
    with suppress(UnicodeError):  # Pillow reads Latin-1, phones write UTF-8
        value = value.encode("latin-1").decode()
    line = "".join(sign if sign.isprintable() else " " for sign in value.partition("\0")[0])
    return " ".join(line.split())[:100]


def _time(value: object) -> str | None:
    match = _TIME.match(_text(value))
    try:
        return datetime.fromisoformat(match.expand(_ISO)).isoformat() if match else None
    except ValueError:  # 0000:00:00 00:00:00
        return None


def _camera(make: str, model: str) -> str | None:
    """Make and model; of "NIKON CORPORATION" and "NIKON D90" the model says all."""
    first = model.casefold().split(maxsplit=1)[:1]
    named = first and first[0] in make.casefold().split()
    return (model if named else f"{make} {model}".strip()) or None


def _degrees(value: object, side: object, sides: str, limit: float) -> float | None:
    """Degrees, minutes and seconds as degrees, negative on the second of two sides."""
    hemisphere = _text(side).upper()
    parts = value if isinstance(value, tuple) else (value,)
    try:
        degrees = math.fsum(float(part) / 60**place for place, part in enumerate(parts[:3]))
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not parts or hemisphere not in tuple(sides) or not 0 <= degrees <= limit:  # false for NaN
        return None
    return 0.0 - degrees if hemisphere == sides[1] else degrees


def _titles(exif: Mapping[int, Any], details: Mapping[int, Any]) -> Iterator[str]:
    yield _words(_tag(exif, Base.ImageDescription))
    for tag in _WINDOWS:
        value = _tag(exif, tag)
        raw = bytes(value) if isinstance(value, bytes | tuple) and _are_bytes(value) else b""
        yield _words(raw.decode("utf-16-le", "replace"))
    comment = _tag(details, Base.UserComment)
    if isinstance(comment, bytes):  # eight bytes name the encoding
        wide = comment[:7] == b"UNICODE"
        comment = comment[8:].decode("utf-16" if wide else "utf-8", "replace")
    yield _words(comment)


def _are_bytes(value: bytes | tuple[object, ...]) -> bool:
    return all(isinstance(one, int) and 0 <= one < 256 for one in value)


def _iptc(image: Image.Image) -> Iterator[str]:
    from PIL import IptcImagePlugin
    from PIL.ImageFile import ImageFile

    if not isinstance(image, ImageFile):
        return

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = IptcImagePlugin.getiptcinfo(image) or {}
    except Exception:  # noqa: BLE001 - see exif
        return
    for key in _IPTC:
        values = record.get(key) or []
        for value in values if isinstance(values, list) else [values]:
            yield _words(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


def _xmp(image: Image.Image) -> Iterator[str]:
    """Items of Dublin Core, picked out of the packet as text: a parser of XML can be attacked."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if isinstance(packet, bytes):
        packet = packet[:_PACKET].decode("utf-8", "replace")
    if not isinstance(packet, str):
        return
    for _, inside in _DUBLIN.findall(packet[:_PACKET]):
        for item in _ITEM.findall(f">{inside}<"):
            yield _words(html.unescape(item))


def _words(value: object) -> str:
    """A text of any length as one printable line."""
    if not isinstance(value, str):
        return ""
    with suppress(UnicodeError):  # Pillow reads Latin-1, phones write UTF-8
        value = value.encode("latin-1").decode()
    line = "".join(sign if sign.isprintable() else " " for sign in value[: 4 * LONGEST])
    return " ".join(line.split())[:LONGEST]
