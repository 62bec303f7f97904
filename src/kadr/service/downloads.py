"""A photo's file or a smaller copy of it as an answer: ETag, ranges, thumbnails."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from kadr.errors import ImageError
from kadr.library.catalogue import OpenedPhoto, PhotoObject
from kadr.photos import files, films
from kadr.service.folder_names import text
from kadr.service.objects import changed
from kadr.service.problems import ProblemError
from kadr.service.resources import Resources
from kadr.stores import Stored

MEDIA_TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "tiff": "image/tiff", "bmp": "image/bmp", "avif": "image/avif", "heic": "image/heic",
    "raw": "image/x-dcraw",
}  # fmt: skip
FILM_TYPES = {
    ".webm": "video/webm", ".mkv": "video/x-matroska", ".avi": "video/x-msvideo",
    ".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".vob": "video/mpeg", ".m2v": "video/mpeg",
    ".mts": "video/mp2t", ".m2ts": "video/mp2t", ".ogv": "video/ogg", ".flv": "video/x-flv",
    ".wmv": "video/x-ms-wmv", ".asf": "video/x-ms-asf",
}  # fmt: skip
"""By a film's ending; all others are MP4, MOV too: browsers play that by this name only."""
MP4 = "video/mp4"
SMALL = 320
"""Pixels of the longer side of a copy of what is in the bin, at most."""
PART = 2**18
"""Bytes of a file that are read at a time."""
RANGE = re.compile(r"bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))")
"""One range; others are passed over, as RFC 9110 allows."""
PICTURE: dict[str, Any] = {
    "content": {
        media: {"schema": {"type": "string", "format": "binary"}}
        for media in sorted({*MEDIA_TYPES.values(), *FILM_TYPES.values(), MP4})
    }
}


@dataclass(frozen=True, slots=True)
class Download:
    """A photo to send, and its file: open, None where it is gone or isn't what was indexed.

    An object isn't open yet.
    """

    photo: Stored
    opened: OpenedPhoto | PhotoObject | None


async def picture(
    request: Request, held: Resources, download: Download, size: str | None
) -> Response:
    """A photo's file, which is closed at the end, or a copy no larger than `size`.

    What is sent has the digest that was indexed, and assessed; its ETag says so.
    """
    photo, opened = download.photo, download.opened
    if opened is None:
        raise changed()
    tag = f'"{photo.digest}{f"-{size}" if size else ""}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if isinstance(opened, PhotoObject):
        if is_cached(request, tag):
            await held.objects.check(opened)
            return Response(status_code=304, headers=headers)
        if size is None:
            return await _object(request, held, photo, opened, headers)
        content = await _object_thumbnail(held, photo.digest, opened, int(size))
        return Response(content, headers=headers, media_type="image/jpeg")
    return await _picture(request, held, photo, opened, size, headers)


