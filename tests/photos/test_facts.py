"""Titles, captions and keywords in a photo's file: EXIF, IPTC, XMP; whole, broken and hostile."""

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kadr.law import policy as law
from kadr.library.library import Library
from kadr.photos import facts, images

XMP = """<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description
xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Our
summer &amp; sea</rdf:li></rdf:Alt></dc:title><dc:subject><rdf:Bag><rdf:li>дети</rdf:li>
<rdf:li>beach</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end='w'?>"""


def jpeg(
    path: Path,
    exif: Image.Exif | None = None,
    xmp: str = "",
    iptc: bytes = b"",
    colour: str = "navy",
) -> Path:
    file = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(
        file, "JPEG", exif=exif or Image.Exif(), xmp=xmp.encode("utf-8")
    )
    content = file.getvalue()
    if iptc:
        block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
        content = (
            content[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + content[2:]
        )
    path.write_bytes(content)
    return path


def record(number: int, text: str) -> bytes:
    raw = text.encode("utf-8")
    return b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(raw)) + raw


def texts(path: Path) -> tuple[str, ...]:
    return images.read(path, 16)[1].texts


def test_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "A kite\non the beach"
    exif[0x9C9B] = "Праздник".encode("utf-16-le") + b"\0\0"
    exif[0x9C9E] = "kids;beach".encode("utf-16-le")
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0with grandma"
    found = texts(jpeg(tmp_path / "a.jpg", exif))
    assert found == ("A kite on the beach", "Праздник", "kids;beach", "with grandma")


def test_iptc(tmp_path: Path) -> None:
    block = record(5, "Birthday") + record(25, "boy") + record(25, "торт") + record(120, "A cake")
    assert set(texts(jpeg(tmp_path / "a.jpg", iptc=block))) == {"Birthday", "boy", "торт", "A cake"}


def test_xmp(tmp_path: Path) -> None:
    assert texts(jpeg(tmp_path / "a.jpg", xmp=XMP)) == ("Our summer & sea", "дети", "beach")
    png = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(png, xmp=XMP.encode("utf-8"))
    assert "дети" in texts(png) or texts(png) == ()  # not every Pillow writes it


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert texts(jpeg(tmp_path / "a.jpg")) == ()


@pytest.mark.parametrize(
    "xmp",
    [
        "<dc:title>",
        "<dc:title>" * 20_000,
        "<dc:title><" * 10_000 + "</dc:title>",
        "</dc:title><dc:title>a</dc:subject>",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_broken_xmp_breaks_no_photo(tmp_path: Path, xmp: str) -> None:
    assert isinstance(texts(jpeg(tmp_path / "a.jpg", xmp=xmp[:60_000])), tuple)


@given(iptc=st.binary(max_size=200))
def test_broken_iptc_breaks_no_photo(tmp_path_factory: pytest.TempPathFactory, iptc: bytes) -> None:
    path = jpeg(tmp_path_factory.mktemp("iptc") / "a.jpg", iptc=b"\x1c" + iptc)
    for text in texts(path):
        assert text.isprintable()
        assert len(text) <= facts.LONGEST


def test_a_keyword_hides_a_photo_and_so_does_a_name(tmp_path: Path) -> None:
    """The colour of the photo tells the scene classifier nothing."""
    photos = tmp_path / "photos"
    photos.mkdir()
    jpeg(photos / "plain.jpg")
    jpeg(photos / "titled.jpg", xmp=XMP, colour="teal")
    Image.new("RGB", (32, 24), "olive").save(photos / "детский_праздник_2004.png")
    policy = law.PRESETS["under-16"]
    with Library.open(tmp_path / "library.kadr", policy=policy) as library:
        library.index([photos])
        answer = library.search("blue", at_least=0)
    assert [hit.image.path.name for hit in answer.hits] == ["plain.jpg"]
    assert answer.withheld == policy.disclaimer()
