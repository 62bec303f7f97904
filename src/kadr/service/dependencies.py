"""What routes share: parameters, what a request may see, and how an answer is sent."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response

from kadr.library import filters, queries
from kadr.library.library import Library
from kadr.library.queries import Expression
from kadr.service import problems
from kadr.service.cursors import Cursors, ListingCursors
from kadr.service.folder_names import FolderNames
from kadr.service.problems import ProblemError
from kadr.service.rendering import Renderer
from kadr.service.resources import Resources
from kadr.service.shapes import MOST_NUMBER, Cursor, FilterShape
from kadr.service.visitors import RequestPolicy, law_of
from kadr.stores.sqlite import Stored
from kadr.types import Filters

GONE = 499
"""In the log, where the visitor went away: nobody gets this answer."""


ThePolicy = Annotated[RequestPolicy, Depends(law_of)]
PhotoId = Annotated[int, Path(ge=1, le=MOST_NUMBER, description="A photo's id.", examples=[12])]
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
) -> FilterShape:
    """A dependency: which photos are looked at."""
    return FilterShape(
        after=after, before=before, folder=folder, camera=camera, near=near, kind=kind,
        min_size=min_size,
    )  # fmt: skip


TheFilters = Annotated[FilterShape, Depends(filters_of)]


def resources(request: Request) -> Resources:
    """What the running service holds.

    Raises:
        ProblemError: 503, it isn't ready.
    """
    found: Resources = request.app.state.resources
    if not found.ready:
        raise ProblemError(503, "The service is starting or stopping. Ask again.", problems.RETRY)
    return found


async def unless_gone(request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
    """The answer; where the visitor goes away before, what waits for it is given up.

    A page asks anew at each letter and takes back what it asked before.
    """
    asked, gone = asyncio.ensure_future(answer), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await asked if asked.done() else Response(status_code=GONE)
    finally:
        asked.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def renderer(request: Request, library: Library) -> Renderer:
    """Renders the library's photos."""
    return Renderer(FolderNames(library.folders), request.app.state.service.uploads)


def cursors_of(request: Request, law: RequestPolicy, *listing: object) -> ListingCursors:
    """The cursors of what is asked for."""
    made: Cursors = request.app.state.cursors
    return made.of(law.policy.name, *map(repr, listing))


def understood(query: str) -> Expression:
    """What a query says; never a path.

    Raises:
        ProblemError: 422, it says nothing.
    """
    with problems.of_the_request():
        return queries.parse([query], files=False)


def stored(library: Library, photo: int) -> Stored:
    """A photo, hidden or not.

    Raises:
        ProblemError: 404, there is no such photo.
    """
    found = library.catalogue.photo(photo)
    if found is None:
        raise ProblemError(404, f"There is no photo {photo}.")
    return found


def seen(library: Library, photo: int, law: RequestPolicy) -> Stored:
    """A photo that may be seen.

    Raises:
        ProblemError: 404, there is no such photo; 451, the law hides it.
    """
    found = stored(library, photo)
    if library.catalogue.hides(photo):
        raise law.blocked()
    return found


def chosen(library: Library, shape: FilterShape) -> Filters | None:
    """The filters that a request asks for; None: all photos.

    Raises:
        ProblemError: 422, one can't be understood, or there is no such folder.
    """
    if shape == FilterShape():
        return None
    folder = None
    if shape.folder is not None:
        folder = FolderNames(library.folders).folder(shape.folder)
        if folder is None:
            raise ProblemError(422, "There is no such folder. GET /api/v1/library names them.")
    with problems.of_the_request():
        return filters.parse(
            after=shape.after,
            before=shape.before,
            folder=folder,
            camera=shape.camera,
            near=shape.near,
            kind=shape.kind,
            min_size=shape.min_size,
        )


def json(content: Any) -> Response:
    """A shape as it is sent: written once, on the thread that made it, and not checked again."""
    return Response(content.model_dump_json(), media_type="application/json")
