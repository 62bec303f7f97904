"""Routes over photos: to see, to list, to add and delete."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from kadr.errors import ImageError
from kadr.library.catalogue import OpenedPhoto
from kadr.library.library import Library
from kadr.photos import files as storage
from kadr.service import problems
from kadr.service.dependencies import (
    CursorQuery,
    PhotoId,
    TheFilters,
    ThePolicy,
    chosen,
    cursors_of,
    folder_names,
    json,
    resources,
    seen,
)
from kadr.service.problems import ProblemError
from kadr.service.resources import Resources
from kadr.service.shapes import (
    AddedShape,
    ListingShape,
    PhotoShape,
    SkippedShape,
    text,
)
from kadr.service.visitors import needs
from kadr.service.worker_pool import BusyError
from kadr.stores import Stored

router = APIRouter(tags=["photos"])

MEDIA_TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "tiff": "image/tiff", "bmp": "image/bmp", "avif": "image/avif", "heic": "image/heic",
}  # fmt: skip
SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}
"""Of uploads, where the kind isn't its own suffix."""
PART = 2**18
"""Bytes of a file that are read at a time."""
RANGE = re.compile(r"bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))")
"""One range; others are passed over, as RFC 9110 allows."""
Side = Annotated[
    Literal["320", "640", "1600"] | None,
    Query(description="Pixels of the longer side, at most. Without it: the file as it is."),
]
PICTURE: dict[str, Any] = {
    "content": {
        media: {"schema": {"type": "string", "format": "binary"}}
        for media in sorted(MEDIA_TYPES.values())
    }
}
READ, WRITE = [needs("read")], [needs("write")]


@router.get(
    "/photos",
    summary="Photos, newest first",
    dependencies=READ,
    responses=problems.documented(),
    response_model=ListingShape,
)
async def newest(
    request: Request,
    law: ThePolicy,
    which: TheFilters,
    n: Annotated[int, Query(ge=1, le=500, description="Photos on a page.")] = 60,
    cursor: CursorQuery = None,
) -> Response:
    """Without a query. What the law hides is left out."""
    cursors = cursors_of(request, law, "photos", which)
    start = cursors.open(cursor)

    def work(library: Library) -> Response:
        names = folder_names(request, library)
        found = library.catalogue.newest(n, start, chosen(request, library, which))
        return json(names.listing(found, cursors))

    return await resources(request).working.do(law.policy, work)


@router.post(
    "/photos",
    summary="Add photos",
    status_code=201,
    dependencies=WRITE,
    responses=problems.documented(408, 409, 413),
    response_model=AddedShape,
)
async def add(
    request: Request,
    law: ThePolicy,
    photos: Annotated[list[UploadFile], File(description="Up to 20.", min_length=1, max_length=20)],
) -> Response:
    """They are named by their content: a file's name, and any path in it, is not looked at.

    A file that can't be read is skipped with its reason. Under a law, what is added is assessed
    before anybody can find it.
    """
    folder: Path | None = request.app.state.service.uploads
    if folder is None:
        raise ProblemError(409, "This service takes no photos. Start it with --uploads FOLDER.")
    held, kept, skipped = resources(request), list[str](), list[SkippedShape]()
    for number, file in enumerate(photos):
        content = await file.read()
        try:
            kind = await held.decoder.kind(content)
        except ImageError as error:
            skipped.append(SkippedShape(file=number, reason=str(error)))
            continue
        kept.append(await held.working.do(law.policy, _keeper(folder, content, kind)))

    def work(library: Library) -> Response:
        if kept:
            library.index([folder], on_wait=_another)
        return _added(library, request, kept, skipped)

    response = await held.working.do(law.policy, work)
    response.status_code = 201
    return response


def _another() -> None:
    """Uploads don't wait for another process's run, which may take an hour; sent again, they go on.

    Raises:
        BusyError: always.
    """
    raise BusyError("Another process is indexing the library. Send it again later.")


def _keeper(folder: Path, content: bytes, kind: str) -> Any:
    def keep(_library: Library) -> str:
        digest = storage.digest(content)
        storage.save(folder / f"{digest}{SUFFIXES.get(kind, '.' + kind)}", content)
        return digest

    return keep


def _added(
    library: Library, request: Request, digests: list[str], skipped: list[SkippedShape]
) -> Response:
    catalogue, names = library.catalogue, folder_names(request, library)
    numbers = [n for digest in digests if (n := library.store.number(digest)) is not None]
    shown = [number for number in dict.fromkeys(numbers) if not catalogue.hides(number)]
    found = [photo for number in shown if (photo := catalogue.photo(number))]
    return json(
        AddedShape(
            added=[names.photo(photo) for photo in found],
            withheld=len(set(numbers)) - len(shown),
            skipped=skipped,
        )
    )


