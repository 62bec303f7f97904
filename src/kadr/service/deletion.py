"""Routes over the bin: what was deleted, to be seen, back again or for good."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from kadr.library.deletion import Binned
from kadr.library.library import Library
from kadr.service import problems
from kadr.service.dependencies import ThePolicy, json, nobody_waits, renderer, resources
from kadr.service.downloads import binned
from kadr.service.folder_names import text
from kadr.service.problems import ProblemError
from kadr.service.shapes import BinnedShape, BinShape
from kadr.service.visitors import needs

router = APIRouter(prefix="/bin", tags=["photos"], dependencies=[needs("read"), needs("write")])
Id = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{32}$",
        description="As `GET /bin` names it.",
        examples=["0f8fad5bd9cb469fa16570867728950e"],
    ),
]


@router.get(
    "",
    summary="Photos in the bin, the latest first",
    responses=problems.documented(),
    response_model=BinShape,
)
async def listed(request: Request, law: ThePolicy) -> Response:
    """What the law hides is left out, and under such a law what the library has forgotten."""

    def work(library: Library) -> Response:
        return json(_shape(request, library))

    return await resources(request).working.do(law.policy, work)


@router.get(
    "/{entry}/picture",
    summary="A small copy of a photo in the bin",
    response_class=Response,
    responses={
        **problems.documented(404),
        200: {"description": "The picture", "content": {"image/jpeg": {}}},
        304: {"description": "The copy that you have is good"},
    },
)
async def small(request: Request, law: ThePolicy, entry: Id) -> Response:
    """At most 320 pixels a side. There is none of what the library has forgotten."""
    held = resources(request)
    one = await held.looking.do(law.policy, lambda library: _chosen(library, entry)[0])
    if one.digest is None:
        raise ProblemError(404, "The library has forgotten this photo.")
    return await binned(request, held, one.path, one.digest)


@router.post(
    "/{entry}",
    summary="Restore a photo from the bin",
    responses=problems.documented(404),
    response_model=BinShape,
)
async def restore(request: Request, law: ThePolicy, entry: Id) -> Response:
    """It lies where it lay, with a number if its name is taken. Answered is what is left."""

    def work(library: Library) -> Response:
        library.restore(_chosen(library, entry), nobody_waits)
        return json(_shape(request, library))

    return await resources(request).working.do(law.policy, work)


@router.delete(
    "/{entry}",
    summary="Delete a photo of the bin for good",
    status_code=204,
    response_class=Response,
    responses=problems.documented(404),
)
async def delete(request: Request, law: ThePolicy, entry: Id) -> Response:
    """Nothing brings it back."""

    def work(library: Library) -> Response:
        library.empty_bin(_chosen(library, entry), nobody_waits)
        return Response(status_code=204)

    return await resources(request).working.do(law.policy, work)


@router.delete(
    "",
    summary="Empty the bin",
    status_code=204,
    response_class=Response,
    responses=problems.documented(),
)
async def empty(request: Request, law: ThePolicy) -> Response:
    """All that `GET /bin` lists is deleted for good."""

    def work(library: Library) -> Response:
        library.empty_bin(library.binned(), nobody_waits)
        return Response(status_code=204)

    return await resources(request).working.do(law.policy, work)


def _chosen(library: Library, entry: str) -> Sequence[Binned]:
    found = library.binned(entry)
    if not found:
        raise ProblemError(404, "There is no such photo in the bin.")
    return found


def _shape(request: Request, library: Library) -> BinShape:
    names = renderer(request, library).names
    return BinShape(
        photos=[
            BinnedShape(
                id=one.id,
                name=text(one.origin.name),
                folder=names.name(one.origin.parent),
                deleted=one.deleted,
                bytes=one.bytes,
                photo=None if one.photo is None else library.public_id(one.photo),
            )
            for one in library.binned()
        ]
    )
