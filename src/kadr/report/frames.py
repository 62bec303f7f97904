"""A photo's place on a page: the picture as a data URI, and what is said below it."""

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from kadr.errors import ImageError
from kadr.photos import reader
from kadr.report.heatmap import overlay
from kadr.report.wording import Wording
from kadr.types import ImageFile

SIDE = 240
"""Longest side of a thumbnail in pixels."""
QUALITY = 76

Heat: TypeAlias = tuple[tuple[float, ...], ...]
"""Rows of what each place of a photo adds to the match."""
Photo: TypeAlias = Path | ImageFile
Thumbnail: TypeAlias = Callable[[Photo | None, Heat | None], str | None]


@dataclass(frozen=True, slots=True)
class Frame:
    """What is shown in one place. `source` is None where the photo is hidden or can't be read.

    `heat` is the same photo, with the places that match.
    """

    rank: str
    alt: str
    source: str | None
    heat: str | None
    hidden: bool
    right: bool
    percent: str
    width: str


class Framer:
    """Makes frames. Each photo is decoded once, a hidden one never."""

    def __init__(self, say: Wording) -> None:
        self._say = say
        self._thumbnail: Thumbnail = cache(_thumbnail)

    def frame(
        self,
        rank: int,
        photo: Photo | None,
        probability: float,
        *,
        hidden: bool = False,
        right: bool = False,
        heat: Heat | None = None,
    ) -> Frame:
        """Fill one place. A probability of NaN shows neither bar nor number.

        A photo that is given with its digest is shown only as long as its file has it.
        """
        say, known = self._say, math.isfinite(probability)
        place = say.count(rank)
        warm = photo is not None and heat is not None and not hidden
        return Frame(
            rank=place,
            alt=say("page.right_alt" if right else "page.photo_alt", rank=place),
            source=None if hidden else self._thumbnail(photo, None),
            heat=self._thumbnail(photo, heat) if warm else None,
            hidden=hidden,
            right=right,
            percent=say.percent(probability) if known else "",
            width=f"{100 * min(max(probability, 0.0), 1.0):.1f}%" if known else "0",
        )


def _thumbnail(photo: Photo | None, heat: Heat | None) -> str | None:
    """A small JPEG in a data URI; None where there is no readable photo."""
    if photo is None:
        return None
    path, digest = (photo, None) if isinstance(photo, Path) else (photo.path, photo.digest)
    try:
        image, _ = reader.read(path, SIDE, digest)
    except ImageError:
        return None
    image.thumbnail((SIDE, SIDE))
    if heat is not None:
        image = overlay(image, heat)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii")
