"""Step: of the copies of one photo, which to keep, and which may go without a loss."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kadr.photos import kinds, sidecars
from kadr.stores import Stored
from kadr.types import PhotoFacts

_COPY = re.compile(
    r"\bcopy\b|\bcopia\b|\bkopie\b|копия|\(\d+\)|[ _-]copy\d*\b|^copy of"
    r"|-WA\d{4}\b|whatsapp|telegram|^received_|^fb_img|thumb|preview|resized|compressed|edited"
    r"|screenshot",
    re.IGNORECASE,
)
"""What names of copies hold: those of file managers, messengers and editors."""


@dataclass(frozen=True, slots=True)
class Version:
    """A file of a photo, as it is weighed against its copies.

    `companion`: a RAW or a video of the same name lies beside it, as cameras and phones write them,
    or a sidecar.
    """

    path: Path
    facts: PhotoFacts
    bytes: int
    companion: bool


class Companions:
    """Which photos have a RAW, a video or a sidecar beside them; lists each folder once."""

    def __init__(self) -> None:
        self._stems: dict[Path, set[str]] = {}
        self._sidecars = sidecars.Folders()

    def has(self, path: Path) -> bool:
        """Whether a file has one."""
        if path.parent not in self._stems:
            self._stems[path.parent] = set(_stems(path.parent))
        return path.stem in self._stems[path.parent] or self._sidecars.state(path) != ""


def _stems(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return
    for name in names:
        kind = kinds.by_name(name)
        if kind is not None and kind.group in {"RAW", "video"}:
            yield Path(name).stem


def version(photo: Stored, path: Path, companions: Companions) -> Version:
    """A file of a photo that is there."""
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return Version(path, photo.facts, size, companions.has(path))


def rank(one: Version) -> tuple[object, ...]:
    """Sorts the version to keep first.

    First what its file says of itself, for no copy can get that back: camera, place, date, words.
    Then a companion, the size in pixels, a name that isn't a copy's, least compression.
    """
    facts = one.facts
    return (
        -sum(fact is not None for fact in (facts.camera, facts.latitude)),
        not one.companion,
        -facts.width * facts.height,
        bool(_COPY.search(one.path.stem)),
        -sum(map(bool, (facts.taken, facts.texts))),
        -one.bytes,
        len(one.path.name),
        str(one.path),
    )


def keeps_all(kept: Version, other: Version) -> bool:
    """Whether nothing is lost with `other`: no fact, no pixels, no companion's partner."""
    said, lost = kept.facts, other.facts
    return (
        not other.companion
        and said.width * said.height >= lost.width * lost.height
        and (said.taken is not None or lost.taken is None)
        and (said.camera is not None or lost.camera is None)
        and (said.latitude is not None or lost.latitude is None)
        and set(lost.texts) <= set(said.texts)
    )
