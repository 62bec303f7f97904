"""Titles, captions and keywords in a photo's file: EXIF, IPTC, XMP; whole, broken and hostile."""

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import blocks
from kadr.law import policy as law
from kadr.library.library import Library
from kadr.photos import images
from kadr.photos import texts as texts_of_file
from kadr.types import Place

XAP = b"http://ns.adobe.com/xap/1.0/\0"
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


def test_what_the_file_calls_the_place(tmp_path: Path) -> None:
    block = record(101, "Deutschland") + record(92, "Museumsinsel") + record(90, "Berlin")
    facts = images.read(jpeg(tmp_path / "a.jpg", iptc=block), 16)[1]
    assert facts.place == Place(said=("Museumsinsel", "Berlin", "Deutschland"))
    assert facts.texts == ("Deutschland", "Museumsinsel", "Berlin"), "for the law"
    xmp = XMP.replace(
        "<dc:title>",
        "<photoshop:City xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/'>Köln"
        "</photoshop:City><photoshop:Country xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/'>"
        f"{'x' * 200}</photoshop:Country><dc:title>",
    )
    facts = images.read(jpeg(tmp_path / "b.jpg", xmp=xmp, iptc=block), 16)[1]
    assert facts.place == Place(said=("Köln", "x" * 100)), "XMP is the newer of both"
    assert images.read(jpeg(tmp_path / "c.jpg", iptc=record(90, " \0 ")), 16)[1].place is None


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
        assert len(text) <= texts_of_file.LONGEST


@pytest.mark.parametrize(
    ("attributes", "moment"),
    [
        ('exif:DateTimeOriginal="2021-05-03T10:11:12+02:00"', "2021-05-03T10:11:12"),
        ('photoshop:DateCreated="2021-05-03"', "2021-05-03T00:00:00"),
        ('xmp:CreateDate="2021-05-03T10:11"', "2021-05-03T10:11:00"),
        ('xmp:CreateDate="2020-01-01" photoshop:DateCreated="2021-05-03"', "2021-05-03T00:00:00"),
        ('xmp:CreateDate="2150-01-01"', None),
        ('xmp:ModifyDate="2021-05-03"', None),
    ],
)
def test_xmp_alone_tells_when(attributes: str, moment: str | None) -> None:
    content = blocks.jpeg(blocks.segment(0xE1, XAP + blocks.packet(attributes=attributes)))
    assert images.read(content, 16)[1].taken == moment


def test_xmp_alone_tells_where_and_with_what() -> None:
    said = 'exif:GPSLatitude="55,45.1N" exif:GPSLongitude="37,37.2E"'
    said += ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="Nikon" tiff:Model="D90"'
    read = images.read(blocks.jpeg(blocks.segment(0xE1, XAP + blocks.packet(attributes=said))), 16)[
        1
    ]
    assert (read.latitude, read.longitude) == pytest.approx((55.751667, 37.62), abs=1e-5)
    assert read.camera == "Nikon D90"


def test_iptc_alone_tells_when() -> None:
    block = blocks.record(55, b"20201018") + blocks.record(60, b"123045+0300")
    content = blocks.jpeg(blocks.segment(0xED, b"Photoshop 3.0\0" + blocks.photoshop(block)))
    assert images.read(content, 16)[1].taken == "2020-10-18T12:30:45"


def test_the_file_outweighs_its_name_where_it_can_be_believed(tmp_path: Path) -> None:
    taken = {}
    for year in ("2019", "2150", "0111"):
        exif = Image.Exif()
        exif[0x010F] = "Nikon"
        exif.get_ifd(0x8769)[0x9003] = f"{year}:03:04 05:06:07"
        path = jpeg(tmp_path / "IMG-20201018-WA0007.jpg", exif)
        taken[year] = images.read(path, 16)[1].taken
    assert taken["2019"] == "2019-03-04T05:06:07"
    assert taken["2150"] == taken["0111"] == "2020-10-18T00:00:00"
    assert images.read(path.read_bytes(), 16)[1].taken is None  # what is sent has no name


def test_no_fix_is_no_place() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)})
    file = io.BytesIO()
    Image.new("RGB", (32, 24)).save(file, "JPEG", exif=exif)
    assert images.read(file.getvalue(), 16)[1].latitude is None


def test_names_in_either_form_of_unicode_are_equal() -> None:
    exif = Image.Exif()
    exif[0x010E] = "\u0438\u0306од e\u0301te\u0301".encode()
    exif[0x010F] = "Le\u0301ica".encode()
    file = io.BytesIO()
    Image.new("RGB", (32, 24)).save(file, "JPEG", exif=exif)
    read = images.read(file.getvalue(), 16)[1]
    assert (read.texts, read.camera) == (("йод été",), "Léica")


def test_words_that_were_not_read_are_told() -> None:
    whole = blocks.jpeg(blocks.segment(0xE1, XAP + blocks.packet("<dc:title>kids</dc:title>")))
    broken = blocks.jpeg(
        blocks.segment(0xE1, XAP + blocks.packet("<dc:title>kids</dc:title><dc:subject>"))
    )
    assert images.read(whole, 16)[1].texts_complete
    told = images.read(broken, 16)[1]
    assert (told.texts, told.texts_complete) == (("kids",), False)


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


def test_words_that_were_not_read_send_a_photo_to_review(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    jpeg(photos / "plain.jpg")
    broken = blocks.packet("<dc:title>sea</dc:title><dc:subject>")
    (photos / "broken.jpg").write_bytes(blocks.jpeg(blocks.segment(0xE1, XAP + broken)))
    with Library.open(tmp_path / "library.kadr", policy=law.PRESETS["under-16"]) as library:
        library.index([photos])
        answer = library.search("blue", at_least=0)
    assert [hit.image.path.name for hit in answer.hits] == ["plain.jpg"]
    assert answer.withheld == law.PRESETS["under-16"].disclaimer()
    with Library.open(tmp_path / "library.kadr", policy=law.PRESETS["none"]) as library:
        facts = [hit.facts for hit in library.search("blue", at_least=0).hits]
    assert {(one.texts, one.texts_complete) for one in facts if one} == {
        ((), True),
        (("sea",), False),
    }
