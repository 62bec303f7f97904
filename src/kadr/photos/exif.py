"""EXIF (Exif 2.32 and 3.0): tags that Pillow reads, and texts in the charsets that cameras write.

What is broken is left out.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

from kadr.photos import texts

_WINDOWS = (0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F)
"""Title, comment, keywords and subject, as Windows writes them: UTF-16."""
_IMAGE_TITLE = 0xA436  # Exif 3.0
_ORDINARY = re.compile("[\t\n\r -~\xa0-\u052f\u2010-\u2026\u3000-\u30ff]")


def read(image: Image.Image) -> Image.Exif:
    """The EXIF of an open image; empty where it is broken."""
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001 - broken facts don't make a photo unreadable
        return Image.Exif()


def orientation(exif: Image.Exif) -> int:
    """EXIF's orientation, 1 to 8; 0 where it says nothing that can be believed."""
    value = tag(exif, Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 0


def is_adobe_rgb(exif: Image.Exif) -> bool:
    """Whether the colours are Adobe RGB's, as cameras write it that embed no profile."""
    space = directory(exif, IFD.Exif).get(Base.ColorSpace)
    return space in {2, 0xFFFF} and text(directory(exif, IFD.Interop).get(1)) == "R03"


def directory(exif: Image.Exif, number: int) -> Mapping[int, Any]:
    """The tags of a directory within EXIF, each with a value that could be read."""
    try:
        tags = exif.get_ifd(number)
    except Exception:  # noqa: BLE001 - see read
        return {}
    return {key: tag(tags, key) for key in tags}


def tag(tags: Mapping[int, Any], number: int) -> object:
    """A tag's value; None where there is none, or it is broken."""
    try:
        return tags.get(number)
    except Exception:  # noqa: BLE001 - a tag is parsed when it is asked for
        return None


def text(value: object) -> str:
    """One printable line of a tag, without what follows a NUL, at most 100 characters."""
    if isinstance(value, bytes):
        return texts.line(texts.decode(value.partition(b"\0")[0][:1000]), 100)
    return (
        texts.line(_decoded(value.partition("\0")[0][:1000]), 100) if isinstance(value, str) else ""
    )


def words(exif: Image.Exif) -> Iterator[str]:
    """Title, description, keywords and comment."""
    details = directory(exif, IFD.Exif)
    for value in (
        tag(exif, Base.ImageDescription),
        tag(exif, Base.DocumentName),
        details.get(_IMAGE_TITLE),
    ):
        if isinstance(value, str):
            yield _decoded(value)
    for number in _WINDOWS:
        value = tag(exif, number)
        if isinstance(value, bytes | tuple) and _are_bytes(value):
            yield bytes(value).decode("utf-16-le", "replace")
    comment = details.get(Base.UserComment)
    if isinstance(comment, bytes):
        yield comment_text(comment, exif.endian or "<")
    elif isinstance(comment, str):
        yield _decoded(comment)


def comment_text(comment: bytes, endian: str) -> str:
    """A UserComment, whose first eight bytes name the charset (Exif 2.32, 4.6.5)."""
    charset, value = comment[:8], comment[8:]
    if charset.startswith(b"UNICODE"):
        return _utf16(value, endian)
    if charset.startswith(b"JIS"):
        return _japanese(value)
    if charset.startswith((b"ASCII", b"\0")):
        return texts.decode(value)
    return texts.decode(comment)  # programs that name no charset


def _utf16(value: bytes, endian: str) -> str:
    """UTF-16 of either order. Programs write theirs or EXIF's, some write no UTF-16 at all."""
    if value.startswith((b"\xff\xfe", b"\xfe\xff")):
        return value.decode("utf-16", "replace")
    orders = ("utf-16-le", "utf-16-be") if endian == "<" else ("utf-16-be", "utf-16-le")
    readings = [value.decode(order, "replace") for order in orders]
    if value.rstrip(b"\0 ").find(b"\0") < 0 and all(
        32 <= byte < 127 for byte in value.strip(b"\0")
    ):
        readings.append(value.decode("ascii", "replace"))
    return max(readings, key=_plausibility)


def _plausibility(reading: str) -> float:
    """The share of ordinary characters, less that of unassigned and private ones."""
    start = reading[:1000].strip("\0 ")
    odd = sum(unicodedata.category(sign) in {"Cn", "Co", "Cs", "So"} for sign in start)
    return (len(_ORDINARY.findall(start)) - 2 * odd) / max(1, len(start))


def _japanese(value: bytes) -> str:
    for charset in ("iso2022_jp", "utf-8", "shift_jis", "euc_jp"):
        with suppress(UnicodeError):
            return value.decode(charset)
    return texts.decode(value)


def _decoded(value: str) -> str:
    """Pillow reads Latin-1; phones write UTF-8, old programs the charset of their country."""
    with suppress(UnicodeError):
        return texts.decode(value.encode("latin-1"))
    return value


def _are_bytes(value: bytes | tuple[object, ...]) -> bool:
    return all(isinstance(one, int) and 0 <= one < 256 for one in value)
