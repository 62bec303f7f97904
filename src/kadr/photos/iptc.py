"""IPTC's records (IIM 4.2): titles, captions, keywords and dates, in the charset they name."""

from collections.abc import Iterator
from dataclasses import dataclass

from kadr.photos import texts

_CHARSETS = {
    b"\x1b%G": "utf-8",
    b"\x1b%/I": "utf-8",
    b"\x1b.A": "iso8859-1",
    b"\x1b-A": "iso8859-1",
    b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3",
    b"\x1b-D": "iso8859-4",
    b"\x1b-F": "iso8859-7",
    b"\x1b-G": "iso8859-6",
    b"\x1b-H": "iso8859-8",
    b"\x1b-L": "iso8859-5",
    b"\x1b-M": "iso8859-9",
    b"\x1b$B": "iso2022_jp",
}
"""Escapes of ISO 2022, by which record 1:90 names the charset of the others."""
_TEXTS = frozenset({5, 20, 25, 90, 92, 95, 101, 105, 118, 120})
"""Object name, supplemental category, keyword, city, sublocation, province, country, headline,
contact, caption."""
_PLACES = (92, 90, 95, 101)
"""Sublocation, city, province, country: from the smallest to the largest."""
_DATE, _TIME = 55, 60


@dataclass(frozen=True, slots=True)
class Iptc:
    """The words of a block, when the photo was taken (`YYYYMMDD HHMMSS`), and what the place is."""

    texts: tuple[str, ...]
    created: str
    places: tuple[str, ...] = ()


def parse(block: bytes) -> Iptc:
    """The records of a block; what follows broken ones is left out."""
    charset, words, when = "", [], {_DATE: "", _TIME: ""}
    places = dict.fromkeys(_PLACES, "")
    for record, number, value in _records(block):
        if (record, number) == (1, 90):
            charset = _CHARSETS.get(value, "")
        elif record == 2 and number in when:
            when[number] = value[:8].decode("ascii", "replace")
        elif record == 2 and number in _TEXTS:
            words.append(_decode(value, charset))
            if number in places:
                places[number] = texts.line(_decode(value[:400], charset), texts.LONGEST_NAME)
    said = tuple(filter(None, places.values()))
    return Iptc(tuple(words), f"{when[_DATE]} {when[_TIME]}".strip(), said)


def _records(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Record, number of the data set, and value of each."""
    start = 0
    while start + 5 <= len(block) and block[start] == 0x1C:
        record, number = block[start + 1], block[start + 2]
        size = int.from_bytes(block[start + 3 : start + 5])
        start += 5
        if size & 0x8000:  # extended: so many bytes hold the size
            width = size & 0x7FFF
            size = int.from_bytes(block[start : start + min(width, 8)])
            start += width
        yield record, number, block[start : start + size]
        start += size


def _decode(value: bytes, charset: str) -> str:
    try:
        return value.decode(charset) if charset else texts.decode(value)
    except UnicodeError:
        return texts.decode(value)
