"""What a file holds beside its pixels, as it is written there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metadata:
    """Blocks of a file that speak of its photo, unparsed; EXIF is Pillow's to parse.

    `xmp` are packets of XML, `iptc` blocks of IIM records, `comments` texts of the format's own,
    `icc` the colour profile. `size` is that of the whole photo, where the pixels are a smaller
    picture of it. `complete` is False where a block with words was too large, cut short
    or broken.
    """

    xmp: tuple[bytes, ...] = ()
    iptc: tuple[bytes, ...] = ()
    comments: tuple[bytes | str, ...] = ()
    icc: bytes = b""
    complete: bool = True
    size: tuple[int, int] | None = None


LIMIT = 2**24
"""Bytes that are read of all blocks of one kind together; beyond them the words are incomplete."""


def iptc_of_photoshop(block: bytes) -> bytes | None:
    """The IPTC record among Photoshop's image resources (Adobe, "Photoshop File Formats")."""
    start = 0
    while block[start : start + 4] == b"8BIM" and start + 12 <= len(block):
        code = int.from_bytes(block[start + 4 : start + 6])
        start += 6 + (1 + block[start + 6] + 1) // 2 * 2  # the name is padded to an even length
        size = int.from_bytes(block[start : start + 4])
        start += 4
        if code == 0x0404:
            return block[start : start + size]
        start += size + size % 2
    return None
