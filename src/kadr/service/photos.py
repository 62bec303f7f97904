"""Routes over photos: to see and to list."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from kadr.library.library import Library
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
from kadr.service.downloads import PICTURE, Download, picture
from kadr.service.shapes import ListingShape, PhotoShape
from kadr.service.visitors import needs

router = APIRouter(tags=["photos"])

Side = Annotated[
    Literal["320", "640", "1600"] | None,
    Query(description="Pixels of the longer side, at most. Without it: the file as it is."),
]
READ = [needs("read")]


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

    def work(library: Library) -> Download:
        one = seen(library, photo, law)
        return Download(one, library.catalogue.open(one))

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
