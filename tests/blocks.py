"""Files in the formats that photos have, put together block by block."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

SCENE = Image.linear_gradient("L").resize((48, 32)).convert("RGB")


def packet(properties: str = "", attributes: str = "") -> bytes:
    """XMP with these properties."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        ' xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"'
        ' xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f" {attributes}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def saved(form: str, image: Image.Image | None = None, **options: Any) -> bytes:
    """A photo in a format."""
    file = io.BytesIO()
    (image or SCENE).save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes, *, right: bool = True) -> bytes:
    """A chunk of a PNG; its checksum may be wrong."""
    checksum = zlib.crc32(kind + data) ^ (not right)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(*chunks: bytes, last: Sequence[bytes] = (), image: Image.Image | None = None) -> bytes:
    """A PNG with these chunks before its pixels, and others behind them."""
    whole = saved("PNG", image)
    return whole[:33] + b"".join(chunks) + whole[33:-12] + b"".join(last) + whole[-12:]


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg(*segments: bytes, image: Image.Image | None = None, **options: Any) -> bytes:
    """A JPEG with these segments at its start."""
    whole = saved("JPEG", image, **options)
    return whole[:2] + b"".join(segments) + whole[2:]


def record(number: int, value: bytes, part: int = 2) -> bytes:
    """A record of IPTC."""
    return bytes((0x1C, part, number)) + struct.pack(">H", len(value)) + value


def photoshop(block: bytes, code: int = 0x0404) -> bytes:
    """An image resource of Photoshop."""
    padding = b"\0" * (len(block) % 2)
    return b"8BIM" + struct.pack(">HHI", code, 0, len(block)) + block + padding