async def binned(request: Request, held: Resources, path: Path, digest: str) -> Response:
    """A small copy of a photo in the bin, which has this digest."""
    headers = {"ETag": f'"{digest}-{SMALL}"', "Cache-Control": "private, no-cache"}
    if is_cached(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        content = await held.decoder.thumbnail(path, digest, SMALL)
    except ImageError as error:
        raise ProblemError(422, f"No smaller copy: the photo {error}.") from error
    return Response(content, headers=headers, media_type="image/jpeg")


async def _picture(
    request: Request,
    held: Resources,
    photo: Stored,
    opened: OpenedPhoto,
    size: str | None,
    headers: dict[str, str],
) -> Response:
    """The same of a file."""
    digest, tag = photo.digest, headers["ETag"]
    if size is not None:
        opened.file.close()
        if is_cached(request, tag):
            return Response(status_code=304, headers=headers)
        content = await _thumbnail(held, digest, opened, int(size))
        return Response(content, headers=headers, media_type="image/jpeg")
    if not await holds(held, opened, digest):
        opened.file.close()
        raise changed()
    if is_cached(request, tag):
        opened.file.close()
        return Response(status_code=304, headers=headers)
    try:
        part = _asked(request, photo, opened, headers)
    except ProblemError:
        opened.file.close()
        raise
    return part.response(_parts(opened.file, part.start, part.length))


async def _object(
    request: Request,
    held: Resources,
    photo: Stored,
    opened: PhotoObject,
    headers: dict[str, str],
) -> Response:
    """An object as it is, or the part of it that is asked for; no other part is fetched."""
    part = _asked(request, photo, opened, headers)
    return part.response(await held.objects.parts(opened, part.start, part.length))


async def holds(held: Resources, opened: OpenedPhoto, digest: str) -> bool:
    """Whether an open photo has this digest, or an open film this frame.

    Each state of a file is hashed once.
    """
    file, frame = opened.file, films.frame_named(opened.path)
    identity = files.identity(file.fileno())
    actual = held.digests.get(identity)
    if actual is None:
        actual = await run_in_threadpool(files.digest, file)
        if files.identity(file.fileno()) != identity:
            return False
        *_, changed = identity
        if time.time() - changed / 1e9 > files.SETTLED:
            held.digests[identity] = actual
    return (actual if frame is None else films.digest(actual, frame.at)) == digest


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a file that is asked for, or all of it, and how it is announced."""

    start: int
    length: int
    status: int
    headers: dict[str, str]
    media: str

    def response(self, content: Iterator[bytes] | AsyncIterator[bytes]) -> StreamingResponse:
        """The answer, once its content is at hand."""
        return StreamingResponse(content, self.status, self.headers, self.media)


def _asked(
    request: Request, photo: Stored, opened: OpenedPhoto | PhotoObject, headers: dict[str, str]
) -> _Part:
    """The part of a photo's file that is asked for. Raises as `_range` does."""
    whole, file = opened.state[0], films.file_of(opened.path)
    start, length = _range(request, whole, headers["ETag"])
    headers |= {
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        "Content-Disposition": f"inline; filename*=utf-8''{quote(text(file.name))}",
    }
    status = 200
    if length < whole:
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{whole}"
    media = MEDIA_TYPES.get(photo.facts.kind) or FILM_TYPES.get(file.suffix.lower(), MP4)
    return _Part(start, length, status, headers, media)


def _range(request: Request, whole: int, tag: str) -> tuple[int, int]:
    """Where the part that is asked for begins, and its length; the whole, where none is.

    Raises:
        ProblemError: 416, the file has no such part.
    """
    asked = RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", tag) != tag:
        return 0, whole
    first, last, tail = (int(part) if part else None for part in asked.groups())
    if first is None:
        first, last = max(0, whole - (tail or 0)), None
    if last is not None and last < first:
        return 0, whole
    if first >= whole:
        raise ProblemError(
            416, f"The file has {whole} bytes.", {"Content-Range": f"bytes */{whole}"}
        )
    return first, min(whole, whole if last is None else last + 1) - first


def _parts(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while length and (part := file.read(min(length, PART))):
            length -= len(part)
            yield part


def is_cached(request: Request, tag: str) -> bool:
    """Whether the visitor has the version with this ETag."""
    held = request.headers.get("if-none-match", "")
    return held.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in held.split(",")}


async def _thumbnail(held: Resources, digest: str, opened: OpenedPhoto, side: int) -> bytes:
    cached = held.thumbnails.get((digest, side))
    if cached is not None:
        return cached
    try:
        content = await held.decoder.thumbnail(opened.path, digest, side)
    except ImageError as error:
        if files.state(opened.path) != opened.state:
            raise changed() from error  # since it was opened
        raise _too_hard(error) from error
    _keep(held, digest, side, content)
    return content


def _keep(held: Resources, digest: str, side: int, content: bytes) -> None:
    with suppress(ValueError):  # larger than all that may be kept
        held.thumbnails[digest, side] = content


async def _object_thumbnail(held: Resources, digest: str, opened: PhotoObject, side: int) -> bytes:
    """The same of an object: its store is asked even where the copy is at hand."""
    cached = held.thumbnails.get((digest, side))
    if cached is not None:
        await held.objects.check(opened)
        return cached
    try:
        content = await held.objects.reduced(
            opened, lambda whole: held.decoder.reduced(whole, digest, side)
        )
    except ImageError as error:
        await held.objects.check(opened)
        raise _too_hard(error) from error
    _keep(held, digest, side, content)
    return content


def _too_hard(error: ImageError) -> ProblemError:
    detail = f"No smaller copy: the photo {error}. Ask for the file itself, without size."
    return ProblemError(422, detail)
