"""Runs before every request: gives it an id, logs it, and rejects what can't be right.

Plain ASGI, because it must see a body as it arrives, and runs for each request.
"""

import asyncio
import logging
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import limits
from fastapi import HTTPException
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kadr.errors import KadrError
from kadr.service import forwarding, metrics, problems
from kadr.service.config import Service
from kadr.service.forwarding import Origin
from kadr.service.problems import ProblemError
from kadr.service.visitors import Authenticator

LOG = logging.getLogger("kadr.access")
POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'",
        "img-src 'self' blob: data:", "media-src 'self'", "connect-src 'self'",
        "manifest-src 'self'", "worker-src 'self'", "base-uri 'none'", "frame-ancestors 'none'",
        "form-action 'none'",
    )
)  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
SAFE = {"GET", "HEAD", "OPTIONS"}
SMALL_BODY = 100_000
"""Bytes in a body that isn't an upload."""
SESSION = "/api/v1/session"
OWN_ROOTS = {"api", "web"}
"""First segments of the service's own addresses, which a root path isn't cut from."""
UPLOADS = re.compile(r"/api/v1/(?:search|score|photos)")
PICTURES = re.compile(r"/api/v1/(?:photos/[0-9]+|review/[0-9]+/picture)")
MORE_PICTURES = 10
"""Pictures allowed for each search allowed: a page of results shows that many or more."""


class Guard:
    """Wraps the whole application."""

    def __init__(
        self, app: ASGIApp, service: Service, authenticator: Authenticator, rate: "Rate | None"
    ) -> None:
        self._app = app
        self._service = service
        self._authenticator = authenticator
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _without_traceback(send))
            return
        scope = self._understood(scope)
        response = _Response(scope, send)
        try:
            self._check(scope)
            body = _Body(scope, receive, self._service)
            app = self._app if scope["path"] else _to_the_page(scope)
            await app(scope, body.receive, response.send)
        except asyncio.CancelledError:  # the service stops, and has waited long enough
            if not response.started:
                stopping = ProblemError(503, "The service is stopping. Ask again.", problems.RETRY)
                await _answer(stopping, scope)(scope, receive, response.send)
            raise
        except Exception as error:  # outside Starlette's handler: these answers need headers too
            if response.started:
                LOG.exception("failed", extra={"request_id": scope["state"]["request_id"]})
                raise
            await _answer(error, scope)(scope, receive, response.send)
        finally:
            response.end(self._service.log_queries)

    def _understood(self, scope: Scope) -> Scope:
        """The request as the application sees it: a HEAD is a GET, below no root path."""
        peer = scope["client"][0] if scope.get("client") else None
        origin = forwarding.origin(peer, scope["scheme"], Headers(scope=scope), self._service)
        state = scope.setdefault("state", {})
        state |= {
            "request_id": problems.new_id(), "peer": peer, "origin": origin,
            "method": scope["method"],
        }  # fmt: skip
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return {**scope, "method": method, "path": _below(origin.prefix, scope["path"])}

    def _check(self, scope: Scope) -> None:
        """Raises ProblemError for a request that is rejected here."""
        headers, service = Headers(scope=scope), self._service
        origin: Origin = scope["state"]["origin"]
        if len(headers.getlist("host")) > 1:
            raise ProblemError(400, "The request has more than one Host header.")
        if service.hosts is not None and origin.name not in service.hosts:
            raise ProblemError(
                421, "The service doesn't answer to this name. Start it with --name NAME."
            )
        if not scope["path"].startswith("/api/"):
            return
        # Reading too: a search that the law refuses leaves a line in the audit log.
        names = service.public_names if service.trusts(scope["state"]["peer"]) else ()
        if not _own_page(headers, origin, names):
            raise ProblemError(
                403, "Another site's page asked for this. Use the service's own page."
            )
        if self._rate is not None:
            self._rate.count(scope["path"], origin.visitor)
        # Before the body: FastAPI reads a form before it asks who sent it.
        if scope["method"] not in SAFE and scope["path"] != SESSION:
            self._authenticator.admit(Request(scope))


def _without_traceback(send: Send) -> Send:
    """Starlette has the server log the traceback of a failed start; `server.run` gives a reason."""

    async def shorter(message: Message) -> None:
        failed = message["type"] == "lifespan.startup.failed"
        await send({**message, "message": ""} if failed else message)

    return shorter


def _below(prefix: str, path: str) -> str:
    """An address below the root path, which the proxy may have cut off; "" for the root itself."""
    first = prefix[1:].partition("/")[0]
    if prefix and first not in OWN_ROOTS and (path == prefix or path.startswith(f"{prefix}/")):
        return path.removeprefix(prefix)
    return path or "/"


