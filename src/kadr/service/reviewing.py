"""Routes for those who decide for the law."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from kadr.errors import KadrError
from kadr.law import review
from kadr.library.catalogue import OpenedPhoto
from kadr.library.library import Library
from kadr.service import problems
from kadr.service.dependencies import PhotoId, ThePolicy, folder_names, json, resources, stored
from kadr.service.photos import PICTURE, picture
from kadr.service.problems import ProblemError
from kadr.service.shapes import DecisionShape, OutcomeShape, QueueShape
from kadr.service.visitors import Visitor, needs
from kadr.stores import Stored

router = APIRouter(prefix="/review", tags=["review"])
REVIEW = needs("review")


@router.get(
    "",
    summary="Photos that wait for a person, the biggest doubt first",
    dependencies=[REVIEW],
    responses=problems.documented(),
    response_model=QueueShape,
)
async def queue(
    request: Request,
    law: ThePolicy,
    n: Annotated[int, Query(ge=1, le=200, description="How many are told of.")] = 20,
) -> Response:
    """Where the policy hides nothing, nothing waits."""

    def work(library: Library) -> Response:
        doubts = review.queue(library.store, law.policy)
        names = folder_names(request, library)
        told = []
        for doubt in doubts[:n]:
            found = library.catalogue.photo(doubt.photo)
            if found is not None:
                told.append(names.doubt(doubt, found.facts))
        return json(QueueShape(waiting=len(doubts), photos=told))

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

    def work(library: Library) -> tuple[Stored, OpenedPhoto | None]:
        one = stored(library, photo)
        return one, library.catalogue.open(one)

    held = resources(request)
    found = await held.looking.do(law.policy, work)
    return await picture(request, held, found, str(size))


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
    said: DecisionShape,
    visitor: Annotated[Visitor, REVIEW],
) -> Response:
    """In force at once, and kept with who, when and why. The key's name is who."""
    who = visitor.name or review.user() or "the service's user"

    def work(library: Library) -> Response:
        store = library.store
        digest = stored(library, photo).digest
        if said.decision == "withdraw":
            try:
                review.withdraw(store, digest, who, said.why)
            except KadrError as error:
                raise ProblemError(409, "Nobody has decided about this photo.") from error
            return json(OutcomeShape(outcome="withdrawn"))
        ruling = review.ruling(said.decision, who, said.why)
        return json(OutcomeShape(outcome=review.decide(store, digest, ruling)))

    return await resources(request).working.do(law.policy, work)
