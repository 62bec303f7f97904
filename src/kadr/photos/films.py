"""Films: the paths and digests of their frames.

A frame is named as W3C Media Fragments name it: holiday.mp4#t=754.52 is what holiday.mp4 shows
after so many seconds. No file of a library is called so, for the names of photos end otherwise.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from kadr.photos.kinds import FILM_SUFFIXES

MARK = "#t="
PREFIX = 48
"""Hexadecimal digits of a frame's digest that are its film's: 192 bits."""
_ENDINGS = "|".join(re.escape(suffix) for suffix in FILM_SUFFIXES)
_NAME = re.compile(
    rf"(.{{1,4096}}(?:{_ENDINGS})){MARK}([0-9]{{1,6}}(?:\.[0-9]{{1,3}})?)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class FramePath:
    """A frame of a film: the film's file, and the second that it is shown at."""

    film: Path
    at: float


def named(film: Path, at: float) -> Path:
    """The path of a frame, to the thousandth of a second."""
    seconds = f"{at:.3f}".rstrip("0").rstrip(".")
    return film.with_name(f"{film.name}{MARK}{seconds}")


def frame(path: Path) -> FramePath | None:
    """The frame that a path names; None for other paths, and where a file has this very name."""
    found = frame_named(path)
    return None if found is None or os.path.lexists(path) else found


def frame_named(path: Path) -> FramePath | None:
    """The same by the name alone, as it is kept in a library."""
    match = _match(path)
    return None if match is None else FramePath(path.with_name(match[1]), float(match[2]))


def _match(path: PurePath) -> re.Match[str] | None:
    return _NAME.fullmatch(path.name) if MARK in path.name else None


def file_of(path: Path) -> Path:
    """The file that holds what a path names: the film of a frame, else the path itself."""
    found = frame(path)
    return path if found is None else found.film


def clock(at: float) -> str:
    """A moment as players write it: 12:34, 1:02:03."""
    minutes, seconds = divmod(int(at), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def shown(path: Path) -> str:
    """A path as people read it: of a frame the film's, and the moment."""
    found = frame_named(path)
    return str(path) if found is None else f"{found.film} at {clock(found.at)}"


def stem(path: PurePath) -> str:
    """A file's name without its ending; of a frame the film's."""
    match = _match(path)
    return path.stem if match is None else PurePath(match[1]).stem


def seconds(frame: str) -> float:
    """The second that a frame's digest names."""
    return int(frame[PREFIX:], 16) / 1000


def digest(film: str, at: float) -> str:
    """A frame's digest: it begins with that of its film, and ends with the milliseconds."""
    return f"{film[:PREFIX]}{round(1000 * at):016x}"
