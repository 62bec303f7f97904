"""Routes about the service: what it holds, whether it is well, who may enter."""

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Request, Response

from kadr.library.library import Library
from kadr.photos.kinds import RAW_SUFFIXES, reads_raw
from kadr.service import metrics, problems
from kadr.service.config import Scope
from kadr.service.dependencies import ThePolicy, json, renderer, resources
from kadr.service.sessions import DAYS
from kadr.service.shapes import AlbumsShape, KeyShape, LibraryShape, StatusShape
from kadr.service.visitors import COOKIE, Authenticator, Visitor, needs

router = APIRouter(tags=["service"])
health = APIRouter(tags=["service"])


@router.get(
    "/library",
    summary="What the library holds, and what the visitor may do",
    responses=problems.documented(),
    response_model=LibraryShape,
)
async def library(
    request: Request, applied: ThePolicy, visitor: Annotated[Visitor, needs("read")]
) -> Response:
    """Folders, cameras and dates of the photos that may be seen.

    Of a library that may only be read, `scopes` are `read`, whoever asks.
    """
    service, authenticator = request.app.state.service, request.app.state.authenticator

    def work(opened: Library) -> Response:
        facets = opened.catalogue.facets()
        scopes = frozenset[Scope]({"read"}) if opened.store.readonly else visitor.scopes
        return json(
            LibraryShape(
                photos=facets.photos,
                folders=renderer(request, opened).folders(facets),
                cameras=list(facets.cameras),
                kinds=list(facets.kinds),
                first_taken=facets.first,
                last_taken=facets.last,
                encoder=opened.encoder,
                policy=applied.policy.name,
                hides=applied.policy.hides_children,
                disclaimer=applied.policy.disclaimer(applied.language),
                hidden=opened.catalogue.hidden() if "review" in scopes else None,
                scopes=sorted(scopes),
                keys=authenticator.needs_key,
                uploads=service.uploads is not None,
                suffixes=[".heic", ".heif", ".avif", *(RAW_SUFFIXES if reads_raw() else ())],
                deletes_originals=opened.deletes_originals,
                version=version("kadr"),
            )
        )

    return await resources(request).working.do(applied.policy, work)


@router.get(
    "/folders",
    summary="Folders with a photo of each",
    dependencies=[needs("read")],
    responses=problems.documented(),
    response_model=AlbumsShape,
)
async def folders(request: Request, applied: ThePolicy) -> Response:
    """Those that hold photos themselves. What the law hides isn't counted, and is no cover."""

    def work(opened: Library) -> Response:
        render = renderer(request, opened)
        return json(AlbumsShape(folders=render.albums(opened.catalogue.albums())))

    return await resources(request).working.do(applied.policy, work)


@router.post(
    "/session",
    summary="Keep a key in the browser",
    status_code=204,
    response_class=Response,
    responses=problems.documented(),
)
async def enter(request: Request, given: KeyShape) -> Response:
    """Sets a cookie that no script can read and no other site can use; it isn't the key."""
    authenticator: Authenticator = request.app.state.authenticator
    token, origin = authenticator.begin_session(given.key), request.scope["state"]["origin"]
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        token,
        max_age=DAYS * 86400,
        path=origin.prefix or "/",
        secure=origin.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.delete(
    "/session",
    summary="Forget the browser's key",
    status_code=204,
    response_class=Response,
    responses=problems.documented(),
)
async def leave(request: Request) -> Response:
    """Ends the session and deletes the cookie."""
    request.app.state.authenticator.end_session(request)
    origin = request.scope["state"]["origin"]
    response = Response(status_code=204)
    response.delete_cookie(
        COOKIE,
        path=origin.prefix or "/",
        secure=origin.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@health.get("/health", summary="Whether the process is alive", response_model=StatusShape)
async def alive() -> Response:
    """Says nothing about the library."""
    return json(StatusShape(status="ok"))


@health.get(
    "/ready",
    summary="Whether searches are answered",
    response_model=StatusShape,
    responses=problems.documented(),
)
async def ready(request: Request) -> Response:
    """503 while the service starts or stops, and while the library is gone or can't be read."""
    strictest = request.app.state.policy_resolver.strictest
    await resources(request).looking.do(strictest, lambda library: library.catalogue.photo(1))
    return json(StatusShape(status="ready"))


@health.get(
    "/metrics",
    summary="Figures for Prometheus",
    dependencies=[needs("read")],
    response_class=Response,
    responses={
        **problems.documented(),
        200: {"description": "Prometheus' text format", "content": {"text/plain": {}}},
    },
)
async def figures() -> Response:
    """Counts and times, without queries or addresses."""
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
