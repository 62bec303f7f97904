"""Which photos a search may find: when, where and how they were taken, their kind and size."""

import contextlib
import math
import re
import unicodedata
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kadr.errors import KadrError
from kadr.library.named_folders import NOWHERE, named
from kadr.library.queries import Expression
from kadr.stores import Store
from kadr.types import Box, Filters

KINDS = ("jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "raw", "film")
_ALIASES = {
    "jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "tif": "tiff", "heif": "heic", "video": "film",
}  # fmt: skip
_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)?)?)?"
)
_FIRST = (1, 1, 1, 0, 0, 0)  # year to second
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+")
_SIZE = re.compile(r"([0-9]{1,9})(?:[xX×хХ]([0-9]{1,9}))?")  # х is the Russian letter


def parse(
    *,
    after: str | None = None,
    before: str | None = None,
    folder: Path | None = None,
    camera: str | None = None,
    near: str | None = None,
    kind: str | None = None,
    min_size: str | None = None,
    collection: str | None = None,
    place: str | None = None,
    box: str | None = None,
) -> Filters:
    """The filters that a person wrote, on the command line or to the service.

    A text that is None or empty asks for nothing. `date`, `circle`, `size`, `format_of`,
    `collection_name`, `place_name` and `box_of` say how each is written; `folder` is one that the
    library knows by this path.

    Raises:
        KadrError: a text can't be understood.
    """
    width, height = size(min_size) if min_size else (0, 0)
    return Filters(
        after=date(after) if after else None,
        before=date(before) if before else None,
        folder=folder,
        camera=camera,
        near=circle(near) if near else None,
        kind=format_of(kind) if kind else None,
        min_width=width,
        min_height=height,
        collection=collection_name(collection) if collection else None,
        place=place_name(place) if place else None,
        box=box_of(box) if box else None,
    )


def typed(query: Expression, filters: Filters | None, store: Store) -> Filters | None:
    """The filters, and those that stand in the query, which count where both say something.

    Raises:
        KadrError: one can't be understood or stands there twice, or too many folders are called so.
    """
    if not query.filters:
        return filters
    given = said(query)
    names = given.pop("in", None)
    result = replace(filters or Filters(), **given)
    return result if names is None else within(store, names, result)


def said(query: Expression) -> dict[str, Any]:
    """The filters that stand in a query, parsed, by their names; `in` as it was typed.

    Raises:
        KadrError: one can't be understood, or stands there twice.
    """
    texts = dict(query.filters)
    if len(texts) < len(query.filters):
        raise KadrError(f"{_shown(query.source)} has a filter twice. Leave one of them out.")
    parsed = parse(
        after=texts.get("after"),
        before=texts.get("before"),
        camera=texts.get("camera"),
        kind=texts.get("kind"),
        collection=texts.get("collection"),
        place=texts.get("place"),
    )
    return {key: text if key == "in" else getattr(parsed, key) for key, text in texts.items()}


def within(store: Store, names: str, filters: Filters) -> Filters:
    """The filters, for photos below whichever folders have these last names; there may be none.

    Raises:
        KadrError: too many folders are called so.
    """
    return replace(filters, folder=None, folders=named(store, names) or (NOWHERE,))


def date(text: str) -> str:
    """The first second of a year, month, day or minute: 2024-05 is 2024-05-01T00:00:00.

    So `after` a date holds the whole of it, `before` a date ends when it begins.

    Raises:
        KadrError: the text is no date, or there is no such day or time.
    """
    if match := _DATE.fullmatch(text.strip()):
        given = [int(part) for part in match.groups() if part is not None]
        year, month, day, hour, minute, second = (*given, *_FIRST[len(given) :])
        with contextlib.suppress(ValueError):  # no such day
            return datetime(year, month, day, hour, minute, second).isoformat()
    raise KadrError(
        f"{_shown(text)} is no date. Write 2024, 2024-05, 2024-05-17 or 2024-05-17T12:30."
    )


def circle(text: str) -> tuple[float, float, float]:
    """Latitude in [-90, 90], longitude in [-180, 180], distance in km above 0.

    Raises:
        KadrError: the text isn't three such numbers with commas between them.
    """
    fields = [field.strip() for field in text.split(",", 3)]
    if len(fields) == 3 and all(_NUMBER.fullmatch(field) for field in fields):
        latitude, longitude, km = map(float, fields)
        if abs(latitude) <= 90 and abs(longitude) <= 180 and 0 < km < math.inf:
            return latitude, longitude, km
    raise KadrError(
        f"{_shown(text)} is no place. Write latitude (-90 to 90) and longitude (-180 to 180) in "
        "decimal degrees and a distance in km above 0, such as 55.75,37.62,5"
    )


def size(text: str) -> tuple[int, int]:
    """Least width and height in pixels; one number is the least shorter side, so both.

    Raises:
        KadrError: the text is neither a number nor WIDTHxHEIGHT, or 0.
    """
    if match := _SIZE.fullmatch(text.strip()):
        width, height = int(match[1]), int(match[2] or match[1])
        if width and height:
            return width, height
    raise KadrError(
        f"{_shown(text)} is no size. Write pixels: 1024 (the shorter side at least), or 1920x1080 "
        "(width and height at least)."
    )


def format_of(text: str) -> str:
    """The format's name in KINDS; jpg, tif, heif and video are jpeg, tiff, heic and film.

    Raises:
        KadrError: no such format.
    """
    name = text.strip().lower().removeprefix(".")
    name = _ALIASES.get(name, name)
    if name not in KINDS:
        raise KadrError(f"{_shown(text)} is no kind of photo. Choose from: {', '.join(KINDS)}.")
    return name


def collection_name(text: str) -> str:
    """A collection's name in Unicode's form NFC: 1 to 100 characters that can be seen, no slash.

    Raises:
        KadrError: it is no such name.
    """
    name = unicodedata.normalize("NFC", text.strip())
    seen = name.replace("\u200c", "").replace("\u200d", "")  # they join Persian letters, and emoji
    if seen.strip(".") and len(name) <= 100 and seen.isprintable() and "/" not in name:
        return name
    raise KadrError(
        f"{_shown(text)} is no name of a collection. Write 1 to 100 letters, digits, signs and "
        "spaces, no slash."
    )


def box_of(text: str) -> Box:
    """West, south, east, north in degrees, east less than west across the date line.

    Raises:
        KadrError: the text isn't four such numbers with commas between them.
    """
    fields = [field.strip() for field in text.split(",", 4)]
    if len(fields) == 4 and all(_NUMBER.fullmatch(field) for field in fields):
        west, south, east, north = map(float, fields)
        if max(abs(west), abs(east)) <= 180 and -90 <= south <= north <= 90:
            return west, south, east, north
    raise KadrError(
        f"{_shown(text)} is no box. Write west, south, east and north in decimal degrees, such as "
        "13.0,52.3,13.8,52.7"
    )


def place_name(text: str) -> str:
    """The beginning of a place's name, or of a word in one: at least one letter or digit.

    Raises:
        KadrError: there is none in the text.
    """
    if any(sign.isalnum() for sign in text) and len(text) <= 200:
        return text.strip()
    raise KadrError(f"{_shown(text)} names no place. Write a town, region or country: place:berlin")


def _shown(text: str) -> str:
    """A text on one line, not too long, in quotes."""
    return repr(text if len(text) <= 80 else text[:80] + "…")


def spelled(store: Store, filters: Filters | None) -> Filters:
    """The filters, their folder as the library spells its name; None asks for nothing."""
    if filters is None or filters.folder is None:
        return filters or Filters()
    return replace(filters, folder=store.spelled(filters.folder))
