"""XMP as programs write it, and as attackers do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import packet
from kadr.law.words import names_child
from kadr.photos import xmp

PLUS = "http://ns.useplus.org/ldf/vocab/AG-"


def said(properties: str = "", attributes: str = "") -> tuple[str, ...]:
    result = xmp.parse([packet(properties, attributes)])
    assert result.complete
    return tuple(text.strip() for text in result.texts)


def test_dublin_core() -> None:
    assert said(
        "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Sea &amp; sun</rdf:li>"
        "<rdf:li xml:lang='ru'>Море</rdf:li></rdf:Alt></dc:title>"
        "<dc:subject><rdf:Bag><rdf:li>дети</rdf:li> <rdf:li>beach</rdf:li></rdf:Bag></dc:subject>"
    ) == ("Sea & sun", "Море", "дети", "beach")


@pytest.mark.parametrize(
    "properties",
    [
        "<photoshop:Headline>kids</photoshop:Headline>",
        "<lr:hierarchicalSubject><rdf:Bag><rdf:li>kids</rdf:li></rdf:Bag></lr:hierarchicalSubject>",
        "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>kids</rdf:li></rdf:Bag>"
        "</Iptc4xmpExt:PersonInImage>",
        "<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:RegionList><rdf:Bag>"
        "<rdf:li><rdf:Description mwg-rs:Name='kids' mwg-rs:Type='Face'/></rdf:li>"
        "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>",
        "<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:RegionList><rdf:Bag>"
        "<rdf:li rdf:parseType='Resource'><mwg-rs:Name>kids</mwg-rs:Name></rdf:li>"
        "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>",
        "<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType='Resource'><Iptc4xmpExt:Name>"
        "<rdf:Alt><rdf:li xml:lang='x-default'>kids</rdf:li></rdf:Alt></Iptc4xmpExt:Name></rdf:li>"
        "</rdf:Bag></Iptc4xmpExt:ImageRegion>",
        "<Iptc4xmpExt:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType='Resource'>"
        "<Iptc4xmpExt:PersonCharacteristic><rdf:Bag><rdf:li rdf:parseType='Resource'>"
        "<Iptc4xmpExt:CvTermName><rdf:Alt><rdf:li>kids</rdf:li></rdf:Alt></Iptc4xmpExt:CvTermName>"
        "</rdf:li></rdf:Bag></Iptc4xmpExt:PersonCharacteristic></rdf:li></rdf:Bag>"
        "</Iptc4xmpExt:PersonInImageWDetails>",
        "<Iptc4xmpExt:AddlModelInfo>kids</Iptc4xmpExt:AddlModelInfo>",
        "<Iptc4xmpExt:EventName>kids</Iptc4xmpExt:EventName>",
        "<Iptc4xmpExt:AOTitle>kids</Iptc4xmpExt:AOTitle>",
        "<xmp:Label>kids</xmp:Label>",
        "<photoshop:Category>kids</photoshop:Category>",
        "<xmp:shotName>kids</xmp:shotName>",
        "<dc:subject><rdf:Bag rdf:_1='kids'/></dc:subject>",
        "<dc:title rdf:resource='kids'/>",
        "<MPReg:PersonDisplayName>kids</MPReg:PersonDisplayName>",
        "<dc:title><![CDATA[kids]]></dc:title>",
        "<dc:title>&#107;ids</dc:title>",
        "<dc:title><!-- a comment -->kids</dc:title>",
        "<dc:title><rdf:Alt><rdf:li rdf:value='kids'/></rdf:Alt></dc:title>",
        "<x:title xmlns:x='http://purl.org/dc/elements/1.1/'>kids</x:title>",
    ],
)
def test_words_wherever_they_stand(properties: str) -> None:
    assert said(properties) == ("kids",)


def test_words_in_attributes() -> None:
    assert said(attributes='photoshop:Headline="kids" dc:title="beach"') == ("kids", "beach")


def test_what_is_no_word_about_the_photo_is_left_out() -> None:
    assert said("<xmp:CreatorTool>Kids Camera</xmp:CreatorTool>", "xmp:Rating='3'") == ()


@pytest.mark.parametrize(
    "charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
def test_charsets(charset: str) -> None:
    text = packet("<dc:title>дети</dc:title>").decode().replace("\ufeff", "")
    result = xmp.parse([text.encode(charset)])
    assert (result.texts, result.complete) == (("дети",), True)


def test_a_declaration_and_padding_do_no_harm() -> None:
    text = "<?xml version='1.0' encoding='UTF-8'?>\n" + packet("<dc:title>a</dc:title>").decode()
    result = xmp.parse([text.encode() + b" \n" * 2000 + b"\0" * 9])
    assert (result.texts, result.complete) == (("a",), True)


def test_values() -> None:
    result = xmp.parse(
        [packet("<exif:GPSLatitude>55,45.1N</exif:GPSLatitude>", 'xmp:CreateDate="2020-10-18"')]
    )
    assert result.values == {"GPSLatitude": "55,45.1N", "CreateDate": "2020-10-18"}


@pytest.mark.parametrize(
    "content",
    [
        b"<dc:title>",
        b"<dc:title>kids",
        b"<a><dc:title>kids</a>",
        b"<a><dc:title>kids</dc:title>&nothing;</a>",
        b"<a><dc:title>kids & co</dc:title></a>",
        b"<!DOCTYPE a [<!ENTITY b 'kids'>]><a><dc:title>&b;</dc:title></a>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<a>" * 50,
        b"kids",
        b"<a></a><b></b>",
    ],
)
def test_what_is_broken_counts_as_unread(content: bytes) -> None:
    assert not xmp.parse([content]).complete


def test_words_before_the_break_are_kept() -> None:
    assert xmp.parse([b"<a><dc:title>kids</dc:title><b></a>"]).texts == ("kids",)


def test_too_much_counts_as_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = packet("<dc:title>kids</dc:title>" * 20)
    assert xmp.parse([whole, whole]).complete
    monkeypatch.setattr(xmp, "MOST_ELEMENTS", 45)
    assert xmp.parse([whole]).complete
    assert not xmp.parse([whole, whole]).complete
    monkeypatch.setattr(xmp, "LIMIT", len(whole) - 1)
    assert xmp.parse([whole]) == xmp.Xmp((), {}, complete=False)


def test_attributes_count_as_elements_do(monkeypatch: pytest.MonkeyPatch) -> None:
    names = b" ".join(b"k%d='1'" % number for number in range(50))
    monkeypatch.setattr(xmp, "MOST_ELEMENTS", 51)
    assert xmp.parse([b"<a " + names + b"/>"]).complete
    assert not xmp.parse([b"<a one='1' " + names + b"/>"]).complete


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ("<Iptc4xmpExt:ModelAge><rdf:Bag><rdf:li>9</rdf:li><rdf:li>41</rdf:li></rdf:Bag>"
         "</Iptc4xmpExt:ModelAge>", ("9 years old", "41 years old")),
        ("<Iptc4xmpExt:ModelAge>0</Iptc4xmpExt:ModelAge>", ("0 months old",)),
        (f"<plus:MinorModelAgeDisclosure>{PLUS}U14</plus:MinorModelAgeDisclosure>",
         ("14 years old",)),
        (f"<plus:MinorModelAgeDisclosure rdf:resource='{PLUS}A15'/>", ("15 years old",)),
    ],
)  # fmt: skip
def test_ages_are_said_in_words_that_the_law_knows(properties: str, words: tuple[str]) -> None:
    namespace = "http://ns.useplus.org/ldf/xmp/1.0/"
    text = packet(properties).decode().replace("<rdf:RDF", f"<rdf:RDF xmlns:plus='{namespace}'")
    result = xmp.parse([text.encode()])
    assert (result.texts, result.complete) == (words, True)
    assert names_child(words[0])


@pytest.mark.parametrize("code", ["A16", "A25"])
def test_who_is_older_is_no_child(code: str) -> None:
    (text,) = said(f"<Iptc4xmpExt:ModelAge>AG-{code}</Iptc4xmpExt:ModelAge>")
    assert not names_child(text)
    assert xmp.parse([packet("<Iptc4xmpExt:ModelAge>AG-UNK</Iptc4xmpExt:ModelAge>")]).complete


def test_a_large_packet_is_read_to_its_end() -> None:
    """Up to 256 KB used to be read."""
    filler = "<xmp:Thumbnails>" + "x" * 300_000 + "</xmp:Thumbnails>"
    assert said(filler + "<dc:title>kids</dc:title>") == ("kids",)


@given(content=st.binary(max_size=300) | st.text(alphabet="<>/!?[]-=&;'\" dc:titleA", max_size=300))
def test_whatever_is_there(content: bytes | str) -> None:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    assert all(isinstance(text, str) for text in xmp.parse([raw]).texts)
