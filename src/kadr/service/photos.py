"""Routes over photos: to see, to list, to add and delete."""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Query, Request, Response, UploadFile

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
    json,
    renderer,
    resources,
    seen,
)
from kadr.service.downloads import PICTURE, picture
from kadr.service.problems import ProblemError
from kadr.service.shapes import AddedShape, ListingShape, PhotoShape, SkippedShape
from kadr.service.visitors import needs
from kadr.service.worker_pool import BusyError
from kadr.stores import Stored

router = APIRouter(tags=["photos"])

SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}
"""Of uploads, where the kind isn't its own suffix."""
Side = Annotated[
    Literal["320", "640", "1600"] | None,
    Query(description="Pixels of the longer side, at most. Without it: the file as it is."),
]
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
        listing = library.catalogue.newest(n, start, chosen(library, which))
        return json(renderer(request, library).listing(listing, cursors))

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
    catalogue, render = library.catalogue, renderer(request, library)
    numbers = [n for digest in digests if (n := library.photo_number(digest)) is not None]
    shown = [number for number in dict.fromkeys(numbers) if not catalogue.hides(number)]
    photos = [photo for number in shown if (photo := catalogue.photo(number))]
    return json(
        AddedShape(
            added=[render.photo(photo) for photo in photos],
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
        return json(renderer(request, library).photo(seen(library, photo, law)))

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
        paths = seen(library, photo, law).paths
        if folder is None or any(path.parent != folder for path in paths):
            raise ProblemError(409, "This photo wasn't uploaded. Delete it in its folder.")
        for path in paths:
            path.unlink(missing_ok=True)
        library.forget(photo, _another)
        return Response(status_code=204)

    return await resources(request).working.do(law.policy, work)
