"""Files that kadr doesn't read are known by name and by content."""

import pytest

from kadr.photos import folders, kinds
from kadr.photos.kinds import Unsupported


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("IMG_1.CR2", Unsupported("RAW", "CR2")),
        ("a.b.nef", Unsupported("RAW", "NEF")),
        ("снимок.Arw", Unsupported("RAW", "ARW")),
        ("PXL.dng", Unsupported("RAW", "DNG")),
        ("VID_1.MP4", Unsupported("video", "MP4")),
        ("clip.mov", Unsupported("video", "MOV")),
        ("scan.pdf", Unsupported("document", "PDF")),
        ("layers.PSD", Unsupported("document", "PSD")),
        ("notes.txt", None),
        ("a.jpg", None),
        ("cr2", None),
        (".nef", None),
        ("", None),
    ],
)
def test_by_name(name: str, kind: Unsupported | None) -> None:
    assert kinds.by_name(name) == kind


def test_no_photo_is_unsupported_by_its_name() -> None:
    assert not [suffix for suffix in folders.SUFFIXES if kinds.by_name(f"a{suffix}")]


@pytest.mark.parametrize(
    ("head", "format_"),
    [
        (b"II*\0\x10\0\0\0CR\x02\0", "CR2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01", "CR3"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"IIU\0\x08\0\0\0", "RW2"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "MP4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "MOV"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "ZIP"),
    ],
)
def test_by_content(head: bytes, format_: str) -> None:
    kind = kinds.by_content(head)
    assert kind is not None
    assert kind.format == format_


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0\x08\0\0\0", b"\0\0\0\x18ftypheic"],
)
def test_a_photo_is_no_other_kind(head: bytes) -> None:
    assert kinds.by_content(head) is None
