"""Routes that find and score."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, Response, UploadFile
from pydantic import ValidationError

from kadr.errors import LibraryError
from kadr.law import policy as law_texts
from kadr.library import filters, queries
from kadr.library.library import Library
from kadr.library.queries import Expression, Part
from kadr.library.search import Page
from kadr.matcher.explain import spans
from kadr.service import problems
from kadr.service.cursors import Cursors, ListingCursors
from kadr.service.problems import ProblemError
from kadr.service.rooms import Rooms
from kadr.service.shapes import (
    MOST_NUMBER,
    MOST_TEXT,
    MOST_TEXTS,
    MOST_WORDS,
    AnswerShape,
    Cursor,
    ExplanationShape,
    FilterShape,
    Labels,
    PartShape,
    ScoreShape,
    ScoresShape,
    SearchShape,
    explanation,
)
from kadr.service.visitors import Law, law_of, needs
from kadr.stores.sqlite import Stored
from kadr.types import Answer, Filters, Picture

GONE = 499
"""In the log, where the visitor went away: nobody gets this answer."""

router = APIRouter(dependencies=[needs("read")], tags=["search"])

TheLaw = Annotated[Law, Depends(law_of)]
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


def rooms(request: Request) -> Rooms:
    """What the running service holds.

    Raises:
        ProblemError: 503, it isn't ready.
    """
    found: Rooms = request.app.state.rooms
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


def labels(request: Request, library: Library) -> Labels:
    """What the library's folders are called."""
    return Labels(library.folders, request.app.state.service.uploads)


def cursors_of(request: Request, law: Law, *listing: object) -> ListingCursors:
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


def seen(library: Library, photo: int, law: Law) -> Stored:
    """A photo that may be seen.

    Raises:
        ProblemError: 404, there is no such photo; 451, the law hides it.
    """
    found = stored(library, photo)
    if library.catalogue.hides(photo):
        raise law.blocked()
    return found


def chosen(request: Request, library: Library, shape: FilterShape) -> Filters | None:
    """The filters that a request asks for; None: all photos.

    Raises:
        ProblemError: 422, one can't be understood, or there is no such folder.
    """
    if shape == FilterShape():
        return None
    folder = None
    if shape.folder is not None:
        folder = labels(request, library).folder(shape.folder)
        if folder is None:
            raise ProblemError(422, "There is no such folder. GET /api/v1/library names them.")
    with problems.of_the_request():
        width, height = filters.size(shape.min_size) if shape.min_size else (0, 0)
        return Filters(
            after=filters.date(shape.after) if shape.after else None,
            before=filters.date(shape.before) if shape.before else None,
            folder=folder,
            camera=shape.camera,
            near=filters.place(shape.near) if shape.near else None,
            kind=filters.format_of(shape.kind) if shape.kind else None,
            min_width=width,
            min_height=height,
        )


def json(content: Any) -> Response:
    """A shape as it is sent: written once, on the thread that made it, and not checked again."""
    return Response(content.model_dump_json(), media_type="application/json")


@router.get(
    "/search",
    summary="Photos that a text describes, best first",
    responses=problems.documented(),
    response_model=AnswerShape,
)
async def search(
    request: Request,
    law: TheLaw,
    which: TheFilters,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MOST_TEXT,
            description="What the photo shows, in English or Russian. + and - between spaces add "
            "and subtract, a number and a colon weigh: `dog on grass + 0.5:snow - leash`.",
            examples=["a dog runs on the beach"],
        ),
    ],
    n: Limit = 10,
    cursor: CursorQuery = None,
    at_least: Annotated[
        float | None,
        Query(ge=0, le=1, description="The probability from which a hit counts as a match."),
    ] = None,
) -> Response:
    """Where the law hides a photo, its place holds the disclaimer; with filters it is left out."""
    expression, cursors = understood(q), cursors_of(request, law, "search", q, which)
    start = cursors.open(cursor)

    def ask(library: Library) -> tuple[Expression, Page]:
        wanted = chosen(request, library, which)
        return expression, Page(n, wanted, start, at_least, law.language)

    asked = rooms(request).searching.search(law.policy, ask, _render(request, law, cursors))
    return await unless_gone(request, asked)


@router.post(
    "/search",
    summary="Photos near a weighted sum of texts and pictures",
    responses=problems.documented(404, 408, 413),
    response_model=AnswerShape,
)
async def search_with_pictures(
    request: Request,
    law: TheLaw,
    query: Annotated[
        str,
        Form(
            max_length=20_000,
            description="A JSON object of the schema SearchShape.",
            examples=['{"parts": [{"picture": 0}, {"text": "snow", "weight": 0.5}]}'],
        ),
    ],
    pictures: Annotated[
        list[UploadFile] | None,
        File(max_length=4, description="Up to 4; the parts name them by number."),
    ] = None,
) -> Response:
    """One text alone is answered with probabilities, anything else by similarity."""
    try:
        asked = SearchShape.model_validate_json(query)
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ProblemError(422, f"query: {where}") from error
    files = pictures or []
    if any(part.picture is not None and part.picture >= len(files) for part in asked.parts):
        raise ProblemError(
            422, "The parts must name the pictures that are sent, at most 4, from 0."
        )
    held = rooms(request)
    shown = [await held.darkroom.picture(await file.read(), held.size) for file in files]
    given = [asked.parts, asked.filters, [one.digest for one in shown]]
    cursors, expression = cursors_of(request, law, "sum", *given), _sum(asked.parts, shown)
    start = cursors.open(asked.cursor)

    def ask(library: Library) -> tuple[Expression, Page]:
        for part in asked.parts:
            if part.photo is not None:
                stored(library, part.photo)
        wanted = chosen(request, library, asked.filters)
        return expression, Page(asked.n, wanted, start, asked.at_least, law.language)

    found = held.searching.search(law.policy, ask, _render(request, law, cursors))
    return await unless_gone(request, found)


