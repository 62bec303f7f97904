"""Routes for those who decide for the law."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from kadr.law.review import MissingReasonError, NoDecisionError, ruling, user
from kadr.library.library import Library
from kadr.service import problems
from kadr.service.dependencies import PhotoId, ThePolicy, json, renderer, resources, stored
from kadr.service.downloads import PICTURE, Download, picture
from kadr.service.problems import ProblemError
from kadr.service.shapes import AppealShape, DecisionShape, OutcomeShape, QueueShape
from kadr.service.visitors import Visitor, needs

router = APIRouter(prefix="/review", tags=["review"])
REVIEW = needs("review")


@router.get(
    "",
    summary="Photos that wait for a person, those first whose decision settles most",
    dependencies=[REVIEW],
    responses=problems.documented(),
    response_model=QueueShape,
)
async def queue(
    request: Request,
    law: ThePolicy,
    n: Annotated[int, Query(ge=1, le=200, description="Photos on a page.")] = 20,
    sample: Annotated[
        bool, Query(description="Those of the sample of what is shown, in its order.")
    ] = False,
) -> Response:
    """Where the policy hides nothing, nothing waits."""

    def work(library: Library) -> Response:
        sampled = library.review_queue(sample=True)
        doubts = sampled if sample else library.review_queue()
        render, waiting = renderer(request, library), {one.digest: one.photo for one in doubts}
        photos = [
            render.doubt(doubt, photo.facts, waiting)
            for doubt in doubts[:n]
            if (photo := library.catalogue.photo(doubt.photo)) is not None
        ]
        return json(QueueShape(waiting=len(doubts), sampled=len(sampled), photos=photos))

    return await resources(request).working.do(law.policy, work)


@router.get(
    "/{photo}/picture",
    summary="A photo as a reviewer sees it, hidden or not",
    dependencies=[REVIEW],
    response_class=Response,
    responses={
        **problems.documented(404),
        200: {"description": "The picture", **PICTURE},
        304: {"description": "The copy that you have is good"},
    },
)
async def reviewed(
    request: Request,
    law: ThePolicy,
    photo: PhotoId,
    size: Annotated[
        int, Query(ge=64, le=2000, description="Pixels of the longer side, at most.")
    ] = 1600,
) -> Response:
    """A JPEG."""

    def work(library: Library) -> Download:
        one = stored(library, photo)
        return Download(one, library.catalogue.open(one))

    held = resources(request)
    opened = await held.looking.do(law.policy, work)
    return await picture(request, held, opened, str(size))


@router.post(
    "/{photo}",
    summary="Decide about a photo",
    responses=problems.documented(404, 409),
    response_model=OutcomeShape,
)
async def decide(
    request: Request,
    law: ThePolicy,
    photo: PhotoId,
    decided: DecisionShape,
    visitor: Annotated[Visitor, REVIEW],
) -> Response:
    """In force at once, and on record with who decided (the key's name), when and why."""
    who = visitor.name or user() or "the service's user"

    def work(library: Library) -> Response:
        digest = stored(library, photo).digest
        try:
            if decided.decision != "withdraw":
                ruled = ruling(decided.decision, who, decided.why)
                alike = stored(library, decided.alike).digest if decided.alike else None
                return json(OutcomeShape(outcome=library.rule(digest, ruled, alike)))
            library.withdraw(digest, who, decided.why)
        except MissingReasonError as error:
            raise ProblemError(422, str(error)) from error
        except NoDecisionError as error:
            raise ProblemError(409, "Nobody has decided about this photo.") from error
        return json(OutcomeShape(outcome="withdrawn"))

    return await resources(request).working.do(law.policy, work)


@router.post(
    "/{photo}/appeal",
    summary="Ask that a person looks at a photo again",
    status_code=204,
    response_class=Response,
    responses=problems.documented(404),
)
async def appeal(
    request: Request,
    law: ThePolicy,
    photo: PhotoId,
    asked: AppealShape,
    visitor: Annotated[Visitor, REVIEW],
) -> Response:
    """It waits for review then; whether it is shown stays as it is until somebody decides."""
    who = visitor.name or user() or "the service's user"

    def work(library: Library) -> Response:
        with problems.of_the_request():
            library.appeal(stored(library, photo).digest, who, asked.why)
        return Response(status_code=204)

    return await resources(request).working.do(law.policy, work)
