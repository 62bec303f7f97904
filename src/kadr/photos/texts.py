"""Texts in a photo's file: their charset, and how many of them are kept."""

import re
import unicodedata
from contextlib import suppress

LONGEST = 10_000
"""Characters of a text that are kept."""
LONGEST_NAME = 100
"""Characters of a place's name that are kept."""
MOST = 1000
"""Texts of a photo that are kept."""
TOTAL = 100_000
"""Characters of all texts of a photo that are kept."""

_HIGH = re.compile(rb"[\x80-\xff]")
_LETTER = re.compile(rb"[A-Za-z\x80-\xff]")


class Texts:
    """The texts of one photo, in order, each once. `complete` is False where words are missing."""

    def __init__(self) -> None:
        self.complete = True
        self._kept: dict[str, None] = {}
        self._left = TOTAL

    def add(self, value: object) -> None:
        """Keep a text; bytes are decoded, and what is no text is passed over."""
        if not isinstance(value, bytes | str):
            return
        text = line(decode(_cut(value)) if isinstance(value, bytes) else value, LONGEST + 1)
        if len(text) > LONGEST or len(value) > 4 * LONGEST:
            self.complete = False
        text = text[:LONGEST]
        if not text or text in self._kept:
            return
        if len(self._kept) == MOST or len(text) > self._left:
            self.complete = False
            return
        self._kept[text] = None
        self._left -= len(text)

    def all(self) -> tuple[str, ...]:
        """What is kept."""
        return tuple(self._kept)


def line(text: str, longest: int) -> str:
    """A text as one printable line in Unicode's form NFC, so that equal words are equal."""
    text = unicodedata.normalize("NFC", text[: 4 * longest])
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(printable.split())[:longest]


def decode(raw: bytes) -> str:
    """Bytes of an unknown charset: UTF-8 or UTF-16 by their form, else Windows's Cyrillic or Latin.

    In Cyrillic nearly all letters are outside of ASCII, in Latin few are.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    with suppress(UnicodeError):
        return raw.decode()
    cyrillic = 2 * len(_HIGH.findall(raw)) > len(_LETTER.findall(raw))
    return raw.decode("cp1251" if cyrillic else "cp1252", "replace")


def _cut(raw: bytes) -> bytes:
    """What is looked at of a long text, without the half of a character at its end."""
    if len(raw) <= 4 * LONGEST:
        return raw
    end = 4 * LONGEST
    while end and raw[end] & 0xC0 == 0x80:
        end -= 1
    return raw[:end]
