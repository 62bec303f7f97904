"""Files that aren't plain photos (RAW, video, documents), by their names and first bytes."""

import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal, TypeAlias

Group: TypeAlias = Literal["RAW", "video", "document"]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """What a file is that kadr doesn't read: its group, and its format, such as "CR2".

    A RAW is read where the extra `raw` is installed, and most videos where `video` is.
    """

    group: Group
    format: str


_SUFFIXES: dict[Group, str] = {
    "RAW": (
        "3fr ari arw bay cap cr2 cr3 crw dcr dcs dng drf eip erf fff gpr iiq k25 kdc mdc mef mos"
        " mrw nef nrw orf ori pef ptx pxn r3d raf raw rw2 rwl rwz sr2 srf srw x3f"
    ),
    "video": (
        "3g2 3gp asf avi flv insv lrv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
    ),
    "document": (
        "ai djvu doc docx eps exr hdr indd jp2 j2k jpx jxl jxr key odp odt pages pdf ppt pptx psb"
        " psd svg svgz tga wdp xcf xls xlsx"
    ),
}
_GROUPS: dict[str, Group] = {
    suffix: group for group, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}

RAW_SUFFIXES = tuple(f".{suffix}" for suffix in _SUFFIXES["RAW"].split())
_NO_FILMS = frozenset({"lrv", "mxf", "ts"})
"""Small copies of films that cameras write beside them; what people rarely have; TypeScript."""
FILM_SUFFIXES = tuple(
    f".{suffix}" for suffix in _SUFFIXES["video"].split() if suffix not in _NO_FILMS
)

_SIGNATURES: tuple[tuple[int, bytes, Unsupported], ...] = (
    (8, b"CR\x02\0", Unsupported("RAW", "CR2")),
    (4, b"ftypcrx ", Unsupported("RAW", "CR3")),
    (6, b"HEAPCCDR", Unsupported("RAW", "CRW")),
    (0, b"IIRO", Unsupported("RAW", "ORF")),
    (0, b"IIRS", Unsupported("RAW", "ORF")),
    (0, b"IIU\0", Unsupported("RAW", "RW2")),
    (0, b"FUJIFILMCCD-RAW", Unsupported("RAW", "RAF")),
    (0, b"\0MRM", Unsupported("RAW", "MRW")),
    (0, b"FOVb", Unsupported("RAW", "X3F")),
    (4, b"ftypqt  ", Unsupported("video", "MOV")),
    (4, b"ftypisom", Unsupported("video", "MP4")),
    (4, b"ftypmp4", Unsupported("video", "MP4")),
    (4, b"ftypM4V", Unsupported("video", "M4V")),
    (4, b"ftyp3g", Unsupported("video", "3GP")),
    (4, b"ftypavc1", Unsupported("video", "MP4")),
    (4, b"moov", Unsupported("video", "MOV")),
    (4, b"mdat", Unsupported("video", "MOV")),
    (0, b"\x1a\x45\xdf\xa3", Unsupported("video", "MKV")),
    (8, b"AVI ", Unsupported("video", "AVI")),
    (0, b"\0\0\x01\xba", Unsupported("video", "MPEG")),
    (0, b"FLV\x01", Unsupported("video", "FLV")),
    (0, b"%PDF-", Unsupported("document", "PDF")),
    (0, b"%!PS", Unsupported("document", "PostScript")),
    (0, b"8BPS", Unsupported("document", "PSD")),
    (0, b"gimp xcf", Unsupported("document", "XCF")),
    (0, b"\xff\x0a", Unsupported("document", "JXL")),
    (0, b"\0\0\0\x0cJXL ", Unsupported("document", "JXL")),
    (0, b"\0\0\0\x0cjP  ", Unsupported("document", "JP2")),
    (0, b"v/1\x01", Unsupported("document", "EXR")),
    (0, b"PK\x03\x04", Unsupported("document", "ZIP")),
    (0, b"\xd0\xcf\x11\xe0", Unsupported("document", "Office")),
)
HEAD = 32
"""Bytes at the start of a file that `by_content` looks at."""

_DEMUXERS: tuple[tuple[int, bytes, str], ...] = (
    *((4, box, "mov") for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"\0\0\x01\xba", "mpeg"),
    (0, b"FLV\x01", "flv"),
    (0, b"OggS", "ogg"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (4, b"G", "mpegts"),
    (0, b"G", "mpegts"),
)
"""FFmpeg's readers by the first bytes; no other is tried: some open further files."""


@cache
def reads_raw() -> bool:
    """Whether the extra `raw` is installed."""
    return find_spec("rawpy") is not None


@cache
def reads_films() -> bool:
    """Whether the extra `video` is installed."""
    return find_spec("av") is not None


def demuxer(head: bytes) -> str | None:
    """FFmpeg's name of the container that a film's first `HEAD` bytes begin; None: of no film."""
    kind = by_content(head)
    if kind is not None and kind.group != "video":
        return None
    return next((name for at, mark, name in _DEMUXERS if head.startswith(mark, at)), None)


def by_name(name: str) -> Unsupported | None:
    """What a file's suffix says it is, where that is something that kadr doesn't read.

    None for photos, and for files of no interest. The format is the suffix in capitals.
    """
    suffix = os.path.splitext(name)[1][1:].lower()  # noqa: PTH122 - names come by the million
    group = _GROUPS.get(suffix)
    return None if group is None else Unsupported(group, suffix.upper())


def by_content(head: bytes) -> Unsupported | None:
    """What a file's first `HEAD` bytes say it is, where that is something that kadr doesn't read.

    A RAW that is a TIFF in its first bytes, such as NEF, ARW and DNG, is told by its name alone.
    """
    for place, mark, kind in _SIGNATURES:
        if head.startswith(mark, place):
            return kind
    return None
