"""Routes over photos: to see, to list, to add and delete."""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse

from kadr import files as storage
from kadr.errors import ImageError
from kadr.interfaces.api import problems
from kadr.interfaces.api.desk import BusyError
from kadr.interfaces.api.problems import ProblemError
from kadr.interfaces.api.rooms import Rooms
from kadr.interfaces.api.searching import (
    CursorQuery,
    PhotoId,
    TheFilters,
    TheLaw,
    chosen,
    cursors_of,
    json,
    labels,
    rooms,
)
from kadr.interfaces.api.shapes import (
    AddedShape,
    ListingShape,
    PhotoShape,
    SkippedShape,
    text,
)
from kadr.interfaces.api.visitors import Law, needs
from kadr.library import Library
from kadr.store import Stored

router = APIRouter(tags=["photos"])

MEDIA_TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "tiff": "image/tiff", "bmp": "image/bmp", "avif": "image/avif", "heic": "image/heic",
}  # fmt: skip
SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}
"""Of uploads, where the kind isn't its own suffix."""
MOST_FILES = 20
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
    law: TheLaw,
    which: TheFilters,
    n: Annotated[int, Query(ge=1, le=500, description="Photos on a page.")] = 60,
    cursor: CursorQuery = None,
) -> Response:
    """Without a query. What the law hides is left out."""
    cursors = cursors_of(request, law, "photos", which)
    start = cursors.open(cursor)

    def work(library: Library) -> Response:
        names = labels(request, library)
        found = library.catalogue.newest(n, start, chosen(which, names))
        return json(names.listing(found, cursors))

    return await rooms(request).working.do(law.policy, work)


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
    law: TheLaw,
    photos: Annotated[list[UploadFile], File(description="Up to 20.", min_length=1, max_length=20)],
) -> Response:
    """They are named by their content: a file's name, and any path in it, is not looked at.

    A file that can't be read is skipped with its reason. Under a law, what is added is assessed
    before anybody can find it.
    """
    folder: Path | None = request.app.state.service.uploads
    if folder is None:
        raise ProblemError(409, "This service takes no photos. Start it with --uploads FOLDER.")
    held, kept, skipped = rooms(request), list[str](), list[SkippedShape]()
    for number, file in enumerate(photos):
        content = await file.read()
        try:
            kind = await held.darkroom.kind(content)
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
        digest = hashlib.sha256(content).hexdigest()
        storage.save(folder / f"{digest}{SUFFIXES.get(kind, '.' + kind)}", content)
        return digest

    return keep


def _added(
    library: Library, request: Request, digests: list[str], skipped: list[SkippedShape]
) -> Response:
    catalogue, names = library.catalogue, labels(request, library)
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
async def photo(request: Request, law: TheLaw, photo: PhotoId, size: Side = None) -> Response:
    """A smaller copy is a JPEG, upright, without what the file says of place and camera.

    The ETag is the content's; Range works on the file as it is. No cache may keep a photo without
    asking again: it may have been hidden since.
    """

    def work(library: Library) -> tuple[Stored, Path | None]:
        return _found(library, photo, law)

    held = rooms(request)
    return await picture(request, held, await held.looking.do(law.policy, work), size)


@router.get(
    "/photos/{photo}/facts",
    summary="What is known of a photo",
    dependencies=READ,
    responses=problems.documented(404, 451),
    response_model=PhotoShape,
)
async def facts(request: Request, law: TheLaw, photo: PhotoId) -> Response:
    """Its name, folder, size, date, camera and place."""

    def work(library: Library) -> Response:
        found, _ = _found(library, photo, law)
        return json(labels(request, library).photo(found))

    return await rooms(request).looking.do(law.policy, work)


@router.delete(
    "/photos/{photo}",
    summary="Delete a photo that was added by upload",
    status_code=204,
    response_class=Response,
    dependencies=WRITE,
    responses=problems.documented(404, 409, 451),
)
async def delete(request: Request, law: TheLaw, photo: PhotoId) -> Response:
    """Photos in the library's own folders are never touched: delete them there."""
    folder: Path | None = request.app.state.service.uploads

    def work(library: Library) -> Response:
        found, _ = _found(library, photo, law)
        if folder is None or any(path.parent != folder for path in found.paths):
            raise ProblemError(409, "This photo wasn't uploaded. Delete it in its folder.")
        for path in found.paths:
            path.unlink(missing_ok=True)
        library.forget(photo, _another)
        return Response(status_code=204)

    return await rooms(request).working.do(law.policy, work)


def _found(library: Library, number: int, law: Law) -> tuple[Stored, Path | None]:
    """A photo, and its file where that is as it was indexed.

    Raises:
        ProblemError: 404, there is no such photo; 451, the law hides it.
    """
    catalogue = library.catalogue
    found = catalogue.photo(number)
    if found is None:
        raise ProblemError(404, f"There is no photo {number}.")
    if catalogue.hides(number):
        raise law.blocked()
    return found, catalogue.file(found)


async def picture(
    request: Request, held: Rooms, found: tuple[Stored, Path | None], size: str | None
) -> Response:
    """A photo's file, or a copy no larger than `size`."""
    stored, path = found
    if path is None:
        raise ProblemError(404, "The photo's file changed or went away. It must be indexed again.")
    tag = f'"{stored.digest}{f"-{size}" if size else ""}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    if size is not None:
        content = await _thumbnail(held, stored.digest, path, int(size))
        return Response(content, headers=headers, media_type="image/jpeg")
    _check_range(request, path)
    headers["Content-Disposition"] = f"inline; filename*=utf-8''{quote(text(path.name))}"
    return FileResponse(path, headers=headers, media_type=MEDIA_TYPES[stored.facts.kind])


def _check_range(request: Request, path: Path) -> None:
    """Have a range that can't be understood passed over.

    Raises:
        ProblemError: 416, the file has no such part.
    """
    found = RANGE.fullmatch(request.headers.get("range", ""))
    first, last, tail = (int(part) if part else None for part in found.groups()) if found else (
        None, None, None,
    )  # fmt: skip
    if found is None or (first is not None and last is not None and last < first):
        request.scope["headers"] = [one for one in request.scope["headers"] if one[0] != b"range"]
        return
    size = path.stat().st_size
    if tail == 0 or (first or 0) >= size:
        raise ProblemError(416, f"The file has {size} bytes.", {"Content-Range": f"bytes */{size}"})


def _has(request: Request, tag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or tag in {
        one.strip().removeprefix("W/") for one in given.split(",")
    }


async def _thumbnail(held: Rooms, digest: str, path: Path, side: int) -> bytes:
    known = held.thumbnails.get((digest, side))
    if known is not None:
        return known
    try:
        made = await held.darkroom.thumbnail(path, side)
    except ImageError as error:
        raise ProblemError(404, "The photo can't be decoded any more.") from error
    held.thumbnails[digest, side] = made
    return made
