"""A search's photos on one sheet: an HTML page, or a picture."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from kadr.errors import ImageError, KadrError
from kadr.library.search import is_match
from kadr.photos import files, films, reader
from kadr.report import output
from kadr.report.frames import Frame, Framer
from kadr.report.heatmap import overlay
from kadr.report.wording import Wording, one_line
from kadr.types import Answer, Hit, WordEffect

COLUMNS = 5
CELL, GAP, MARGIN = 240, 18, 32
"""Pixels: side of a photo's place, space between places, space around them all."""
TELLING = 0.5
"""Log-odds from which a word's effect is shown as telling."""
BELOW = 58
"""Pixels below a photo for its bar, numbers and name."""
TITLE, TEXT, SMALL = 26, 17, 13
TITLE_LINES, NOTICE_LINES = 3, 4
PAPER, MAT, LINE = "#f3f5f4", "#e4e9e7", "#d3d9d7"
INK, MUTED, BAR = "#17201f", "#55605e", "#1d6a73"


def check_suffix(path: Path) -> str:
    """The suffix, in lower case, of the file that a sheet is to be.

    Raises:
        KadrError: there is no sheet of this kind.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise KadrError(f"{path}: a contact sheet ends in {', '.join(_WRITERS)}. Rename it.")
    return suffix


def write_sheet(query: str, answer: Answer, path: Path, *, language: str = "en") -> Path:
    """Write found photos with rank and probability to an .html, .png or .jpg file.

    Raises:
        KadrError: the suffix is another one, or the file can't be written.
    """
    return files.save(path, _WRITERS[check_suffix(path)](query, answer, Wording(language)))


def _page(query: str, answer: Answer, say: Wording) -> bytes:
    framer = Framer(say)
    places = [_seen(framer, rank, hit, say) for rank, hit in enumerate(answer.hits, start=1)]
    hits = enumerate(answer.hits)
    weak = (n for n, hit in hits if not hit.in_part and not is_match(answer, hit))
    strong = next(weak, len(places))
    groups = [
        _Group(None, places[:strong], weak=False),
        _Group(_weaker(answer, say), places[strong:], weak=True),
    ]
    return output.render(
        "sheet.html.j2",
        say=say,
        query=query,
        notice=_notice(answer, say),
        withheld=answer.withheld,
        explained=any(hit.explanation for hit in answer.hits),
        groups=[group for group in groups if group.places],
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A photo on the page, and what is said of it."""

    frame: Frame
    path: str
    likeness: str
    words: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Photos under one heading."""

    title: str | None
    places: list[_Place]
    weak: bool


def _seen(framer: Framer, rank: int, hit: Hit, say: Wording) -> _Place:
    why = hit.explanation
    probability = math.nan if hit.probability is None else hit.probability
    frame = framer.frame(rank, hit.image, probability, heat=why.heat if why else None)
    likeness = "" if hit.probability is not None else _likeness(hit, say)
    words = tuple(_word(effect, say) for effect in why.words) if why else ()
    return _Place(frame, _named(hit.image.path), likeness, words)


def _named(path: Path) -> str:
    """A path; of a frame its film's, and the moment, in no language."""
    frame = films.frame_named(path)
    return str(path) if frame is None else f"{frame.film} · {films.clock(frame.at)}"


def _word(word: WordEffect, say: Wording) -> tuple[str, str, str]:
    """A word, its effect, and whether that is up, down or none."""
    if word.effect is None:
        return word.word, "", "none"
    effect = round(word.effect, 1) + 0.0  # never a minus before a zero
    side = "up" if effect >= TELLING else "down" if effect <= -TELLING else "none"
    return word.word, say.signed(effect, 1), side


def _likeness(hit: Hit, say: Wording) -> str:
    return say("sheet.likeness", value=say.number(hit.similarity, 2))


def _weaker(answer: Answer, say: Wording) -> str:
    if not answer.matches:
        return say("sheet.hidden" if answer.withheld else "sheet.nearest")
    return say("sheet.weaker", least=say.percent(answer.at_least or 0.0))


def _png(query: str, answer: Answer, say: Wording) -> bytes:
    return _encoded(_picture(query, answer, say), "PNG")


def _jpeg(query: str, answer: Answer, say: Wording) -> bytes:
    return _encoded(_picture(query, answer, say), "JPEG")


_WRITERS: dict[str, Callable[[str, Answer, Wording], bytes]] = {
    ".html": _page,
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
}


def _encoded(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=90)
    return file.getvalue()


def _notice(answer: Answer, say: Wording) -> str | None:
    return answer.notice or (None if answer.hits else say("sheet.nothing"))


