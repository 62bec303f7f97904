"""A photo's file or a smaller copy of it as an answer: ETag, ranges, thumbnails."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from kadr.errors import ImageError
from kadr.library.catalogue import OpenedPhoto
from kadr.photos import files, reader
from kadr.service.folder_names import text
from kadr.service.problems import ProblemError
from kadr.service.resources import Resources
from kadr.stores import Stored

MEDIA_TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "tiff": "image/tiff", "bmp": "image/bmp", "avif": "image/avif", "heic": "image/heic",
}  # fmt: skip
PART = 2**18
"""Bytes of a file that are read at a time."""
SETTLED = 2.0
"""Seconds after a file's last change from which a digest of it may be remembered: until then it may
change once more at what the file system takes for the same moment."""
RANGE = re.compile(r"bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))")
"""One range; others are passed over, as RFC 9110 allows."""
PICTURE: dict[str, Any] = {
    "content": {
        media: {"schema": {"type": "string", "format": "binary"}}
        for media in sorted(MEDIA_TYPES.values())
    }
}


@dataclass(frozen=True, slots=True)
class Download:
    """A photo to send, and its file: open, None where it is gone or isn't what was indexed."""

    photo: Stored
    opened: OpenedPhoto | None


async def picture(
    request: Request, held: Resources, download: Download, size: str | None
) -> Response:
    """A photo's file, which is closed at the end, or a copy no larger than `size`.

    What is sent has the digest that was indexed, and assessed; its ETag says so.
    """
    digest, opened = download.photo.digest, download.opened
    if opened is None:
        raise _changed()
    tag = f'"{digest}{f"-{size}" if size else ""}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if size is not None:
        opened.file.close()
        if is_cached(request, tag):
            return Response(status_code=304, headers=headers)
        content = await _thumbnail(held, digest, opened, int(size))
        return Response(content, headers=headers, media_type="image/jpeg")
    if not await _holds(held, opened.file, digest):
        opened.file.close()
        raise _changed()
    if is_cached(request, tag):
        opened.file.close()
        return Response(status_code=304, headers=headers)
    return _file(request, download.photo, opened, headers)


def _changed() -> ProblemError:
    return ProblemError(404, "The photo's file changed or is gone. It must be indexed again.")


async def _holds(held: Resources, file: BinaryIO, digest: str) -> bool:
    """Whether an open file has this digest. Each state of a file is hashed once."""
    identity = reader.identity(file.fileno())
    if held.digests.get(identity) == digest:
        return True
    actual = await run_in_threadpool(files.digest, file)
    if reader.identity(file.fileno()) != identity:
        return False
    *_, changed = identity
    if time.time() - changed / 1e9 > SETTLED:
        held.digests[identity] = actual
    return actual == digest


def _file(
    request: Request, photo: Stored, opened: OpenedPhoto, headers: dict[str, str]
) -> StreamingResponse:
    """The file as it is, or the part of it that is asked for."""
    whole = opened.state[0]
    try:
        start, length = _range(request, whole, headers["ETag"])
    except ProblemError:
        opened.file.close()
        raise
    headers |= {
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        "Content-Disposition": f"inline; filename*=utf-8''{quote(text(opened.path.name))}",
    }
    status = 200
    if length < whole:
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{whole}"
    media = MEDIA_TYPES[photo.facts.kind]
    return StreamingResponse(_parts(opened.file, start, length), status, headers, media)


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
            raise _changed() from error  # since it was opened
        raise ProblemError(
            422, f"No smaller copy: the photo {error}. Ask for the file itself, without size."
        ) from error
    held.thumbnails[digest, side] = content
    return content
