"""A photo's file or a smaller copy of it as an answer: ETag, ranges, thumbnails."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from kadr.errors import ImageError
from kadr.library.catalogue import OpenedPhoto
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
RANGE = re.compile(r"bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))")
"""One range; others are passed over, as RFC 9110 allows."""
PICTURE: dict[str, Any] = {
    "content": {
        media: {"schema": {"type": "string", "format": "binary"}}
        for media in sorted(MEDIA_TYPES.values())
    }
}


async def picture(
    request: Request, held: Resources, opened: tuple[Stored, OpenedPhoto | None], size: str | None
) -> Response:
    """A photo's file, which is closed at the end, or a copy no larger than `size`."""
    stored, file = opened
    if file is None:
        raise ProblemError(404, "The photo's file changed or went away. It must be indexed again.")
    tag = f'"{stored.digest}{f"-{size}" if size else ""}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_cached(request, tag):
        file.file.close()
        return Response(status_code=304, headers=headers)
    if size is None:
        return _file(request, stored, file, headers)
    file.file.close()
    content = await _thumbnail(held, stored.digest, file, int(size))
    return Response(content, headers=headers, media_type="image/jpeg")


def _file(
    request: Request, stored: Stored, opened: OpenedPhoto, headers: dict[str, str]
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
    media = MEDIA_TYPES[stored.facts.kind]
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
        content = await held.decoder.thumbnail(opened.path, opened.state, side)
    except ImageError as error:
        raise ProblemError(404, "The photo can't be decoded any more.") from error
    held.thumbnails[digest, side] = content
    return content