def _picture(query: str, answer: Answer, say: Wording) -> Image.Image:
    """Title, notice, then the photos in rows; as high as they need."""
    count = len(answer.hits) + (answer.withheld is not None)
    columns = min(max(count, 3), COLUMNS)
    inner = columns * CELL + (columns - 1) * GAP
    title = _wrapped(query, _font(TITLE), inner, TITLE_LINES)
    said = _notice(answer, say) or (
        "" if answer.matches or not answer.hits else _weaker(answer, say)
    )
    notice = _wrapped(said, _font(TEXT), inner, NOTICE_LINES)
    top = MARGIN + _height(title, TITLE) + _height(notice, TEXT) + GAP
    rows = -(-count // columns)
    height = top + rows * (CELL + BELOW + GAP) - (GAP if rows else 0) + MARGIN
    sheet = Image.new("RGB", (inner + 2 * MARGIN, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (MARGIN, MARGIN), title, TITLE, INK)
    _write(draw, (MARGIN, MARGIN + _height(title, TITLE)), notice, TEXT, MUTED)
    corners = (
        (MARGIN + column * (CELL + GAP), top + row * (CELL + BELOW + GAP))
        for row in range(rows)
        for column in range(columns)
    )
    for rank, (hit, corner) in enumerate(zip(answer.hits, corners, strict=False), start=1):
        _place(sheet, hit, rank, corner, say)
    if answer.withheld is not None:
        _card(sheet, answer.withheld, next(corners))
    return sheet


def _card(sheet: Image.Image, notice: str, corner: tuple[int, int]) -> None:
    """The disclaimer in a square of its own, after all photos."""
    (x, y), draw = corner, ImageDraw.Draw(sheet)
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), fill=MAT)
    lines = _wrapped(notice, _font(SMALL), CELL - 2 * GAP, 8)
    _write(draw, (x + GAP, y + CELL // 3), lines, SMALL, MUTED)


def _place(sheet: Image.Image, hit: Hit, rank: int, corner: tuple[int, int], say: Wording) -> None:
    """One photo in its square, a bar as long as its probability, and its name."""
    (x, y), draw = corner, ImageDraw.Draw(sheet)
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), fill=MAT)
    try:
        photo, _ = reader.read(hit.image.path, CELL, hit.image.digest)
    except ImageError:
        lines = _wrapped(say("page.unreadable"), _font(SMALL), CELL - 2 * GAP, 3)
        _write(draw, (x + GAP, y + CELL // 2 - SMALL), lines, SMALL, MUTED)
    else:
        photo.thumbnail((CELL, CELL))
        if hit.explanation and hit.explanation.heat:
            photo = overlay(photo, hit.explanation.heat)
        sheet.paste(photo, (x + (CELL - photo.width) // 2, y + (CELL - photo.height) // 2))
    share = min(max(hit.probability or 0.0, 0.0), 1.0)
    draw.rectangle((x, y + CELL + 8, x + CELL - 1, y + CELL + 10), fill=LINE)
    if share > 0:
        draw.rectangle((x, y + CELL + 8, x + round((CELL - 1) * share), y + CELL + 10), fill=BAR)
    percent = _likeness(hit, say) if hit.probability is None else say.percent(share)
    below = y + CELL + 15
    draw.text((x, below), str(rank), MUTED, _font(TEXT))
    draw.text((x + CELL, below), percent, INK, _font(TEXT), anchor="ra")
    name = _wrapped(_named(Path(hit.image.path.name)), _font(SMALL), CELL, 1)
    _write(draw, (x, below + 23), name, SMALL, MUTED)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int, limit: int) -> tuple[str, ...]:
    """Lines that fit; a word longer than a line is cut, what is too much ends in an ellipsis."""
    left = one_line(text)
    lines: list[str] = []
    while left and len(lines) < limit:
        size = _fitting(left, font, width)
        space = left.rfind(" ", 1, size + 1) if size < len(left) else size
        size = space if space > 0 else size
        lines.append(left[:size])
        left = left[size:].lstrip()
    if left:
        lines[-1] = lines[-1][: _fitting(lines[-1], font, width - int(font.getlength("…")))] + "…"
    return tuple(lines)


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """How many letters of the text fit, at least one."""
    size = min(len(text), width)
    while size > 1 and font.getlength(text[:size]) > width:
        size -= 1
    return size


def _height(lines: tuple[str, ...], size: int) -> int:
    return round(len(lines) * size * 1.4)


def _write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    lines: tuple[str, ...],
    size: int,
    colour: str,
) -> None:
    for number, line in enumerate(lines):
        x, y = corner
        draw.text((x, y + round(number * size * 1.4)), line, colour, _font(size))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Roboto: Pillow's own font has no Cyrillic."""
    from font_roboto import Roboto

    return ImageFont.truetype(Roboto, size, layout_engine=ImageFont.Layout.BASIC)
