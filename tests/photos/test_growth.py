"""Hostile metadata: whatever is repeated, nested or left open, work grows with its length only.

Work is counted in calls of functions, for the clock of a busy machine says little. What a call of
C does in one go isn't seen that way: so no pattern may have a repetition without a limit.
"""

import importlib
import pkgutil
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from re import _constants, _parser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blocks
import kadr.photos
from calls import Calls
from kadr.errors import ImageError
from kadr.photos import images, xmp

XAP = b"http://ns.adobe.com/xap/1.0/\0"
UNITS = (
    *("<dc:title>", "<dc:title>a</dc:title>", "</dc:title>", "<dc:title/>", "<a b='c'>", "<a b='"),
    *(
        "<![CDATA[",
        "<![CDATA[a]]>",
        "<!--",
        "<!-- a -->",
        "<?a",
        "<?a b?>",
        "&amp;",
        "&a;",
        "&#65;",
    ),
    *("<!DOCTYPE a [", "<!ENTITY a 'b'>", "<!ENTITY a '&a;&a;'>", "<", ">", "<dc:title><", "]]>"),
    *(
        " xmlns:a='b'",
        "<rdf:li>",
        "<rdf:li>a</rdf:li>",
        "a",
        " ",
        "\n",
        "\0",
        "я",
        "='",
        "<mwg-rs:Name>",
    ),
)


def work(content: bytes) -> int:
    """Calls of functions that reading a file takes."""
    calls = Calls()
    with calls, suppress(ImageError):
        images.read(content, 16)
    return calls.count


def assert_linear(build: Callable[[int], bytes], size: int = 0, count: int = 500) -> None:
    """Twice the length takes at most twice the work, but for what any file takes.

    `size` is that of a unit, where it is packed.
    """
    work(build(1))  # imports and caches
    once, twice = work(build(count)), work(build(2 * count))
    assert twice <= 2 * once + 2000
    assert twice <= 20 * max(len(build(2 * count)), 2 * count * size) + 5000


def in_jpeg(xmp: bytes) -> bytes:
    """In one packet, which may be extended."""
    if len(xmp) < 60_000:
        return blocks.jpeg(blocks.segment(0xE1, XAP + xmp))
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"k" * 32
    return blocks.jpeg(
        *(
            blocks.segment(
                0xE1, head + struct.pack(">II", len(xmp), start) + xmp[start : start + 60_000]
            )
            for start in range(0, len(xmp), 60_000)
        )
    )


def in_png(xmp: bytes) -> bytes:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)
    return blocks.png(blocks.chunk(b"iTXt", text))


@settings(max_examples=40, deadline=None)
@given(
    units=st.lists(st.sampled_from(UNITS), min_size=1, max_size=4),
    start=st.sampled_from(("", "<a>", "<x:xmpmeta><dc:title>")),
    end=st.sampled_from(("", "</a>", "</dc:title></x:xmpmeta>")),
    wrap=st.sampled_from((in_jpeg, in_png)),
)
def test_xmp_repeated_nested_and_left_open(
    units: list[str], start: str, end: str, wrap: Callable[[bytes], bytes]
) -> None:
    unit = "".join(units)
    assert_linear(lambda count: wrap((start + unit * count + end).encode()), len(unit))


def test_elements_are_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmp, "MOST_ELEMENTS", 1000)
    assert work(in_png(b"<a>" * 400_000)) < 20_000


def exif_with(count: int) -> bytes:
    """Directories that name one another."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entry * count + struct.pack("<I", 8)


OTHERS: dict[str, Callable[[int], bytes]] = {
    "png texts": lambda n: blocks.png(
        *[blocks.chunk(b"tEXt", b"Title\0" + b"%d" % i) for i in range(n)]
    ),
    "png packed texts": lambda n: blocks.png(
        *[blocks.chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"%d" % i)) for i in range(n)]
    ),
    "png odd texts": lambda n: blocks.png(*[blocks.chunk(b"iTXt", b"Title\0\1\0" + b"\0" * 9)] * n),
    "png long text": lambda n: blocks.png(blocks.chunk(b"tEXt", b"Title\0" + b"\xff" * n * 999)),
    "png profiles": lambda n: blocks.png(
        *[blocks.chunk(b"iCCP", b"a\0\0" + zlib.compress(b"a"))] * n
    ),
    "png animation": lambda n: blocks.png(*[blocks.chunk(b"fcTL", bytes(26))] * n),
    "png open chunk": lambda n: blocks.png()[:33] + b"\xff\xff\xff\xfftEXt" * n,
    "jpeg comments": lambda n: blocks.jpeg(*[blocks.segment(0xFE, b"%d" % i) for i in range(n)]),
    "jpeg packets": lambda n: blocks.jpeg(*[blocks.segment(0xE1, XAP + b"<a/>")] * n),
    "jpeg exif": lambda n: blocks.jpeg(*[blocks.segment(0xE1, b"Exif\0\0II*\0")] * n),
    "jpeg directories": lambda n: blocks.jpeg(blocks.segment(0xE1, b"Exif\0\0" + exif_with(n))),
    "jpeg padding": lambda n: blocks.jpeg(b"\xff" * n * 99),
    "jpeg scans": lambda n: blocks.saved("JPEG", progressive=True)[:-2] + b"\xff\xff\0" * n * 99,
    "jpeg resources": lambda n: blocks.jpeg(
        blocks.segment(0xED, b"Photoshop 3.0\0" + blocks.photoshop(b"", 1) * n)
    ),
    "iptc records": lambda n: blocks.jpeg(
        blocks.segment(
            0xED,
            b"Photoshop 3.0\0"
            + blocks.photoshop(b"".join(blocks.record(25, b"%d" % i) for i in range(n))),
        )
    ),
    "gif comments": lambda n: blocks.saved("GIF")[:-1] + b"\x21\xfe\x01a\0" * n,
    "gif pieces": lambda n: blocks.saved("GIF")[:-1] + b"\x21\xfe" + b"\x01a" * n,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_metadata(kind: str) -> None:
    assert_linear(OTHERS[kind])


def test_packed_texts_are_unpacked_up_to_a_limit() -> None:
    """A hundred texts of 16 MB each stay within the limit of one."""
    text = blocks.chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(2**24)))
    facts = images.read(blocks.png(*[text] * 100), 16)[1]
    assert not facts.texts_complete


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Every pattern of the package."""
    for found in pkgutil.iter_modules(kadr.photos.__path__):
        module = importlib.import_module(f"kadr.photos.{found.name}")
        for name, value in vars(module).items():
            many = value if isinstance(value, tuple) else (value,)
            yield from (
                (f"{found.name}.{name}", one) for one in many if isinstance(one, re.Pattern)
            )


def test_no_pattern_repeats_without_a_limit() -> None:
    """One that does may be tried anew from each character: XMP's took the square of the length."""
    seen = list(patterns())
    assert len(seen) > 5
    for name, pattern in seen:
        parsed = repr(list(_parser.parse(pattern.pattern, pattern.flags & ~re.LOCALE)))
        assert repr(_constants.MAXREPEAT) not in parsed, name


def test_the_pattern_that_was_quadratic_would_be_noticed() -> None:
    parsed = repr(list(_parser.parse(r"<dc:(title)\b[^>]*>(.*?)</dc:\1\s*>")))
    assert repr(_constants.MAXREPEAT) in parsed


def test_the_smallest_bomb_that_was_found() -> None:
    """729 bytes, which took 30 seconds."""
    content = in_png(b"<dc:title>" * 26_000)
    assert len(content) < 1500
    assert work(content) < 300_000
