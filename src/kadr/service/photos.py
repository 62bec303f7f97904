"""Routes over photos: to see and to list."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from kadr.library.library import Library
from kadr.photos import films
from kadr.service import archive, problems
from kadr.service.archive import MOST_PHOTOS
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
    whole,
)
from kadr.service.downloads import PICTURE, Download, picture
from kadr.service.folder_names import text
from kadr.service.shapes import (
    MOST_NUMBER,
    FactsShape,
    ListingShape,
    MonthShape,
    Number,
    StretchShape,
    TimelineShape,
)
from kadr.service.visitors import Visitor, needs

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
    "/timeline",
    summary="How many photos were taken in each month",
    dependencies=READ,
    responses=problems.documented(),
    response_model=TimelineShape,
)
async def timeline(request: Request, law: ThePolicy, which: TheFilters) -> Response:
    """What the law hides isn't counted."""

    def work(library: Library) -> Response:
        months = library.catalogue.months(chosen(library, which))
        return json(
            TimelineShape(months=[MonthShape(month=m.name, photos=m.photos) for m in months])
        )

    return await resources(request).working.do(law.policy, work)


@router.get(
    "/timeline/photos",
    summary="Photos from any place of the timeline on",
    dependencies=READ,
    responses=problems.documented(),
    response_model=StretchShape,
)
async def stretch(
    request: Request,
    law: ThePolicy,
    which: TheFilters,
    start: Annotated[
        int, Query(ge=0, le=MOST_NUMBER, description="How many photos are passed over.")
    ] = 0,
    n: Annotated[int, Query(ge=1, le=500, description="Photos, at most.")] = 100,
) -> Response:
    """In the order of the timeline, whose months say where each begins."""

    def work(library: Library) -> Response:
        render = renderer(request, library)
        found = library.catalogue.by_time(start, n, chosen(library, which))
        return json(StretchShape(photos=[render.photo(one) for one in found]))

    return await resources(request).working.do(law.policy, work)


@router.get(
    "/archive",
    summary="Several photos as a ZIP archive",
    dependencies=READ,
    response_class=Response,
    responses={
        **problems.documented(404, 413, 451),
        200: {
            "description": "The archive, sent while it is made",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def several(
    request: Request,
    law: ThePolicy,
    photos: Annotated[
        list[Number],
        Query(
            min_length=1,
            max_length=MOST_PHOTOS,
            description="Their ids; repeat it.",
            examples=[[2814749767106]],
        ),
    ],
) -> Response:
    """Their files as they are, under their names; a number tells equal names apart.

    Those that are hidden or changed by the time of their turn are left out; `left out.txt` in the
    archive says so.
    """
    wanted = list(dict.fromkeys(photos))
    held = resources(request)
    await held.looking.do(law.policy, lambda library: archive.size(library, wanted, law))
    headers = {"Content-Disposition": 'attachment; filename="photos.zip"'}
    content = archive.stream(held, law, wanted)
    return StreamingResponse(content, headers=headers, media_type="application/zip")


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

    Of a frame of a film the copy is the frame, and the file is the film. Where the law hides any
    frame of it, the film isn't sent.
    The ETag is the content's; Range works on the file as it is. No cache may keep a photo without
    asking again: it may have been hidden since.
    """

    def work(library: Library) -> Download:
        one = seen(library, photo, law) if size else whole(library, photo, law)
        return Download(one, library.catalogue.open(one))

    held = resources(request)
    return await picture(request, held, await held.looking.do(law.policy, work), size)


@router.get(
    "/photos/{photo}/facts",
    summary="What is known of a photo",
    responses=problems.documented(404, 451),
    response_model=FactsShape,
)
async def facts(
    request: Request, law: ThePolicy, photo: PhotoId, visitor: Annotated[Visitor, needs("read")]
) -> Response:
    """Its name, folder, size, date, camera and place; on one's own machine its path too."""

    def work(library: Library) -> Response:
        one = seen(library, photo, law)
        path = text(str(films.file_of(one.paths[0]))) if visitor.is_at_home else None
        return json(FactsShape(**renderer(request, library).photo(one).model_dump(), path=path))

    return await resources(request).looking.do(law.policy, work)
