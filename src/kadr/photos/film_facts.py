"""What a film's file says of itself, and so of its frames: when, where, with what, in words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from kadr.photos import dates, places
from kadr.photos.facts import camera
from kadr.photos.texts import Texts, line
from kadr.types import PhotoFacts

KIND = "film"
_APPLE, _ANDROID = "com.apple.quicktime.", "com.android."
_DATES = (f"{_APPLE}creationdate", "date", "creation_time")
"""In the camera's own time first; the last one is in UTC."""
_PLACES = (f"{_APPLE}location.iso6709", "location", "location-eng")
_MAKES = (f"{_APPLE}make", f"{_ANDROID}manufacturer", "make")
_MODELS = (f"{_APPLE}model", f"{_ANDROID}model", "model")
_WORDS = frozenset(
    (
        *("title", "comment", "description", "synopsis", "keywords", "subject", "album"),
        *("artist", "show", "lyrics"),
    )
)
_UNSET = ("1904-01-01", "1970-01-01")
"""What clocks say that were never set."""


def read(tags: Mapping[str, str], size: tuple[int, int], name: str) -> PhotoFacts:
    """The facts of a film.

    Args:
        tags: of its container and its stream, as FFmpeg names them.
        size: of its pictures.
        name: of its file, which may hold a date.
    """
    said = {key.casefold(): value for key, value in tags.items()}
    words = Texts()
    for key, value in said.items():
        if key.removeprefix(_APPLE).partition("-")[0] in _WORDS:
            words.add(value)
    place = places.from_iso6709(_first(said, _PLACES))
    make, model = line(_first(said, _MAKES), 100), line(_first(said, _MODELS), 100)
    return PhotoFacts(
        KIND,
        *size,
        taken=_taken(said) or dates.from_name(name),
        camera=camera(make, model),
        latitude=place[0] if place else None,
        longitude=place[1] if place else None,
        texts=words.all(),
        texts_complete=words.complete,
    )


def at(facts: PhotoFacts, seconds: float) -> PhotoFacts:
    """The facts of the frame that is shown after so many seconds."""
    if facts.taken is None:
        return facts
    try:
        moment = datetime.fromisoformat(facts.taken) + timedelta(seconds=int(seconds))
    except (ValueError, OverflowError):
        return facts
    return replace(facts, taken=moment.isoformat(timespec="seconds"))


def _taken(said: Mapping[str, str]) -> str | None:
    texts = (said.get(key, "") for key in _DATES)
    stated = (text for text in texts if text and not text.startswith(_UNSET))
    return next(filter(None, map(dates.parse, stated)), None)


def _first(said: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next(filter(None, (said.get(key) for key in keys)), "")
