"""What routes share: parameters, what a visitor may see, and how an answer is sent."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response

from kadr.law.policy import refuses
from kadr.library import filters, queries
from kadr.library.library import Library
from kadr.library.queries import Expression
from kadr.service import problems
from kadr.service.cursors import Cursors, ListingCursors
from kadr.service.folder_names import FolderNames
from kadr.service.problems import ProblemError
from kadr.service.rendering import Renderer
from kadr.service.resources import Resources
from kadr.service.shapes import MOST_NAME, MOST_NUMBER, Cursor, FilterShape
from kadr.service.visitors import RequestPolicy, request_policy
from kadr.service.worker_pool import BusyError
from kadr.stores import Stored
from kadr.types import Filters

GONE = 499
"""For the log, where the visitor went away: nobody gets this answer."""

ThePolicy = Annotated[RequestPolicy, Depends(request_policy)]
PhotoId = Annotated[
    int, Path(ge=1, le=MOST_NUMBER, description="A photo's id.", examples=[2814749767106])
]
Limit = Annotated[int, Query(ge=1, le=200, description="Photos on a page.")]
CursorQuery = Annotated[Cursor | None, Query(description="`next` of the page before.")]


async def filters_of(
    after: Annotated[
        str | None,
        Query(max_length=30, description="Taken then or later.", examples=["2024-05"]),
    ] = None,
    before: Annotated[
        str | None, Query(max_length=30, description="Taken before then.", examples=["2025"])
    ] = None,
    folder: Annotated[
        str | None,
        Query(max_length=1000, description="In this folder or below; GET /library names them."),
    ] = None,
    in_: Annotated[
        str | None,
        Query(
            alias="in",
            max_length=1000,
            description="In a folder of these last names, in any case, or below.",
            examples=["2021/summer"],
        ),
    ] = None,
    camera: Annotated[
        str | None, Query(max_length=200, description="The camera's name holds this.")
    ] = None,
    near: Annotated[
        str | None,
        Query(
            max_length=60, description="LATITUDE,LONGITUDE,KILOMETRES", examples=["55.75,37.62,5"]
        ),
    ] = None,
    kind: Annotated[
        str | None, Query(max_length=10, description=", ".join(filters.KINDS), examples=["jpeg"])
    ] = None,
    min_size: Annotated[
        str | None,
        Query(max_length=21, description="Least pixels: 1024, or 1920x1080.", examples=["1024"]),
    ] = None,
    collection: Annotated[
        str | None,
        Query(
            max_length=MOST_NAME,
            description="In this collection; GET /collections names them.",
            examples=["favourites"],
        ),
    ] = None,
    place: Annotated[
        str | None,
        Query(
            max_length=200,
            description="A name of the place, or a word in one, begins like this.",
            examples=["berlin"],
        ),
    ] = None,
    box: Annotated[
        str | None,
        Query(
            max_length=100,
            description="WEST,SOUTH,EAST,NORTH in degrees; across the date line, east is less.",
            examples=["13.0,52.3,13.8,52.7"],
        ),
    ] = None,
) -> FilterShape:
    """A dependency: the filters of a request."""
    return FilterShape(
        after=after, before=before, folder=folder, in_=in_, camera=camera, near=near, kind=kind,
        min_size=min_size, collection=collection, place=place, box=box,
    )  # fmt: skip


TheFilters = Annotated[FilterShape, Depends(filters_of)]


def resources(request: Request) -> Resources:
    """The resources of the running service.

    Raises:
        ProblemError: 503, it isn't ready.
    """
    held: Resources = request.app.state.resources
    if not held.ready:
        raise ProblemError(503, "The service is starting or stopping. Ask again.", problems.RETRY)
    return held


async def unless_gone(request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
    """The answer; it is given up if the visitor goes away first.

    The page searches again at each letter and cancels the search before.
    """
    answered, gone = asyncio.ensure_future(answer), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({answered, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await answered if answered.done() else Response(status_code=GONE)
    finally:
        answered.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def renderer(request: Request, library: Library) -> Renderer:
    """Renders the library's photos."""
    return Renderer(
        FolderNames(library.folders), request.app.state.service.uploads, library.public_id
    )


def cursors_of(request: Request, applied: RequestPolicy, *listing: object) -> ListingCursors:
    """The cursors of a listing under a policy."""
    cursors: Cursors = request.app.state.cursors
    return cursors.of(applied.policy.name, *map(repr, listing))


def understood(query: str) -> Expression:
    """A query, parsed; it never names a file.

    Raises:
        ProblemError: 422, there is nothing in it.
    """
    with problems.of_the_request():
        found = queries.parse([query], files=False)
        filters.said(found)  # what it can't understand is the request's fault
        return found


def unless_refused(law: RequestPolicy, texts: Sequence[str]) -> None:
    """Raises ProblemError, 451, where a text asks for what the law hides."""
    if any(refuses(law.policy, text) for text in texts):
        raise law.blocked()


def stored(library: Library, photo: int) -> Stored:
    """A photo by its public id, hidden or not.

    Raises:
        ProblemError: 404, there is no such photo.
    """
    row = library.catalogue.photo(library.by_public_id(photo))
    if row is None:
        raise ProblemError(404, f"There is no photo {photo}.")
    return row


def seen(library: Library, photo: int, applied: RequestPolicy) -> Stored:
    """A photo by its public id, which may be seen.

    Raises:
        ProblemError: 404, there is no such photo; 451, the policy hides it.
    """
    row = stored(library, photo)
    if library.catalogue.hides(row.id):
        raise applied.blocked()
    return row


def whole(library: Library, photo: int, applied: RequestPolicy) -> Stored:
    """A photo whose file may be sent: of a frame, every frame of its film may be seen.

    Raises:
        ProblemError: as `seen`; 451 also where the policy hides another frame.
    """
    row = seen(library, photo, applied)
    if library.catalogue.withholds(row.paths[0], row.digest):
        raise applied.blocked()
    return row


def chosen(library: Library, shape: FilterShape, query: Expression | None = None) -> Filters | None:
    """The filters of a request and of its query, parsed; None: all photos.

    Raises:
        ProblemError: 422, one can't be parsed, or there is no such collection.
    """
    parsed = None if shape == FilterShape() else _parsed(library, shape)
    if query is not None:
        with problems.of_the_request():
            parsed = filters.typed(query, parsed, library.store)
    asked = None if parsed is None else parsed.collection
    if asked is not None and asked not in library.store.collections():
        raise ProblemError(422, "There is no collection of that name. GET /collections lists them.")
    return parsed


def _parsed(library: Library, shape: FilterShape) -> Filters:
    folder = None if shape.folder is None else FolderNames(library.folders).folder(shape.folder)
    with problems.of_the_request():
        parsed = filters.parse(
            after=shape.after,
            before=shape.before,
            folder=folder,
            camera=shape.camera,
            near=shape.near,
            kind=shape.kind,
            min_size=shape.min_size,
            collection=shape.collection,
            place=shape.place,
            box=shape.box,
        )
        return filters.within(library.store, shape.in_, parsed) if shape.in_ else parsed


def json(content: Any) -> Response:
    """A shape as a response: written once, on the thread that made it, and not validated again."""
    return Response(content.model_dump_json(), media_type="application/json")


def nobody_waits() -> None:
    """A visitor doesn't wait for another process's run, which may take an hour.

    Raises:
        BusyError: always.
    """
    raise BusyError("Another process is indexing the library. Send it again later.")
