"""An answer as a notebook shows it: pictures with how sure kadr is, as HTML."""

import base64
import io
from collections.abc import Callable
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from kadr.photos import films
from kadr.types import Answer, Hit

if TYPE_CHECKING:
    from PIL import Image

SIDE = 200
"""Pixels of a picture's longer side."""
_FIGURE = (
    '<figure style="margin:0;width:{side}px">{picture}'
    '<figcaption style="overflow-wrap:anywhere">{caption}</figcaption></figure>'
)
_GONE = '<div style="height:{side}px;background:#8883"></div>'

Open: TypeAlias = "Callable[[Hit, int], Image.Image | None]"
"""Opens a hit's photo at about a size; None where it may not be shown, or not be read."""


def html(answer: Answer, open_photo: Open) -> str:
    """The answer's notice and its photos, in a page of their own bytes: nothing is loaded."""
    told = [answer.notice, None if answer.refused else answer.withheld]
    if answer.hits and not answer.matches:
        told.insert(0, "Nothing matches well; these are the nearest.")
    notices = "".join(f"<p>{escape(line)}</p>" for line in told if line)
    figures = "".join(_figure(hit, open_photo) for hit in answer.hits)
    wall = f'<div style="display:flex;flex-wrap:wrap;gap:12px">{figures}</div>'
    return notices + (wall if figures else "")


def _figure(hit: Hit, open_photo: Open) -> str:
    picture = open_photo(hit, SIDE)
    name = PurePath(films.shown(hit.image.path)).name
    shown = _GONE.format(side=SIDE) if picture is None else _picture(picture, name)
    sure = f"{hit.similarity:.2f}" if hit.probability is None else f"{hit.probability:.0%}"
    caption = f"{sure} {escape(_text(name))}"
    return _FIGURE.format(side=SIDE, picture=shown, caption=caption)


def _picture(picture: "Image.Image", name: str) -> str:
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    written = io.BytesIO()
    small.save(written, "JPEG", quality=80)
    data = base64.b64encode(written.getvalue()).decode("ascii")
    return f'<img alt="{escape(_text(name))}" src="data:image/jpeg;base64,{data}">'


def _text(name: str) -> str:
    """A file's name without bytes that are no text."""
    return name.encode("utf-8", "replace").decode("utf-8", "replace")
