"""Routes that find and score."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from pydantic import ValidationError

from kadr.errors import LibraryError
from kadr.library.library import Library
from kadr.library.queries import Expression, Part
from kadr.library.search import Page
from kadr.matcher.explain import spans
from kadr.service import problems
from kadr.service.cursors import ListingCursors
from kadr.service.dependencies import (
    CursorQuery,
    Limit,
    PhotoId,
    TheFilters,
    ThePolicy,
    chosen,
    cursors_of,
    json,
    renderer,
    resources,
    seen,
    stored,
    understood,
    unless_gone,
    unless_refused,
)
from kadr.service.problems import ProblemError
from kadr.service.rendering import explanation
from kadr.service.shapes import (
    MOST_TEXT,
    MOST_TEXTS,
    MOST_WORDS,
    AnswerShape,
    ExplanationShape,
    PartShape,
    ScoreShape,
    ScoresShape,
    SearchShape,
)
from kadr.service.upload_form import UploadRoute
from kadr.service.visitors import RequestPolicy, needs
from kadr.types import Answer, Picture

router = APIRouter(dependencies=[needs("read")], tags=["search"], route_class=UploadRoute)


@router.get(
    "/search",
    summary="Photos that a text describes, best first",
    responses=problems.documented(),
    response_model=AnswerShape,
)
async def search(
    request: Request,
    law: ThePolicy,
    which: TheFilters,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MOST_TEXT,
            description="What the photo shows, in English or Russian. + and - between spaces add "
            "and subtract, a number and a colon weigh: `dog on grass + 0.5:snow - leash`. "
            "`-leash` leaves out photos that show one. "
            "Words such as `after:2021`, `before:`, `camera:`, `kind:`, `in:`, `collection:` and "
            "`place:` filter, as the parameters do.",
            examples=["a dog runs on the beach"],
        ),
    ],
    n: Limit = 10,
    cursor: CursorQuery = None,
    at_least: Annotated[
        float | None,
        Query(ge=0, le=1, description="The probability from which a hit counts as a match."),
    ] = None,
    frames: Annotated[
        bool, Query(description="Each frame of a film is a hit, not only the best on a page.")
    ] = False,
) -> Response:
    """What the law hides is in no answer; `withheld` says that the library holds such photos."""
    expression, cursors = understood(q), cursors_of(request, law, "search", q, which, frames)
    start = cursors.open(cursor)

    def ask(library: Library) -> tuple[Expression, Page]:
        wanted = chosen(library, which, expression)
        return expression, Page(n, wanted, start, at_least, law.language, frames)

    searching = resources(request).searching
    answer = searching.search(law.policy, ask, _render(request, law, cursors))
    return await unless_gone(request, answer)


@router.post(
    "/search",
    summary="Photos near a weighted sum of texts and pictures",
    responses=problems.documented(404, 408, 413),
    response_model=AnswerShape,
)
async def search_with_pictures(
    request: Request,
    law: ThePolicy,
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
    held = resources(request)
    shown = [await held.decoder.picture(await file.read(), held.size) for file in files]
    given = [asked.parts, asked.filters, asked.without, [one.digest for one in shown]]
    cursors = cursors_of(request, law, "sum", *given)
    start = cursors.open(asked.cursor)

    def ask(library: Library) -> tuple[Expression, Page]:
        wanted = chosen(library, asked.filters)
        return _sum(library, asked, shown), Page(
            asked.n, wanted, start, asked.at_least, law.language
        )

    answer = held.searching.search(law.policy, ask, _render(request, law, cursors))
    return await unless_gone(request, answer)


@router.get(
    "/similar/{photo}",
    summary="Photos that show what a photo shows",
    responses=problems.documented(404, 451),
    response_model=AnswerShape,
)
async def similar(
    request: Request,
    law: ThePolicy,
    which: TheFilters,
    photo: PhotoId,
    n: Limit = 10,
    cursor: CursorQuery = None,
) -> Response:
    """The photo itself and its copies are left out, and so is what the law hides."""
    cursors = cursors_of(request, law, "similar", photo, which)
    render, start = _render(request, law, cursors), cursors.open(cursor)

    def work(library: Library) -> Response:
        wanted = chosen(library, which)
        with _of(library, photo, law) as number:
            answer = library.similar(number, n, filters=wanted, cursor=start, language=law.language)
        return render(library, answer)

    return await unless_gone(request, resources(request).searching.do(law.policy, work))


@router.get(
    "/photos/{photo}/explain",
    summary="Why a photo fits a text: its words, and places in the photo",
    responses=problems.documented(404, 451),
    response_model=ExplanationShape,
)
async def explain(
    request: Request,
    law: ThePolicy,
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
    unless_refused(law, [text])

    def work(library: Library) -> Response:
        with _of(library, photo, law) as number:
            return json(explanation(*library.explain(text, number)))

    return await unless_gone(request, resources(request).explaining.do(law.policy, work))


@router.post(
    "/score",
    summary="How well each text matches a picture",
    responses=problems.documented(408, 413, 451),
    response_model=ScoresShape,
)
async def score(
    request: Request,
    law: ThePolicy,
    picture: Annotated[UploadFile, File(description="A photo.")],
    texts: Annotated[
        list[Annotated[str, Form(min_length=1, max_length=MOST_TEXT)]],
        Form(min_length=1, max_length=50, description="English or Russian."),
    ],
) -> Response:
    """The picture needn't be in the library, and isn't kept."""
    if sum(map(len, texts)) > MOST_TEXTS:
        raise ProblemError(422, f"The texts have more than {MOST_TEXTS} characters together.")
    unless_refused(law, texts)
    held = resources(request)
    shown = await held.decoder.picture(await picture.read(), held.size)

    def work(library: Library) -> Response:
        if library.refuses(shown):
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
    request: Request, law: RequestPolicy, cursors: ListingCursors
) -> Callable[[Library, Answer], Response]:
    def render(library: Library, answer: Answer) -> Response:
        return json(renderer(request, library).answer(answer, law, cursors))

    return render


@contextmanager
def _of(library: Library, photo: int, law: RequestPolicy) -> Iterator[int]:
    """Something asked about a photo, which another process may forget meanwhile; its number.

    Raises:
        ProblemError: 404, there is no such photo; 451, the law hides it.
    """
    row = seen(library, photo, law)
    try:
        yield row.id
    except LibraryError:
        seen(library, photo, law)
        raise


def _sum(library: Library, asked: SearchShape, pictures: list[Picture]) -> Expression:
    """The query that parts stand for; its source, which the audit log may keep, is their texts.

    Raises:
        ProblemError: 404, there is no such photo.
    """
    parts = asked.parts
    texts = [part.text or ("a photo" if part.photo is not None else "a picture") for part in parts]
    left_out = [f'-"{text}"' for text in asked.without]
    return Expression(
        tuple(
            Part(
                part.weight,
                part.text,
                _picture(library, part, pictures),
            )
            for part in parts
        ),
        " ".join([" + ".join(texts), *left_out]),
        without=tuple(asked.without),
    )


def _picture(library: Library, part: PartShape, pictures: list[Picture]) -> Picture | int | None:
    if part.picture is not None:
        return pictures[part.picture]
    return None if part.photo is None else stored(library, part.photo).id
