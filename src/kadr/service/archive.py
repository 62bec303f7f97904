"""Several photos as one ZIP archive, written while it is sent: nothing of it lies anywhere."""

import os
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, cast

from fastapi.concurrency import run_in_threadpool

from kadr.library.catalogue import OpenedPhoto, PhotoObject
from kadr.library.library import Library
from kadr.photos import films
from kadr.service.dependencies import whole
from kadr.service.downloads import PART, holds
from kadr.service.file_names import safe_name
from kadr.service.folder_names import text
from kadr.service.objects import changed
from kadr.service.problems import ProblemError
from kadr.service.resources import Resources
from kadr.service.visitors import RequestPolicy
from kadr.stores import Stored

MOST_PHOTOS = 500
MOST_BYTES = 2_000_000_000
"""Of all photos together: what a browser keeps, and what needs no 64-bit records."""
LEFT_OUT = "left out.txt"
_EARLIEST, _LATEST = 1980, 2107
"""Years that an archive can write."""


@dataclass
class _Pipe:
    """What an archive writes, until it is sent. It can't be gone back in."""

    written: list[bytes] = field(default_factory=list)

    def write(self, part: bytes) -> int:
        self.written.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing waits here."""

    def take(self) -> bytes:
        taken, self.written = b"".join(self.written), []
        return taken


@dataclass(frozen=True)
class _Archive:
    """An archive being written, its names, and its films by what their digests begin with."""

    file: zipfile.ZipFile
    names: set[str]
    films: set[str]


def size(library: Library, photos: Sequence[int], law: RequestPolicy) -> int:
    """Bytes of those of these photos that may be seen.

    Raises:
        ProblemError: 404, none of them is there; 413, they are too large together; 451, all are
            hidden.
    """
    total, refused, films_in = 0, list[ProblemError](), set[str]()
    for photo in photos:
        try:
            one = whole(library, photo, law)
        except ProblemError as error:
            refused.append(error)
            continue
        film = one.digest[: films.PREFIX] if films.frame_named(one.paths[0]) else None
        if film is None or film not in films_in:
            total += _close(library.catalogue.open(one))
            films_in.add(film or "")
    if len(refused) == len(photos):
        raise refused[0]
    if total > MOST_BYTES:
        raise ProblemError(
            413, f"These photos have more than {MOST_BYTES / 1e9:.0f} GB. Choose fewer."
        )
    return total


async def stream(
    held: Resources, law: RequestPolicy, photos: Sequence[int]
) -> AsyncIterator[bytes]:
    """The archive's bytes. Each photo is asked for when its turn comes: it may be hidden by then.

    What can't be sent any more is told in a file at the end, without its name.
    """
    pipe, names, sent, left_out = _Pipe(), set[str](), set[str](), list[str]()
    with zipfile.ZipFile(cast(BinaryIO, pipe), "w", zipfile.ZIP_STORED) as archive:
        for photo in photos:
            try:
                async for part in _photo(held, law, photo, _Archive(archive, names, sent)):
                    del part
                    yield pipe.take()
            except ProblemError as error:
                left_out.append(error.detail)
        if left_out:
            archive.writestr(LEFT_OUT, "\n".join(left_out) + "\n")
    yield pipe.take()


async def _photo(
    held: Resources, law: RequestPolicy, photo: int, archive: _Archive
) -> AsyncIterator[None]:
    """Write a photo part by part, or the film of a frame, once."""

    def work(library: Library) -> tuple[Stored, OpenedPhoto | PhotoObject | None]:
        one = whole(library, photo, law)
        return one, library.catalogue.open(one)

    stored, opened = await held.looking.do(law.policy, work)
    if opened is None:
        raise changed()
    if films.frame_named(opened.path) is not None:
        if stored.digest[: films.PREFIX] in archive.films:
            _close(opened)
            return
        archive.films.add(stored.digest[: films.PREFIX])
    content = await _content(held, stored, opened)  # before anything is said of it
    info = zipfile.ZipInfo(_unused(opened, stored, archive.names), _time(stored))
    info.file_size = opened.state[0]
    with archive.file.open(info, "w") as entry:
        async for part in content:
            entry.write(part)
            yield


async def _content(
    held: Resources, stored: Stored, opened: OpenedPhoto | PhotoObject
) -> AsyncIterator[bytes]:
    """A photo's bytes, which are those that were indexed.

    Raises:
        ProblemError: 409, they are others by now.
    """
    if isinstance(opened, PhotoObject):
        return await held.objects.parts(opened, 0, opened.state[0])
    if not await holds(held, opened, stored.digest):
        opened.file.close()
        raise changed()
    opened.file.seek(0)
    return _parts(opened.file)


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while part := await run_in_threadpool(file.read, PART):
            yield part


def _close(opened: OpenedPhoto | PhotoObject | None) -> int:
    """The size of a photo's file, which is closed; 0 where it can't be sent."""
    if isinstance(opened, OpenedPhoto):
        opened.file.close()
    return 0 if opened is None else opened.state[0]


def _unused(opened: OpenedPhoto | PhotoObject, stored: Stored, names: set[str]) -> str:
    """The photo's name, safe on every file system, with a number where another photo has it."""
    name = safe_name(text(films.file_of(opened.path).name), stored.facts.kind)
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    number = 1
    while name.casefold() in names:
        number += 1
        name = f"{stem} ({number}){suffix}"
    names.add(name.casefold())
    return name


def _time(stored: Stored) -> tuple[int, int, int, int, int, int]:
    """When a photo was taken, as an archive says it; its first moment where nobody knows."""
    with suppress(ValueError):
        taken = datetime.fromisoformat(stored.facts.taken or "")
        if _EARLIEST <= taken.year <= _LATEST:
            return taken.timetuple()[:6]
    return (_EARLIEST, 1, 1, 0, 0, 0)