@router.get(
    "/photos/{photo}",
    summary="A photo's bytes, or a smaller copy",
    dependencies=READ,
    response_class=Response,
    responses={
        **problems.documented(404, 416, 451),
        200: {"description": "The picture", **PICTURE},
        206: {"description": "A part of the file", **PICTURE},
        304: {"description": "The copy that you have is good"},
    },
)
async def photo(request: Request, law: ThePolicy, photo: PhotoId, size: Side = None) -> Response:
    """A smaller copy is a JPEG, upright, without what the file says of place and camera.

    The ETag is the content's; Range works on the file as it is. No cache may keep a photo without
    asking again: it may have been hidden since.
    """

    def work(library: Library) -> tuple[Stored, OpenedPhoto | None]:
        one = seen(library, photo, law)
        return one, library.catalogue.open(one)

    held = resources(request)
    return await picture(request, held, await held.looking.do(law.policy, work), size)


@router.get(
    "/photos/{photo}/facts",
    summary="What is known of a photo",
    dependencies=READ,
    responses=problems.documented(404, 451),
    response_model=PhotoShape,
)
async def facts(request: Request, law: ThePolicy, photo: PhotoId) -> Response:
    """Its name, folder, size, date, camera and place."""

    def work(library: Library) -> Response:
        found = seen(library, photo, law)
        return json(folder_names(request, library).photo(found))

    return await resources(request).looking.do(law.policy, work)


@router.delete(
    "/photos/{photo}",
    summary="Delete a photo that was added by upload",
    status_code=204,
    response_class=Response,
    dependencies=WRITE,
    responses=problems.documented(404, 409, 451),
)
async def delete(request: Request, law: ThePolicy, photo: PhotoId) -> Response:
    """Photos in the library's own folders are never touched: delete them there."""
    folder: Path | None = request.app.state.service.uploads

    def work(library: Library) -> Response:
        found = seen(library, photo, law)
        if folder is None or any(path.parent != folder for path in found.paths):
            raise ProblemError(409, "This photo wasn't uploaded. Delete it in its folder.")
        for path in found.paths:
            path.unlink(missing_ok=True)
        library.forget(photo, _another)
        return Response(status_code=204)

    return await resources(request).working.do(law.policy, work)


async def picture(
    request: Request, held: Resources, opened: tuple[Stored, OpenedPhoto | None], size: str | None
) -> Response:
    """A photo's file, which is closed at the end, or a copy no larger than `size`."""
    stored, found = opened
    if found is None:
        raise ProblemError(404, "The photo's file changed or went away. It must be indexed again.")
    tag = f'"{stored.digest}{f"-{size}" if size else ""}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if has(request, tag):
        found.file.close()
        return Response(status_code=304, headers=headers)
    if size is None:
        return _file(request, stored, found, headers)
    found.file.close()
    content = await _thumbnail(held, stored.digest, found, int(size))
    return Response(content, headers=headers, media_type="image/jpeg")


def _file(
    request: Request, stored: Stored, found: OpenedPhoto, headers: dict[str, str]
) -> StreamingResponse:
    """The file as it is, or the part of it that is asked for."""
    whole = found.state[0]
    try:
        start, length = _range(request, whole, headers["ETag"])
    except ProblemError:
        found.file.close()
        raise
    headers |= {
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        "Content-Disposition": f"inline; filename*=utf-8''{quote(text(found.path.name))}",
    }
    status = 200
    if length < whole:
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{whole}"
    media = MEDIA_TYPES[stored.facts.kind]
    return StreamingResponse(_parts(found.file, start, length), status, headers, media)


def _range(request: Request, whole: int, tag: str) -> tuple[int, int]:
    """Where the part that is asked for begins, and its length; the whole, where none is.

    Raises:
        ProblemError: 416, the file has no such part.
    """
    found = RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", tag) != tag:
        return 0, whole
    first, last, tail = (int(part) if part else None for part in found.groups())
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


def has(request: Request, tag: str) -> bool:
    """Whether the visitor has what bears the tag."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or tag in {
        one.strip().removeprefix("W/") for one in given.split(",")
    }


async def _thumbnail(held: Resources, digest: str, found: OpenedPhoto, side: int) -> bytes:
    known = held.thumbnails.get((digest, side))
    if known is not None:
        return known
    try:
        made = await held.decoder.thumbnail(found.path, found.state, side)
    except ImageError as error:
        raise ProblemError(404, "The photo can't be decoded any more.") from error
    held.thumbnails[digest, side] = made
    return made
