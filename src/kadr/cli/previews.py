"""Small pictures of photos in the terminal: kitty, iTerm2, sixel, else coloured half blocks."""

import base64
import contextlib
import io
import logging
import os
import re
import select
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

from PIL import ImageOps

from kadr.errors import ImageError
from kadr.photos import films, reader
from kadr.photos.objects import is_object

if TYPE_CHECKING:
    from PIL import Image

Protocol: TypeAlias = Literal["iterm2", "kitty", "sixel", "blocks", "characters"]
"""How a terminal is sent a picture; `characters` are grey blocks, where colours aren't wanted."""

PATIENCE = 1.0
"""Seconds that a terminal has to say what it can show. Nearly all say it at once."""

_QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
"""Kitty's question, then one that every terminal answers: it tells where the answer ends."""

_ATTRIBUTES = re.compile(r"\x1b\[\?([0-9;]*)c")
_ITERM2 = frozenset({"iTerm.app", "WezTerm", "mintty"})
_NOT_ASKED = frozenset({"linux", "Apple_Terminal"})  # they may print the question itself
_CELL_PIXELS = 16
_GLYPHS = "▀█▓▒░\U0010eeee"


def show(
    path: Path,
    stream: TextIO,
    columns: int = 40,
    *,
    protocol: Protocol | None = None,
    digest: str | None = None,
) -> bool:
    """Print a preview, at most `columns` wide and about half as many lines high.

    False, and nothing printed, where the photo can't be read or hasn't the `digest` that is given,
    the terminal doesn't know its own size, or `stream` is no terminal and no protocol is given.
    """
    protocol = protocol or detect(stream, os.environ)
    if protocol is None:
        return False
    file = films.file_of(path)
    if not is_object(path) and not os.path.isfile(file):  # noqa: PTH113 - opening a pipe would wait
        return False
    columns = max(4, min(columns, _width(stream)))
    try:
        photo = _thumbnail(path, columns, digest)
    except ImageError:
        return False
    cells = max(1, round(columns * min(1.0, photo.width / photo.height)))
    if protocol != "iterm2":
        return _render(photo, stream, cells, protocol)
    stream.write(_inline(photo, cells))
    stream.flush()
    return True


def detect(stream: TextIO, environ: Mapping[str, str]) -> Protocol | None:
    """What the terminal behind `stream` can show; None if there is none or it shows no picture.

    A stream is asked once; the answer is waited for no longer than PATIENCE.
    """
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if not stream.isatty() or term == "dumb":
        return None
    nested = "TMUX" in environ or "STY" in environ  # keeps back pictures that it doesn't know
    if not nested and (program in _ITERM2 or environ.get("LC_TERMINAL") == "iTerm2"):
        return "iterm2"
    answer = "" if {term, program} & _NOT_ASKED else _ask(stream)
    if (found := _ATTRIBUTES.search(answer)) and "4" in found[1].split(";"):
        return "sixel"  # before kitty: those that draw both don't know kitty's placeholders
    if not _can_write(_GLYPHS, stream):
        return None
    if "\x1b_G" in answer and ";OK\x1b\\" in answer:
        return "kitty"
    return "characters" if environ.get("NO_COLOR") else "blocks"


def _can_write(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


@cache
def _ask(stream: TextIO) -> str:
    """What the terminal says of itself; nothing if it can't be asked now or doesn't answer."""
    try:
        import termios
    except ImportError:  # Windows
        return ""
    with contextlib.suppress(OSError, termios.error):  # no controlling terminal
        if os.tcgetpgrp(stream.fileno()) != os.getpgrp():
            return ""  # a job in the background that asks is stopped by the system
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)  # stdin may be a pipe
        try:
            return _converse(terminal)
        finally:
            os.close(terminal)
    return ""


def _converse(terminal: int) -> str:
    import termios
    import tty

    before, answer, end = termios.tcgetattr(terminal), "", time.monotonic() + PATIENCE
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        os.write(terminal, _QUESTION)
        while not _ATTRIBUTES.search(answer) and (left := end - time.monotonic()) > 0:
            if select.select([terminal], [], [], left)[0]:
                read = os.read(terminal, 1024)
                if not read:
                    break
                answer += read.decode("ascii", "replace")
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
    return answer


def _width(stream: TextIO) -> int:
    """Columns that a line may have; a forced preview in no terminal may have any number."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns - 1 if columns else 10**6


def _thumbnail(path: Path, columns: int, digest: str | None) -> "Image.Image":
    """The photo at the size of its preview; strips get borders, so that no side vanishes."""
    side = columns * _CELL_PIXELS
    photo, _ = reader.read(path, side, digest)
    steepest = max(1.0, columns / 4)
    if not 1 / steepest <= photo.width / photo.height <= steepest:
        short = max(1, round(side / steepest))
        size = (side, short) if photo.width > photo.height else (short, side)
        return ImageOps.pad(photo, size)
    photo.thumbnail((side, side))
    return photo


def _inline(photo: "Image.Image", cells: int) -> str:
    """iTerm2's inline image, https://iterm2.com/documentation-images.html."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    options = f"inline=1;size={buffer.tell()};width={cells};preserveAspectRatio=1"
    return f"\x1b]1337;File={options}:{data}\a\n"


def _render(photo: "Image.Image", stream: TextIO, cells: int, protocol: Protocol) -> bool:
    from rich.console import Console

    with _lent(stream):
        from textual_image import renderable

        kinds = {
            "kitty": renderable.TGPImage,
            "sixel": renderable.SixelImage,
            "blocks": renderable.HalfcellImage,
            "characters": renderable.UnicodeImage,
        }
        kitty = protocol == "kitty"  # it writes a picture's number as a colour
        console = Console(
            file=stream,
            width=cells,
            force_terminal=True,
            color_system="truecolor" if kitty else "auto",
            no_color=False if kitty else None,
        )
        try:
            with warnings.catch_warnings():  # textual-image 0.12 calls what Pillow 14 will remove
                warnings.simplefilter("ignore", DeprecationWarning)
                console.print(kinds[protocol](photo, width=cells, height="auto"), end="")
        except ZeroDivisionError:  # the terminal says that it is 0 columns wide
            return False
    stream.flush()
    return True


@contextlib.contextmanager
def _lent(stream: TextIO) -> Iterator[None]:
    """Have textual-image write to `stream` and ask nothing: it reads keys and fails on a pipe."""
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # it warns of what it didn't ask
    stdin, stdout = sys.__stdin__, sys.__stdout__
    sys.__stdin__, sys.__stdout__ = None, stream  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        sys.__stdin__, sys.__stdout__ = stdin, stdout  # type: ignore[misc]
