"""JPEG: what the decoder needs goes to it, what speaks of the photo is read here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from PIL.JpegImagePlugin import JpegImageFile

from kadr.errors import ImageError
from kadr.photos.metadata import LIMIT, Metadata, iptc_of_photoshop
from kadr.photos.spliced import Part, splice

MOST_SEGMENTS = 20_000
"""A photo with more segments before its pixels is refused; a real one has some dozens."""
END = b"\xff\xd9"

_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a segment: TEM, RST0 to RST7, SOI."""
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
_SPEAKING = frozenset({*range(0xE1, 0xEE), 0xEF, _COMMENT})
"""Segments that say nothing of pixels: of applications, but JFIF's and Adobe's; comments."""
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_ICC = b"ICC_PROFILE\0"
_KNOWN = (_EXIF, _XMP, _EXTENDED, _PHOTOSHOP, _ICC)
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""What ends the bytes of a scan: FF 00 and RST0 to RST7 are among them."""


def open_jpeg(file: IO[bytes]) -> tuple[JpegImageFile, Metadata]:
    """The photo, its pixels not read yet, and what its segments say of it.

    Segments that say nothing of pixels don't reach the decoder, so that none of them makes a photo
    unreadable.
    """
    parts, blocks = _split(file)
    image = JpegImageFile(splice(file, parts) if parts else file)
    if blocks.exif:
        image.info["exif"] = _EXIF + b"".join(blocks.exif)
    if blocks.xmp:
        image.info["xmp"] = blocks.xmp[0]  # EXIF's orientation may stand there
    return image, blocks.metadata()


def scans(image: JpegImageFile) -> int:
    """How often a progressive photo is gone over; 1 for all else."""
    if not image.info.get("progressive"):
        return 1
    assert image.fp is not None
    start = image.fp.tell()
    image.fp.seek(0)
    content = image.fp.read()
    image.fp.seek(start)
    return _count_scans(content)


def _count_scans(content: bytes) -> int:
    """Scans before the photo's end; other files may follow it."""
    count, place = 0, 2
    while match := _MARKER.search(content, place):
        marker, place = match[1][0], match.end()
        if marker == _END:
            break
        count += marker == _SCAN
        if marker not in _ALONE:
            place += int.from_bytes(content[place : place + 2])
    return count


@dataclass
class _Blocks:
    """Segments that speak of the photo, as they come."""

    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    extended: dict[bytes, list[tuple[int, int, bytes]]] = field(default_factory=dict)
    photoshop: list[bytes] = field(default_factory=list)
    comments: list[bytes | str] = field(default_factory=list)
    icc: list[bytes] = field(default_factory=list)
    complete: bool = True
    left: int = LIMIT

    def add(self, marker: int, data: bytes) -> None:
        """Sort a segment in."""
        if marker != _COMMENT and not data.startswith(_KNOWN):
            return
        self.left -= len(data)
        if self.left < 0:
            self.complete = False
        elif marker == _COMMENT:
            self.comments.append(data)
        elif data.startswith(_EXIF):
            self.exif.append(data[len(_EXIF) :])
        elif data.startswith(_XMP):
            self.xmp.append(data[len(_XMP) :])
        elif data.startswith(_EXTENDED) and len(data) >= 75:
            key, size, place = data[35:67], data[67:71], data[71:75]
            chunk = (int.from_bytes(place), int.from_bytes(size), data[75:])
            self.extended.setdefault(key, []).append(chunk)
        elif data.startswith(_PHOTOSHOP):
            self.photoshop.append(data[len(_PHOTOSHOP) :])
        elif data.startswith(_ICC):
            self.icc.append(data[len(_ICC) :])

    def metadata(self) -> Metadata:
        """All blocks, put together."""
        extended = [_joined(chunks) for chunks in self.extended.values()]
        # Resources that are too long for a segment go on in the next one.
        iptc = iptc_of_photoshop(b"".join(self.photoshop))
        return Metadata(
            xmp=(*self.xmp, *(packet for packet, _ in extended)),
            iptc=(iptc,) if iptc else (),
            comments=tuple(self.comments),
            icc=b"".join(chunk[2:] for chunk in sorted(self.icc, key=lambda chunk: chunk[:1])),
            complete=self.complete
            and all(whole for _, whole in extended)
            and (bool(extended) or not any(b"HasExtendedXMP" in one for one in self.xmp)),
        )


def _joined(chunks: list[tuple[int, int, bytes]]) -> tuple[bytes, bool]:
    """A packet of extended XMP (XMP Specification, part 3, 1.1.3.1), and whether it is whole."""
    packet = bytearray()
    for place, _, data in sorted(chunks):
        if place != len(packet):
            return bytes(packet), False
        packet += data
    return bytes(packet), len(packet) == chunks[0][1]


def _split(file: IO[bytes]) -> tuple[list[Part], _Blocks]:
    """What the decoder needs of a file (no parts: all of it), and what speaks of the photo."""
    file.seek(0)
    parts: list[Part] = [file.read(2)]
    blocks = _Blocks()
    whole = True
    for number, (marker, start, data) in enumerate(_segments(file)):
        if number >= MOST_SEGMENTS:
            raise ImageError(f"not a readable photo (more than {MOST_SEGMENTS:,} segments)")
        if marker == _SCAN:
            parts.append((start, file.seek(0, 2)))
            break
        if marker in _SPEAKING:
            whole = False
            blocks.add(marker, data)
        else:
            parts.append(bytes((0xFF, marker)) + (len(data) + 2).to_bytes(2) + data)
    file.seek(0)
    return [] if whole else parts, blocks


def _segments(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Marker, place and data of each segment; the last one is the scan, or whatever is none."""
    while True:
        start, lead = file.tell(), file.read(2)
        while lead == b"\xff\xff":  # padding
            lead = lead[1:] + file.read(1)
        marker = lead[1] if len(lead) == 2 and lead[0] == 0xFF else _SCAN
        if marker in _ALONE:
            continue
        size = int.from_bytes(file.read(2))
        data = file.read(max(0, size - 2)) if marker not in {_SCAN, _END} else b""
        if marker in {_SCAN, _END} or size < 2 or len(data) < size - 2:
            yield _SCAN, start, b""
            return
        yield marker, start, data
