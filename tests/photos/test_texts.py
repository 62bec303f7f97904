"""Charsets of texts, and how much of them is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import record
from kadr.photos import exif, iptc, texts
from kadr.photos.texts import Texts


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("дети на пляже".encode(), "дети на пляже"),
        ("дети на пляже".encode("cp1251"), "дети на пляже"),
        ("Café déjà vu".encode("cp1252"), "Café déjà vu"),
        ("Zoë".encode("latin-1"), "Zoë"),
        ("дети".encode("utf-16"), "дети"),
        (b"kids", "kids"),
        (b"", ""),
    ],
)
def test_bytes_of_an_unknown_charset(raw: bytes, text: str) -> None:
    assert texts.decode(raw) == text


def test_a_text_is_one_printable_line_in_nfc() -> None:
    assert texts.line("\u0438\u0306\n\0 a\u202e  b", 100) == "й a b"


def collected(*values: object) -> Texts:
    words = Texts()
    for value in values:
        words.add(value)
    return words


def test_each_text_is_kept_once() -> None:
    words = collected("kids", b"kids", "  ", None, 7, "beach", "e\u0301", "\u00e9")
    assert words.all() == ("kids", "beach", "é")
    assert words.complete


def test_more_than_is_kept_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    assert collected("a" * texts.LONGEST).complete
    for long in ("a" * (texts.LONGEST + 1), "я".encode() * 5 * texts.LONGEST):
        words = collected(long)
        assert (len(words.all()[0]), words.complete) == (texts.LONGEST, False)
    assert not collected(" " * 5 * texts.LONGEST + "kids").complete
    monkeypatch.setattr(texts, "MOST", 2)
    assert collected("a", "b").complete
    assert not collected("a", "b", "c").complete
    monkeypatch.setattr(texts, "TOTAL", 5)
    assert collected("abc", "de").complete
    assert not collected("abc", "def").complete


@given(values=st.lists(st.text() | st.binary()))
def test_whatever_is_added(values: list[str | bytes]) -> None:
    for text in collected(*values).all():
        assert text.isprintable()
        assert text == text.strip()


def test_iptc_names_its_charset() -> None:
    def words(escape: bytes, charset: str, text: str = "дети") -> tuple[str, ...]:
        block = record(90, escape, 1) if escape else b""
        return iptc.parse(block + record(25, text.encode(charset))).texts

    assert words(b"\x1b%G", "utf-8") == ("дети",)
    assert words(b"\x1b-L", "iso8859-5") == ("дети",)
    assert words(b"\x1b-B", "iso8859-2", "dítě") == ("dítě",)
    assert words(b"\x1b$B", "iso2022_jp", "子供") == ("子供",)
    assert words(b"", "utf-8") == words(b"", "cp1251") == ("дети",)
    assert words(b"\x1b%G", "cp1251") == ("дети",)  # it names another one
    assert words(b"", "latin-1", "garçon") == ("garçon",)


def test_iptc_records() -> None:
    long = b"\x1c\x02\x78\x80\x04" + (70_000).to_bytes(4) + b"x" * 69_996 + b"boy."
    block = record(5, b"Birthday") + record(25, b"boy") + record(80, b"by-line") + long
    parsed = iptc.parse(block + record(55, b"20201018") + record(60, b"123045+0300"))
    assert parsed.texts[:2] == ("Birthday", "boy")
    assert parsed.texts[2].endswith("boy.")
    assert parsed.created == "20201018 123045+0"
    assert iptc.parse(record(5, b"a")[:-1] + b"\x1c").texts == ("\x1c",)
    assert iptc.parse(b"\x1c\x02\x19").texts == ()


@pytest.mark.parametrize(
    ("charset", "value", "text"),
    [
        (b"ASCII\0\0\0", b"kids", "kids"),
        (b"ASCII\0\0\0", "дети".encode(), "дети"),
        (b"\0" * 8, "дети".encode("cp1251"), "дети"),
        (b"UNICODE\0", "дети".encode("utf-16-le"), "дети"),
        (b"UNICODE\0", "дети".encode("utf-16-be"), "дети"),
        (b"UNICODE\0", "дети".encode("utf-16"), "дети"),
        (b"UNICODE\0", b"\xfe\xff" + "kids".encode("utf-16-be"), "kids"),
        (b"UNICODE\0", "with grandma".encode("utf-16-be") + b"\0\0", "with grandma"),
        (b"UNICODE\0", "子供たち".encode("utf-16-be"), "子供たち"),
        (b"UNICODE\0", "子供たち".encode("utf-16-le"), "子供たち"),
        (b"UNICODE\0", b"plain bytes!", "plain bytes!"),
        (b"JIS\0\0\0\0\0", "子供".encode("iso2022_jp"), "子供"),
        (b"JIS\0\0\0\0\0", "子供".encode("shift_jis"), "子供"),
        (b"", b"no charset at all", "no charset at all"),
    ],
)
@pytest.mark.parametrize("endian", ["<", ">"])
def test_user_comments(charset: bytes, value: bytes, text: str, endian: str) -> None:
    assert exif.comment_text(charset + value, endian).strip("\0") == text
