"""Errors as problem+json (RFC 9457): all of one shape, and none reveals a path."""

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from kadr.errors import (
    AuditKeyError,
    ImageError,
    KadrError,
    LibraryError,
    LibraryUnavailableError,
    ReadOnlyError,
)
from kadr.law.policy import Policy
from kadr.service import metrics
from kadr.service.worker_pool import BusyError

MEDIA_TYPE = "application/problem+json"
LOG = logging.getLogger("kadr.service")
RETRY = {"Retry-After": "1"}
NO_LIBRARY = "urn:kadr:problem:no-library"
"""The type of a problem that lasts until the library is back."""

NO_RECORD = "urn:kadr:problem:no-record"
"""The type of a problem with what must be on record; everything else is answered."""


class Invalid(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="The place in the request.", examples=["query.n"])
    what: str = Field(description="What is wrong there.")


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(default="about:blank", description="A URI that names the kind of problem.")
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(ge=400, le=599, description="The status code.")
    detail: str = Field(description="What is wrong, and what to do about it.")
    request_id: str = Field(description="Identifies the request in the service's log.")
    errors: list[Invalid] | None = Field(default=None, description="Each thing that is wrong.")


class ProblemError(Exception):
    """Ends a request with an error."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: list[Invalid] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.errors = errors


def unavailable_for_legal_reasons(policy: Policy, language: str, blocked_by: str) -> ProblemError:
    """451 (RFC 7725): the disclaimer, and who blocks."""
    metrics.HIDDEN.inc()
    link = {"Link": f'<{blocked_by}>; rel="blocked-by"', "Cache-Control": "no-store"}
    return ProblemError(451, policy.disclaimer(language), link)


def response(
    status: int,
    detail: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    errors: list[Invalid] | None = None,
    kind: str = "about:blank",
) -> Response:
    """A problem as a response; `kind` is its type."""
    problem = ProblemDetails(
        type=kind,
        title=phrase(status),
        status=status,
        detail=detail,
        request_id=request_id,
        errors=errors,
    )
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


def unusable(error: Exception, request_id: str) -> Response:
    """The service's own trouble: 503, or 403 where the library may only be read.

    Its text may name files, so it goes to the log alone.
    """
    if isinstance(error, ReadOnlyError):
        return response(403, "This library may only be read.", request_id)
    LOG.error("unusable", extra={"request_id": request_id, "error": reason(error)})
    if isinstance(error, LibraryUnavailableError):
        detail = "The library's server can't be reached at the moment. Try again in some seconds."
        return response(503, detail, request_id, {"Retry-After": "3"}, kind=NO_LIBRARY)
    if isinstance(error, AuditKeyError):
        detail = (
            "This must be on record, and the service can't seal the audit log. Whoever runs it "
            "finds in its log which file is missing."
        )
        return response(503, detail, request_id, kind=NO_RECORD)
    if isinstance(error, LibraryError):
        detail = "The library is gone or can't be read. Nothing can be answered until it is back."
        return response(503, detail, request_id, {"Retry-After": "10"}, kind=NO_LIBRARY)
    detail = "The service can't answer this at the moment. Its log says why."
    return response(503, detail, request_id, RETRY)


def is_models(error: Exception) -> bool:
    """Whether ONNX Runtime raised it: a model that can't be run is no bug of the service."""
    return type(error).__module__.startswith("onnxruntime")


def reason(error: Exception) -> str:
    """An error on one line, for the log."""
    if isinstance(error, KadrError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


def new_id() -> str:
    """An id for a request, in its answer and in the log."""
    return uuid.uuid4().hex[:16]


def phrase(status: int) -> str:
    """A status in words."""
    return HTTPStatus(status).phrase


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How an operation documents its problems; `default` is any other."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": phrase(status), "content": content}
        for status in sorted({400, 401, 403, 422, 429, 503, *statuses})
    }
    for status in {429, 503} & responses.keys():
        responses[status]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        }
    if 451 in responses:
        responses[451]["description"] = "Hidden by law; the detail is the policy's disclaimer"
        responses[451]["headers"] = {
            "Link": {"schema": {"type": "string"}, "description": 'rel="blocked-by" (RFC 7725)'}
        }
    return responses | {"default": {"description": "Another problem", "content": content}}


def register(app: FastAPI) -> None:
    """Answer every error in this shape."""

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return response(error.status, error.detail, _id(request), error.headers, error.errors)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        details = {404: "There is nothing here.", 405: "This address doesn't take that method."}
        detail = details.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = _methods(request) or headers["Allow"]
        return response(error.status_code, detail, _id(request), headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            Invalid(where=".".join(map(str, one["loc"])), what=str(one["msg"]))
            for one in error.errors()
        ]
        detail = "; ".join(f"{one.where}: {one.what}" for one in errors)
        return response(422, detail, _id(request), errors=errors)

    @app.exception_handler(BusyError)
    async def _busy(request: Request, error: BusyError) -> Response:
        return response(503, str(error), _id(request), RETRY)

    @app.exception_handler(ImageError)
    async def _picture(request: Request, error: ImageError) -> Response:
        return response(422, f"The picture {error}. Send another one.", _id(request))

    @app.exception_handler(KadrError)
    async def _unusable(request: Request, error: KadrError) -> Response:
        return unusable(error, _id(request))


@contextmanager
def of_the_request() -> Iterator[None]:
    """Errors raised within are the request's fault: 422, with the reason."""
    try:
        yield
    except KadrError as error:
        raise ProblemError(422, str(error)) from error


def _methods(request: Request) -> str:
    """All methods that an address takes; a route knows only its own."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    methods = [
        method.upper()
        for path, operations in paths.items()
        if compile_path(path)[0].match(request.url.path)
        for method in operations
    ]
    return ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])


def _id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))