@router.get(
    "/similar/{photo}",
    summary="Photos that show what a photo shows",
    responses=problems.documented(404, 451),
    response_model=AnswerShape,
)
async def similar(
    request: Request,
    law: TheLaw,
    which: TheFilters,
    photo: PhotoId,
    n: Limit = 10,
    cursor: CursorQuery = None,
) -> Response:
    """The photo itself and its copies are left out, and so is what the law hides."""
    cursors = cursors_of(request, law, "similar", photo, which)
    render, start = _render(request, law, cursors), cursors.open(cursor)

    def work(library: Library) -> Response:
        wanted = chosen(request, library, which)
        with _of(library, photo, law):
            found = library.similar(photo, n, filters=wanted, cursor=start, language=law.language)
        return render(library, found)

    return await unless_gone(request, rooms(request).searching.do(law.policy, work))


@router.get(
    "/photos/{photo}/explain",
    summary="Why a photo fits a text: its words, and places in the photo",
    responses=problems.documented(404, 451),
    response_model=ExplanationShape,
)
async def explain(
    request: Request,
    law: TheLaw,
    photo: PhotoId,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MOST_TEXT,
            description=f"One text of at most {MOST_WORDS} words.",
            examples=["a dog runs on the beach"],
        ),
    ],
) -> Response:
    """The effects of words don't add up to the whole; the shares of places do."""
    text = understood(q).text
    if text is None:
        raise ProblemError(422, "Only a query of one text can be explained.")
    if len(spans(text)) > MOST_WORDS:
        raise ProblemError(422, f"A text of at most {MOST_WORDS} words can be explained.")
    if law_texts.refuses(law.policy, text):
        raise law.blocked()

    def work(library: Library) -> Response:
        with _of(library, photo, law):
            return json(explanation(*library.explain(text, photo)))

    return await unless_gone(request, rooms(request).explaining.do(law.policy, work))


@router.post(
    "/score",
    summary="How well each text matches a picture",
    responses=problems.documented(408, 413, 451),
    response_model=ScoresShape,
)
async def score(
    request: Request,
    law: TheLaw,
    picture: Annotated[UploadFile, File(description="A photo.")],
    texts: Annotated[
        list[Annotated[str, Form(min_length=1, max_length=MOST_TEXT)]],
        Form(min_length=1, max_length=50, description="English or Russian."),
    ],
) -> Response:
    """The picture needn't be in the library, and isn't kept."""
    if sum(map(len, texts)) > MOST_TEXTS:
        raise ProblemError(422, f"The texts have more than {MOST_TEXTS} characters together.")
    held = rooms(request)
    shown = await held.darkroom.picture(await picture.read(), held.size)

    def work(library: Library) -> Response:
        known = library.store.number(shown.digest)
        if known is not None and library.catalogue.hides(known):
            raise law.blocked()
        pairs = zip(texts, library.score(shown, texts), strict=True)
        return json(
            ScoresShape(
                scores=[
                    ScoreShape(text=text, probability=one.probability, similarity=one.similarity)
                    for text, one in pairs
                ]
            )
        )

    return await unless_gone(request, held.explaining.do(law.policy, work))


def _render(
    request: Request, law: Law, cursors: ListingCursors
) -> Callable[[Library, Answer], Response]:
    def render(library: Library, answer: Answer) -> Response:
        return json(labels(request, library).answer(answer, law, cursors))

    return render


@contextmanager
def _of(library: Library, photo: int, law: Law) -> Iterator[None]:
    """What is asked of a photo; another process may forget it meanwhile.

    Raises:
        ProblemError: 404, there is no such photo; 451, the law hides it.
    """
    seen(library, photo, law)
    try:
        yield
    except LibraryError:
        seen(library, photo, law)
        raise


def _sum(parts: list[PartShape], pictures: list[Picture]) -> Expression:
    """The query that parts stand for; its source, which the audit log may keep, is their texts."""
    said = [part.text or ("a photo" if part.photo is not None else "a picture") for part in parts]
    return Expression(
        tuple(
            Part(
                part.weight,
                part.text,
                pictures[part.picture] if part.picture is not None else part.photo,
            )
            for part in parts
        ),
        " + ".join(said),
    )