def _to_the_page(scope: Scope) -> Response:
    """A redirect to the page: its addresses are relative, so its own must end in a slash."""
    query = scope["query_string"].decode("latin-1")
    page = scope["state"]["origin"].prefix + "/"
    return Response(status_code=308, headers={"Location": f"{page}?{query}" if query else page})


def _answer(error: Exception, scope: Scope) -> Response:
    """The answer to a request that an error ended."""
    request_id = scope["state"]["request_id"]
    if isinstance(error, ProblemError):
        return problems.response(error.status, error.detail, request_id, error.headers)
    if isinstance(error, KadrError) or problems.is_models(error):
        return problems.unusable(error, request_id)
    LOG.error("failed", exc_info=error, extra={"request_id": request_id})
    detail = "Something went wrong. The service's log says what."
    return problems.response(500, detail, request_id)


class Rate:
    """Counts the requests of each visitor."""

    def __init__(self, rate: str) -> None:
        """Raises KadrError where it isn't a rate."""
        try:
            item = limits.parse(rate)
        except ValueError:
            item = None
        if item is None or item.amount < 1:
            raise KadrError(f"{rate!r} isn't a rate. Write one such as 600/minute, or off.")
        self._asking = item
        self._looking = type(item)(item.amount * MORE_PICTURES, item.multiples, namespace="looking")
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, path: str, visitor: str) -> None:
        """Raises ProblemError, 429, once a visitor has asked too often."""
        item = self._looking if PICTURES.fullmatch(path) else self._asking
        if self._limiter.hit(item, visitor):
            return
        reset = self._limiter.get_window_stats(item, visitor).reset_time
        wait = max(1, min(60, round(reset - time.time())))
        raise ProblemError(429, f"Too many requests. Wait {wait} s.", {"Retry-After": str(wait)})


def _own_page(headers: Headers, origin: Origin, names: Collection[str]) -> bool:
    """Whether this comes from the service's own page, or from no page at all.

    A proxy that says nothing of the host that it was asked for brings pages of `names`.
    """
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    page = headers.get("origin")
    return page is None or origin.is_of(page) or page.partition("://")[2].lower() in names


@dataclass
class _Response:
    """One answer on its way out: adds its headers, measures and logs it."""

    scope: Scope
    out: Send

    def __post_init__(self) -> None:
        self.started = False
        self._status = 0
        self._bytes = 0
        self._begun = time.perf_counter()

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer."""
        if message["type"] == "http.response.start":
            self.started, self._status = True, message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["x-request-id"] = self.scope["state"]["request_id"]
            headers.setdefault("cache-control", "no-store")
        elif self.scope["state"]["method"] == "HEAD":
            message = {**message, "body": b""}
        else:
            self._bytes += len(message.get("body", b""))
        await self.out(message)

    def end(self, log_queries: bool) -> None:
        """Count and log the request; the text of its query only if that is wanted."""
        seconds = time.perf_counter() - self._begun
        route = getattr(self.scope.get("route"), "path", "unmatched")
        method = self.scope["state"]["method"]
        method = method if method in _METHODS else "OTHER"
        metrics.REQUESTS.labels(method, route, str(self._status)).inc()
        metrics.SECONDS.labels(route).observe(seconds)
        entry: dict[str, Any] = {
            "request_id": self.scope["state"]["request_id"],
            "method": method,
            "route": route,
            "status": self._status,
            "ms": round(seconds * 1000, 1),
            "bytes": self._bytes,
            "key": self.scope["state"].get("visitor"),
        }
        if log_queries:
            entry["query"] = self.scope["query_string"].decode("latin-1")
        LOG.info("request", extra=entry)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _Body:
    """A request's body, cut off where it is too long or too slow."""

    def __init__(self, scope: Scope, receive: Receive, service: Service) -> None:
        self._receive = receive
        self._is_upload = bool(UPLOADS.fullmatch(scope["path"])) and scope["method"] == "POST"
        self._most = service.most_bytes if self._is_upload else SMALL_BODY
        self._left = self._most
        self._seconds = service.seconds
        self._ends = asyncio.get_running_loop().time() + service.seconds
        self._whole = False
        length = Headers(scope=scope).get("content-length", "")
        self._too_long = length.isdigit() and int(length) > self._most

    async def receive(self) -> Message:
        """The next part."""
        if self._whole:
            return await self._receive()
        if self._too_long:
            raise self._large()
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            raise _refused(408, f"The request took more than {self._seconds:g} s.") from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._left < 0:
                raise self._large()
        return message

    def _large(self) -> HTTPException:
        detail = f"A request may have at most {self._most:,} bytes."
        hint = " Send fewer or smaller photos, or start the service with --max-bytes."
        return _refused(413, detail + hint * self._is_upload)


def _refused(status: int, detail: str) -> HTTPException:
    """FastAPI passes on its own exceptions from reading a body, and swallows all others."""
    return HTTPException(status, detail, {"Connection": "close"})
