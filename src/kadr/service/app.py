"""The application: routes, guard, page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.service import (
    collections,
    deletion,
    maps,
    photos,
    problems,
    review,
    seals,
    search,
    status,
    uploads,
)
from kadr.service import pages as page
from kadr.service.config import Service, networks
from kadr.service.cursors import Cursors
from kadr.service.guard import Guard, Rate
from kadr.service.problems import ProblemDetails
from kadr.service.resources import Resources
from kadr.service.shapes import SearchShape
from kadr.service.visitors import Authenticator, PolicyResolver

PREFIX = "/api/v1"
DESCRIPTION = """Finds the photo that a text describes, and says how likely they are to match.

Photos that the policy hides answer 451 with its disclaimer; in a search they are a card that holds
the disclaimer and nothing else. Errors are `application/problem+json` (RFC 9457).
"""


def create_app(service: Service) -> FastAPI:
    """The service as an ASGI application.

    Raises:
        KadrError: the library, policy, model, keys, rate or proxies can't be read.
    """
    networks(service.proxies)  # says what isn't one
    policy = PolicyResolver(service).strictest
    rate = None if service.rate is None else Rate(service.rate)
    if service.model is not None:
        matcher.read_manifest(service.model)
    create = service.uploads is not None
    with Library.open(service.library, policy=policy, create=create) as opened:
        secret = seals.secret_of(opened.store)
    authenticator = Authenticator(service, secret)
    policy_resolver = PolicyResolver(service, lambda: authenticator.needs_key)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.resources, app.state.failure = Resources(service), ""
        try:
            await app.state.resources.open(policy_resolver.strictest)
        except Exception as error:
            app.state.failure = problems.reason(error)
            app.state.resources.close()
            raise
        try:
            yield
        finally:
            app.state.resources.close()

    app = FastAPI(
        title="kadr",
        version=version("kadr"),
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # both pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.service, app.state.cursors = service, Cursors(secret)
    app.state.authenticator, app.state.policy_resolver = authenticator, policy_resolver
    for routes in (search, photos, maps, deletion, collections, uploads, review, status):
        app.include_router(routes.router, prefix=PREFIX)
    app.include_router(status.health)
    app.include_router(page.router())
    problems.register(app)
    app.add_middleware(Guard, service=service, authenticator=authenticator, rate=rate)
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    """Add the shapes that no route's signature mentions."""
    build = app.openapi

    def openapi() -> dict[str, object]:
        document = build()
        shapes = document["components"]["schemas"]
        for shape in (ProblemDetails, SearchShape):
            schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
            shapes.update(schema.pop("$defs", {}))
            shapes[shape.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
