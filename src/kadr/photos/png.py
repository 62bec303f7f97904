"""PNG (third edition): chunks with pixels go to the decoder, those with words are read here."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from PIL.PngImagePlugin import PngImageFile

from kadr.errors import ImageError
from kadr.photos.metadata import LIMIT, Metadata, iptc_of_photoshop
from kadr.photos.spliced import Part, splice

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 100_000
"""Chunks beside those of pixels that are looked at."""

_PIXELS = frozenset({b"IDAT", b"fdAT"})
_ANIMATION = {b"acTL": 8, b"fcTL": 26}
"""Chunks of an animation, and the shortest that each may be."""
_WORDS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_KEYS = frozenset(
    {"title", "description", "comment", "subject", "keywords", "caption", "headline"}
    | {"label", "imagedescription", "usercomment", "document name", "parameters"}
    | {"prompt"}
)
"""Keywords of texts about the photo, in small letters; image generators keep the prompt there."""
_XMP = frozenset({"xml:com.adobe.xmp", "raw profile type xmp"})
_IPTC = frozenset({"raw profile type iptc", "raw profile type 8bim"})
_EXIF = "raw profile type exif"
_RATIO = 1032
"""By so much zlib packs at best."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def open_png(file: IO[bytes]) -> tuple[PngImageFile, Metadata]:
    """The photo, its pixels not read yet, and what its chunks say of it.

    Optional chunks that say nothing of pixels don't reach the decoder, so that none of them makes a
    photo unreadable, whatever its size and checksum.

    Raises:
        ImageError: the file is too short for its pixels.
    """
    parts, blocks = _split(file)
    image = PngImageFile(splice(file, parts))
    if blocks.exif:
        image.info["exif"] = blocks.exif
    if blocks.xmp:
        image.info["xmp"] = blocks.xmp[0]  # EXIF's orientation may stand there
    return image, blocks.metadata()


@dataclass
class _Blocks:
    """Chunks that speak of the photo, as they come."""

    exif: bytes = b""
    icc: bytes = b""
    xmp: list[bytes] = field(default_factory=list)
    iptc: list[bytes] = field(default_factory=list)
    comments: list[bytes | str] = field(default_factory=list)
    complete: bool = True
    left: int = LIMIT

    def add(self, kind: bytes, data: bytes) -> None:
        """Sort a chunk in."""
        if kind == b"eXIf":
            self.exif = data if data.startswith(b"Exif\0\0") else b"Exif\0\0" + data
        elif kind == b"iCCP" and not self.icc:
            packed = data.partition(b"\0")[2][1:]
            self.icc = self._unpacked(packed) or b""
        elif kind in _WORDS:
            self._text(kind, data)

    def _text(self, kind: bytes, data: bytes) -> None:
        keyword, _, value = data.partition(b"\0")
        key = keyword.decode("latin-1").lower()
        if key not in _KEYS | _XMP | _IPTC | {_EXIF}:
            return
        packed = kind == b"zTXt"
        if kind == b"iTXt":
            packed = value[:1] == b"\x01"
            value = value[2:].split(b"\0", 2)[-1]
        elif packed:
            value = value[1:]
        text = self._unpacked(value) if packed else value
        if text is None:
            self.complete = False
        elif key in _KEYS:
            self.comments.append(text)
        else:
            self._profile(key, text)

    def _profile(self, key: str, text: bytes) -> None:
        """XMP, IPTC or EXIF in a text; ImageMagick writes bytes in hexadecimal digits."""
        if key.startswith("raw"):
            digits = b"".join(text.split(maxsplit=2)[2:])
            try:
                text = bytes.fromhex(digits.decode("ascii"))
            except ValueError:
                self.complete = False
                return
        if key in _XMP:
            self.xmp.append(text)
        elif key in _IPTC:
            self.iptc.append(iptc_of_photoshop(text) or text)
        elif not self.exif:
            self.exif = text

    def _unpacked(self, packed: bytes) -> bytes | None:
        """None where it is broken, or larger than is read of all chunks together."""
        unpacker = zlib.decompressobj()
        data = None
        with suppress(zlib.error):
            data = unpacker.decompress(packed, self.left + 1)
        if data is None or len(data) > self.left or not unpacker.eof:
            return None
        self.left -= len(data)
        return data

    def metadata(self) -> Metadata:
        """All blocks."""
        return Metadata(
            tuple(self.xmp), tuple(self.iptc), tuple(self.comments), self.icc, self.complete
        )


def _split(file: IO[bytes]) -> tuple[list[Part], _Blocks]:
    """What the decoder needs of a file, and what speaks of the photo."""
    parts: list[Part] = [SIGNATURE]
    blocks, header, packed, others = _Blocks(), b"", 0, 0
    animated, cut, end = True, False, file.seek(0, 2)
    for kind, start, size in _chunks(file):
        if kind in _PIXELS:
            parts.append((start, start + 12 + size))
            packed += size * (kind == b"IDAT")
            cut = start + 12 + size > end
            continue
        others += 1
        if others > MOST_CHUNKS or size > LIMIT:
            blocks.complete &= kind not in _WORDS
            continue
        data = file.read(size)
        header = header or data * (kind == b"IHDR")
        if kind == b"IHDR" or (kind == b"PLTE" and header[9:10] == b"\x03"):
            parts.append((start, start + 12 + size))
        elif kind in {b"tRNS", *_ANIMATION}:
            animated &= len(data) >= _ANIMATION.get(kind, 0)
            parts.append(_chunk(kind, data))
        elif len(data) == size:
            blocks.add(kind, data)
        else:
            blocks.complete &= kind not in _WORDS
    _check_pixels(header, packed)
    if not cut:  # the decoder would take what follows for pixels
        parts.append(_chunk(b"IEND", b""))
    return parts if animated else _still(file, parts), blocks


def _still(file: IO[bytes], parts: list[Part]) -> list[Part]:
    """The parts without those of a broken animation."""
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, bytes):
            kind = part[4:8]
        else:
            file.seek(part[0] + 4)
            kind = file.read(4)
        if kind not in {b"fdAT", *_ANIMATION}:
            kept.append(part)
    return kept


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and size of each chunk before the end; the file stands at its data then."""
    end = file.seek(0, 2)
    place = len(SIGNATURE)
    while place + 8 <= end:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IEND" or not kind.isalpha():
            return
        yield kind, place, min(size, end - place - 8)
        place += 12 + size


def _check_pixels(header: bytes, packed: int) -> None:
    """Raises ImageError where so few bytes can't hold the pixels that the header names."""
    if len(header) < 13:
        return
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    row = 1 + width * depth * _CHANNELS.get(colour, 1) // 8
    if row * height > _RATIO * (packed + 100):
        raise ImageError("not a readable photo (the file is too short for its pixels)")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
